"""Leases: several daemons that share a database take turns, so that one feed or one account is worked by one of them.

A holder beats; another daemon takes the lease once it has seen no beat for the lease's duration, by its own monotonic
clock. So no two clocks are compared.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from zkinfer.oracle.store.tables import leases

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from zkinfer.prover.jobs.database import Database


class Leases:
    """The leases that this daemon holds or wants.

    Args:
        database: shared by the daemons that take turns.
        clock: monotonic seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._holder = secrets.token_hex(16)
        self._seen: dict[str, tuple[str, int, float]] = {}

    def hold(self, name: str, seconds: int) -> bool:
        """Take or renew a lease; whether this daemon holds it now, for this many seconds.

        Raises StoreError if the database cannot be used; then the lease is not held.
        """
        return self._database.write(lambda connection: self._hold(connection, name, seconds))

    def _hold(self, connection: Connection, name: str, seconds: int) -> bool:
        row = connection.execute(select(leases).where(leases.c.name == name)).first()
        if row is None:
            connection.execute(insert(leases).values(name=name, holder=self._holder, beat=0, seconds=seconds))
            return True
        if row.holder != self._holder and not self._lapsed(name, row.holder, row.beat, row.seconds):
            return False
        values = {"holder": self._holder, "beat": row.beat + 1, "seconds": seconds}
        connection.execute(update(leases).where(leases.c.name == name).values(values))
        return True

    def _lapsed(self, name: str, holder: str, beat: int, seconds: int) -> bool:
        now = self._clock()
        seen = self._seen.get(name)
        if seen is None or seen[:2] != (holder, beat):
            self._seen[name] = (holder, beat, now)
            return False
        return now - seen[2] > seconds

    def release(self) -> None:
        """Give up all leases of this daemon, so that another need not wait."""
        self._database.write(
            lambda connection: connection.execute(delete(leases).where(leases.c.holder == self._holder))
        )
