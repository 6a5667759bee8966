"""A job queue of the fake engine, and a server for it in this process."""

from __future__ import annotations

import itertools
import logging
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import grpc
import structlog
from google.longrunning.operations_pb2_grpc import OperationsStub, add_OperationsServicer_to_server
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status
from tests.unit.circuits.factories import X

from zkinfer.circuits import Context
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover import Prover
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs import JobRequest, JobStore, QueueLimits
from zkinfer.service.auth import Authenticator, TokenFile
from zkinfer.service.background import JobWatcher
from zkinfer.service.interceptors import (
    Interceptor,
    authenticate,
    limit_concurrency,
    map_errors,
    record_calls,
    request_id,
)
from zkinfer.service.limits import (
    ConcurrencyLimiter,
    MemoryBudget,
    RateLimiter,
    too_many_calls,
    too_many_health_watchers,
    too_many_streams,
    too_many_waiting,
)
from zkinfer.service.logs import configure
from zkinfer.service.metrics import Metrics
from zkinfer.service.request_reader import RequestMemory, RequestReader
from zkinfer.service.settings import Log, Settings
from zkinfer.service.transport import listen, make_server
from zkinfer.service.v1 import OperationsServicer
from zkinfer.service.v1.proofs import ProofsServicer
from zkinfer.service.verification import VerificationService
from zkinfer.v1.proofs_pb2_grpc import ProofsStub, add_ProofsServicer_to_server

if TYPE_CHECKING:
    from pathlib import Path
    from types import SimpleNamespace

    from zkinfer.prover.jobs import Job

ENGINES = {"fake/1": FakeEngine()}
MOST_WAITS = 100
_NUMBERS = itertools.count(1)


@dataclass
class Backend:
    """A job queue, its artifacts, and the circuit of the jobs."""

    tiny: SimpleNamespace
    folder: Path
    artifacts: ArtifactStore
    store: JobStore
    settings: Settings
    authenticator: Authenticator
    verifications: VerificationService
    metrics: Metrics = field(default_factory=Metrics)
    rates: RateLimiter = field(default_factory=lambda: RateLimiter(None))
    most_calls: int = 100
    most_watchers: int = 100
    read_seconds: float = 30.0
    memory: RequestMemory = field(default_factory=lambda: RequestMemory(1 << 20, 8 << 20))

    def submit(self, *, owner="anonymous", limits=None, **changes) -> Job:
        """Submit a unique job."""
        circuit = self.tiny.circuit
        request = JobRequest(
            owner=owner,
            model="tiny",
            version="1",
            circuit=circuit.digest,
            model_id=circuit.model_id,
            inputs=self.artifacts.put(b"inputs"),
            outputs=sha256(b"outputs"),
            context=Context(requestId=f"0x{next(_NUMBERS):064x}"),
            seconds=2.0,
        )
        return self.store.submit(replace(request, **changes), limits or QueueLimits()).job

    def claim(self):
        return self.store.claim("host/worker", lease_seconds=60)

    def prove(self) -> Job:
        """Complete the next job."""
        lease = self.claim()
        prover = Prover(home=self.tiny.home, engines=ENGINES)
        attestation = prover.prove(self.tiny.circuit, {"x": X}, lease.job.request.context).to_bytes()
        self.store.succeed(lease, self.artifacts.put(attestation), len(attestation))
        return self.store.get(lease.job.id)

    def models(self, identity):
        return {} if not identity.rights.may_use("tiny") else {sha256(self.tiny.model.read_bytes()): self.tiny.model}


@contextmanager
def backend(tiny, folder):
    artifacts = ArtifactStore(folder / "artifacts")
    store = JobStore(f"sqlite:///{folder / 'jobs.sqlite'}", artifacts)
    settings = Settings(repository=folder, listen="127.0.0.1:0", state=folder)
    authenticator = Authenticator(tokens=TokenFile(folder / "tokens.json"), local=True)
    verifications = VerificationService(tiny.home, engines=ENGINES)
    try:
        yield Backend(tiny, folder, artifacts, store, settings, authenticator, verifications, Metrics(store.counts))
    finally:
        verifications.close()
        store.close()


@dataclass
class Served:
    """A running server, and stubs for an anonymous caller."""

    backend: Backend
    address: str
    channel: aio.Channel

    @property
    def operations(self):
        return OperationsStub(self.channel)

    @property
    def proofs(self):
        return ProofsStub(self.channel)


def waiting():
    return ConcurrencyLimiter(MOST_WAITS, too_many_waiting)


def servicers(backend: Backend, server: aio.Server) -> None:
    operations = OperationsServicer(
        store=backend.store, watcher=JobWatcher(backend.store, 0.01), longest_wait=2.0, waiting=waiting(), page_size=3
    )
    proofs = ProofsServicer(
        operations=operations,
        artifacts=backend.artifacts,
        verifications=backend.verifications,
        models=backend.models,
        repository=None,
        submitter=None,
        metrics=backend.metrics,
        memory=MemoryBudget(1 << 30),
    )
    add_OperationsServicer_to_server(operations, server)
    add_ProofsServicer_to_server(proofs, server)


@asynccontextmanager
async def served(backend: Backend, credentials: grpc.ChannelCredentials | None = None, register=servicers, traced=()):
    calls, watchers = (
        ConcurrencyLimiter(backend.most_calls, too_many_calls),
        ConcurrencyLimiter(backend.most_watchers, too_many_health_watchers),
    )
    streams = ConcurrencyLimiter(backend.settings.limits.streams, too_many_streams)
    inside = limit_concurrency(calls, waiting(), streams, watchers)
    middleware = (
        *traced,
        record_calls(backend.metrics),
        map_errors(),
        authenticate(backend.authenticator, backend.rates),
        inside,
    )
    reader = RequestReader(backend.read_seconds, backend.memory)
    server = make_server(backend.settings, Interceptor(request_id, reader, *middleware))
    register(backend, server)
    address = listen(server, backend.settings)
    await server.start()
    target = address.replace("127.0.0.1", "localhost") if credentials else address
    channel = aio.secure_channel(target, credentials) if credentials else aio.insecure_channel(address)
    try:
        async with channel:
            yield Served(backend, address, channel)
    finally:
        await server.stop(None)


@contextmanager
def own_logging():
    """Undo at the end whatever the block configures of logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(Log(format="json"))
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def bearer(token: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {token}"),)


def details(error: aio.AioRpcError) -> dict[str, object]:
    """The details of an error by type name."""
    status = rpc_status.from_call(error)
    found = {}
    for detail in status.details:
        kind = detail.type_url.rpartition(".")[2]
        found[kind] = getattr(error_details_pb2, kind)()
        detail.Unpack(found[kind])
    return found
