"""A database of the operator, SQLite or PostgreSQL: serialised write transactions, and translation of errors.

The jobs have their tables in one; other packages may open it with tables of their own.

Every writer first takes the same lock, the database lock in SQLite and an advisory lock in PostgreSQL, so no other
writer can change data that it has read. Concurrent writes of threads in one process share one transaction and commit.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import sqlalchemy
from sqlalchemy import event, exc, insert, select
from sqlalchemy.engine import URL, make_url

from zkinfer.circuits.errors import InputError, ZkinferError, why
from zkinfer.circuits.storage import ensure_private_dir
from zkinfer.prover.errors import StoreError
from zkinfer.prover.jobs import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

T = TypeVar("T")
_WRITING = "zkinfer_writing"
_LOCK = 0x7A6B696E666572  # "zkinfer"
_MAX_BATCH = 64
_POSTGRES = "postgresql+psycopg"
_URL_FORMS = "Write sqlite:////path/to/jobs.db or postgresql+psycopg://user@host/database."


class Database:
    """A connection pool; create it with `open_database`."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._arrival = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_PendingWrite[Any]] = []

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a read-only connection with a consistent snapshot; raises StoreError."""
        with self._translate_errors(), self._engine.connect() as connection:
            yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return its result after the commit.

        Raises:
            StoreError: nothing was written.
            ZkinferError: raised by `work`, whose changes were rolled back.
        """
        entry = _PendingWrite(work)
        with self._arrival:
            self._waiting.append(entry)
        with self._turn:
            if not entry.tried:
                self._commit_together(self._next_batch())
        return entry.outcome()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @property
    def is_server(self) -> bool:
        """Whether other machines can reach the database."""
        return self._engine.dialect.name != "sqlite"

    def bind(self, artifacts: str) -> None:
        """Ensure that the jobs of this database refer to this artifact store; raises StoreError."""

        def work(connection: Connection) -> None:
            found = connection.scalar(select(schema.place.c.artifacts))
            if found is None:
                connection.execute(insert(schema.place).values(id=1, artifacts=artifacts))
            elif found != artifacts:
                raise StoreError(
                    f"The jobs of the database {self._name} have their files in another state folder.",
                    "Each database belongs to one state folder: use another database, or move the folder with it.",
                )

        self.write(work)

    def _next_batch(self) -> list[_PendingWrite[Any]]:
        with self._arrival:
            batch, self._waiting = self._waiting[:_MAX_BATCH], self._waiting[_MAX_BATCH:]
        return batch

    def _commit_together(self, batch: list[_PendingWrite[Any]]) -> None:
        for entry in batch:
            entry.tried = True
        try:
            with self._translate_errors(), self._engine.connect() as plain:
                connection = plain.execution_options(**{_WRITING: True})
                with connection.begin():
                    for entry in batch:
                        entry.run(connection, alone=len(batch) == 1)
        except ZkinferError as err:
            for entry in batch:
                entry.failed = err
        else:
            for entry in batch:
                entry.committed = True

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (exc.DBAPIError, exc.TimeoutError) as err:
            raise _store_error(self._name, err) from err


class _PendingWrite(Generic[T]):
    """One caller's work in a shared transaction."""

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self._work = work
        self._result: list[T] = []
        self.tried = False
        self.committed = False
        self.failed: ZkinferError | None = None

    def run(self, connection: Connection, *, alone: bool) -> None:
        """Run the work; a failure is rolled back without affecting other entries."""
        if alone:
            self._result.append(self._work(connection))
            return
        try:
            with connection.begin_nested():
                self._result.append(self._work(connection))
        except ZkinferError as err:
            self.failed = err

    def outcome(self) -> T:
        """Return the result or raise the error."""
        if self.failed is not None:
            raise self.failed
        if not self.committed:
            raise StoreError("The transaction was abandoned.", "Try again.")
        return self._result[0]


def open_database(
    url: str,
    *,
    busy_seconds: float = 10.0,
    artifact_store_id: Callable[[], str] | None = None,
    create_tables: Callable[[Connection], None] | None = None,
) -> Database:
    """Open a database and create missing tables.

    Args:
        url: an SQLAlchemy URL; SQLite in a file, or PostgreSQL with psycopg.
        busy_seconds: how long to wait for a writer in another process.
        artifact_store_id: returns the id of the artifact store; called if other machines can reach the database.
        create_tables: creates what is missing, and refuses what a newer version wrote; by default the tables of jobs.

    Raises:
        StoreError: the database cannot be opened, is of another kind, was written by a newer version of zkinfer, or
            belongs to another artifact store.
    """
    parsed = _parsed(url)
    engine = (
        _sqlite(parsed, busy_seconds) if parsed.drivername.startswith("sqlite") else _postgres(parsed, busy_seconds)
    )
    database = Database(engine, parsed.render_as_string(hide_password=True))
    try:
        database.write(create_tables or _create_tables)
        if artifact_store_id is not None and database.is_server:
            database.bind(artifact_store_id())
    except ZkinferError:
        database.close()
        raise
    return database


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as err:
        raise StoreError("The URL of the database is invalid.", _URL_FORMS) from err
    in_file = parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:")
    if not in_file and parsed.drivername != _POSTGRES:
        raise StoreError(f"The database {parsed.drivername} is not supported.", _URL_FORMS)
    return parsed


def _sqlite(url: URL, busy_seconds: float) -> Engine:
    path = Path(url.database or "").absolute()
    try:
        ensure_private_dir(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # its journal gets the same permissions
    except InputError as err:
        raise StoreError(err.cause, err.cure) from err
    except OSError as err:
        raise StoreError(f"{path} cannot be opened: {why(err)}.", "Check the path and its permissions.") from err
    engine = sqlalchemy.create_engine(url.set(database=str(path)), connect_args={"timeout": busy_seconds})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own
        connection.isolation_level = None  # transactions are begun explicitly
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get(_WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _postgres(url: URL, busy_seconds: float) -> Engine:
    wait = round(busy_seconds * 1000)
    # A host that disappears within a transaction must not block the others for hours.
    options = f"-c lock_timeout={wait} -c idle_in_transaction_session_timeout=15000 -c synchronous_commit=on"
    arguments = {"connect_timeout": 10, "options": options, "tcp_user_timeout": 15_000}
    try:
        engine = sqlalchemy.create_engine(url, pool_pre_ping=True, connect_args=arguments)
    except ModuleNotFoundError as err:
        raise StoreError("psycopg is not installed.", "Run: pip install 'zkinfer[postgres]'") from err

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITING):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    return engine


def _create_tables(connection: Connection) -> None:
    schema.metadata.create_all(connection)
    found = connection.scalar(select(schema.state.c.schema_version))
    if found is None:
        connection.execute(insert(schema.state).values(id=1, schema_version=schema.SCHEMA_VERSION, revision=0))
    elif found > schema.SCHEMA_VERSION:
        raise StoreError(
            f"The job database has schema {found}; this version of zkinfer supports {schema.SCHEMA_VERSION}.",
            "A newer version wrote it: update zkinfer, or use another database.",
        )


_KNOWN_ERRORS = (
    ("full", "The disk or the database is full.", "Free space; jobs resume automatically."),
    ("no space", "The disk of the database is full.", "Free space; jobs resume automatically."),
    ("locked", "Another process holds the lock of the database.", "Find it and stop it."),
    ("lock timeout", "Another process holds the lock of the database.", "Find it and stop it."),
    ("readonly", "The database cannot be written.", "Check the permissions of the file and its folder."),
    ("read-only", "The database cannot be written.", "It is a standby, or its disk is read-only."),
    ("not a database", "This file is not a database.", "Use another, or restore it from a backup."),
    ("malformed", "The database is damaged.", "Restore it from a backup."),
)


def _store_error(name: str, err: Exception) -> StoreError:
    lines = str(getattr(err, "orig", None) or err).strip().splitlines()
    first = lines[0] if lines else type(err).__name__
    for pattern, cause, cure in _KNOWN_ERRORS:
        if pattern in first.lower():
            return StoreError(f"{cause} ({name}: {first})", cure)
    return StoreError(f"The database {name} failed: {first}.", "Check that it is running and reachable.")
