"""Submission: check limits, then insert a job or return the existing one of the same request."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, bindparam, func, insert, select

from zkinfer.circuits.cost import duration, size
from zkinfer.circuits.errors import TooCostlyError
from zkinfer.prover.artifact_store import missing_artifact
from zkinfer.prover.errors import (
    DeadlinePassedError,
    QueueFullError,
    QuotaExceededError,
    RequestConflictError,
    StoreError,
)
from zkinfer.prover.jobs.job import JobState, Submission
from zkinfer.prover.jobs.query import next_revision
from zkinfer.prover.jobs.schema import job_of, jobs, owners, queued, request_columns, running, ticks, unfinished

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs.job import Job, JobRequest, QueueLimits

_MAX_RETRY_AFTER = 60.0
_OWNER: BindParameter[Any] = bindparam("owner")
_WITH_ID = select(jobs).where(jobs.c.owner == _OWNER, jobs.c.request_id == bindparam("request_id"))
_WITH_CONTENT = select(jobs).where(
    jobs.c.owner == _OWNER, jobs.c.content == bindparam("content"), jobs.c.request_id.is_(None), unfinished
)
_LOAD = select(
    select(func.count()).select_from(jobs).where(queued).scalar_subquery().label("queued"),
    select(func.count()).select_from(jobs).where(jobs.c.owner == _OWNER, unfinished).scalar_subquery().label("mine"),
    select(owners.c.owner).where(owners.c.owner == _OWNER).scalar_subquery().label("owner_known"),
)
_AVERAGE_SECONDS = select(func.avg(jobs.c.seconds), func.count().filter(running)).where(unfinished)
_NEW_OWNER = insert(owners).values(owner=_OWNER, served=0)
_NEW_JOB = insert(jobs).returning(*jobs.c)


def check_request(request: JobRequest, limits: QueueLimits, artifacts: ArtifactStore, now: datetime) -> None:
    """Raise if the request alone exceeds a limit, or the disk is nearly full; does not read the queue."""
    if limits.memory_bytes is not None and request.memory_bytes > limits.memory_bytes:
        raise TooCostlyError(
            f"The proof would take about {size(request.memory_bytes)} of memory; "
            f"the limit is {size(limits.memory_bytes)}.",
            "Use a machine with more memory, or a smaller model.",
        )
    if limits.seconds is not None and request.seconds > limits.seconds:
        raise TooCostlyError(
            f"The proof would take about {duration(request.seconds)}; the limit is {duration(limits.seconds)}.",
            "Use a smaller model, or raise the limit.",
        )
    if request.deadline is not None and request.deadline <= now:
        raise DeadlinePassedError("The proof's deadline has passed.", "Check both clocks, or set a later deadline.")
    if artifacts.free_bytes() < limits.disk_reserve_bytes:
        raise StoreError("The disk is nearly full: new jobs are rejected.", "Free space; accepted jobs continue.")


def check_queue(connection: Connection, owner: str, limits: QueueLimits) -> bool:
    """Raise if the queue is full, or the owner's quota is exhausted; returns whether the owner is known."""
    load = connection.execute(_LOAD, {"owner": owner}).one()
    if load.queued >= limits.queued:
        raise QueueFullError(
            f"{load.queued:,} jobs are waiting.", "Try again later.", retry_after=_seconds_until_room(connection)
        )
    if load.mine >= limits.per_owner:
        raise QuotaExceededError(
            f"{load.mine:,} of your jobs are unfinished, which is the limit.",
            "Wait until some are finished, or cancel them.",
            retry_after=_seconds_until_room(connection),
        )
    return load.owner_known is not None


def submit(
    connection: Connection,
    request: JobRequest,
    limits: QueueLimits,
    artifacts: ArtifactStore,
    now: datetime,
    inputs: bytes | None,
) -> Submission:
    """See `JobStore.submit`."""
    if (existing := find_existing(connection, request)) is not None:
        return existing
    owner_is_known = check_queue(connection, request.owner, limits)
    # Checked under the same lock as the removal of artifacts.
    if not artifacts.has(request.inputs) and (inputs is None or artifacts.put(inputs) != request.inputs):
        raise missing_artifact(request.inputs)
    if not owner_is_known:
        connection.execute(_NEW_OWNER, {"owner": request.owner})
    return Submission(job_of(_insert(connection, request, now)), created=True)


def find_existing(connection: Connection, request: JobRequest) -> Submission | None:
    """The existing job of the same request, if any; raises RequestConflictError."""
    row = _find_row(connection, request)
    return None if row is None else Submission(job_of(row), created=False)


def find_by_request_id(connection: Connection, owner: str, request_id: str) -> Job | None:
    """See `JobStore.find_by_request_id`."""
    row = connection.execute(_WITH_ID, {"owner": owner, "request_id": request_id}).one_or_none()
    return None if row is None else job_of(row)


def _find_row(connection: Connection, request: JobRequest) -> Row[Any] | None:
    content = str(request.content)
    if request.request_id is None:
        return connection.execute(_WITH_CONTENT, {"owner": request.owner, "content": content}).one_or_none()
    key = {"owner": request.owner, "request_id": request.request_id}
    row = connection.execute(_WITH_ID, key).one_or_none()
    if row is not None and row.content != content:
        raise RequestConflictError(
            f"The request id {request.request_id[:128]!r} was used before for another input, model or context.",
            "Use a new request id for a new request.",
        )
    return row


def _seconds_until_room(connection: Connection) -> float:
    """Estimated seconds until the next job ends: the average time of a job divided by the number of running jobs."""
    average, running_jobs = connection.execute(_AVERAGE_SECONDS).one()
    return float(min(_MAX_RETRY_AFTER, max(1.0, (average or 0.0) / max(1, running_jobs))))


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
    return connection.execute(_NEW_JOB, {**request_columns(request), **values}).one()
