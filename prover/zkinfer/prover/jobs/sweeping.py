"""What must end by itself: leases of dead workers, jobs past their deadline, and what was kept long enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, or_, select, update

from zkinfer.circuits.digest import Digest
from zkinfer.prover.jobs import ending
from zkinfer.prover.jobs.rows import seconds_in_ticks, ticks
from zkinfer.prover.jobs.schema import jobs, owners, running, unfinished
from zkinfer.prover.jobs.values import JobState
from zkinfer.prover.jobs.watching import Sign

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row

    from zkinfer.prover.artefacts import ArtefactStore
    from zkinfer.prover.jobs.values import Patience

_SIGNS = select(jobs.c.id, jobs.c.fence, jobs.c.beat, jobs.c.lease_seconds).where(running)
AT_ONCE = 200  # what one transaction takes on, so that others do not wait long


def signs(connection: Connection) -> list[Sign]:
    """The leases that are held."""
    return [Sign(*row) for row in connection.execute(_SIGNS)]


def past_deadline(connection: Connection, now: datetime) -> list[Row[Any]]:
    """Unfinished jobs whose proof would be worthless."""
    query = select(jobs).where(unfinished, jobs.c.deadline.is_not(None), jobs.c.deadline <= ticks(now))
    return [*connection.execute(query.limit(AT_ONCE))]


def expire(connection: Connection, now: datetime) -> int:
    """End them; how many."""
    rows = past_deadline(connection, now)
    for row in rows:
        ending.expire(connection, row, now)
    return len(rows)


def outlived(connection: Connection, patience: Patience, now: datetime) -> list[Row[Any]]:
    """Finished jobs that were kept as long as they should be."""
    query = select(jobs).where(~unfinished, jobs.c.finished_at < _ago(patience.finished, now))
    return [*connection.execute(query.limit(AT_ONCE))]


def forget(connection: Connection, patience: Patience, now: datetime) -> list[Row[Any]]:
    """Forget them, and the owners who have no job left; the rows that were."""
    rows = outlived(connection, patience, now)
    connection.execute(delete(jobs).where(jobs.c.number.in_([row.number for row in rows])))
    has_one = select(jobs.c.number).where(jobs.c.owner == owners.c.owner).exists()
    connection.execute(delete(owners).where(~has_one))
    return rows


def idle_inputs(connection: Connection, patience: Patience, now: datetime) -> list[Digest]:
    """Inputs that are kept though no job needs them."""
    query = select(jobs.c.inputs).distinct().where(jobs.c.inputs_kept, _needless(patience, now))
    return [Digest.parse(row.inputs) for row in connection.execute(query.limit(AT_ONCE))]


def collect(
    connection: Connection, digest: Digest, artefacts: ArtefactStore, patience: Patience, now: datetime
) -> bool:
    """Remove an artefact if no job needs it; whether it was there.

    Under the lock of a writer: a job that is submitted meanwhile either is seen here, or finds the artefact gone.
    """
    idle = (jobs.c.inputs == str(digest), jobs.c.inputs_kept, _needless(patience, now))
    connection.execute(update(jobs).where(*idle).values(inputs_kept=False))
    return not is_named(connection, digest) and artefacts.delete(digest)


def is_named(connection: Connection, digest: Digest) -> bool:
    """Whether a job needs an artefact."""
    name = str(digest)
    uses = or_(and_(jobs.c.inputs == name, jobs.c.inputs_kept), jobs.c.attestation == name)
    return connection.scalar(select(jobs.c.number).where(uses).limit(1)) is not None


def _needless(patience: Patience, now: datetime) -> ColumnElement[bool]:
    """Jobs that will not read their inputs again. A failed one may, if it is retried in time."""
    failed = jobs.c.state == str(JobState.FAILED)
    return ~unfinished & (~failed | (jobs.c.finished_at <= _ago(patience.failed_inputs, now)))


def _ago(seconds: float, now: datetime) -> int:
    return ticks(now) - seconds_in_ticks(seconds)
