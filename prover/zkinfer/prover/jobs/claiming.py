"""Who works on what: fair among owners, first come first served within one, as memory allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select, update

from zkinfer.circuits.errors import LeaseLostError
from zkinfer.prover.jobs.changing import change, next_revision, running
from zkinfer.prover.jobs.rows import job_of, seconds_in_ticks, ticks
from zkinfer.prover.jobs.schema import jobs, owners
from zkinfer.prover.jobs.values import JobState, Lease

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row

    from zkinfer.prover.jobs.values import Patience

# A large job waits until this many smaller ones went past it; then room is kept until it fits.
MOST_PASSED_OVER = 8


def host_of(worker: str) -> str:
    """The machine that a worker, `host/name`, runs on."""
    return worker.partition("/")[0]


def choose(
    connection: Connection, host: str, memory_bytes: int | None, patience: Patience, now: datetime
) -> tuple[Row[Any] | None, Row[Any] | None]:
    """The job that comes next, and the one that it passes over because that does not fit beside those that run."""
    ready = _ready(patience, now)
    first = _next_in_line(connection, ready)
    if first is None or memory_bytes is None:
        return first, None
    here = select(func.count(), func.coalesce(func.sum(jobs.c.memory_bytes), 0)).where(running, jobs.c.host == host)
    busy, used = connection.execute(here).one()
    free = memory_bytes - int(used)
    if not busy or first.memory_bytes <= free:  # alone on the machine, even one that is too large gets its try
        return first, None
    if first.passed_over >= MOST_PASSED_OVER:
        return None, None
    return _next_in_line(connection, [*ready, jobs.c.memory_bytes <= free]), first


def _ready(patience: Patience, now: datetime) -> list[ColumnElement[bool]]:
    """Waiting, and not for a later time. A pause longer than any is over: the clock was set back."""
    ends = ticks(now) + seconds_in_ticks(patience.longest_backoff)
    return [
        jobs.c.state == str(JobState.QUEUED),
        or_(jobs.c.not_before.is_(None), jobs.c.not_before <= ticks(now), jobs.c.not_before > ends),
        or_(jobs.c.deadline.is_(None), jobs.c.deadline > ticks(now)),
    ]


def _next_in_line(connection: Connection, ready: list[ColumnElement[bool]]) -> Row[Any] | None:
    has_one = select(jobs.c.number).where(jobs.c.owner == owners.c.owner, *ready).exists()
    longest_ago = select(owners.c.owner).where(has_one).order_by(owners.c.served, owners.c.owner).limit(1)
    owner = connection.scalar(longest_ago)
    if owner is None:
        return None
    oldest = select(jobs).where(jobs.c.owner == owner, *ready).order_by(jobs.c.number).limit(1)
    return connection.execute(oldest).one_or_none()


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
        more = update(jobs).where(jobs.c.number == passed.number).values(passed_over=jobs.c.passed_over + 1)
        connection.execute(more)
    served = update(owners).where(owners.c.owner == chosen.owner).values(served=next_revision(connection))
    connection.execute(served)
    row = change(
        connection,
        jobs.c.number == chosen.number,
        state=str(JobState.PROVING),
        worker=worker,
        host=host_of(worker),
        fence=jobs.c.fence + 1,
        beat=0,
        attempt=jobs.c.attempt + 1,
        lease_seconds=lease_seconds,
        progress=0.0,
        started_at=ticks(now),
        not_before=None,
    )
    return None if row is None else Lease(job_of(row), worker, row.fence)


def held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    """That the job is still this lease's."""
    return (jobs.c.id == lease.job.id, jobs.c.fence == lease.fence, running)


def lost(lease: Lease) -> LeaseLostError:
    """The error where it is not."""
    return LeaseLostError(f"The job {lease.job.id} is no longer {lease.worker}'s.", "Stop working on it.")


def renew(connection: Connection, lease: Lease, state: JobState, progress: float) -> bool:
    """See `JobStore.renew`."""
    row = change(connection, *held(lease), state=str(state), progress=progress, beat=jobs.c.beat + 1)
    if row is None:
        raise lost(lease)
    return bool(row.cancel_requested)


def holders(connection: Connection, host: str) -> list[str]:
    """See `JobStore.holders`."""
    query = select(jobs.c.worker).distinct().where(running, jobs.c.host == host)
    return [row.worker for row in connection.execute(query)]
