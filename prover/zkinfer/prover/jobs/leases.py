"""Leases: fair scheduling among owners, in order of submission per owner, within the memory of the host."""

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

    from zkinfer.prover.jobs.job import RetryPolicy


_JUMP_SECONDS = 30.0
_FAR_AHEAD_SECONDS = 3600.0
_SLOW_START_FACTOR = 6
# A large job is passed over by at most this many smaller ones; then memory is reserved until it fits.
MAX_PASSED_OVER = 8
_NOW: BindParameter[Any] = bindparam("now")
_END: BindParameter[Any] = bindparam("end")
# Not in backoff. A backoff that ends later than the longest possible one counts as over: the clock was set back.
_READY = (
    queued,
    or_(jobs.c.not_before.is_(None), jobs.c.not_before <= _NOW, jobs.c.not_before > _END),
    or_(jobs.c.deadline.is_(None), jobs.c.deadline > _NOW),
    jobs.c.memory_bytes <= bindparam("fitting"),
)
_HAS_READY_JOB = select(jobs.c.number).where(jobs.c.owner == owners.c.owner, *_READY).exists()
_NEXT_OWNER = select(owners.c.owner).where(_HAS_READY_JOB).order_by(owners.c.served, owners.c.owner).limit(1)
_OLDEST = select(jobs).where(jobs.c.owner == bindparam("owner"), *_READY).order_by(jobs.c.number).limit(1)
_BUSY = select(func.count(), func.coalesce(func.sum(jobs.c.memory_bytes), 0)).where(
    running, jobs.c.host == bindparam("host")
)
_SERVED = update(owners).where(owners.c.owner == bindparam("whose")).values(served=bindparam("when"))
_HOLDERS = select(jobs.c.worker).distinct().where(running, jobs.c.host == bindparam("host"))
_ANY_SIZE = (1 << 63) - 1


def claim(
    connection: Connection,
    worker: str,
    *,
    lease_seconds: float,
    memory_bytes: int | None,
    retry_policy: RetryPolicy,
    now: datetime,
) -> Lease | None:
    """See `JobStore.claim`."""
    chosen, passed = choose(connection, host_of(worker), memory_bytes, retry_policy, now)
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


def renew(connection: Connection, lease: Lease, state: JobState, progress: float) -> bool:
    """See `JobStore.renew`."""
    row = held(connection, lease)
    change(connection, row, state=str(state), progress=progress, beat=row.beat + 1)
    return bool(row.cancel_requested)


def held(connection: Connection, lease: Lease) -> Row[Any]:
    """The row of the job if this lease still holds it; raises LeaseLostError."""
    row = connection.execute(HELD, {"id": lease.job.id, "fence": lease.fence}).one_or_none()
    if row is None:
        raise LeaseLostError(
            f"The worker {lease.worker} no longer holds the job {lease.job.id}.", "Stop working on it."
        )
    return row


def holders(connection: Connection, host: str) -> list[str]:
    """See `JobStore.holders`."""
    return [row.worker for row in connection.execute(_HOLDERS, {"host": host})]


def host_of(worker: str) -> str:
    """The host of a worker name, `host/name`."""
    return worker.partition("/")[0]


def choose(
    connection: Connection, host: str, memory_bytes: int | None, retry_policy: RetryPolicy, now: datetime
) -> tuple[Row[Any] | None, Row[Any] | None]:
    """The next job, and the earlier one it passes over, which does not fit into memory beside the running ones."""
    times = {"now": ticks(now), "end": ticks(now) + seconds_in_ticks(retry_policy.max_backoff)}
    first = _next_ready(connection, times, _ANY_SIZE)
    if first is None or memory_bytes is None:
        return first, None
    busy, used = connection.execute(_BUSY, {"host": host}).one()
    free = memory_bytes - int(used)
    if not busy or first.memory_bytes <= free:  # alone on the host, even a job that is too large is attempted
        return first, None
    if first.passed_over >= MAX_PASSED_OVER:
        return None, None
    return _next_ready(connection, times, free), first


def _next_ready(connection: Connection, times: dict[str, int], fitting: int) -> Row[Any] | None:
    parameters = {**times, "fitting": fitting}
    owner = connection.scalar(_NEXT_OWNER, parameters)
    if owner is None:
        return None
    return connection.execute(_OLDEST, {**parameters, "owner": owner}).one_or_none()


@dataclass(frozen=True, slots=True)
class LeaseSnapshot:
    """A snapshot of one lease: the job, its fence, its number of heartbeats, and its duration in seconds."""

    job_id: str
    fence: int
    beat: int
    lease_seconds: float


class LeaseWatch:
    """Remembers when it first saw each snapshot of the held leases."""

    def __init__(self) -> None:
        self._first_seen: dict[LeaseSnapshot, float] = {}

    def lapsed(self, lease_snapshots: Iterable[LeaseSnapshot], monotonic: float) -> list[LeaseSnapshot]:
        """The held leases without a heartbeat for longer than their duration."""
        self._first_seen = {lease: self._first_seen.get(lease, monotonic) for lease in lease_snapshots}
        return [lease for lease, since in self._first_seen.items() if monotonic - since > lease.lease_seconds]


class ClockWatch:
    """Detects a system clock that was changed or is not set yet by comparing it with the monotonic clock.

    Args:
        settling: seconds that the clock must run evenly after the start and after every jump.
        last_seen: the latest time trusted by an earlier process, in Unix seconds; None if there is none.
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
            self._settled_at = monotonic + self._settling_at_start(now.timestamp())
        elif abs(offset - self._offset) > _JUMP_SECONDS:
            self._settled_at = monotonic + self._settling
        self._offset = offset
        return monotonic >= self._settled_at

    def _settling_at_start(self, now: float) -> float:
        """Longer if the clock is far ahead of the last trusted time: it may be wrong, or the machine was off."""
        ahead = self._last_seen is not None and now - self._last_seen > _FAR_AHEAD_SECONDS
        return self._settling * _SLOW_START_FACTOR if ahead else self._settling
