"""Taking a job on, or finding the one that stands for the same request already."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from zkinfer.circuits.cost import duration, size
from zkinfer.circuits.errors import (
    DeadlinePassedError,
    QueueFullError,
    QuotaExceededError,
    RequestConflictError,
    StoreError,
    TooCostlyError,
)
from zkinfer.prover.artefacts import missing
from zkinfer.prover.jobs.changing import next_revision, running
from zkinfer.prover.jobs.rows import job_of, request_columns, ticks
from zkinfer.prover.jobs.schema import jobs, owners, unfinished
from zkinfer.prover.jobs.values import JobState, Submission

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from zkinfer.prover.artefacts import ArtefactStore
    from zkinfer.prover.jobs.values import JobRequest, QueueLimits

_LONGEST_WAIT = 60.0


def refuse_beforehand(request: JobRequest, limits: QueueLimits, artefacts: ArtefactStore, now: datetime) -> None:
    """What needs no look at the queue: a request that nobody could serve, a disk that is nearly full."""
    if limits.memory_bytes is not None and request.memory_bytes > limits.memory_bytes:
        raise TooCostlyError(
            f"The proof would take about {size(request.memory_bytes)} of memory; "
            f"{size(limits.memory_bytes)} may be used here.",
            "Use a machine with more memory, or a smaller model.",
        )
    if limits.seconds is not None and request.seconds > limits.seconds:
        raise TooCostlyError(
            f"The proof would take about {duration(request.seconds)}; {duration(limits.seconds)} are allowed here.",
            "Use a smaller model, or ask for a higher limit.",
        )
    if request.deadline is not None and request.deadline <= now:
        raise DeadlinePassedError(
            "The proof's deadline has passed already.", "Check both clocks, or ask for a later one."
        )
    if artefacts.free_bytes() < limits.disk_reserve_bytes:
        raise StoreError("The disk is nearly full: no new job is taken.", "Make room; what was taken goes on.")


def submit(
    connection: Connection, request: JobRequest, limits: QueueLimits, artefacts: ArtefactStore, now: datetime
) -> Submission:
    """See `JobStore.submit`."""
    if (row := _same(connection, request)) is not None:
        return Submission(job_of(row), created=False)
    _refuse_where_full(connection, request, limits)
    if not artefacts.has(request.inputs):  # looked at under the lock under which they are removed
        raise missing(request.inputs)
    _know_owner(connection, request.owner)
    return Submission(job_of(_insert(connection, request, now)), created=True)


def _same(connection: Connection, request: JobRequest) -> Row[Any] | None:
    mine = select(jobs).where(jobs.c.owner == request.owner)
    if request.request_id is None:
        asked = (jobs.c.content == str(request.content), jobs.c.request_id.is_(None), unfinished)
        return connection.execute(mine.where(*asked)).one_or_none()
    row = connection.execute(mine.where(jobs.c.request_id == request.request_id)).one_or_none()
    if row is not None and row.content != str(request.content):
        raise RequestConflictError(
            f"The request id {request.request_id[:128]!r} was used before, for another input, model or context.",
            "Use a new request id for a new request.",
        )
    return row


def _refuse_where_full(connection: Connection, request: JobRequest, limits: QueueLimits) -> None:
    is_queued = jobs.c.state == str(JobState.QUEUED)
    queued = connection.scalar(select(func.count()).where(is_queued)) or 0
    if queued >= limits.queued:
        raise QueueFullError(
            f"{queued:,} jobs wait already.", "Try again later.", retry_after=_seconds_until_room(connection)
        )
    mine = connection.scalar(select(func.count()).where(jobs.c.owner == request.owner, unfinished)) or 0
    if mine >= limits.per_owner:
        raise QuotaExceededError(
            f"{mine:,} of your jobs are unfinished; no more are allowed.",
            "Wait until some are done, or cancel them.",
            retry_after=_seconds_until_room(connection),
        )


def _seconds_until_room(connection: Connection) -> float:
    """About when the next job ends: the typical time of one, divided among those that run."""
    typical, busy = connection.execute(
        select(func.avg(jobs.c.seconds), func.count().filter(running)).where(unfinished)
    ).one()
    return float(min(_LONGEST_WAIT, max(1.0, (typical or 0.0) / max(1, busy))))


def _know_owner(connection: Connection, owner: str) -> None:
    known = connection.scalar(select(owners.c.owner).where(owners.c.owner == owner))
    if known is None:
        connection.execute(insert(owners).values(owner=owner, served=0))


def _insert(connection: Connection, request: JobRequest, now: datetime) -> Row[Any]:
    values = {
        "id": secrets.token_hex(16),
        "revision": next_revision(connection),
        "state": str(JobState.QUEUED),
        "inputs_kept": True,
        "created_at": ticks(now),
        "progress": 0.0,
        "lease_seconds": 0.0,
        "cancel_requested": False,
        **dict.fromkeys(("attempt", "failures", "passed_over", "fence", "beat", "attestation_bytes"), 0),
    }
    query = insert(jobs).values(**request_columns(request), **values).returning(*jobs.c)
    return connection.execute(query).one()
