"""The parts of one server, opened from its settings and closed in reverse order."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import NoEncryption
from pydantic import SecretStr

from zkinfer.circuits.errors import InputError, why
from zkinfer.circuits.storage import own_directory
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.inference import Answers
from zkinfer.prover.jobs import JobStore
from zkinfer.prover.repository import ModelRepository
from zkinfer.prover.workers import WorkerPool, WorkerSettings, this_host
from zkinfer.service.capacity import Capacity, patience_of
from zkinfer.service.errors import SettingsError, StateInUseError
from zkinfer.service.estimates import Predictions
from zkinfer.service.logs import format_of
from zkinfer.service.metrics import Metrics
from zkinfer.service.verification import Verifications
from zkinfer.verifier import is_encrypted, load_signing_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.service.settings import Proving, Settings


@contextmanager
def locked_state(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the kernel lets go when it ends, however it ends.

    Raises:
        InputError: others can write there.
        StateInUseError: another server holds it.
    """
    own_directory(folder)
    path = folder / "server.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise StateInUseError(f"{path} cannot be written: {why(err)}.") from err
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            raise StateInUseError(
                f"The server with process id {holder or '?'} uses {folder}.",
                "Stop it, or give this one another --state.",
            ) from err
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that answers, proves and remembers."""

    settings: Settings
    home: Home
    capacity: Capacity
    repository: ModelRepository
    answers: Answers
    artifacts: ArtifactStore
    store: JobStore
    workers: WorkerPool
    verifications: Verifications
    predictions: Predictions
    metrics: Metrics


@contextmanager
def opened_parts(
    settings: Settings,
    home: Home,
    *,
    engines: Mapping[str, Engine] | None = None,
    worker_command: Sequence[str] | None = None,
) -> Iterator[Parts]:
    """Open everything; workers are not started yet.

    Args:
        settings: of the server.
        home: setups, keys and what was rebuilt.
        engines: by id; None for those whose proofs mean something. No setting reaches it.
        worker_command: what runs as a worker, where those engines need another.

    Raises:
        StateInUseError: another server uses the state folder.
        InputError, RepositoryError, StoreError: something cannot be opened.
    """
    capacity = Capacity.of(settings)
    with ExitStack() as stack:
        stack.enter_context(locked_state(settings.state))
        repository = ModelRepository(settings.repository, home=home, engines=engines)
        artifacts = ArtifactStore(settings.state / "artifacts")
        store = JobStore.open(settings.store_url, artifacts, patience=patience_of(settings))
        stack.callback(store.close)
        answers = Answers()
        stack.callback(answers.close)
        verifications = Verifications(home, at_a_time=settings.limits.concurrent_verifications, engines=engines)
        stack.callback(verifications.close)
        workers = _pool(settings, home, capacity, store, worker_command)
        yield Parts(
            settings=settings,
            home=home,
            capacity=capacity,
            repository=repository,
            answers=answers,
            artifacts=artifacts,
            store=store,
            workers=workers,
            verifications=verifications,
            predictions=Predictions(home),
            metrics=Metrics(store.counts, workers),
        )


def _pool(
    settings: Settings, home: Home, capacity: Capacity, store: JobStore, command: Sequence[str] | None
) -> WorkerPool:
    """Also a server without workers keeps the queue in order."""
    told = _worker_settings(settings, home, capacity)
    if command is None:
        return WorkerPool(store, told, size=capacity.workers)
    return WorkerPool(store, told, size=capacity.workers, command=command)


def _worker_settings(settings: Settings, home: Home, capacity: Capacity) -> WorkerSettings:
    return WorkerSettings(
        database=SecretStr(settings.store_url),
        artifacts=str((settings.state / "artifacts").absolute()),
        repository=str(settings.repository.absolute()),
        home=str(home.root.absolute()),
        setup_search=tuple(str(folder.absolute()) for folder in home.setup_search),
        host=this_host(),
        signing_key=_signing_key(settings.proving),
        memory_bytes=capacity.memory_bytes,
        job_seconds=settings.proving.job_seconds,
        lease_seconds=settings.proving.lease_seconds,
        grace_seconds=settings.proving.grace_seconds,
        log_level=settings.log.level,
        log_format=format_of(settings.log),
        patience=patience_of(settings),
    )


def _signing_key(proving: Proving) -> SecretStr | None:
    """The key in the clear, for the pipe to the workers; raises KeyFileError, SettingsError."""
    if proving.key is None:
        return None
    passphrase = _passphrase(proving) if is_encrypted(proving.key) else None
    key = load_signing_key(proving.key, passphrase=passphrase)
    return SecretStr(key.to_pem(NoEncryption()).decode())


def _passphrase(proving: Proving) -> bytes:
    if proving.passphrase_file is None:
        raise SettingsError(f"{proving.key} is encrypted.", "Set proving.passphrase_file: a server cannot ask.")
    try:
        lines = proving.passphrase_file.read_bytes().splitlines()
    except OSError as err:
        raise SettingsError(f"{proving.passphrase_file} cannot be read: {why(err)}.") from err
    if not lines or not lines[0]:
        raise InputError(f"{proving.passphrase_file} holds no passphrase.", "Write it on the first line.")
    return lines[0]
