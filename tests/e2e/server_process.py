"""A real server for tests and measurements: `zkinfer serve` in separate processes, to kill and restart.

Of the server's internals, only the names of its processes are used.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import grpc
import numpy as np
import onnx
import tritonclient.grpc as triton
from onnx import helper, numpy_helper
from tests.integration import stored
from tests.paths import PROGRAM

from zkinfer.circuits import Home, compile_model
from zkinfer.circuits.engines.ezkl.engine import EzklEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from zkinfer.circuits.tensors import Visibility

MODEL = "small"
# For clients that outlive their server: by default, gRPC waits up to two minutes between two attempts.
RECONNECTING = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),
)
# Proofs of the small model are so short that a call would wait for them.
_ASYNC = {"ZKINFER_MODELS__SMALL__PROOF_MODE": "async"}
_FORK_SERVER = "fork server"
_ROLES = {
    "zkinfer.circuits.sandbox.fork_server": _FORK_SERVER,
    "zkinfer.prover.workers.worker": "worker",
    "zkinfer.circuits.sandbox.session": "session",
    "zkinfer.circuits.sandbox.child": "engine",
}


@dataclass(frozen=True, slots=True)
class Relative:
    """A process started directly or indirectly by a server: a worker, a session, or the engine of a worker.

    Its parent is the process that requested it, not the fork server in between.
    """

    pid: int
    parent: int
    role: str


@dataclass(slots=True)
class Server:
    """A server that can be restarted on the same folders and at the same address.

    Args:
        folder: holds its state and its log.
        repository: the model repository.
        home: holds setups and keys.
        options: further options of the command.
        variables: further variables of its environment.
        wrapper: a command that runs the command given to it, such as `unshare`.
    """

    folder: Path
    repository: Path
    home: Path
    options: Sequence[str] = ()
    variables: dict[str, str] = field(default_factory=dict)
    wrapper: Sequence[str] = ()
    port: int = 0
    metrics_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port, self.metrics_port = free_port(), free_port()

    @property
    def address(self) -> str:
        """The address it listens on."""
        return f"127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        """Its state folder."""
        return self.folder / "state"

    @property
    def log(self) -> Path:
        """The stderr of all servers started here."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The process id of the running server, or of the last one."""
        assert self.process is not None
        return self.process.pid

    def start(self, seconds: float = 60.0) -> Self:
        """Start it and wait until it answers calls."""
        self.launch()
        assert self.process is not None
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        output, deadline = b"", time.monotonic() + seconds
        while not output.rstrip().endswith(b"}"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start: {self.tail()}")
            output += self.process.stdout.read() or b""
            time.sleep(0.01)
        assert json.loads(output)["ok"]
        return self

    def launch(self) -> None:
        """Start it; it reports on stdout when it is ready."""
        command = [*self.wrapper, str(PROGRAM), "serve", *self.arguments(), *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env=environment(self.home) | _ASYNC | self.variables,
                start_new_session=True,
            )

    def arguments(self) -> list[str]:
        """The options common to all servers."""
        places = {"repository": self.repository, "state": self.state}
        addresses = {"listen": self.address, "metrics": f"127.0.0.1:{self.metrics_port}"}
        return [part for name, value in (places | addresses).items() for part in (f"--{name}", str(value))] + ["--json"]

    def kill(self) -> None:
        """Kill -9 the server only; its relatives must end by themselves."""
        assert self.process is not None
        self.process.kill()
        self._over()

    def stop(self, seconds: float = 60.0) -> int:
        """Send SIGTERM; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)
        return self._over()

    def _over(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        status = self.process.wait()
        self.process.stdout.close()
        return status

    def relatives(self, role: str | None = None) -> list[Relative]:
        """The running workers, sessions and engines of the server, optionally of one role."""
        return [one for one in relatives(self.pid) if role in (None, one.role)]

    def tail(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-3000:]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


def environment(home: Path) -> dict[str, str]:
    """The environment of a user with only a zkinfer home."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "ZKINFER_SETUP_PATH") if name in os.environ}
    return kept | {"HOME": str(home), "ZKINFER_HOME": str(home)}


def free_port() -> int:
    """An unused port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


# --- processes, from /proc


def relatives(root: int) -> list[Relative]:
    """The descendants of a process that have a known role."""
    parents = dict(_processes())
    below = {root}
    while more := {pid for pid, parent in parents.items() if parent in below and pid not in below}:
        below |= more
    roles = {pid: role for pid in below if pid != root and (role := _role(pid))}
    between = {pid: parents[pid] for pid, role in roles.items() if role == _FORK_SERVER}
    return [
        Relative(pid, between.get(parents[pid], parents[pid]), role)
        for pid, role in roles.items()
        if role != _FORK_SERVER
    ]


def _processes() -> Iterator[tuple[int, int]]:
    """All running processes with their parents."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _status(entry)) and fields[0] not in "ZX":
            yield int(entry.name), int(fields[1])


def _status(entry: Path) -> list[str]:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _role(pid: int) -> str:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    return next((role for module, role in _ROLES.items() if module in arguments), "")


def alive(pid: int) -> bool:
    """Whether a process runs."""
    fields = _status(Path(f"/proc/{pid}"))
    return bool(fields) and fields[0] not in "ZX"


def kill_process(pid: int) -> bool:
    """Kill -9 one process; returns whether it existed."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


# --- a model that is proven in a fraction of a second


def write_small_model(folder: Path) -> tuple[Path, Path]:
    """A dense network of 4-16-3 with fixed random weights, and samples for it."""
    random = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((random.normal(size=shape) / 2).astype(np.float32), name)

    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"]),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "w1", "b1"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(*port) for port in (("x", 1, [1, 4]), ("y", 1, [1, 3]))]
    constants = [weights("w0", 4, 16), weights("b0", 16), weights("w1", 16, 3), weights("b1", 3)]
    graph = helper.make_graph(nodes, "network", ports[:1], ports[1:], constants)
    model, samples = folder / "model.onnx", folder / "samples.npz"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    inputs: dict[str, Any] = {"x": np.random.default_rng(1).uniform(-1, 1, (16, 1, 4)).astype(np.float32)}
    np.savez(samples, **inputs)
    return model, samples


def compile_small_model(folder: Path, home: Path, visibility: Visibility = "public") -> Path:
    """Create a repository in `folder` with version 1 of the small model, next to its ONNX file."""
    target = folder / "models" / MODEL / "1"
    target.parent.mkdir(parents=True)
    model, samples = write_small_model(folder)
    options = stored.options(f"small/{visibility}", visibility)
    compile_model(model, target, engine=EzklEngine(), home=Home(home), calibration=samples, options=options)
    return folder / "models"


def given(values: Sequence[float] | np.ndarray[Any, Any]) -> list[triton.InferInput]:
    """The input of the small model, as sent by a client."""
    array = np.asarray(values, np.float32).reshape(1, 4)
    tensor = triton.InferInput("x", [1, 4], "FP32")
    tensor.set_data_from_numpy(array)
    return [tensor]


def parameters_of(result: triton.InferResult) -> dict[str, str]:
    """The string parameters of a response, which describe the proof."""
    return {name: value.string_param for name, value in result.get_response().parameters.items()}


def client_of(server: Server) -> triton.InferenceServerClient:
    """An unmodified client of the protocol, which reconnects quickly after a restart."""
    return triton.InferenceServerClient(server.address, channel_args=list(RECONNECTING))


def channel_to(server: Server) -> grpc.Channel:
    """A plain channel that also reconnects quickly."""
    return grpc.insecure_channel(server.address, options=list(RECONNECTING))


def until(happened: Callable[[], bool], seconds: float, pause: float = 0.02) -> float:
    """The seconds until `happened()` becomes true; raises AssertionError after `seconds`."""
    began = time.monotonic()
    while not happened():
        if time.monotonic() > began + seconds:
            raise AssertionError(f"not within {seconds} seconds: {happened}")
        time.sleep(pause)
    return time.monotonic() - began
