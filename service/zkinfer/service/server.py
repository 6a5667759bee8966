"""One server, from its settings to its last answer."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.longrunning.operations_pb2_grpc import add_OperationsServicer_to_server
from grpc_health.v1.health import aio as health_aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from zkinfer.circuits.circuit import MODEL
from zkinfer.circuits.digest import Digest
from zkinfer.service.addresses import Address
from zkinfer.service.auth import Gate
from zkinfer.service.background import Tending
from zkinfer.service.capacity import limits_for
from zkinfer.service.dependencies import opened_parts
from zkinfer.service.interceptors import Interceptor, authenticated, bounded, explained, observed, request_id
from zkinfer.service.job_events import Watch
from zkinfer.service.limits import Rates, Shares, too_many_calls, too_many_linger, too_many_watchers
from zkinfer.service.logs import log
from zkinfer.service.oip import INFERENCE, Attesting, InferenceServicer
from zkinfer.service.oip import register as register_inference
from zkinfer.service.request_reader import Reading
from zkinfer.service.submission import Intake
from zkinfer.service.tokens import TokenFile
from zkinfer.service.tracing import tracing
from zkinfer.service.transport import listen, make_server, reflect
from zkinfer.service.v1 import Estimates, OperationsServicer
from zkinfer.service.v1.models import ModelsServicer
from zkinfer.service.v1.proofs import ProofsServicer
from zkinfer.v1.models_pb2_grpc import add_ModelsServicer_to_server
from zkinfer.v1.proofs_pb2_grpc import add_ProofsServicer_to_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from grpc import aio

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.service.dependencies import Parts
    from zkinfer.service.identity import Identity
    from zkinfer.service.interceptors import Around
    from zkinfer.service.settings import Settings

OPERATIONS, PROOFS, MODELS = "google.longrunning.Operations", "zkinfer.v1.Proofs", "zkinfer.v1.Models"
HEALTH = "grpc.health.v1.Health"
_SWITCH_SECONDS = 0.0005
_WATCHERS = 64  # places; half of them are taken, since nobody has a name there


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: where, and with what."""

    address: str
    parts: Parts


async def serve(
    settings: Settings,
    home: Home,
    *,
    started: Callable[[Running], None],
    engines: Mapping[str, Engine] | None = None,
    worker_command: Sequence[str] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then end what is under way; a second signal ends it at once.

    Args:
        settings: of the server.
        home: setups and keys.
        started: told once calls are answered.
        engines: see `opened_parts`; so is `worker_command`.

    Raises:
        ZkinferError: it cannot start.
    """
    # Every answer passes from a thread to the loop and back; whoever is handed one should not wait for 5 ms.
    sys.setswitchinterval(_SWITCH_SECONDS)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(settings, home, engines=engines, worker_command=worker_command) as server:
        gc.freeze()  # what a server is made of stays: no call need wait while it is searched for garbage
        started(server)
        await stopping.wait()
        log.info("stopping")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def running(
    settings: Settings,
    home: Home,
    *,
    engines: Mapping[str, Engine] | None = None,
    worker_command: Sequence[str] | None = None,
) -> AsyncIterator[Running]:
    """A server that answers as long as the block runs, and is drained at its end; see `serve`."""
    async with AsyncExitStack() as stack:
        parts = stack.enter_context(opened_parts(settings, home, engines=engines, worker_command=worker_command))
        watch, health = Watch(parts.store), health_aio.HealthServicer()
        lingering = Shares(settings.limits.concurrent_calls // 2, too_many_linger)
        reading = Reading(settings.limits.read_seconds)
        server = make_server(settings, Interceptor(request_id, reading, *_arounds(parts, lingering, stack)))
        intake = _intake(parts)
        stack.callback(intake.close)
        _register(server, parts, watch, intake, lingering, health)
        _register_inference(server, parts, watch, intake, lingering)
        stack.push_async_callback(_drain, server, parts, watch, health)
        tending = Tending(parts, health, proving=(OPERATIONS, PROOFS), answering=(MODELS, INFERENCE))
        address = listen(server, settings)
        if settings.metrics:
            stack.callback(parts.metrics.serve(Address.parse(settings.metrics)))
        parts.workers.start()
        await tending.take_over_models()
        await server.start()
        for work in (tending.watch_models(), tending.follow_jobs()):
            stack.push_async_callback(_ended, tending.begin(work))
        yield Running(address, parts)


def _arounds(parts: Parts, lingering: Shares, stack: AsyncExitStack) -> list[Around]:
    """What runs around every call, outermost first."""
    settings = parts.settings
    subjects = settings.tls.subjects
    tokens = TokenFile(settings.token_file)
    tokens.exists()  # looked at now, so that nobody is let in without a token when it goes before the first call
    gate = Gate(
        tokens=tokens,
        certificates=settings.tls.client_ca is not None,
        subjects=None if subjects is None else {name: subject.rights for name, subject in subjects.items()},
        local=settings.address.is_local,
        anonymous=settings.insecure_anonymous,
    )
    traced: list[Around] = []
    if settings.telemetry.endpoint:
        around, flush = tracing(settings.telemetry)
        stack.callback(flush)
        traced.append(around)
    rates = Rates(settings.limits.calls_per_second)
    calls = Shares(settings.limits.concurrent_calls, too_many_calls)
    inside = bounded(calls, lingering, Shares(_WATCHERS, too_many_watchers))
    return [*traced, observed(parts.metrics), explained(), authenticated(gate, rates), inside]


def _register(
    server: aio.Server,
    parts: Parts,
    watch: Watch,
    intake: Intake,
    lingering: Shares,
    health: health_aio.HealthServicer,
) -> None:
    limits = parts.settings.limits
    operations = OperationsServicer(
        store=parts.store,
        watch=watch,
        estimates=Estimates(parts.capacity.workers),
        longest_wait=limits.wait_seconds,
        lingering=lingering,
        page_size=limits.page_size,
    )
    proofs = ProofsServicer(
        operations=operations,
        artifacts=parts.artifacts,
        verifications=parts.verifications,
        models=lambda identity: _model_files(parts, identity),
        repository=parts.repository,
        intake=intake,
        metrics=parts.metrics,
    )
    models = ModelsServicer(repository=parts.repository, predictions=parts.predictions, page_size=limits.page_size)
    add_OperationsServicer_to_server(operations, server)
    add_ProofsServicer_to_server(proofs, server)
    add_ModelsServicer_to_server(models, server)
    add_HealthServicer_to_server(health, server)
    if parts.settings.reflection:
        reflect((OPERATIONS, PROOFS, MODELS, INFERENCE, HEALTH), server)


def _intake(parts: Parts) -> Intake:
    return Intake(
        answers=parts.answers,
        store=parts.store,
        predictions=parts.predictions,
        limits=lambda identity: limits_for(identity, parts.settings, parts.capacity),
    )


def _register_inference(server: aio.Server, parts: Parts, watch: Watch, intake: Intake, lingering: Shares) -> None:
    attesting = Attesting(watch, parts.artifacts)
    servicer = InferenceServicer(
        repository=parts.repository,
        intake=intake,
        attesting=attesting,
        metrics=parts.metrics,
        ending=watch.ending,
        lingering=lingering,
    )
    register_inference(servicer, server)


def _model_files(parts: Parts, identity: Identity) -> Mapping[Digest, Path]:
    """The ONNX files that an identity may have attestations checked against."""
    names = {entry.name for entry in parts.repository.index() if identity.rights.may_use(entry.name)}
    circuits = [model.circuit for name in names for model in parts.repository.versions(name)]
    return {Digest.parse(circuit.manifest.identity.model): circuit.folder / MODEL for circuit in circuits}


async def _drain(server: aio.Server, parts: Parts, watch: Watch, health: health_aio.HealthServicer) -> None:
    """Take no more calls, let go of those who wait, and give the others and the workers time to end."""
    await health.enter_graceful_shutdown()
    watch.close()
    await asyncio.gather(server.stop(parts.settings.proving.grace_seconds), asyncio.to_thread(parts.workers.drain))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
