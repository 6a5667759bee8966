"""Queries over jobs: single jobs, pages, positions in the queue, changes and counts."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, bindparam, func, select, update

from zkinfer.circuits.errors import InputError
from zkinfer.prover.errors import UnknownJobError
from zkinfer.prover.jobs.job import Changes, Counts, Job, JobState, Page
from zkinfer.prover.jobs.schema import job_of, jobs, owners, queued, running, state, ticks

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection, Row, Update


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
