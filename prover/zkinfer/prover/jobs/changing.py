"""The one way in which rows of jobs are changed: every change gets a number of its own, so that it can be followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from zkinfer.circuits.errors import UnknownJobError
from zkinfer.prover.jobs.schema import jobs, state
from zkinfer.prover.jobs.values import RUNNING

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

running = jobs.c.state.in_([str(one) for one in RUNNING])


def next_revision(connection: Connection) -> int:
    """A number larger than all that were given before."""
    query = update(state).values(revision=state.c.revision + 1).returning(state.c.revision)
    return int(connection.execute(query).scalar_one())


def change(connection: Connection, *where: ColumnElement[bool], **values: Any) -> Row[Any] | None:  # noqa: ANN401
    """Change the one job that fits, and return what it is now; None where there is none."""
    revision = next_revision(connection)
    query = update(jobs).where(*where).values(revision=revision, **values).returning(*jobs.c)
    return connection.execute(query).one_or_none()


def row_of(connection: Connection, job_id: str) -> Row[Any]:
    """The row of a job; raises UnknownJobError."""
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise UnknownJobError(f"There is no job {job_id[:80]!r}.", "It was deleted, or forgotten after its time.")
    return row
