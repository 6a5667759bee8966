"""How long a child is waited for: by the wall clock, or where it yields the processors, as long as it gets on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import EngineCrashedError
from zkinfer.circuits.sandbox import processes

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK = 1.0
_YIELDS_FOR = 10.0
_SLOWER = 10.0


def processor_seconds(pid: int) -> float | None:
    """What all threads of a process used so far; None where nobody counts."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Patience:
    """With one child, from now on.

    One that does not yield may take `seconds`. One that yields may find the processors busy with others: it may take
    ten times that, but must not go for `seconds` without using a processor at all. So that it can, it is lifted
    when it has yielded for ten seconds.

    Args:
        pid: of the child.
        seconds: what it may take, had it the processors to itself.
        yields: whether it leaves them to others.
        clock: seconds that only go forward.
        used: processor time of a process so far.
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
        self._began = self._moved_at = clock()
        self._seen: float | None = 0.0

    def left(self) -> float:
        """Seconds after which to call `require`, or 0."""
        now = self._clock()
        end = self._began + self._seconds
        if self._yields:
            end = min(now + _LOOK, self._began + _SLOWER * self._seconds, self._moved_at + self._seconds)
        return max(0.0, end - now)

    def require(self) -> None:
        """Have a look at the child.

        Raises:
            EngineTimeoutError: it took too long.
            EngineCrashedError: it hangs.
        """
        now = self._clock()
        if now - self._began >= self._seconds * (_SLOWER if self._yields else 1.0):
            raise processes.late()
        if self._yields:
            self._require_movement(now)

    def _require_movement(self, now: float) -> None:
        used = self._used(self._pid)
        if used is None or used != self._seen:
            self._seen, self._moved_at = used, now
        if now - self._moved_at >= self._seconds:
            raise EngineCrashedError("The engine did nothing for too long and was stopped.", "Try again.")
        if now - self._began >= _YIELDS_FOR:
            processes.lift(self._pid)
