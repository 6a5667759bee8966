"""Keeping the queue in order: what ends by itself, and what is removed when nobody needs it any more."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import Digest
from zkinfer.prover.jobs import ending, sweeping
from zkinfer.prover.jobs.values import JobState, Swept
from zkinfer.prover.jobs.watching import ClockWatch, LeaseWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection

    from zkinfer.prover.artefacts import ArtefactStore
    from zkinfer.prover.jobs.database import Database
    from zkinfer.prover.jobs.values import Patience
    from zkinfer.prover.jobs.watching import Sign

_LONG_AGO = datetime.fromtimestamp(0, UTC)
_ORPHANS_EVERY, _NOTE_CLOCK_EVERY = 600.0, 300.0


class Keeper:
    """See `JobStore.sweep`. It remembers what it saw of leases and clocks, and nothing that a restart would miss.

    When the clock was last believed is in the database: whoever starts with one far ahead of that waits longer.
    """

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
                return Swept(requeued, failed, artefacts=self.collect(self._idle_inputs(_LONG_AGO)))
            expired = self._expire(now)
            forgotten, removed = self._forget(now)
            removed += self.collect(self._idle_inputs(now), now) + self._remove_orphans(now, monotonic)
            return Swept(requeued, failed, expired, forgotten, removed)

    def _trusts(self, now: datetime, monotonic: float) -> bool:
        """Whether the time of day is what it seems; if so, that is kept for the next start."""
        if self._clock_watch is None:
            with self._database.reading() as connection:
                self._clock_watch = ClockWatch(self._patience.settling, sweeping.clock_seen(connection))
        if not self._clock_watch.trustworthy(now, monotonic):
            return False
        if monotonic >= self._note_clock_at:
            self._database.write(lambda connection: sweeping.note_clock(connection, now))
            self._note_clock_at = monotonic + _NOTE_CLOCK_EVERY
        return True

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
        return len(rows), self.collect([Digest.parse(name) for name in names], now)

    def _idle_inputs(self, now: datetime) -> list[Digest]:
        with self._database.reading() as connection:
            return sweeping.idle_inputs(connection, self._patience, now)

    def _remove_orphans(self, now: datetime, monotonic: float) -> int:
        """Files that no job names: of a server that was killed between putting and submitting. The rest comes next."""
        if monotonic < self._orphans_at:
            return 0
        old = self._artefacts.older_than(self._patience.orphans, now.timestamp())
        with self._database.reading() as connection:
            orphans = sweeping.unnamed(connection, old)
        self._orphans_at = monotonic if len(orphans) > sweeping.AT_ONCE else monotonic + _ORPHANS_EVERY
        return self.collect(orphans[: sweeping.AT_ONCE], now)

    def collect(self, digests: Collection[Digest], now: datetime = _LONG_AGO) -> int:
        """Remove those that no job needs. Whoever is killed before it is done leaves it to the next sweep.

        A failed job needs its inputs until `now` says that they are old: a time of day to be given where it is trusted.
        """
        return sum(self._database.write(partial(self._collect_one, digest, now)) for digest in digests)

    def _collect_one(self, digest: Digest, now: datetime, connection: Connection) -> bool:
        return sweeping.collect(connection, digest, self._artefacts, self._patience, now)
