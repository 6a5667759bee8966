"""The one way in which rows of jobs are changed: every change gets a number of its own, so that it can be followed.

Statements are built once, with named parameters: building one takes longer than the database does.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, bindparam, select, update

from zkinfer.circuits.errors import UnknownJobError
from zkinfer.prover.jobs.schema import jobs, running, state

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Update

HELD = select(jobs).where(jobs.c.id == bindparam("id"), jobs.c.fence == bindparam("fence"), running)
_BY_ID = select(jobs).where(jobs.c.id == bindparam("id"))
_COUNT_ON = update(state).values(revision=state.c.revision + 1).returning(state.c.revision)


def next_revision(connection: Connection) -> int:
    """A number larger than all that were given before."""
    return int(connection.execute(_COUNT_ON).scalar_one())


def change(connection: Connection, row: Row[Any], **values: Any) -> Row[Any]:  # noqa: ANN401 - columns
    """Change columns of a job that was read in this transaction, and return what it is now."""
    named = {f"new_{name}": value for name, value in values.items()}
    given = {"number_": row.number, "new_revision": next_revision(connection), **named}
    return connection.execute(_setting(tuple(values)), given).one()


@cache
def _setting(names: tuple[str, ...]) -> Update:
    values: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in (*names, "revision")}
    return update(jobs).where(jobs.c.number == bindparam("number_")).values(**values).returning(*jobs.c)


def row_of(connection: Connection, job_id: str) -> Row[Any]:
    """The row of a job; raises UnknownJobError."""
    row = connection.execute(_BY_ID, {"id": job_id}).one_or_none()
    if row is None:
        raise UnknownJobError(f"There is no job {job_id[:80]!r}.", "It was deleted, or forgotten after its time.")
    return row
