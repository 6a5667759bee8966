"""What several tests here need: a queue with jobs of the fake engine, and a server over it in this process."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import grpc
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
from zkinfer.service.auth import Gate
from zkinfer.service.interceptors import Interceptor, authenticated, bounded, explained, observed, request_id
from zkinfer.service.job_events import Watch
from zkinfer.service.limits import Rates, Shares, too_many_calls, too_many_linger, too_many_watchers
from zkinfer.service.metrics import Metrics
from zkinfer.service.request_reader import Reading
from zkinfer.service.settings import Settings
from zkinfer.service.tokens import TokenFile
from zkinfer.service.transport import listen, make_server
from zkinfer.service.v1 import OperationsServicer
from zkinfer.service.v1.proofs import ProofsServicer
from zkinfer.service.verification import Verifications
from zkinfer.v1.proofs_pb2_grpc import ProofsStub, add_ProofsServicer_to_server

if TYPE_CHECKING:
    from pathlib import Path
    from types import SimpleNamespace

    from zkinfer.prover.jobs import Job

ENGINES = {"fake/1": FakeEngine()}
MOST_WAITS = 100
_NUMBERS = itertools.count(1)


@dataclass
class Desk:
    """A queue of jobs, their artifacts, and the circuit that they are about."""

    made: SimpleNamespace
    folder: Path
    artifacts: ArtifactStore
    store: JobStore
    settings: Settings
    gate: Gate
    verifications: Verifications
    metrics: Metrics = field(default_factory=Metrics)
    rates: Rates = field(default_factory=lambda: Rates(None))
    most_calls: int = 100
    most_watchers: int = 100
    read_seconds: float = 30.0

    def submit(self, *, owner="anonymous", limits=None, **changes) -> Job:
        """A job of its own, whatever was submitted before."""
        circuit = self.made.circuit
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
        """Work off the next job."""
        lease = self.claim()
        prover = Prover(home=self.made.home, engines=ENGINES)
        attestation = prover.prove(self.made.circuit, {"x": X}, lease.job.request.context).to_bytes()
        self.store.succeed(lease, self.artifacts.put(attestation), len(attestation))
        return self.store.get(lease.job.id)

    def models(self, identity):
        return {} if not identity.rights.may_use("tiny") else {sha256(self.made.model.read_bytes()): self.made.model}


@contextmanager
def desk(made, folder):
    artifacts = ArtifactStore(folder / "artifacts")
    store = JobStore.open(f"sqlite:///{folder / 'jobs.sqlite'}", artifacts)
    settings = Settings(repository=folder, listen="127.0.0.1:0", state=folder)
    gate = Gate(tokens=TokenFile(folder / "tokens.json"), local=True)
    verifications = Verifications(made.home, engines=ENGINES)
    try:
        yield Desk(made, folder, artifacts, store, settings, gate, verifications, Metrics(store.counts))
    finally:
        verifications.close()
        store.close()


@dataclass
class Served:
    """A server that runs, and stubs of an anonymous caller."""

    desk: Desk
    address: str
    channel: aio.Channel

    @property
    def operations(self):
        return OperationsStub(self.channel)

    @property
    def proofs(self):
        return ProofsStub(self.channel)


def lingering():
    return Shares(MOST_WAITS, too_many_linger)


def servicers(desk: Desk, server: aio.Server) -> None:
    operations = OperationsServicer(
        store=desk.store, watch=Watch(desk.store, 0.01), longest_wait=2.0, lingering=lingering(), page_size=3
    )
    proofs = ProofsServicer(
        operations=operations,
        artifacts=desk.artifacts,
        verifications=desk.verifications,
        models=desk.models,
        repository=None,
        intake=None,
        metrics=desk.metrics,
    )
    add_OperationsServicer_to_server(operations, server)
    add_ProofsServicer_to_server(proofs, server)


@asynccontextmanager
async def served(desk: Desk, credentials: grpc.ChannelCredentials | None = None, register=servicers, traced=()):
    calls, watchers = Shares(desk.most_calls, too_many_calls), Shares(desk.most_watchers, too_many_watchers)
    inside = bounded(calls, lingering(), watchers)
    arounds = (*traced, observed(desk.metrics), explained(), authenticated(desk.gate, desk.rates), inside)
    server = make_server(desk.settings, Interceptor(request_id, Reading(desk.read_seconds), *arounds))
    register(desk, server)
    address = listen(server, desk.settings)
    await server.start()
    target = address.replace("127.0.0.1", "localhost") if credentials else address
    channel = aio.secure_channel(target, credentials) if credentials else aio.insecure_channel(address)
    try:
        async with channel:
            yield Served(desk, address, channel)
    finally:
        await server.stop(None)


def bearer(token: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {token}"),)


def details(error: aio.AioRpcError) -> dict[str, object]:
    """The details of an error by the name of their kind."""
    status = rpc_status.from_call(error)
    found = {}
    for detail in status.details:
        kind = detail.type_url.rpartition(".")[2]
        found[kind] = getattr(error_details_pb2, kind)()
        detail.Unpack(found[kind])
    return found
