"""What is written to the directory's database: facts of a chain by window, certificates, and what can be relied on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import delete, func, insert, select, update

from zkinfer.circuits.errors import InputError
from zkinfer.contracts.work_facts import PrintStored, Registered
from zkinfer.contracts.works import ZERO_WORD
from zkinfer.prover.jobs.database import open_database
from zkinfer.works.directory.tables import (
    BY_BLOCK,
    CERTIFIED,
    FACTS,
    certificates,
    checkpoints,
    create_tables,
    manifests,
    models,
    parents,
    proofs,
    state,
    works,
)
from zkinfer.works.errors import DirectoryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Table

    from zkinfer.contracts.work_facts import Fact
    from zkinfer.prover.jobs.database import Database

CHECKPOINTS: Final = 256
"""How many are kept."""
_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the chain: its number, hash, and time in Unix seconds."""

    number: int
    hash: str
    time: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a work's logs do not say.

    Args:
        till: its address.
        registered: the time of its block in Unix seconds, which `since` precedes if there was a commitment.
        shares: of its parents, in hundredths of a percent.
    """

    till: str
    registered: int
    shares: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelState:
    """Whether a model's answers may be relied on, its id, and why not, or under which conditions."""

    listing: str
    sound: bool
    model_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A verified certificate: words as 0x and hex, the work that it names, the bits of its codes as hex, or None."""

    digest: str
    sha256: str
    work: str | None
    bits64: str | None
    bits256: str | None
    document: bytes


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest store, its SHA-256 as 0x and hex, and the id of its active manifest."""

    digest: str
    manifest_id: str
    store: bytes


class Store:
    """The database of one directory. Every method raises StoreError if it cannot be used; writes change all or nothing.

    Args:
        database: opened with the directory's tables; see `open`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the database at an SQLAlchemy URL, and create missing tables."""
        return cls(open_database(url, create_tables=create_tables))

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def bind(self, chain_id: int, address: str) -> None:
        """Make this the directory of a contract on a chain; raises DirectoryError if it is another's."""

        def work(connection: Connection) -> None:
            row = connection.execute(select(state)).one()
            if row.works is None:
                connection.execute(update(state).values(chain_id=chain_id, works=address))
            elif (row.chain_id, row.works) != (chain_id, address):
                raise DirectoryError(
                    f"The directory is of the works {row.works} on chain {row.chain_id}.",
                    f"Use another database for the works {address} on chain {chain_id}.",
                )

        self.database.write(work)

    def contract(self) -> tuple[int | None, str | None]:
        """The chain and the address of the works that this is the directory of; None before `bind`."""
        with self.database.reading() as connection:
            row = connection.execute(select(state.c.chain_id, state.c.works)).one()
            return row.chain_id, row.works

    def last(self) -> Block | None:
        """The last block that was followed."""
        with self.database.reading() as connection:
            return _last(connection)

    def checkpoints(self) -> list[Block]:
        """The blocks that can be gone back to, newest first."""
        with self.database.reading() as connection:
            query = select(checkpoints).order_by(checkpoints.c.block.desc())
            return [Block(row.block, row.hash, row.time) for row in connection.execute(query)]

    def roll_back(self, to: Block | None) -> None:
        """Forget everything after a block, which was followed; for None, everything of the chain."""

        def work(connection: Connection) -> None:
            for table in BY_BLOCK:
                connection.execute(delete(table).where(table.c.block > (-1 if to is None else to.number)))
            _move_to(connection, to)
            _note_change(connection)

        self.database.write(work)

    def add(self, found: Sequence[Fact], lineages: Mapping[str, Lineage], *, after: Block | None, until: Block) -> None:
        """Add the facts of the next window of blocks.

        Args:
            found: all facts of the blocks from `after` to `until`.
            lineages: of each work that is registered in them.
            after: the block that was last followed.
            until: the last block of the window.

        Raises DirectoryError if something else was followed meanwhile.
        """

        def work(connection: Connection) -> None:
            if _last(connection) != after:
                raise DirectoryError("Another process follows the chain for this directory.", "Stop one of them.")
            for table, rows in _rows_by_table(found, lineages).items():
                for first in range(0, len(rows), _ROWS):
                    connection.execute(insert(table), rows[first : first + _ROWS])
            connection.execute(insert(checkpoints).values(block=until.number, hash=until.hash, time=until.time))
            _prune(connection)
            _move_to(connection, until)
            if any(isinstance(one, Registered | PrintStored) for one in found):
                _note_change(connection)

        self.database.write(work)

    def listings(self) -> list[str]:
        """The models whose answers prove works."""
        with self.database.reading() as connection:
            return list(connection.scalars(select(proofs.c.listing).distinct().order_by(proofs.c.listing)))

    def set_sound(self, found: Iterable[ModelState], *, prints: bool) -> None:
        """Replace what can be relied on: the models, by listing, and whether proven fingerprints can be."""
        rows = [{one.name: getattr(each, one.name) for one in fields(ModelState)} for each in found]

        def work(connection: Connection) -> None:
            known = [dict(row) for row in connection.execute(select(models).order_by(models.c.listing)).mappings()]
            if known == rows and connection.scalar(select(state.c.prints_sound)) == prints:
                return
            connection.execute(delete(models))
            if rows:
                connection.execute(insert(models), rows)
            connection.execute(update(state).values(prints_sound=prints))
            _note_change(connection)

        self.database.write(work)

    def count(self) -> int:
        """How many works there are."""
        with self.database.reading() as connection:
            return int(connection.scalar(select(func.count()).select_from(works)) or 0)

    def is_registered(self, *, attestation: str = "", manifest: str = "") -> bool:
        """Whether a work names this certificate, or this manifest store, by its digest as 0x and hex."""
        where = works.c.attestation == attestation if attestation else works.c.manifest == manifest
        with self.database.reading() as connection:
            return connection.execute(select(works.c.work).where(where).limit(1)).first() is not None

    def missing_manifests(self) -> dict[str, str]:
        """The files that hold a manifest store which a work names and the directory lacks: SHA-256 of file and store.

        Which file that is, the work's certificate says.
        """
        query = (
            select(certificates.c.sha256, works.c.manifest)
            .join(works, CERTIFIED)
            .outerjoin(manifests, manifests.c.digest == works.c.manifest)
            .where(works.c.manifest != ZERO_WORD, manifests.c.digest.is_(None))
        )
        with self.database.reading() as connection:
            return {row.sha256: row.manifest for row in connection.execute(query)}

    def put(self, document: StoredCertificate | StoredManifest) -> bool:
        """Keep a certificate or a manifest store, unless it is there; returns whether it is new."""
        table = certificates if isinstance(document, StoredCertificate) else manifests
        values = {one.name: getattr(document, one.name) for one in fields(document)}

        def work(connection: Connection) -> bool:
            if connection.execute(select(table.c.digest).where(table.c.digest == document.digest)).first() is not None:
                return False
            connection.execute(insert(table).values(values))
            _note_change(connection)
            return True

        return self.database.write(work)


def _last(connection: Connection) -> Block | None:
    row = connection.execute(select(state)).one()
    return None if row.block is None else Block(row.block, row.hash, row.time)


def _move_to(connection: Connection, block: Block | None) -> None:
    values: dict[str, Any] = {"block": None, "hash": None, "time": None}
    if block is not None:
        values = {"block": block.number, "hash": block.hash, "time": block.time}
    connection.execute(update(state).values(values))


def _note_change(connection: Connection) -> None:
    connection.execute(update(state).values(revision=state.c.revision + 1))


def _prune(connection: Connection) -> None:
    oldest = connection.scalar(
        select(checkpoints.c.block).order_by(checkpoints.c.block.desc()).offset(CHECKPOINTS - 1).limit(1)
    )
    if oldest is not None:
        connection.execute(delete(checkpoints).where(checkpoints.c.block < oldest))


def _rows_by_table(found: Sequence[Fact], lineages: Mapping[str, Lineage]) -> dict[Table, list[dict[str, Any]]]:
    rows: dict[Table, list[dict[str, Any]]] = {}
    for fact in found:
        table = FACTS[type(fact)]
        row = {one.name: _column(table, one.name, getattr(fact, one.name)) for one in fields(fact)}
        if isinstance(fact, Registered):
            lineage = lineages[fact.work]
            row = {name: value for name, value in row.items() if name != "parents"}
            row |= {"till": lineage.till, "registered": lineage.registered}
            rows.setdefault(parents, []).extend(_parents(fact, lineage))
        rows.setdefault(table, []).append(row)
    return {table: some for table, some in rows.items() if some}


def _column(table: Table, name: str, value: Any) -> Any:  # noqa: ANN401 - any fact's field
    """Amounts are text, see `tables`."""
    is_text = isinstance(value, int) and name in table.c and table.c[name].type.python_type is str
    return str(value) if is_text else value


def _parents(fact: Registered, lineage: Lineage) -> list[dict[str, Any]]:
    return [
        {"work": fact.work, "number": number, "parent": parent, "share_bps": share, "block": fact.block}
        for number, (parent, share) in enumerate(zip(fact.parents, lineage.shares, strict=True))
    ]


def database_url(text: str, *, exists: bool = False) -> str:
    """The URL of a directory's database, which may be named by its file.

    Raises InputError if the file has to exist and does not.
    """
    if "://" in text:
        return text
    path = Path(text).absolute()
    if exists and not path.is_file():
        raise InputError(f"There is no directory {path}.", "Make it first: zkinfer works index")
    return f"sqlite:///{path}"
