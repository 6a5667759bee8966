"""The queue as its callers see it: queries over jobs, and submission.

Queries give single jobs, pages, positions in the queue, changes and counts. A submission checks the limits, then
inserts a job or returns the existing one of the same request.
"""

from __future__ import annotations

import secrets
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, bindparam, func, insert, select, update

from zkinfer.circuits.cost import duration, size
from zkinfer.circuits.errors import InputError, TooCostlyError
from zkinfer.prover.artifact_store import missing_artifact
from zkinfer.prover.errors import (
    DeadlinePassedError,
    QueueFullError,
    QuotaExceededError,
    RequestConflictError,
    StoreError,
    UnknownJobError,
)
from zkinfer.prover.jobs.job import Changes, Counts, Job, JobState, Page, Submission
from zkinfer.prover.jobs.schema import job_of, jobs, owners, queued, request_columns, running, state, ticks, unfinished

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection, Row, Update

    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs.job import Job, JobRequest, QueueLimits


MAX_PAGE_SIZE = 1000
HELD = select(jobs).where(jobs.c.id == bindparam("id"), jobs.c.fence == bindparam("fence"), running)
_BY_ID = select(jobs).where(jobs.c.id == bindparam("id"))
_NEXT_REVISION = update(state).values(revision=state.c.revision + 1).returning(state.c.revision)
_CHANGED_AFTER = jobs.c.revision > bindparam("after")
_CHANGES = select(jobs).where(_CHANGED_AFTER).order_by(jobs.c.revision).limit(bindparam("size"))
_BY_MODEL = select(jobs.c.model, jobs.c.state, func.count()).group_by(jobs.c.model, jobs.c.state)
_OLDEST = select(func.min(jobs.c.created_at)).where(queued)
_MEMORY = select(func.sum(jobs.c.memory_bytes)).where(running)
_SERVED = select(owners.c.served).where(owners.c.owner == bindparam("owner"))
_OLDER = select(func.count()).where(queued, jobs.c.owner == bindparam("owner"), jobs.c.number < bindparam("number"))
_QUEUED_BY_OWNER = (
    select(owners.c.owner, owners.c.served, func.count())
    .join(jobs, jobs.c.owner == owners.c.owner)
    .where(queued)
    .group_by(owners.c.owner, owners.c.served)
)


def page(
    connection: Connection,
    *,
    owner: str | None,
    states: Collection[JobState],
    model: str | None,
    size: int,
    token: str,
) -> Page:
    """See `JobStore.page`."""
    size = max(1, min(size, MAX_PAGE_SIZE))
    query = select(jobs).order_by(jobs.c.number.desc()).limit(size + 1)
    if owner is not None:
        query = query.where(jobs.c.owner == owner)
    if states:
        query = query.where(jobs.c.state.in_([str(one) for one in states]))
    if model is not None:
        query = query.where(jobs.c.model == model)
    if token:
        query = query.where(jobs.c.number < _number_in(token))
    found = [job_of(row) for row in connection.execute(query)]
    return Page(tuple(found[:size]), str(found[size - 1].number) if len(found) > size else None)


def position(connection: Connection, job: Job) -> int:
    """See `JobStore.position`."""
    me = job.request.owner
    my_turn = (connection.scalar(_SERVED, {"owner": me}) or 0, me)
    older = int(connection.scalar(_OLDER, {"owner": me, "number": job.number}) or 0)
    queues = connection.execute(_QUEUED_BY_OWNER)
    others = [(int(count), (served, owner) < my_turn) for owner, served, count in queues if owner != me]
    # Each owner gets one turn per round: owners served before this one have an additional turn before it.
    return older + sum(min(count, older + is_ahead) for count, is_ahead in others)


def changes(connection: Connection, after: int, size: int) -> Changes:
    """See `JobStore.changes`."""
    found = tuple(job_of(row) for row in connection.execute(_CHANGES, {"after": after, "size": size}))
    return Changes(found, found[-1].revision if found else after)


def counts(connection: Connection, now: datetime) -> Counts:
    """See `JobStore.counts`."""
    oldest = connection.scalar(_OLDEST)
    return Counts(
        {(model, JobState(state)): count for model, state, count in connection.execute(_BY_MODEL)},
        0.0 if oldest is None else max(0.0, (ticks(now) - oldest) / 1e6),
        int(connection.scalar(_MEMORY) or 0),
    )


def revision(connection: Connection) -> int:
    """See `JobStore.revision`."""
    return int(connection.scalar(select(state.c.revision)) or 0)


def row_of(connection: Connection, job_id: str) -> Row[Any]:
    """The row of a job; raises UnknownJobError."""
    row = connection.execute(_BY_ID, {"id": job_id}).one_or_none()
    if row is None:
        raise UnknownJobError(f"There is no job {job_id[:80]!r}.", "It was deleted, or removed after its retention.")
    return row


def next_revision(connection: Connection) -> int:
    """Increment and return the revision."""
    return int(connection.execute(_NEXT_REVISION).scalar_one())


def change(connection: Connection, row: Row[Any], **values: Any) -> Row[Any]:  # noqa: ANN401 - columns
    """Update columns of a job that was read in this transaction, and return the new row."""
    new_values = {f"new_{name}": value for name, value in values.items()}
    parameters = {"number_": row.number, "new_revision": next_revision(connection), **new_values}
    return connection.execute(_update_statement(tuple(values)), parameters).one()


@cache
def _update_statement(names: tuple[str, ...]) -> Update:
    values: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in (*names, "revision")}
    return update(jobs).where(jobs.c.number == bindparam("number_")).values(**values).returning(*jobs.c)


def _number_in(token: str) -> int:
    if not (token.isascii() and token.isdecimal() and len(token) <= 18):
        raise InputError(f"{token[:40]!r} is not a page token.", "Use the token of the previous page, or none.")
    return int(token)


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
