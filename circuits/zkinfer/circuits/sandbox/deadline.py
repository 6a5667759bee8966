"""Stop signals and deadlines of children: by the wall clock, or by processor use if a child yields the processors."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import EngineCrashedError, StoppedError
from zkinfer.circuits.sandbox import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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


@contextmanager
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
