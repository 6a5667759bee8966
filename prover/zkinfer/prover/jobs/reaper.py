"""Maintenance of the queue: expired leases and deadlines, retention, and removal of unreferenced files."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, and_, bindparam, delete, insert, or_, select, union, update

from zkinfer.circuits.digest import Digest
from zkinfer.prover.jobs import finish
from zkinfer.prover.jobs.job import JobState, SweepResult
from zkinfer.prover.jobs.leases import ClockWatch, LeaseSnapshot, LeaseWatch
from zkinfer.prover.jobs.schema import clock, jobs, moment, owners, queued, running, seconds_in_ticks, ticks, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Connection, Row

    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs.database import Database
    from zkinfer.prover.jobs.job import RetryPolicy


_FAR_FUTURE = 1 << 62  # in ticks, later than any real time
BATCH_SIZE = 200  # rows per transaction, so that other writers do not wait long
_EPOCH = datetime.fromtimestamp(0, UTC)
_ORPHANS_INTERVAL, _CLOCK_INTERVAL = 600.0, 300.0
_NOW: BindParameter[Any] = bindparam("now")
_BEFORE: BindParameter[Any] = bindparam("before")
_NAME: BindParameter[Any] = bindparam("name")
_LEASES = select(jobs.c.id, jobs.c.fence, jobs.c.beat, jobs.c.lease_seconds).where(running)
_PAST_DEADLINE = select(jobs).where(unfinished, jobs.c.deadline <= _NOW).limit(BATCH_SIZE)
_PAST_RETENTION = select(jobs).where(jobs.c.finished_at < _BEFORE).limit(BATCH_SIZE)
_HAS_JOB = select(jobs.c.number).where(jobs.c.owner == owners.c.owner).exists()
_OTHERS = owners.alias()
_OTHER_WAITS = select(jobs.c.number).where(jobs.c.owner == _OTHERS.c.owner, queued).exists()
_SERVED_EARLIER = (
    select(_OTHERS.c.owner).where(_OTHERS.c.served < owners.c.served, _OTHER_WAITS).correlate(owners).exists()
)
# A deleted owner would count as new and go first, so it is kept while an owner served earlier has queued jobs.
_DELETE_IDLE_OWNERS = delete(owners).where(~_HAS_JOB, ~_SERVED_EARLIER)
_DELETE_JOB = delete(jobs).where(jobs.c.number == bindparam("number_"))
# Jobs that will not read their inputs again; a failed job may, until its retention ends.
_INPUTS_UNNEEDED = (
    jobs.c.inputs_kept,
    ~unfinished,
    or_(jobs.c.state != str(JobState.FAILED), jobs.c.finished_at <= _BEFORE),
)
_UNNEEDED = select(jobs.c.inputs).where(*_INPUTS_UNNEEDED).limit(BATCH_SIZE)
_MARK_REMOVED = update(jobs).where(jobs.c.inputs == _NAME, *_INPUTS_UNNEEDED).values(inputs_kept=False)
_IS_REFERENCED = select(jobs.c.number).where(
    or_(and_(jobs.c.inputs == _NAME, jobs.c.inputs_kept), jobs.c.attestation == _NAME)
)
_NAMES: BindParameter[Any] = bindparam("names", expanding=True)
_REFERENCED = union(
    select(jobs.c.inputs).where(jobs.c.inputs.in_(_NAMES), jobs.c.inputs_kept),
    select(jobs.c.attestation).where(jobs.c.attestation.in_(_NAMES)),
)


class Reaper:
    """Implements `JobStore.sweep`. Its state, observations of leases and clocks, may be lost in a restart.

    The database has the last trusted time; if the clock is far ahead of it, the reaper waits longer.
    """

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        *,
        retry_policy: RetryPolicy,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._retry_policy = retry_policy
        self._clock = clock
        self._monotonic = monotonic
        self._leases = LeaseWatch()
        self._clock_watch: ClockWatch | None = None
        self._record_clock_at = 0.0
        self._sweeping = threading.Lock()
        self._orphans_at = monotonic()

    def sweep(self) -> SweepResult:
        """See `JobStore.sweep`."""
        with self._sweeping:
            now, monotonic = self._clock(), self._monotonic()
            requeued, failed = self._expire_leases(now, monotonic)
            if not self._trusts_clock(now, monotonic):  # only the steps that need no clock
                return SweepResult(requeued, failed, artifacts=self.collect(self._unneeded_inputs(_EPOCH)))
            expired = self._expire(now)
            deleted, removed = self._delete_past_retention(now)
            removed += self.collect(self._unneeded_inputs(now), now) + self._remove_orphans(now, monotonic)
            return SweepResult(requeued, failed, expired, deleted, removed)

    def _trusts_clock(self, now: datetime, monotonic: float) -> bool:
        """Whether the system clock can be trusted; if so, its time is recorded for the next start."""
        if self._clock_watch is None:
            with self._database.reading() as connection:
                self._clock_watch = ClockWatch(self._retry_policy.settling, last_trusted_time(connection))
        if not self._clock_watch.trustworthy(now, monotonic):
            return False
        if monotonic >= self._record_clock_at:
            self._database.write(lambda connection: record_clock(connection, now))
            self._record_clock_at = monotonic + _CLOCK_INTERVAL
        return True

    def _expire_leases(self, now: datetime, monotonic: float) -> tuple[int, int]:
        with self._database.reading() as connection:
            lapsed = self._leases.lapsed(lease_snapshots(connection), monotonic)
        ends = [self._database.write(partial(self._expire_lease, lease, now)) for lease in lapsed]
        return ends.count(JobState.QUEUED), ends.count(JobState.FAILED)

    def _expire_lease(self, lease: LeaseSnapshot, now: datetime, connection: Connection) -> JobState | None:
        return finish.expire_lease(connection, lease.job_id, lease.fence, self._retry_policy, now)

    def _expire(self, now: datetime) -> int:
        with self._database.reading() as connection:
            if not past_deadline(connection, now):
                return 0
        return self._database.write(lambda connection: expire(connection, now))

    def _delete_past_retention(self, now: datetime) -> tuple[int, int]:
        with self._database.reading() as connection:
            if not past_retention(connection, self._retry_policy, now):
                return 0, 0
        rows = self._database.write(lambda connection: delete_past_retention(connection, self._retry_policy, now))
        names = {name for row in rows for name in (row.inputs, row.attestation) if name}
        return len(rows), self.collect([Digest.parse(name) for name in names], now)

    def _unneeded_inputs(self, now: datetime) -> list[Digest]:
        with self._database.reading() as connection:
            return unneeded_inputs(connection, self._retry_policy, now)

    def _remove_orphans(self, now: datetime, monotonic: float) -> int:
        """Remove unreferenced files, such as those of a server killed before submission; one batch per call."""
        if monotonic < self._orphans_at:
            return 0
        old = self._artifacts.older_than(self._retry_policy.orphans, now.timestamp())
        with self._database.reading() as connection:
            orphans = unreferenced(connection, old)
        self._orphans_at = monotonic if len(orphans) > BATCH_SIZE else monotonic + _ORPHANS_INTERVAL
        return self.collect(orphans[:BATCH_SIZE], now)

    def collect(self, digests: Collection[Digest], now: datetime = _EPOCH) -> int:
        """Remove artifacts that no job needs; the next sweep completes an interrupted call.

        Inputs of failed jobs are kept for their retention, as of `now`, which must be a trusted time.
        """
        return sum(self._database.write(partial(self._collect_one, digest, now)) for digest in digests)

    def _collect_one(self, digest: Digest, now: datetime, connection: Connection) -> bool:
        return collect(connection, digest, self._artifacts, self._retry_policy, now)


def lease_snapshots(connection: Connection) -> list[LeaseSnapshot]:
    """Snapshots of the held leases."""
    return [LeaseSnapshot(*row) for row in connection.execute(_LEASES)]


def past_deadline(connection: Connection, now: datetime) -> list[Row[Any]]:
    """Unfinished jobs whose deadline has passed."""
    return [*connection.execute(_PAST_DEADLINE, {"now": ticks(now)})]


def expire(connection: Connection, now: datetime) -> int:
    """Expire the jobs of `past_deadline`; returns their number."""
    rows = past_deadline(connection, now)
    for row in rows:
        finish.expire(connection, row, now)
    return len(rows)


def past_retention(connection: Connection, retry_policy: RetryPolicy, now: datetime) -> list[Row[Any]]:
    """Finished jobs past their retention."""
    return [*connection.execute(_PAST_RETENTION, {"before": _ago(retry_policy.finished, now)})]


def delete_past_retention(connection: Connection, retry_policy: RetryPolicy, now: datetime) -> list[Row[Any]]:
    """Delete jobs past their retention, and owners without jobs; returns the deleted rows."""
    rows = past_retention(connection, retry_policy, now)
    for row in rows:
        connection.execute(_DELETE_JOB, {"number_": row.number})
    connection.execute(_DELETE_IDLE_OWNERS)
    return rows


def unneeded_inputs(connection: Connection, retry_policy: RetryPolicy, now: datetime) -> list[Digest]:
    """Stored inputs that no job needs."""
    rows = connection.execute(_UNNEEDED, {"before": _failed_before(retry_policy, now)})
    return [Digest.parse(name) for name in {row.inputs for row in rows}]


def collect(
    connection: Connection, digest: Digest, artifacts: ArtifactStore, retry_policy: RetryPolicy, now: datetime
) -> bool:
    """Remove an artifact unless a job needs it; returns whether it existed.

    Call it under the writer's lock: a job submitted concurrently is either seen here, or finds the artifact missing.
    """
    connection.execute(_MARK_REMOVED, {"name": str(digest), "before": _failed_before(retry_policy, now)})
    return not is_referenced(connection, digest) and artifacts.delete(digest)


def is_referenced(connection: Connection, digest: Digest) -> bool:
    """Whether a job refers to an artifact."""
    return connection.execute(_IS_REFERENCED, {"name": str(digest)}).first() is not None


def unreferenced(connection: Connection, digests: Sequence[Digest]) -> list[Digest]:
    """The artifacts that no job refers to."""
    named: set[str] = set()
    for start in range(0, len(digests), BATCH_SIZE):
        names = [str(digest) for digest in digests[start : start + BATCH_SIZE]]
        named.update(connection.scalars(_REFERENCED, {"names": names}))
    return [digest for digest in digests if str(digest) not in named]


def last_trusted_time(connection: Connection) -> float | None:
    """The last time at which the system clock was trusted, in Unix seconds; None for never."""
    seen = connection.scalar(select(clock.c.seen))
    return None if seen is None else moment(seen).timestamp()


def record_clock(connection: Connection, now: datetime) -> None:
    """Record that the system clock is trusted now."""
    if connection.execute(update(clock).values(seen=ticks(now))).rowcount == 0:
        connection.execute(insert(clock).values(id=1, seen=ticks(now)))


def _failed_before(retry_policy: RetryPolicy, now: datetime) -> int:
    """Inputs of jobs that failed before this time are removed; without retention, of all failed jobs."""
    return _ago(retry_policy.failed_inputs, now) if retry_policy.failed_inputs > 0 else _FAR_FUTURE


def _ago(seconds: float, now: datetime) -> int:
    return ticks(now) - seconds_in_ticks(seconds)
