"""Keeping the queue in order: what ends by itself, and what is removed when nobody needs it any more."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import Digest
from zkinfer.prover.jobs import ending, sweeping
from zkinfer.prover.jobs.values import JobState, Swept
from zkinfer.prover.jobs.watching import ClockWatch, LeaseWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from sqlalchemy import Connection

    from zkinfer.prover.artefacts import ArtefactStore
    from zkinfer.prover.jobs.database import Database
    from zkinfer.prover.jobs.values import Patience
    from zkinfer.prover.jobs.watching import Sign

_ORPHANS_EVERY = 600.0


class Keeper:
    """See `JobStore.sweep`. It remembers what it saw of leases and clocks, and nothing that a restart would miss."""

    def __init__(
        self,
        database: Database,
        artefacts: ArtefactStore,
        *,
        patience: Patience,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._artefacts = artefacts
        self._patience = patience
        self._clock = clock
        self._monotonic = monotonic
        self._leases = LeaseWatch()
        self._clock_watch = ClockWatch()
        self._sweeping = threading.Lock()
        self._orphans_at = monotonic()

    def sweep(self) -> Swept:
        """See `JobStore.sweep`."""
        with self._sweeping:
            now, monotonic = self._clock(), self._monotonic()
            requeued, failed = self._end_lapsed(now, monotonic)
            if not self._clock_watch.trustworthy(now, monotonic):
                return Swept(requeued, failed)
            expired = self._expire(now)
            forgotten, removed = self._forget(now)
            removed += self.collect(self._idle_inputs(now)) + self._remove_orphans(now, monotonic)
            return Swept(requeued, failed, expired, forgotten, removed)

    def _end_lapsed(self, now: datetime, monotonic: float) -> tuple[int, int]:
        with self._database.reading() as connection:
            lapsed = self._leases.lapsed(sweeping.signs(connection), monotonic)
        ends = [self._database.write(partial(self._lapse, sign, now)) for sign in lapsed]
        return ends.count(JobState.QUEUED), ends.count(JobState.FAILED)

    def _lapse(self, sign: Sign, now: datetime, connection: Connection) -> JobState | None:
        return ending.lapse(connection, sign.job_id, sign.fence, self._patience, now)

    def _expire(self, now: datetime) -> int:
        with self._database.reading() as connection:
            if not sweeping.past_deadline(connection, now):
                return 0
        return self._database.write(lambda connection: sweeping.expire(connection, now))

    def _forget(self, now: datetime) -> tuple[int, int]:
        with self._database.reading() as connection:
            if not sweeping.outlived(connection, self._patience, now):
                return 0, 0
        rows = self._database.write(lambda connection: sweeping.forget(connection, self._patience, now))
        names = {name for row in rows for name in (row.inputs, row.attestation) if name}
        return len(rows), self.collect([Digest.parse(name) for name in names])

    def _idle_inputs(self, now: datetime) -> list[Digest]:
        with self._database.reading() as connection:
            return sweeping.idle_inputs(connection, self._patience, now)

    def _remove_orphans(self, now: datetime, monotonic: float) -> int:
        """Files that no job names: of a server that was killed between putting and submitting."""
        if monotonic < self._orphans_at:
            return 0
        self._orphans_at = monotonic + _ORPHANS_EVERY
        old = self._artefacts.older_than(self._patience.orphans, now.timestamp())
        with self._database.reading() as connection:
            orphans = [digest for digest in old if not sweeping.is_named(connection, digest)]
        return self.collect(orphans)

    def collect(self, digests: Collection[Digest]) -> int:
        """Remove those that no job needs. Whoever is killed before it is done leaves it to the next sweep."""
        now = self._clock()
        return sum(self._database.write(partial(self._collect_one, digest, now)) for digest in digests)

    def _collect_one(self, digest: Digest, now: datetime, connection: Connection) -> bool:
        return sweeping.collect(connection, digest, self._artefacts, self._patience, now)
