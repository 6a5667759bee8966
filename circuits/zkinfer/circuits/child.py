"""Run one function in a fresh, limited, killable process.

Parsers of hostile files and proving engines hold the interpreter lock, panic, and can eat all memory. Here such a
call costs at most its limits: `run` starts a new interpreter (never a fork) in its own session with a scrubbed
environment, bounds its memory, processor time and wall time, and kills it with its descendants when the caller
leaves. If the caller itself is killed, the kernel kills the child.

Request and answer are JSON. The child's answer is data from a process that read hostile input: it is size-capped
and never unpickled.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zkinfer.circuits import errors, machine
from zkinfer.circuits.errors import (
    EngineCrashedError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    ZkinferError,
)
from zkinfer.circuits.stopping import stop_descriptor, stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_ANSWER_BYTES = 1 << 28
_STDERR_TAIL = 4096
_FRACTION = re.compile(rb"[01]\.\d{4}")
_OUT_OF_MEMORY = ("MemoryError", "memory allocation of", "bad_alloc", "Cannot allocate memory")
_KEPT_ENVIRONMENT = ("LANG", "LC_ALL", "PATH", "RAYON_NUM_THREADS", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use: wall-clock seconds, and bytes of address space (None: no bound).

    Processor time is bounded to the same seconds on every core.
    """

    seconds: float = 3600.0
    memory: int | None = None

    @classmethod
    def for_parsing(cls) -> Limits:
        """Limits for reading an untrusted model."""
        return cls(seconds=60.0, memory=4 << 30)

    @classmethod
    def for_verifying(cls) -> Limits:
        """Limits for rebuilding and checking what a stranger published: ten minutes and half of the free memory."""
        return cls(seconds=600.0, memory=machine.available_memory() // 2)

    @classmethod
    def for_engine(cls) -> Limits:
        """Limits for proving: an hour and nine tenths of the free memory, so that no other process is killed for it."""
        return cls(seconds=3600.0, memory=machine.available_memory() * 9 // 10)


def run(
    function: str,
    arguments: dict[str, Any],
    *,
    limits: Limits,
    progress: Callable[[float], None] | None = None,
) -> Any:  # noqa: ANN401 - any JSON value
    """Call `module:function(**arguments)` in a child and return its JSON answer.

    Args:
        function: dotted module and function name, `zkinfer.circuits.engines.ezkl_calls:prove`.
        arguments: JSON values; bulk data travels in files named by them.
        limits: what the child may use.
        progress: called with a fraction 0..1 whenever the child reports one.

    Raises:
        ZkinferError: the same error, by name, that the function raised.
        EngineTimeoutError, EngineMemoryError, EngineCrashedError: the child was killed or died.
        StoppedError: the caller's `stoppable` block was told to stop.
    """
    oom_kills = machine.oom_kills()
    with _started() as (process, answer_fd):
        deadline = time.monotonic() + limits.seconds
        request = {"function": function, "arguments": arguments, **asdict(limits)}
        assert process.stdin is not None  # noqa: S101 - for the type checker: PIPE was asked for
        with contextlib.suppress(BrokenPipeError):  # it died already: the exit status says why
            process.stdin.write(json.dumps(request).encode())
            process.stdin.close()
        answer, noise = _read_until_end(process, answer_fd, deadline, progress)
        status = _wait(process, deadline)
    if answer:
        return _opened(answer, status, noise, oom_kills)
    raise _death(status, noise, oom_kills)


@contextlib.contextmanager
def _started() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    read_end, write_end = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "zkinfer.circuits.child", str(write_end), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(write_end,),
            start_new_session=True,
            env=_environment(),
        )
    except OSError as err:
        os.close(read_end)
        raise EngineCrashedError(f"No process could be started: {err.strerror}.") from err
    finally:
        os.close(write_end)
    try:
        yield process, read_end
    finally:
        os.close(read_end)
        _kill(process)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    # A home that does not exist: engines must not read or fill caches of their own.
    return kept | {
        "HOME": "/nonexistent",
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _wait(process: subprocess.Popen[bytes], deadline: float) -> int:
    try:
        return process.wait(max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as err:
        raise _late() from err


def _late() -> EngineTimeoutError:
    return EngineTimeoutError(
        "The engine exceeded its time limit and was stopped.", "Try a smaller model, or allow more time."
    )


def _read_until_end(
    process: subprocess.Popen[bytes],
    answer_fd: int,
    deadline: float,
    progress: Callable[[float], None] | None,
) -> tuple[bytes, str]:
    assert process.stderr is not None  # noqa: S101 - for the type checker: PIPE was asked for
    received = bytearray()
    noise = bytearray()
    open_ends = {answer_fd, process.stderr.fileno()}
    with selectors.DefaultSelector() as selector:
        selector.register(answer_fd, selectors.EVENT_READ, received)
        selector.register(process.stderr, selectors.EVENT_READ, noise)
        stop = stop_descriptor()
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ)
        while open_ends:
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready or time.monotonic() > deadline:  # a child may chatter past its time
                raise _late()
            for key, _ in ready:
                if key.fd == stop:
                    raise stopped()
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    selector.unregister(key.fileobj)
                    open_ends.discard(key.fd)
                key.data.extend(chunk)
            _report_progress(received, progress)
            del noise[:-_STDERR_TAIL]
            if len(received) > MAX_ANSWER_BYTES:
                raise EngineCrashedError("The engine's answer is larger than any answer can be.")
    return bytes(received), noise.decode(errors="replace")


def _report_progress(received: bytearray, progress: Callable[[float], None] | None) -> None:
    """Take complete `progress` lines off the front; the answer is the one line without a newline."""
    while (end := received.find(b"\n")) >= 0:
        line = bytes(received[:end])
        del received[: end + 1]
        if progress is not None and _FRACTION.fullmatch(line):
            progress(float(line))


def _opened(answer: bytes, status: int, noise: str, oom_kills: int | None) -> Any:  # noqa: ANN401 - any JSON value
    """The value in an answer; raises the error in it, or EngineCrashedError where it is no answer."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError) as err:
        if status:  # it died in the middle of answering
            raise _death(status, noise, oom_kills) from err
        raise EngineCrashedError("The engine's process gave something that is no answer.") from err
    if isinstance(document, dict) and "value" in document:
        return document["value"]
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        raise _revive(document["error"])
    raise EngineCrashedError("The engine's process gave something that is no answer.")


def _death(status: int, noise: str, oom_kills: int | None) -> EngineError:
    """What an exit status means; `oom_kills` is what `machine.oom_kills` said when the child was started."""
    last = noise.strip().splitlines()[-1:] or [""]
    killed = status == -signal.SIGKILL
    if (killed and _kernel_killed_since(oom_kills)) or any(sign in noise for sign in _OUT_OF_MEMORY):
        return EngineMemoryError(
            "The engine ran out of memory or was killed by the system.",
            "Use a machine with more memory or a smaller model.",
        )
    if killed:
        return EngineCrashedError("The engine was killed by another process, not for want of memory.", "Try again.")
    if status == -signal.SIGXCPU:
        return EngineTimeoutError("The engine used up its processor time.", "Try a smaller model.")
    return EngineCrashedError(f"The engine stopped unexpectedly (status {status}): {last[0][:300]}".strip())


def _kernel_killed_since(oom_kills: int | None) -> bool:
    """Whether the kernel killed something for want of memory meanwhile, or does not count such kills."""
    now = machine.oom_kills()
    return oom_kills is None or now is None or now > oom_kills


def _revive(error: dict[str, str]) -> ZkinferError:
    kind = getattr(errors, str(error.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, ZkinferError)):
        kind = EngineCrashedError
    return kind(str(error.get("cause")), str(error.get("cure")))


# --- the child's side -------------------------------------------------------------------------------------------


def report(fraction: float) -> None:
    """Tell the parent how far the work is (0..1); call it from inside a function that `run` started."""
    os.write(_answer_fd(), f"{fraction:.4f}\n".encode())


def _answer_fd() -> int:
    return int(sys.argv[1])


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only this side needs it

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def _limit(seconds: float, memory: int | None) -> None:
    processor_seconds = math.ceil(seconds * (os.cpu_count() or 1))
    resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the witness
    os.umask(0o077)
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _main() -> None:
    _die_with(int(sys.argv[2]))
    request = json.load(sys.stdin)
    _limit(request["seconds"], request["memory"])
    module, _, name = request["function"].partition(":")
    try:
        value = getattr(importlib.import_module(module), name)(**request["arguments"])
        answer: dict[str, Any] = {"value": value}
    except ZkinferError as err:
        answer = {"error": {"type": type(err).__name__, "cause": err.cause, "cure": err.cure}}
    with os.fdopen(_answer_fd(), "w") as out:
        json.dump(answer, out)
    os._exit(0)  # the answer is out: threads of an engine, which may crash or hang at the end, are not waited for


if __name__ == "__main__":
    _main()
