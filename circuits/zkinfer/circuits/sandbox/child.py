"""Run one function in a separate process with limits.

Parsers of hostile files and proving engines hold the interpreter lock, panic, and can exhaust memory. `run` confines
such a call to its limits: it starts a process in its own session with a scrubbed environment, bounds its memory,
processor time and wall time, and kills it with its descendants when the caller leaves. If the caller itself is killed,
the kernel kills the child. The process is never forked from the caller: see `fork_server`. A `StopSignal` stops it
before its `Deadline`.

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
import time
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.errors import EngineCrashedError, EngineError, StoppedError
from zkinfer.circuits.sandbox import processes, resources, spawn, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zkinfer.circuits.sandbox.spawn import ChildProcess


class StopSignal:
    """A flag that is set once and stays set. Call `close` after its last use."""

    def __init__(self) -> None:
        self.descriptor, self._write_end = os.pipe()
        self._is_set = False

    def set(self) -> None:
        """Stop the work that runs under this signal, and all work started under it later."""
        if not self._is_set:
            self._is_set = True
            os.write(self._write_end, b"\0")  # never read, so that the descriptor stays readable for every waiter

    def is_set(self) -> bool:
        """Whether the signal was set."""
        return self._is_set

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.descriptor)
        os.close(self._write_end)


_CURRENT: ContextVar[StopSignal | None] = ContextVar("zkinfer_stop_signal", default=None)


@contextlib.contextmanager
def stoppable(signal: StopSignal) -> Iterator[None]:
    """In this block and thread, kill every child process when the signal is set, and raise StoppedError."""
    token = _CURRENT.set(signal)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def stop_descriptor() -> int | None:
    """A descriptor to watch while waiting for a child: readable once the work must stop; None without a signal."""
    current = _CURRENT.get()
    return None if current is None else current.descriptor


def stopped() -> StoppedError:
    """The error of work that was stopped."""
    return StoppedError("The work was stopped before it was done.")


_CHECK_EVERY = 1.0  # seconds
_RAISE_AFTER = 10.0  # seconds of yielding before the priority is raised
_YIELD_FACTOR = 10.0  # how many times longer a yielding child may take


def processor_seconds(pid: int) -> float | None:
    """Seconds of processor time that all threads of a process have used; None if the system does not report it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Deadline:
    """The deadline of one child, counted from now.

    A child that does not yield may take `seconds`. A child that yields may have to wait for busy processors: it may
    take ten times as long, but not spend `seconds` without using a processor at all. After ten seconds of yielding its
    priority is raised, so that it gets a share.

    Args:
        pid: process id of the child.
        seconds: the time limit for work that has the processors to itself.
        yields: whether the child yields the processors to other processes.
        clock: a monotonic clock, in seconds.
        used: returns the processor time of a process, in seconds.
    """

    def __init__(
        self,
        pid: int,
        seconds: float,
        *,
        yields: bool,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[int], float | None] = processor_seconds,
    ) -> None:
        self._pid, self._seconds, self._yields = pid, seconds, yields
        self._clock, self._used = clock, used
        self._began = self._progressed_at = clock()
        self._last_used: float | None = 0.0

    def left(self) -> float:
        """Seconds until the next call of `require` is due, at least 0."""
        now = self._clock()
        end = self._began + self._seconds
        if self._yields:
            latest = self._began + _YIELD_FACTOR * self._seconds
            end = min(now + _CHECK_EVERY, latest, self._progressed_at + self._seconds)
        return max(0.0, end - now)

    def require(self) -> None:
        """Check that the child is within its deadline; raise its priority when it has yielded long enough.

        Raises:
            EngineTimeoutError: the child took too long.
            EngineCrashedError: the child yields and has used no processor for `seconds`.
        """
        now = self._clock()
        if now - self._began >= self._seconds * (_YIELD_FACTOR if self._yields else 1.0):
            raise processes.timed_out()
        if self._yields:
            self._require_progress(now)

    def _require_progress(self, now: float) -> None:
        used = self._used(self._pid)
        if used is None or used != self._last_used:
            self._last_used, self._progressed_at = used, now
        if now - self._progressed_at >= self._seconds:
            raise EngineCrashedError("The engine did nothing for too long and was stopped.", "Try again.")
        if now - self._began >= _RAISE_AFTER:
            processes.raise_priority(self._pid)


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
            _take_reports(received, progress)
            del stderr[: -processes.STDERR_TAIL]
            if len(received) > MAX_ANSWER_BYTES:
                raise EngineCrashedError(f"The engine's answer exceeds {MAX_ANSWER_BYTES >> 20} MiB.")
    return bytes(received), stderr.decode(errors="replace")


def _take_reports(received: bytearray, progress: Callable[[float], None] | None) -> None:
    """Remove the reports of progress and usage from the front; the answer is the only line without a newline."""
    while (end := received.find(b"\n")) >= 0:
        line = bytes(received[:end])
        del received[: end + 1]
        if not usage.collect(line) and progress is not None and _FRACTION.fullmatch(line):
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
        out.write(usage.report())
        out.write(answer)
    os._exit(0)  # without waiting for the engine's threads, which may crash or hang at exit


if __name__ == "__main__":
    processes.die_with_parent()
    main()
