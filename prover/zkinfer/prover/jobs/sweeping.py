"""What must end by itself: leases of dead workers, jobs past their deadline, and what was kept long enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, and_, bindparam, delete, insert, or_, select, union, update

from zkinfer.circuits.digest import Digest
from zkinfer.prover.jobs import ending
from zkinfer.prover.jobs.rows import moment, seconds_in_ticks, ticks
from zkinfer.prover.jobs.schema import clock, jobs, owners, queued, running, unfinished
from zkinfer.prover.jobs.values import JobState
from zkinfer.prover.jobs.watching import Sign

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from zkinfer.prover.artefacts import ArtefactStore
    from zkinfer.prover.jobs.values import Patience

_EVER = 1 << 62  # ticks: later than any time of day
AT_ONCE = 200  # what one transaction takes on, so that others do not wait long
_NOW: BindParameter[Any] = bindparam("now")
_BEFORE: BindParameter[Any] = bindparam("before")
_NAME: BindParameter[Any] = bindparam("name")
_SIGNS = select(jobs.c.id, jobs.c.fence, jobs.c.beat, jobs.c.lease_seconds).where(running)
_PAST = select(jobs).where(unfinished, jobs.c.deadline <= _NOW).limit(AT_ONCE)
_OUTLIVED = select(jobs).where(jobs.c.finished_at < _BEFORE).limit(AT_ONCE)
_HAS_ONE = select(jobs.c.number).where(jobs.c.owner == owners.c.owner).exists()
_OTHERS = owners.alias()
_WAITS = select(jobs.c.number).where(jobs.c.owner == _OTHERS.c.owner, queued).exists()
_BEHIND = select(_OTHERS.c.owner).where(_OTHERS.c.served < owners.c.served, _WAITS).correlate(owners).exists()
# An owner who is forgotten is a newcomer next time, who goes first: not while others wait who were served before.
_WITHOUT_JOBS = delete(owners).where(~_HAS_ONE, ~_BEHIND)
_FORGOTTEN = delete(jobs).where(jobs.c.number == bindparam("number_"))
# Jobs that will not read their inputs again. A failed one may, if it is retried in time.
_NEEDLESS = (jobs.c.inputs_kept, ~unfinished, or_(jobs.c.state != str(JobState.FAILED), jobs.c.finished_at <= _BEFORE))
_IDLE = select(jobs.c.inputs).where(*_NEEDLESS).limit(AT_ONCE)
_NOT_KEPT = update(jobs).where(jobs.c.inputs == _NAME, *_NEEDLESS).values(inputs_kept=False)
_USED = select(jobs.c.number).where(or_(and_(jobs.c.inputs == _NAME, jobs.c.inputs_kept), jobs.c.attestation == _NAME))
_NAMES: BindParameter[Any] = bindparam("names", expanding=True)
_NAMED = union(
    select(jobs.c.inputs).where(jobs.c.inputs.in_(_NAMES), jobs.c.inputs_kept),
    select(jobs.c.attestation).where(jobs.c.attestation.in_(_NAMES)),
)


def signs(connection: Connection) -> list[Sign]:
    """The leases that are held."""
    return [Sign(*row) for row in connection.execute(_SIGNS)]


def past_deadline(connection: Connection, now: datetime) -> list[Row[Any]]:
    """Unfinished jobs whose proof would be worthless."""
    return [*connection.execute(_PAST, {"now": ticks(now)})]


def expire(connection: Connection, now: datetime) -> int:
    """End them; how many."""
    rows = past_deadline(connection, now)
    for row in rows:
        ending.expire(connection, row, now)
    return len(rows)


def outlived(connection: Connection, patience: Patience, now: datetime) -> list[Row[Any]]:
    """Finished jobs that were kept as long as they should be."""
    return [*connection.execute(_OUTLIVED, {"before": _ago(patience.finished, now)})]


def forget(connection: Connection, patience: Patience, now: datetime) -> list[Row[Any]]:
    """Forget them, and the owners who have no job left; the rows that were."""
    rows = outlived(connection, patience, now)
    for row in rows:
        connection.execute(_FORGOTTEN, {"number_": row.number})
    connection.execute(_WITHOUT_JOBS)
    return rows


def idle_inputs(connection: Connection, patience: Patience, now: datetime) -> list[Digest]:
    """Inputs that are kept though no job needs them."""
    rows = connection.execute(_IDLE, {"before": _failed_before(patience, now)})
    return [Digest.parse(name) for name in {row.inputs for row in rows}]


def collect(
    connection: Connection, digest: Digest, artefacts: ArtefactStore, patience: Patience, now: datetime
) -> bool:
    """Remove an artefact if no job needs it; whether it was there.

    Under the lock of a writer: a job that is submitted meanwhile either is seen here, or finds the artefact gone.
    """
    connection.execute(_NOT_KEPT, {"name": str(digest), "before": _failed_before(patience, now)})
    return not is_named(connection, digest) and artefacts.delete(digest)


def is_named(connection: Connection, digest: Digest) -> bool:
    """Whether a job needs an artefact."""
    return connection.execute(_USED, {"name": str(digest)}).first() is not None


def unnamed(connection: Connection, digests: Sequence[Digest]) -> list[Digest]:
    """Those that no job needs."""
    named: set[str] = set()
    for start in range(0, len(digests), AT_ONCE):
        names = [str(digest) for digest in digests[start : start + AT_ONCE]]
        named.update(connection.scalars(_NAMED, {"names": names}))
    return [digest for digest in digests if str(digest) not in named]


def clock_seen(connection: Connection) -> float | None:
    """When the time of day was last believed, in Unix seconds; None for never."""
    seen = connection.scalar(select(clock.c.seen))
    return None if seen is None else moment(seen).timestamp()


def note_clock(connection: Connection, now: datetime) -> None:
    """Keep that it is believed now."""
    if connection.execute(update(clock).values(seen=ticks(now))).rowcount == 0:
        connection.execute(insert(clock).values(id=1, seen=ticks(now)))


def _failed_before(patience: Patience, now: datetime) -> int:
    """When those jobs failed whose inputs are kept no longer; where none are kept, that needs no clock."""
    return _ago(patience.failed_inputs, now) if patience.failed_inputs > 0 else _EVER


def _ago(seconds: float, now: datetime) -> int:
    return ticks(now) - seconds_in_ticks(seconds)
