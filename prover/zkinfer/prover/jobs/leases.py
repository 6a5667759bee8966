"""Who works on what: fair among owners, first come first served within one, as memory allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, bindparam, func, or_, select, update

from zkinfer.prover.errors import LeaseLostError
from zkinfer.prover.jobs.job import JobState, Lease
from zkinfer.prover.jobs.query import HELD, change
from zkinfer.prover.jobs.schema import job_of, jobs, owners, queued, running, seconds_in_ticks, ticks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from zkinfer.prover.jobs.job import Patience


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


# A large job waits until this many smaller ones went past it; then room is kept until it fits.
MOST_PASSED_OVER = 8
_NOW: BindParameter[Any] = bindparam("now")
_END: BindParameter[Any] = bindparam("end")
# Not for a later time; a pause that ends later than any can counts as over, since the clock was set back.
_READY = (
    queued,
    or_(jobs.c.not_before.is_(None), jobs.c.not_before <= _NOW, jobs.c.not_before > _END),
    or_(jobs.c.deadline.is_(None), jobs.c.deadline > _NOW),
    jobs.c.memory_bytes <= bindparam("fitting"),
)
_HAS_ONE = select(jobs.c.number).where(jobs.c.owner == owners.c.owner, *_READY).exists()
_WHOSE_TURN = select(owners.c.owner).where(_HAS_ONE).order_by(owners.c.served, owners.c.owner).limit(1)
_OLDEST = select(jobs).where(jobs.c.owner == bindparam("owner"), *_READY).order_by(jobs.c.number).limit(1)
_BUSY = select(func.count(), func.coalesce(func.sum(jobs.c.memory_bytes), 0)).where(
    running, jobs.c.host == bindparam("host")
)
_SERVED = update(owners).where(owners.c.owner == bindparam("whose")).values(served=bindparam("when"))
_HOLDERS = select(jobs.c.worker).distinct().where(running, jobs.c.host == bindparam("host"))
_ANY_SIZE = (1 << 63) - 1


def host_of(worker: str) -> str:
    """The machine that a worker, `host/name`, runs on."""
    return worker.partition("/")[0]


def choose(
    connection: Connection, host: str, memory_bytes: int | None, patience: Patience, now: datetime
) -> tuple[Row[Any] | None, Row[Any] | None]:
    """The job that comes next, and the one that it passes over because that does not fit beside those that run."""
    times = {"now": ticks(now), "end": ticks(now) + seconds_in_ticks(patience.longest_backoff)}
    first = _next_in_line(connection, times, _ANY_SIZE)
    if first is None or memory_bytes is None:
        return first, None
    busy, used = connection.execute(_BUSY, {"host": host}).one()
    free = memory_bytes - int(used)
    if not busy or first.memory_bytes <= free:  # alone on the machine, even one that is too large gets its try
        return first, None
    if first.passed_over >= MOST_PASSED_OVER:
        return None, None
    return _next_in_line(connection, times, free), first


def _next_in_line(connection: Connection, times: dict[str, int], fitting: int) -> Row[Any] | None:
    wanted = {**times, "fitting": fitting}
    owner = connection.scalar(_WHOSE_TURN, wanted)
    if owner is None:
        return None
    return connection.execute(_OLDEST, {**wanted, "owner": owner}).one_or_none()


def claim(
    connection: Connection,
    worker: str,
    *,
    lease_seconds: float,
    memory_bytes: int | None,
    patience: Patience,
    now: datetime,
) -> Lease | None:
    """See `JobStore.claim`."""
    chosen, passed = choose(connection, host_of(worker), memory_bytes, patience, now)
    if chosen is None:
        return None
    if passed is not None:
        change(connection, passed, passed_over=passed.passed_over + 1)
    row = change(
        connection,
        chosen,
        state=str(JobState.PROVING),
        worker=worker,
        host=host_of(worker),
        fence=chosen.fence + 1,
        beat=0,
        attempt=chosen.attempt + 1,
        lease_seconds=lease_seconds,
        progress=0.0,
        started_at=ticks(now),
        not_before=None,
    )
    connection.execute(_SERVED, {"whose": row.owner, "when": row.revision})
    return Lease(job_of(row), worker, row.fence)


def held(connection: Connection, lease: Lease) -> Row[Any]:
    """The job, if it is still this lease's; raises LeaseLostError."""
    row = connection.execute(HELD, {"id": lease.job.id, "fence": lease.fence}).one_or_none()
    if row is None:
        raise LeaseLostError(f"The job {lease.job.id} is no longer {lease.worker}'s.", "Stop working on it.")
    return row


def renew(connection: Connection, lease: Lease, state: JobState, progress: float) -> bool:
    """See `JobStore.renew`."""
    row = held(connection, lease)
    change(connection, row, state=str(state), progress=progress, beat=row.beat + 1)
    return bool(row.cancel_requested)


def holders(connection: Connection, host: str) -> list[str]:
    """See `JobStore.holders`."""
    return [row.worker for row in connection.execute(_HOLDERS, {"host": host})]
