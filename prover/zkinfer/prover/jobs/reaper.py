"""Keeping the queue in order: what ends by itself, and what is removed when nobody needs it any more."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, and_, bindparam, delete, insert, or_, select, union, update

from zkinfer.circuits.digest import Digest
from zkinfer.prover.jobs import finish
from zkinfer.prover.jobs.job import JobState, Swept
from zkinfer.prover.jobs.leases import ClockWatch, LeaseWatch, Sign
from zkinfer.prover.jobs.schema import clock, jobs, moment, owners, queued, running, seconds_in_ticks, ticks, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Connection, Row

    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs.database import Database
    from zkinfer.prover.jobs.job import Patience


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
        finish.expire(connection, row, now)
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
    connection: Connection, digest: Digest, artifacts: ArtifactStore, patience: Patience, now: datetime
) -> bool:
    """Remove an artifact if no job needs it; whether it was there.

    Under the lock of a writer: a job that is submitted meanwhile either is seen here, or finds the artifact gone.
    """
    connection.execute(_NOT_KEPT, {"name": str(digest), "before": _failed_before(patience, now)})
    return not is_named(connection, digest) and artifacts.delete(digest)


def is_named(connection: Connection, digest: Digest) -> bool:
    """Whether a job needs an artifact."""
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


_LONG_AGO = datetime.fromtimestamp(0, UTC)
_ORPHANS_EVERY, _NOTE_CLOCK_EVERY = 600.0, 300.0


class Keeper:
    """See `JobStore.sweep`. It remembers what it saw of leases and clocks, and nothing that a restart would miss.

    When the clock was last believed is in the database: whoever starts with one far ahead of that waits longer.
    """

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        *,
        patience: Patience,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._patience = patience
        self._clock = clock
        self._monotonic = monotonic
        self._leases = LeaseWatch()
        self._clock_watch: ClockWatch | None = None
        self._note_clock_at = 0.0
        self._sweeping = threading.Lock()
        self._orphans_at = monotonic()

    def sweep(self) -> Swept:
        """See `JobStore.sweep`."""
        with self._sweeping:
            now, monotonic = self._clock(), self._monotonic()
            requeued, failed = self._end_lapsed(now, monotonic)
            if not self._trusts(now, monotonic):  # what needs no clock is done
                return Swept(requeued, failed, artifacts=self.collect(self._idle_inputs(_LONG_AGO)))
            expired = self._expire(now)
            forgotten, removed = self._forget(now)
            removed += self.collect(self._idle_inputs(now), now) + self._remove_orphans(now, monotonic)
            return Swept(requeued, failed, expired, forgotten, removed)

    def _trusts(self, now: datetime, monotonic: float) -> bool:
        """Whether the time of day is what it seems; if so, that is kept for the next start."""
        if self._clock_watch is None:
            with self._database.reading() as connection:
                self._clock_watch = ClockWatch(self._patience.settling, clock_seen(connection))
        if not self._clock_watch.trustworthy(now, monotonic):
            return False
        if monotonic >= self._note_clock_at:
            self._database.write(lambda connection: note_clock(connection, now))
            self._note_clock_at = monotonic + _NOTE_CLOCK_EVERY
        return True

    def _end_lapsed(self, now: datetime, monotonic: float) -> tuple[int, int]:
        with self._database.reading() as connection:
            lapsed = self._leases.lapsed(signs(connection), monotonic)
        ends = [self._database.write(partial(self._lapse, sign, now)) for sign in lapsed]
        return ends.count(JobState.QUEUED), ends.count(JobState.FAILED)

    def _lapse(self, sign: Sign, now: datetime, connection: Connection) -> JobState | None:
        return finish.lapse(connection, sign.job_id, sign.fence, self._patience, now)

    def _expire(self, now: datetime) -> int:
        with self._database.reading() as connection:
            if not past_deadline(connection, now):
                return 0
        return self._database.write(lambda connection: expire(connection, now))

    def _forget(self, now: datetime) -> tuple[int, int]:
        with self._database.reading() as connection:
            if not outlived(connection, self._patience, now):
                return 0, 0
        rows = self._database.write(lambda connection: forget(connection, self._patience, now))
        names = {name for row in rows for name in (row.inputs, row.attestation) if name}
        return len(rows), self.collect([Digest.parse(name) for name in names], now)

    def _idle_inputs(self, now: datetime) -> list[Digest]:
        with self._database.reading() as connection:
            return idle_inputs(connection, self._patience, now)

    def _remove_orphans(self, now: datetime, monotonic: float) -> int:
        """Files that no job names: of a server that was killed between putting and submitting. The rest comes next."""
        if monotonic < self._orphans_at:
            return 0
        old = self._artifacts.older_than(self._patience.orphans, now.timestamp())
        with self._database.reading() as connection:
            orphans = unnamed(connection, old)
        self._orphans_at = monotonic if len(orphans) > AT_ONCE else monotonic + _ORPHANS_EVERY
        return self.collect(orphans[:AT_ONCE], now)

    def collect(self, digests: Collection[Digest], now: datetime = _LONG_AGO) -> int:
        """Remove those that no job needs. Whoever is killed before it is done leaves it to the next sweep.

        A failed job needs its inputs until `now` says that they are old: a time of day to be given where it is trusted.
        """
        return sum(self._database.write(partial(self._collect_one, digest, now)) for digest in digests)

    def _collect_one(self, digest: Digest, now: datetime, connection: Connection) -> bool:
        return collect(connection, digest, self._artifacts, self._patience, now)
