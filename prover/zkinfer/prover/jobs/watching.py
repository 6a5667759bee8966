"""Telling a dead worker from a live one, and a sound clock from one that was set, without trusting the time of day.

A lease is over when its heartbeats stop: when nothing about it changed for its length by the watcher's own monotonic
clock. No two clocks are compared, so that a clock which is set, or differs between machines, ends no lease.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_SLACK = 30.0
_AHEAD = 3600.0
_SIXFOLD = 6


@dataclass(frozen=True, slots=True)
class Sign:
    """What was seen of one lease: the job, its fence, its heartbeats so far, and its length in seconds."""

    job_id: str
    fence: int
    beat: int
    lease_seconds: float


class LeaseWatch:
    """Remembers when it first saw each lease as it is now; holds no more than the jobs that run."""

    def __init__(self) -> None:
        self._seen: dict[Sign, float] = {}

    def lapsed(self, signs: Iterable[Sign], monotonic: float) -> list[Sign]:
        """Of the leases that are now held, those that stood still for too long."""
        self._seen = {sign: self._seen.get(sign, monotonic) for sign in signs}
        return [sign for sign, since in self._seen.items() if monotonic - since > sign.lease_seconds]


class ClockWatch:
    """Notices that the time of day was set, or was wrong at the start, by comparing it with what else is known.

    Args:
        settling: seconds that the clock must run evenly, after the first look as after every jump.
        last_seen: the latest time that an earlier watcher believed, in Unix seconds; None where there was none.
    """

    def __init__(self, settling: float, last_seen: float | None) -> None:
        self._settling = settling
        self._last_seen = last_seen
        self._offset: float | None = None
        self._settled_at = 0.0

    def trustworthy(self, now: datetime, monotonic: float) -> bool:
        """Whether the clock ran evenly for long enough."""
        offset = now.timestamp() - monotonic
        if self._offset is None:
            self._settled_at = monotonic + self._at_first(now.timestamp())
        elif abs(offset - self._offset) > _SLACK:
            self._settled_at = monotonic + self._settling
        self._offset = offset
        return monotonic >= self._settled_at

    def _at_first(self, now: float) -> float:
        """A machine that was off for long looks like one whose clock is not set yet: time will tell."""
        ahead = self._last_seen is not None and now - self._last_seen > _AHEAD
        return self._settling * _SIXFOLD if ahead else self._settling
