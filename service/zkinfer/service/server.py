"""The lifecycle of a server: open the dependencies, register the services, serve, drain."""

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

from zkinfer.service.addresses import Address
from zkinfer.service.auth import Authenticator, TokenFile
from zkinfer.service.background import BackgroundTasks, JobWatcher, limit_allocator, return_memory
from zkinfer.service.dependencies import open_dependencies
from zkinfer.service.errors import SettingsError
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
    RateLimiter,
    too_many_calls,
    too_many_health_watchers,
    too_many_streams,
    too_many_waiting,
)
from zkinfer.service.logs import log
from zkinfer.service.oip import INFERENCE
from zkinfer.service.oip import register as register_inference
from zkinfer.service.request_reader import RequestMemory, RequestReader
from zkinfer.service.servicers import make_servicers, make_submitter
from zkinfer.service.tracing import trace_calls
from zkinfer.service.transport import enable_reflection, listen, make_server
from zkinfer.v1.models_pb2_grpc import add_ModelsServicer_to_server
from zkinfer.v1.proofs_pb2_grpc import add_ProofsServicer_to_server
from zkinfer.v1.works_pb2_grpc import add_WorksServicer_to_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from grpc import aio

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.service.dependencies import Dependencies
    from zkinfer.service.interceptors import Middleware
    from zkinfer.service.rest.http_server import HttpServer
    from zkinfer.service.servicers import Servicers
    from zkinfer.service.settings import Settings

OPERATIONS, PROOFS, MODELS = "google.longrunning.Operations", "zkinfer.v1.Proofs", "zkinfer.v1.Models"
WORKS = "zkinfer.v1.Works"
HEALTH = "grpc.health.v1.Health"
_SWITCH_SECONDS = 0.0005
_WATCHERS = 64  # slots; all health watchers count as one caller, which gets half of them


@dataclass(frozen=True, slots=True)
class Running:
    """A running server: its address, its dependencies, and the address at which it serves HTTP, if it does."""

    address: str
    dependencies: Dependencies
    rest_address: str | None = None


async def serve(
    settings: Settings,
    home: Home,
    *,
    started: Callable[[Running], None],
    engines: Mapping[str, Engine] | None = None,
    worker_command: Sequence[str] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal terminates immediately.

    Args:
        settings: of the server.
        home: setups and keys.
        started: called once the server accepts calls.
        engines: as `open_dependencies`.
        worker_command: as `open_dependencies`.

    Raises:
        ZkinferError: the server cannot start.
    """
    # Every answer passes from a thread to the event loop; the default switch interval of 5 ms would delay it.
    sys.setswitchinterval(_SWITCH_SECONDS)
    limit_allocator()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(settings, home, engines=engines, worker_command=worker_command) as server:
        gc.freeze()  # keeps start-up objects out of garbage collection, which would delay calls
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
    """A server that runs during the block and is drained at its end; see `serve`."""
    async with AsyncExitStack() as stack:
        dependencies = stack.enter_context(
            open_dependencies(settings, home, engines=engines, worker_command=worker_command)
        )
        watcher, health = JobWatcher(dependencies.store), health_aio.HealthServicer()
        waiting = ConcurrencyLimiter(settings.limits.concurrent_calls // 2, too_many_waiting)
        memory = RequestMemory(settings.limits.message_bytes, settings.limits.memory)
        reader = RequestReader(settings.limits.read_seconds, memory)
        middleware = _middleware(dependencies, waiting, stack)
        server = make_server(settings, Interceptor(request_id, reader, *middleware(settings.address)))
        submitter = make_submitter(dependencies, memory.answering)
        stack.callback(submitter.close)
        servicers = make_servicers(
            dependencies, watcher=watcher, submitter=submitter, waiting=waiting, memory=memory.answering
        )
        _register(server, dependencies, servicers, health)
        rest = _rest_server(settings, servicers, reader, middleware)
        stack.push_async_callback(_drain, server, rest, dependencies, watcher, health)
        background = BackgroundTasks(
            dependencies, health, proof_services=(OPERATIONS, PROOFS), inference_services=(MODELS, WORKS, INFERENCE)
        )
        address = listen(server, settings)
        rest_address = await rest.listen() if rest else None
        if settings.metrics:
            stack.callback(dependencies.metrics.serve(Address.parse(settings.metrics)))
        dependencies.workers.start()
        await background.sync_models()
        _warn_of_unknown_models(dependencies)
        await server.start()
        if rest:
            await rest.start()
        for work in (background.poll_models(), background.record_finished_jobs(), return_memory()):
            stack.push_async_callback(_cancel, background.start(work))
        yield Running(address, dependencies, rest_address)


def _warn_of_unknown_models(dependencies: Dependencies) -> None:
    """Warn of settings of models that the repository does not have; they may be added later."""
    known = {entry.name for entry in dependencies.repository.index()}
    for name in sorted(dependencies.settings.models.keys() - known):
        log.warning("settings of a model that is not in the repository", model=name)


def _middleware(
    dependencies: Dependencies, waiting: ConcurrencyLimiter, stack: AsyncExitStack
) -> Callable[[Address], list[Middleware]]:
    """Makes the middleware of a listening address, outermost first. All addresses share limits, tokens and rates."""
    settings = dependencies.settings
    subjects = settings.tls.subjects
    tokens = TokenFile(settings.token_file)
    tokens.exists()  # remembers the file: its removal before the first call must not allow anonymous callers
    traced: list[Middleware] = []
    if settings.telemetry.endpoint:
        middleware, flush = trace_calls(settings.telemetry)
        stack.callback(flush)
        traced.append(middleware)
    rates = RateLimiter(settings.limits.calls_per_second)
    calls = ConcurrencyLimiter(settings.limits.concurrent_calls, too_many_calls)
    streams = ConcurrencyLimiter(settings.limits.streams, too_many_streams)
    limited = limit_concurrency(calls, waiting, streams, ConcurrencyLimiter(_WATCHERS, too_many_health_watchers))

    def around(address: Address) -> list[Middleware]:
        authenticator = Authenticator(
            tokens=tokens,
            certificates=settings.tls.client_ca is not None,
            subjects=None if subjects is None else {name: subject.rights for name, subject in subjects.items()},
            local=address.is_local,
            anonymous=settings.insecure_anonymous,
        )
        return [*traced, record_calls(dependencies.metrics), map_errors(), authenticate(authenticator, rates), limited]

    return around


def _register(
    server: aio.Server, dependencies: Dependencies, servicers: Servicers, health: health_aio.HealthServicer
) -> None:
    add_OperationsServicer_to_server(servicers.operations, server)
    add_ProofsServicer_to_server(servicers.proofs, server)
    add_ModelsServicer_to_server(servicers.models, server)
    add_WorksServicer_to_server(servicers.works, server)
    add_HealthServicer_to_server(health, server)
    register_inference(servicers.inference, server)
    if dependencies.settings.reflection:
        enable_reflection((OPERATIONS, PROOFS, MODELS, WORKS, INFERENCE, HEALTH), server)


def _rest_server(
    settings: Settings,
    servicers: Servicers,
    reader: RequestReader,
    middleware: Callable[[Address], list[Middleware]],
) -> HttpServer | None:
    """The server of HTTP, if it is configured; raises SettingsError if its extra is not installed."""
    if settings.rest.address is None:
        return None
    try:
        from zkinfer.service.rest import make_http_server  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as err:
        raise SettingsError(
            "rest.listen needs packages that are not installed.", "pip install 'zkinfer[rest]'"
        ) from err
    return make_http_server(settings, settings.rest.address, servicers, reader, middleware(settings.rest.address))


async def _drain(
    server: aio.Server,
    rest: HttpServer | None,
    dependencies: Dependencies,
    watcher: JobWatcher,
    health: health_aio.HealthServicer,
) -> None:
    """Accept no more calls, release waiting callers, and give calls and workers time to finish."""
    await health.enter_graceful_shutdown()
    watcher.close()
    seconds = dependencies.settings.proving.grace_seconds
    stops = [server.stop(seconds), *([rest.stop(seconds)] if rest else [])]
    await asyncio.gather(*stops, asyncio.to_thread(dependencies.workers.drain))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
