"""What the daemon remembers: rounds with their signatures, deliveries, gaps, sources, jobs and leases.

Each step of the daemon writes its result here before it acts on it, under a key that exists once. So after a crash at
any point, the step can be done again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from zkinfer.oracle.store.deliveries import Deliveries
from zkinfer.oracle.store.gaps import Gaps
from zkinfer.oracle.store.jobs import Jobs
from zkinfer.oracle.store.leases import Leases
from zkinfer.oracle.store.rounds import Rounds
from zkinfer.oracle.store.tables import create_tables
from zkinfer.prover.jobs.database import open_database

if TYPE_CHECKING:
    from zkinfer.prover.jobs.database import Database

__all__ = ["Store"]


class Store:
    """The tables of one daemon, or of several that share a database.

    Attributes:
        rounds: what was observed, signed and proven.
        deliveries: to chains.
        gaps: rounds that do not exist, and why.
        jobs: of Chainlink nodes that wait for a call.
        leases: which of several daemons does what.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.rounds = Rounds(database)
        self.deliveries = Deliveries(database)
        self.gaps = Gaps(database)
        self.jobs = Jobs(database)
        self.leases = Leases(database)

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the database at an SQLAlchemy URL, and create missing tables; raises StoreError."""
        return cls(open_database(url, create_tables=create_tables))

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
