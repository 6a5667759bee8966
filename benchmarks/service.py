"""Measure the latency of `zkinfer serve`: idle, while proving, and under overload.

    python -m benchmarks.service [REQUESTS]     prints and writes docs/measurements/service-benchmarks.md

A real server and unmodified clients in separate processes, all on this machine; the digits model (64-32-10).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ezkl
import numpy as np
import tritonclient.grpc as triton
from benchmarks.engine import described
from benchmarks.overload import Overload, overloaded
from tests.e2e.server_process import Server, client_of, environment, until
from tests.paths import PROGRAM

from zkinfer.circuits import Circuit
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.prover.quantised_inputs import integers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "service/zkinfer/cli/demo/digits"
BARE = "bare"
CLIENTS, CORES, ROUNDS = 8, 2, 8
PACES = (5, 10)  # calls per second
PAUSE = 0.005
TOGETHER = f"{CORES} proofs, {CLIENTS} clients"
INTRODUCTION = """\
# Service benchmarks

Latency of single requests of the digits model (64-32-10) over loopback, in milliseconds. The server is a real `zkinfer
serve`, the clients are unmodified tritonclients in processes of their own, and all run on one machine, so clients and
proofs compete with the server.

*Bare* is plain ezkl's forward pass of the same circuit (`gen_witness`) and nothing else, in the measuring process:
without a pause, or *after* one, as between two calls. *8 concurrent* are eight such processes. *Session* is zkinfer's
way: the same integers by arithmetic, without a witness, in a limited child process. The other rows are whole calls;
with *async*, a proof job is on disk before the answer is sent. Clients send the next request as soon as they are
answered, unless a rate is given: that many calls per second, at random times.
"""


@dataclass(slots=True)
class Times:
    """Seconds of each of many requests."""

    title: str
    seconds: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """A quantile, in milliseconds."""
        return float(np.quantile(self.seconds, share)) * 1000


def main() -> None:
    if sys.argv[1:2] == ["client"]:
        return client(*sys.argv[2:])
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        models, home = compiled(folder)
        circuit = Circuit.open(models / "digits/1")
        times = [*idle(folder, models, home, requests), *bare(circuit, requests), *busy(folder, models, home, requests)]
        overload = overloaded(server_in(folder / "overload", models, home), image(0))
    text = page(times, overload)
    (ROOT / "docs/measurements/service-benchmarks.md").write_text(text)
    print(text)
    return None


def compiled(folder: Path) -> tuple[Path, Path]:
    models, home = folder / "models", folder / "home"
    (models / "digits").mkdir(parents=True)
    options = ("--calibration", DIGITS / "calibration.npz", "--setup", "insecure-dev", "--out", models / "digits/1")
    command = [str(PROGRAM), "compile", str(DIGITS / "digits.onnx"), *map(str, options)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(home))
    return models, home


def server_in(folder: Path, models: Path, home: Path, workers: int = 1, **limits: int) -> Server:
    folder.mkdir()
    variables = {f"ZKINFER_{name.upper()}": str(value) for name, value in limits.items()}
    return Server(folder, models, home, ("--workers", str(workers)), variables)


def image(number: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    found: np.ndarray[Any, np.dtype[np.float32]] = np.load(DIGITS / "held-out.npz")["image"][number].astype(np.float32)
    return found


def timed(title: str, calls: Iterable[Callable[[], object]]) -> Times:
    """Time each call; the first ten are dropped."""
    times = Times(title)
    for call in calls:
        began = time.perf_counter()
        call()
        times.seconds.append(time.perf_counter() - began)
    return Times(title, times.seconds[10:])


# --- without a server


def bare(circuit: Circuit, requests: int) -> list[Times]:
    program = circuit.manifest.program
    sample = integers_of({"image": image(0)}, program.inputs)
    found = [Times(f"bare, {CLIENTS} concurrent", clients(str(circuit.folder), CLIENTS, requests // 2, BARE))]
    engine = engine_named()
    with closing(engine.session(circuit.folder, program)) as session:
        return [*found, timed("session", [lambda: session.forward(sample)] * (requests + 10))]


# --- an idle server, alternating with the bare pass, since a machine's speed varies over time


def idle(folder: Path, models: Path, home: Path, requests: int) -> list[Times]:
    bare, paused = Times("bare forward pass"), Times(f"bare, after {PAUSE * 1000:.0f} ms")
    none, queued = Times("idle, none"), Times("idle, async")
    with server_in(folder / "idle", models, home, 0, queue__per_owner=10_000, queue__queued=10_000) as server:
        for _ in range(ROUNDS):
            bare.seconds += clients(str(models / "digits/1"), 1, requests // ROUNDS, BARE)
            paused.seconds += clients(str(models / "digits/1"), 1, requests // ROUNDS, BARE, pause=PAUSE)
            none.seconds += clients(server.address, 1, requests // ROUNDS, "none")
            queued.seconds += clients(server.address, 1, requests // ROUNDS, "async")
    return [bare, paused, none, queued]


# --- a server with all cores proving


def busy(folder: Path, models: Path, home: Path, requests: int) -> list[Times]:
    with server_in(folder / "busy", models, home, CORES, queue__per_owner=10_000, queue__queued=10_000) as server:
        with client_of(server) as one:
            for number in range(200):
                infer(one, number, "async")
        until(lambda: len(server.relatives("engine")) == CORES, 60)
        alone = clients(server.address, 1, requests, "none")
        found = [Times(f"{CORES} proofs, 1 client", alone)]
        together = clients(server.address, CLIENTS, requests // 2, "none")
        found.append(Times(TOGETHER, together))
        for pace in PACES:
            paced = clients(server.address, CLIENTS, requests // 8, "none", pace=pace)
            found.append(Times(paced_title(pace), paced))
        assert server.relatives("engine"), "the proofs ended before the measurement"
    return found


def paced_title(pace: int) -> str:
    return f"{TOGETHER}, {pace} per second each"


def clients(address: str, number: int, requests: int, mode: str, pause: float = 0.0, pace: float = 0.0) -> list[float]:
    """The times of several concurrent clients, each in a separate process; `pace` is the mean of calls per second."""
    timing = [str(pause), str(pace)]
    command = [sys.executable, "-m", "benchmarks.service", "client", address, str(requests), mode, *timing]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(number)
    ]
    for one in running:  # wait for all, so that none is measured while others still start
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return [seconds for one in running for seconds in json.loads(one.communicate()[0])]


def client(target: str, requests: str, mode: str, pause: str, pace: str) -> None:
    """One of these processes; its target is the circuit's folder if bare, else the server's address."""
    with forwarding(target) if mode == BARE else inferring(target, mode) as call:
        call(0)
        print("ready", flush=True)
        sys.stdin.readline()

        def calls() -> Iterable[Callable[[], object]]:
            due = time.perf_counter()
            for number in range(int(requests) + 10):
                due += random.expovariate(float(pace)) if float(pace) else 0.0  # independent of the other clients
                time.sleep(max(float(pause), due - time.perf_counter()))
                yield partial(call, number)

        print(json.dumps(timed("", calls()).seconds))


@contextmanager
def forwarding(folder: str) -> Iterator[Callable[[int], object]]:
    """The engine as its own documentation uses it, with the circuit's program and one input in files."""
    with tempfile.TemporaryDirectory() as scratch:
        compiled, given, found = (str(Path(scratch, name)) for name in ("compiled", "input.json", "witness.json"))
        ezkl.compile_circuit(f"{folder}/network.onnx", compiled, f"{folder}/settings.json")
        Path(given).write_text(json.dumps({"input_data": [[0] * LIMBS, image(0).ravel().tolist()]}))
        yield lambda _: ezkl.gen_witness(given, compiled, found, None, None)


@contextmanager
def inferring(address: str, mode: str) -> Iterator[Callable[[int], object]]:
    with triton.InferenceServerClient(address) as one:
        yield lambda number: infer(one, number, mode)


def infer(one: triton.InferenceServerClient, number: int, mode: str) -> None:
    tensor = triton.InferInput("image", list(image(0).shape), "FP32")
    tensor.set_data_from_numpy(_IMAGES[number % len(_IMAGES)])
    one.infer("digits", [tensor], parameters={"zkinfer_proof_mode": mode, "zkinfer_request_id": f"{time.time_ns()}"})


_IMAGES = [image(number) for number in range(32)]


def page(times: list[Times], overload: Overload) -> str:
    head = [INTRODUCTION, f"On {loaded()}; repeat with `make bench-service`.", ""]
    table = ["| | requests | p50 | p99 |", "| --- | ---: | ---: | ---: |"]
    table += [f"| {one.title} | {len(one.seconds):,} | {one.at(0.5):.1f} | {one.at(0.99):.1f} |" for one in times]
    return "\n".join([*head, *table, "", verdict({one.title: one for one in times}), "", *overload.lines()]) + "\n"


def loaded() -> str:
    """This machine and its load average over the last quarter of an hour, which affects every figure."""
    return f"{described()}, load average {os.getloadavg()[2]:.1f}"


def verdict(times: dict[str, Times]) -> str:
    """Targets and results."""
    p50 = {title: found.at(0.5) for title, found in times.items()}
    floor, quiet, together = (p50[title] for title in ("bare forward pass", "idle, none", TOGETHER))
    paced = ", ".join(f"{p50[paced_title(pace)]:.1f} ms at {CLIENTS * pace} requests per second" for pace in PACES)
    return (
        f"Target when idle: the bare pass plus 5 ms, {floor + 5:.1f} ms; reached {quiet:.1f} ms. Target with "
        f"{CLIENTS} clients while {CORES} cores prove: three times that, {3 * (floor + 5):.1f} ms; reached "
        f"{together:.1f} ms with clients that never pause, {paced}."
    )


if __name__ == "__main__":
    main()
