"""The tables. Times are Unix seconds; answers are decimal text, since they have up to 192 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
)

from zkinfer.oracle.states import DeliveryState, RoundState
from zkinfer.prover.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

SCHEMA_VERSION = 1
metadata = MetaData()
_FEED = String(66)

# One row.
state = Table(
    "zkinfer_oracle_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
)

# One report for each feed and round, ever: its hash is never replaced.
rounds = Table(
    "zkinfer_oracle_rounds",
    metadata,
    Column("feed", _FEED, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(16), CheckConstraint(f"state IN {tuple(map(str, RoundState))}"), nullable=False),
    Column("observed_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("answer", String(60), nullable=False),
    Column("source_digest", String(66), nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("signing_hash", String(66), nullable=False),
    Column("config_digest", String(66), nullable=False),
    Column("proposer", String(42), nullable=False),
    Column("payload", LargeBinary),
    Column("reason", Text),
    Column("milliseconds", Integer),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)
Index("zkinfer_oracle_rounds_state", rounds.c.state, rounds.c.feed, rounds.c.number)
Index("zkinfer_oracle_rounds_time", rounds.c.feed, rounds.c.observed_at)

signatures = Table(
    "zkinfer_oracle_signatures",
    metadata,
    Column("feed", _FEED, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("signer", String(42), primary_key=True),
    Column("signature", LargeBinary, nullable=False),
    ForeignKeyConstraint(["feed", "number"], ["zkinfer_oracle_rounds.feed", "zkinfer_oracle_rounds.number"]),
)

deliveries = Table(
    "zkinfer_oracle_deliveries",
    metadata,
    Column("feed", _FEED, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("chain", String(64), primary_key=True),
    Column("level", String(16), primary_key=True),
    Column("state", String(16), CheckConstraint(f"state IN {tuple(map(str, DeliveryState))}"), nullable=False),
    Column("height", BigInteger),
    Column("transaction", String(66)),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text),
    Column("changed_at", BigInteger, nullable=False),
)
Index("zkinfer_oracle_deliveries_state", deliveries.c.chain, deliveries.c.state, deliveries.c.feed, deliveries.c.number)

gaps = Table(
    "zkinfer_oracle_gaps",
    metadata,
    Column("feed", _FEED, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)

# The last tick of each feed that a daemon has looked at.
ticks = Table(
    "zkinfer_oracle_ticks",
    metadata,
    Column("feed", _FEED, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

# The newest round of each feed that was forgotten: it and those before it are never made again.
floors = Table(
    "zkinfer_oracle_floors",
    metadata,
    Column("feed", _FEED, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

sources = Table(
    "zkinfer_oracle_sources",
    metadata,
    Column("digest", String(66), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
)

# Jobs of Chainlink nodes that wait for a call.
jobs = Table(
    "zkinfer_oracle_jobs",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("job_id", String(128)),
    Column("feed", _FEED, nullable=False),
    Column("url", Text, nullable=False),
    Column("after", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
)

leases = Table(
    "zkinfer_oracle_leases",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("holder", String(160), nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("seconds", Integer, nullable=False),
)


def create_tables(connection: Connection) -> None:
    """Create missing tables; raises StoreError for those of a newer version."""
    metadata.create_all(connection)
    found = connection.scalar(select(state.c.schema_version))
    if found is None:
        connection.execute(insert(state).values(id=1, schema_version=SCHEMA_VERSION))
    elif found > SCHEMA_VERSION:
        raise StoreError(
            f"The oracle's database has schema {found}; this version of zkinfer supports {SCHEMA_VERSION}.",
            "A newer version wrote it: update zkinfer, or use another database.",
        )
