"""The dependencies of one server: its capacity, and everything that is opened at the start and closed at the end."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import NoEncryption
from pydantic import SecretStr

from zkinfer.circuits.errors import why
from zkinfer.circuits.sandbox import resources
from zkinfer.circuits.storage import ensure_private_dir, read_passphrase_file
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.inference import InferencePools
from zkinfer.prover.jobs import JobStore, QueueLimits, RetryPolicy
from zkinfer.prover.repository import ModelRepository
from zkinfer.prover.workers import WorkerPool, WorkerSettings, this_host
from zkinfer.service.errors import SettingsError, StateInUseError
from zkinfer.service.limits import CostEstimator
from zkinfer.service.logs import format_of
from zkinfer.service.metrics import Metrics
from zkinfer.service.trust_root import ServerTrustRoot
from zkinfer.service.verification import VerificationService
from zkinfer.verifier import is_encrypted, load_signing_key
from zkinfer.verifier.trustroot.pins import Pins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.prover.repository import ModelVersion
    from zkinfer.service.identity import Identity
    from zkinfer.service.settings import Proving, Settings, WorksDirectory
    from zkinfer.service.submission import Mode
    from zkinfer.works.directory.lookup import Directory


_PROOF_MEMORY_SHARE = 0.8  # of the free memory at startup; the rest is for inference
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """The number of worker processes, and the memory that all proofs together may use."""

    workers: int
    memory_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Capacity:
        """From the settings; by default one worker for every two cores, because engines are multi-threaded."""
        proving = settings.proving
        workers = max(1, resources.cores() // 2) if proving.workers is None else proving.workers
        return cls(workers, proving.memory or int(resources.available_memory() * _PROOF_MEMORY_SHARE))


def limits_for(identity: Identity, settings: Settings, capacity: Capacity) -> QueueLimits:
    """The limits of an identity: its own rights, bounded by the settings and the machine."""
    own_limit = identity.rights.unfinished_jobs
    return QueueLimits(
        queued=settings.queue.queued,
        per_owner=settings.queue.per_owner if own_limit is None else own_limit,
        memory_bytes=min(capacity.memory_bytes, settings.queue.proof_memory or capacity.memory_bytes),
        seconds=min(settings.proving.job_seconds, settings.queue.proof_seconds or settings.proving.job_seconds),
    )


def retry_policy_of(settings: Settings) -> RetryPolicy:
    """How often jobs are retried, and how long they are kept."""
    queue = settings.queue
    return RetryPolicy(failures=queue.attempts, attempts=queue.begun, finished=queue.keep_days * _DAY)


@contextmanager
def locked_state(folder: Path) -> Iterator[None]:
    """Lock the state folder for this process; the kernel releases the lock when the process ends.

    Raises:
        InputError: other users can write to the folder.
        StateInUseError: another server holds the lock.
    """
    ensure_private_dir(folder)
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
                "Stop that server, or start this one with another --state.",
            ) from err
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Everything that the gRPC services and the background tasks use."""

    settings: Settings
    home: Home
    capacity: Capacity
    repository: ModelRepository
    answers: InferencePools
    artifacts: ArtifactStore
    store: JobStore
    workers: WorkerPool
    verifications: VerificationService
    estimator: CostEstimator
    metrics: Metrics
    works: Directory | None = None

    def proof_mode(self, model: ModelVersion) -> Mode:
        """The proof mode of a model's calls that name none: as set, else `sync` if a proof is predicted to be short.

        A proof of unknown length counts as long, and so does each of a server without workers.
        """
        if chosen := self.settings.proof_mode(model.name):
            return chosen
        short = 0 < self.estimator.of(model).seconds <= self.settings.proving.sync_seconds
        return "sync" if short and self.capacity.workers else "async"


def trust_root_of(settings: Settings, home: Home) -> ServerTrustRoot | None:
    """The configured trust root, read once so that the server does not start with an unusable one."""
    if settings.trust.root is None or settings.trust.fingerprint is None:
        return None
    root = ServerTrustRoot(settings.trust.root, settings.trust.fingerprint, Pins(home.trust))
    root.read()
    return root


def _directory(settings: WorksDirectory, stack: ExitStack) -> Directory | None:
    """The directory of works, closed by the stack; raises SettingsError, InputError or StoreError."""
    if settings.database is None:
        return None
    try:
        from zkinfer.works.directory.lookup import Directory  # noqa: PLC0415 - an extra
        from zkinfer.works.directory.store import database_url  # noqa: PLC0415
    except ModuleNotFoundError as err:
        raise SettingsError(
            "directory.database needs packages that are not installed.", "pip install 'zkinfer[works]'"
        ) from err
    if settings.roots is not None and not settings.roots.is_file():
        raise SettingsError(f"There is no file {settings.roots}.", "directory.roots names certificates in PEM.")
    url = database_url(settings.database.get_secret_value(), exists=True)
    return stack.enter_context(Directory(url, roots=settings.roots))


@contextmanager
def open_dependencies(
    settings: Settings,
    home: Home,
    *,
    engines: Mapping[str, Engine] | None = None,
    worker_command: Sequence[str] | None = None,
) -> Iterator[Dependencies]:
    """Open all dependencies; the workers are not started yet.

    Args:
        settings: of the server.
        home: setups, keys and the cache of rebuilt circuits.
        engines: by id; None for the production engines. Not reachable from settings.
        worker_command: runs a worker, if the engines need another command than the default.

    Raises:
        StateInUseError: another server uses the state folder.
        InputError, RepositoryError, StoreError: a dependency cannot be opened.
    """
    capacity = Capacity.of(settings)
    with ExitStack() as stack:
        stack.enter_context(locked_state(settings.state))
        repository = ModelRepository(settings.repository, home=home, engines=engines)
        artifacts = ArtifactStore(settings.state / "artifacts")
        store = JobStore(settings.store_url, artifacts, retry_policy=retry_policy_of(settings))
        stack.callback(store.close)
        answers = InferencePools()
        stack.callback(answers.close)
        verifications = VerificationService(
            home,
            max_concurrent=settings.limits.concurrent_verifications,
            seconds=settings.limits.verification_seconds,
            trust_root=trust_root_of(settings, home),
            engines=engines,
        )
        stack.callback(verifications.close)
        workers = _pool(settings, home, capacity, store, worker_command)
        yield Dependencies(
            settings=settings,
            home=home,
            capacity=capacity,
            repository=repository,
            answers=answers,
            artifacts=artifacts,
            store=store,
            workers=workers,
            verifications=verifications,
            estimator=CostEstimator(home),
            metrics=Metrics(store.counts, workers),
            works=_directory(settings.directory, stack),
        )


def _pool(
    settings: Settings, home: Home, capacity: Capacity, store: JobStore, command: Sequence[str] | None
) -> WorkerPool:
    """The worker pool; a server without workers still needs it to maintain the queue."""
    worker_settings = _worker_settings(settings, home, capacity)
    if command is None:
        return WorkerPool(store, worker_settings, size=capacity.workers)
    return WorkerPool(store, worker_settings, size=capacity.workers, command=command)


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
        retry_policy=retry_policy_of(settings),
    )


def _signing_key(proving: Proving) -> SecretStr | None:
    """The decrypted key, for the pipe to the workers; raises KeyFileError, SettingsError."""
    if proving.key is None:
        return None
    passphrase = _passphrase(proving) if is_encrypted(proving.key) else None
    key = load_signing_key(proving.key, passphrase=passphrase)
    return SecretStr(key.to_pem(NoEncryption()).decode())


def _passphrase(proving: Proving) -> bytes:
    if proving.passphrase_file is None:
        raise SettingsError(
            f"{proving.key} is encrypted.", "Set proving.passphrase_file, because a server cannot prompt."
        )
    return read_passphrase_file(proving.passphrase_file)
