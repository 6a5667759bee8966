"""The tables of the directory. Facts of a chain are rows that never change: a reorganisation deletes the newest ones.

Words, works and addresses are hex with 0x, times Unix seconds, amounts decimal text since they exceed 64 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    and_,
    insert,
    or_,
    select,
)

from zkinfer.contracts import work_facts as facts
from zkinfer.prover.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

SCHEMA_VERSION: Final = 1
metadata = MetaData()
_WORD = String(66)
_ADDRESS = String(42)
_AMOUNT = String(40)
_NAME = String(16)


def _fact(name: str, *columns: Column[Any]) -> Table:
    place = [Column(one, BigInteger, primary_key=True, autoincrement=False) for one in ("block", "place")]
    return Table(f"zkinfer_works_{name}", metadata, *place, *columns)


# One row: what is followed, and how far. `revision` counts changes of what can be found, for readers that keep
# the fingerprints in memory.
state = Table(
    "zkinfer_works_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("chain_id", BigInteger),
    Column("works", _ADDRESS),
    Column("block", BigInteger),
    Column("hash", _WORD),
    Column("time", BigInteger),
    Column("prints_sound", Boolean, nullable=False),
)

# The last blocks of the newest windows, to go back to.
checkpoints = Table(
    "zkinfer_works_checkpoints",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", _WORD, nullable=False),
    Column("time", BigInteger, nullable=False),
)

works = _fact(
    "works",
    Column("work", _WORD, nullable=False, unique=True),
    Column("creator", _ADDRESS, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("kind", _NAME, nullable=False),
    Column("origin", _NAME, nullable=False),
    Column("resale_bps", Integer, nullable=False),
    Column("content", _WORD, nullable=False, index=True),
    Column("manifest", _WORD, nullable=False, index=True),
    Column("attestation", _WORD, nullable=False, index=True),
    Column("pixels", _WORD, nullable=False),
    Column("uri", Text, nullable=False),
    Column("till", _ADDRESS, nullable=False),
    Column("registered", BigInteger, nullable=False),
)

parents = Table(
    "zkinfer_works_parents",
    metadata,
    Column("work", _WORD, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("parent", _WORD, nullable=False, index=True),
    Column("share_bps", Integer, nullable=False),
    Column("block", BigInteger, nullable=False),
)

proofs = _fact(
    "proofs",
    Column("work", _WORD, nullable=False, index=True),
    Column("record", _WORD, nullable=False),
    Column("listing", _WORD, nullable=False, index=True),
)
standings = _fact(
    "standings",
    Column("work", _WORD, nullable=False, index=True),
    Column("standing", _NAME, nullable=False),
    Column("older", _WORD, nullable=False),
)
transfers = _fact(
    "transfers", Column("work", _WORD, nullable=False, index=True), Column("owner", _ADDRESS, nullable=False)
)
offers = _fact(
    "offers",
    Column("offer", _WORD, nullable=False, index=True),
    Column("work", _WORD, nullable=False, index=True),
    Column("price", _AMOUNT, nullable=False),
    Column("duration", BigInteger, nullable=False),
    Column("share_bps", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("terms", _WORD, nullable=False),
    Column("uri", Text, nullable=False),
)
offer_ends = _fact("offer_ends", Column("offer", _WORD, nullable=False, index=True))
licences = _fact(
    "licences",
    Column("number", BigInteger, nullable=False),
    Column("work", _WORD, nullable=False, index=True),
    Column("holder", _ADDRESS, nullable=False),
    Column("offer", _WORD, nullable=False),
    Column("subject", _WORD, nullable=False),
    Column("until", BigInteger, nullable=False),
)
payments = _fact("payments", Column("work", _WORD, nullable=False, index=True), Column("amount", _AMOUNT))
settlements = _fact(
    "settlements",
    Column("work", _WORD, nullable=False, index=True),
    Column("shared", _AMOUNT, nullable=False),
    Column("kept", _AMOUNT, nullable=False),
)
prints = _fact(
    "prints",
    Column("work", _WORD, nullable=False, index=True),
    Column("bits", _WORD, nullable=False),
    Column("sure", _WORD, nullable=False),
)
flags = _fact(
    "flags",
    Column("younger", _WORD, nullable=False, index=True),
    Column("older", _WORD, nullable=False, index=True),
    Column("distance", Integer, nullable=False),
    Column("compared", Integer, nullable=False),
    Column("answer_by", BigInteger, nullable=False),
)
flag_moves = _fact(
    "flag_moves",
    Column("younger", _WORD, nullable=False, index=True),
    Column("older", _WORD, nullable=False, index=True),
    Column("state", _NAME, nullable=False),
)

# Whether answers of a model that proves works may be relied on, as it was when the chain was last followed.
models = Table(
    "zkinfer_works_models",
    metadata,
    Column("listing", _WORD, primary_key=True),
    Column("sound", Boolean, nullable=False),
    Column("model_id", _WORD, nullable=False),
    Column("reason", Text, nullable=False),
)

# Verified certificates, by their SHA-256; a work names one by its `attestation`. `work` is the one that the certificate
# names, if it does: then it counts for no other. Codes are bits as hex, or absent.
certificates = Table(
    "zkinfer_works_certificates",
    metadata,
    Column("digest", _WORD, primary_key=True),
    Column("sha256", _WORD, nullable=False, index=True),
    Column("work", _WORD),
    Column("bits64", String(18)),
    Column("bits256", _WORD),
    Column("document", LargeBinary, nullable=False),
)

# C2PA manifest stores, by their SHA-256; a work names one by its `manifest`.
manifests = Table(
    "zkinfer_works_manifests",
    metadata,
    Column("digest", _WORD, primary_key=True),
    Column("manifest_id", String(200), nullable=False, index=True),
    Column("store", LargeBinary, nullable=False),
)

CERTIFIED: Final = and_(
    certificates.c.digest == works.c.attestation,
    or_(certificates.c.work.is_(None), certificates.c.work == works.c.work),
)
"""Whether a certificate counts for a work; see `certificates`."""

FACTS: Final[dict[type[facts.Fact], Table]] = {
    facts.Registered: works,
    facts.GenerationProven: proofs,
    facts.StandingChange: standings,
    facts.Transferred: transfers,
    facts.OfferMade: offers,
    facts.OfferEnded: offer_ends,
    facts.LicenceSold: licences,
    facts.PaymentReceived: payments,
    facts.IncomeSettled: settlements,
    facts.PrintStored: prints,
    facts.FlagRaised: flags,
    facts.FlagMoved: flag_moves,
}
"""The table of each kind of fact; its columns have the names of the fact's fields."""
BY_BLOCK: Final = (*FACTS.values(), parents, checkpoints)
"""What a reorganisation deletes from."""


def create_tables(connection: Connection) -> None:
    """Create missing tables; raises StoreError for those of a newer version."""
    metadata.create_all(connection)
    found = connection.scalar(select(state.c.schema_version))
    if found is None:
        connection.execute(insert(state).values(id=1, schema_version=SCHEMA_VERSION, revision=0, prints_sound=False))
    elif found > SCHEMA_VERSION:
        raise StoreError(
            f"The directory has schema {found}; this version of zkinfer supports {SCHEMA_VERSION}.",
            "A newer version wrote it: update zkinfer, or use another database.",
        )
