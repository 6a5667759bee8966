"""Run one function in a separate process with limits.

Parsers of hostile files and proving engines hold the interpreter lock, panic, and can exhaust memory. `run` confines
such a call to its limits: it starts a process in its own session with a scrubbed environment, bounds its memory,
processor time and wall time, and kills it with its descendants when the caller leaves. If the caller itself is killed,
the kernel kills the child. The process is never forked from the caller: see `fork_server`.

Request and answer are JSON. The answer comes from a process that read hostile input: it is size-capped and never
unpickled.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import re
import selectors
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.errors import EngineCrashedError, EngineError
from zkinfer.circuits.sandbox import processes, resources, spawn
from zkinfer.circuits.sandbox.deadline import Deadline, stop_descriptor, stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.circuits.sandbox.spawn import ChildProcess

MAX_ANSWER_BYTES = 1 << 28
PARSING = 1_800_000_000  # bytes of address space for reading an untrusted model
MAPPED = 1 << 29  # bytes of address space that libraries and stacks map and mostly leave untouched
_FRACTION = re.compile(rb"[01]\.\d{4}")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one child: wall-clock seconds, and bytes of address space (None: unlimited).

    Processor time is limited to the same seconds on every core. For a child that yields, that is the effective limit,
    because `Deadline` extends the wall-clock time.
    """

    seconds: float = 3600.0
    memory: int | None = None

    @classmethod
    def for_parsing(cls) -> Limits:
        """Limits for reading an untrusted model: a minute, and less than 2 GB including the caller."""
        return cls(seconds=60.0, memory=PARSING)

    @classmethod
    def for_verifying(cls) -> Limits:
        """Limits for rebuilding and checking untrusted files: ten minutes and half of the free memory."""
        return cls(seconds=600.0, memory=resources.available_memory() // 2)

    @classmethod
    def for_engine(cls) -> Limits:
        """Limits for proving: an hour and the usable memory."""
        return cls(seconds=3600.0).within(resources.usable_memory())

    def within(self, memory: int) -> Limits:
        """The same limits, with address space for at most this many bytes of memory."""
        space = memory + MAPPED
        return replace(self, memory=space if self.memory is None else min(self.memory, space))


def run(
    function: str,
    arguments: dict[str, Any],
    *,
    limits: Limits,
    progress: Callable[[float], None] | None = None,
) -> Any:  # noqa: ANN401 - any JSON value
    """Call `module:function(**arguments)` in a child and return its JSON answer.

    Args:
        function: dotted module and function name, `zkinfer.circuits.engines.ezkl.worker:prove`.
        arguments: JSON values; bulk data is passed in files whose paths are arguments.
        limits: limits of the child.
        progress: called with a fraction 0..1 whenever the child reports one.

    Raises:
        ZkinferError: the error that the function raised.
        EngineTimeoutError, EngineMemoryError, EngineCrashedError: the child was killed or died.
        StoppedError: the signal of the caller's `stoppable` block was set.
    """
    oom_kills = resources.oom_kills()
    process = spawn.start(__name__, preload=function.partition(":")[0])
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(process.kill)
        deadline = Deadline(process.pid, limits.seconds, yields=processes.is_yielding())
        request = {"function": function, "arguments": arguments, **asdict(limits)}
        with contextlib.suppress(BrokenPipeError):  # the child is already dead: its exit status gives the reason
            process.stdin.write(json.dumps(request).encode())
            process.stdin.close()
        answer, stderr = _read_until_end(process, deadline, progress)
        status = _wait(process, deadline)
    if answer:
        return _value_of(answer, status, stderr, oom_kills)
    raise processes.exit_error(status, stderr, oom_kills)


def _wait(process: ChildProcess, deadline: Deadline) -> int:
    while True:
        try:
            return process.wait(max(1.0, deadline.left()))
        except TimeoutError:
            deadline.require()


def _read_until_end(
    process: ChildProcess,
    deadline: Deadline,
    progress: Callable[[float], None] | None,
) -> tuple[bytes, str]:
    received = bytearray()
    stderr = bytearray()
    open_ends = {process.answers, process.stderr.fileno()}
    with selectors.DefaultSelector() as selector:
        selector.register(process.answers, selectors.EVENT_READ, received)
        selector.register(process.stderr, selectors.EVENT_READ, stderr)
        stop = stop_descriptor()
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ)
        while open_ends:
            ready = selector.select(deadline.left())
            deadline.require()  # even if data arrived: a child may keep writing past its deadline
            for key, _ in ready:
                if key.fd == stop:
                    raise stopped()
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    selector.unregister(key.fileobj)
                    open_ends.discard(key.fd)
                key.data.extend(chunk)
            _report_progress(received, progress)
            del stderr[: -processes.STDERR_TAIL]
            if len(received) > MAX_ANSWER_BYTES:
                raise EngineCrashedError(f"The engine's answer exceeds {MAX_ANSWER_BYTES >> 20} MiB.")
    return bytes(received), stderr.decode(errors="replace")


def _report_progress(received: bytearray, progress: Callable[[float], None] | None) -> None:
    """Remove complete progress lines from the front; the answer is the only line without a newline."""
    while (end := received.find(b"\n")) >= 0:
        line = bytes(received[:end])
        del received[: end + 1]
        if progress is not None and _FRACTION.fullmatch(line):
            progress(float(line))


def _value_of(answer: bytes, status: int, stderr: str, oom_kills: int | None) -> Any:  # noqa: ANN401 - any JSON value
    def not_json(_: Exception) -> EngineError:  # the child may have died in the middle of its answer
        return processes.exit_error(status, stderr, oom_kills) if status else processes.malformed_answer()

    return processes.value_in(answer, not_json)


# --- the child's side -------------------------------------------------------------------------------------------


def report(fraction: float) -> None:
    """Report progress (0..1) to the parent; for use in a function that `run` called."""
    os.write(processes.answer_fd(), f"{fraction:.4f}\n".encode())


def main() -> None:
    """Answer the single request on stdin, and end this process."""
    request = json.load(sys.stdin)
    processes.limit(math.ceil(request["seconds"] * (os.cpu_count() or 1)), request["memory"])
    module, _, name = request["function"].partition(":")
    answer = processes.answer_of(lambda: getattr(importlib.import_module(module), name)(**request["arguments"]))
    with os.fdopen(processes.answer_fd(), "wb") as out:
        out.write(answer)
    os._exit(0)  # without waiting for the engine's threads, which may crash or hang at exit


if __name__ == "__main__":
    processes.die_with_parent()
    main()
