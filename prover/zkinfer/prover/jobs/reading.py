"""Looking at jobs: one, pages of them, their places in the queue, what changed, how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from zkinfer.circuits.errors import InputError
from zkinfer.prover.jobs.rows import job_of, ticks
from zkinfer.prover.jobs.schema import jobs, owners, queued, running, state
from zkinfer.prover.jobs.values import Changes, Counts, Job, JobState, Page

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection

LARGEST_PAGE = 1000


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
    size = max(1, min(size, LARGEST_PAGE))
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


def _number_in(token: str) -> int:
    if not (token.isascii() and token.isdecimal() and len(token) <= 18):
        raise InputError(f"{token[:40]!r} is no page token.", "Give the one that came with the last page, or none.")
    return int(token)


def position(connection: Connection, job: Job) -> int:
    """See `JobStore.position`."""
    mine = connection.scalar(select(owners.c.served).where(owners.c.owner == job.request.owner)) or 0
    rank = select(func.count()).where(queued, jobs.c.owner == job.request.owner, jobs.c.number < job.number)
    before_me = connection.scalar(rank) or 0
    lines = (
        select(owners.c.owner, owners.c.served, func.count())
        .join(jobs, jobs.c.owner == owners.c.owner)
        .where(queued)
        .group_by(owners.c.owner, owners.c.served)
    )
    total = before_me
    for owner, served, count in connection.execute(lines):
        if owner != job.request.owner:
            ahead_of_me = (served, owner) < (mine, job.request.owner)
            total += min(count, before_me + ahead_of_me)
    return total


def changes(connection: Connection, after: int, size: int) -> Changes:
    """See `JobStore.changes`."""
    query = select(jobs).where(jobs.c.revision > after).order_by(jobs.c.revision).limit(size)
    found = tuple(job_of(row) for row in connection.execute(query))
    return Changes(found, found[-1].revision if found else after)


def counts(connection: Connection, now: datetime) -> Counts:
    """See `JobStore.counts`."""
    grouped = select(jobs.c.model, jobs.c.state, func.count()).group_by(jobs.c.model, jobs.c.state)
    oldest = connection.scalar(select(func.min(jobs.c.created_at)).where(queued))
    memory = connection.scalar(select(func.sum(jobs.c.memory_bytes)).where(running))
    return Counts(
        {(model, JobState(state)): count for model, state, count in connection.execute(grouped)},
        0.0 if oldest is None else max(0.0, (ticks(now) - oldest) / 1e6),
        int(memory or 0),
    )


def revision(connection: Connection) -> int:
    """See `JobStore.revision`."""
    return int(connection.scalar(select(state.c.revision)) or 0)
