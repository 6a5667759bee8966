"""The report server: reports for clients, signatures for peers, source files for auditors, metrics and health."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from zkinfer.circuits.errors import ZkinferError
from zkinfer.oracle.errors import NoReportError
from zkinfer.oracle.votes import MAX_REQUEST_BYTES, VoteRequest
from zkinfer.oracle.web import Guard, answer, on_error, on_http_error, read_body
from zkinfer.service.rest.http_server import HttpServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from zkinfer.oracle.adapter import Adapter
    from zkinfer.oracle.store import Store
    from zkinfer.oracle.streams_api import StreamsApi
    from zkinfer.oracle.votes import Voter
    from zkinfer.service.addresses import Address

_CONCURRENT: Final = 128
_CONNECTIONS: Final = 1024
_READ_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 3.0
_DIGEST: Final = re.compile("0x[0-9a-f]{64}")


def application(
    *,
    streams: StreamsApi,
    adapter: Adapter,
    voter: Voter,
    store: Store,
    documents: Mapping[str, bytes],
    registry: CollectorRegistry | None,
    healthy: Callable[[], bool],
    local: bool,
    hosts: Collection[str] = (),
) -> ASGIApp:
    """The application.

    Args:
        streams: reports.
        adapter: jobs of nodes.
        voter: signs peers' reports.
        store: of the daemon.
        documents: published beside the source files, by digest.
        registry: of the metrics; None to serve none.
        healthy: whether the daemon's loops run.
        local: whether only this machine can call.
        hosts: names of the server besides those of this machine.
    """

    async def vote(request: Request) -> Response:
        asked = VoteRequest.from_bytes(await read_body(request, MAX_REQUEST_BYTES))
        given = await asyncio.to_thread(voter.vote, asked)
        return answer(given.model_dump(mode="json"))

    async def source(request: Request) -> Response:
        digest = request.path_params["digest"]
        found = documents.get(digest)
        if found is None and _DIGEST.fullmatch(digest):
            found = await asyncio.to_thread(store.rounds.source, digest)
        if found is None:
            raise NoReportError("There is no such source file here.", "It may be older than what is kept.")
        # Named by its hash, so it never changes.
        headers = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
        return Response(found, 200, headers, "application/json")

    async def metrics(_: Request) -> Response:
        if registry is None:
            raise NoReportError(
                "Metrics are not served here.", "Set server.metrics; other machines can read them then."
            )
        return Response(await asyncio.to_thread(generate_latest, registry), media_type=CONTENT_TYPE_LATEST)

    async def health(_: Request) -> Response:
        fine = healthy()
        return answer({"healthy": fine}, 200 if fine else 503)

    routes = [
        *streams.routes,
        *adapter.routes,
        Route("/oracle/v1/sign", vote, methods=["POST"]),
        Route("/sources/{digest}", source),
        Route("/metrics", metrics),
        Route("/health", health),
    ]
    handlers: dict[Any, Any] = {ZkinferError: on_error, HTTPException: on_http_error}
    app = Starlette(routes=routes, exception_handlers=handlers)
    return Guard(app, local=local, hosts=hosts, concurrent=_CONCURRENT)


@asynccontextmanager
async def serving(app: ASGIApp, address: Address, tls: ssl.SSLContext | None) -> AsyncIterator[str]:
    """Serve an application during the block; yields the address with its port. Raises SettingsError."""
    server = HttpServer(app, address, tls, read_seconds=_READ_SECONDS, most_connections=_CONNECTIONS, websockets=True)
    bound = await server.listen()
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(_GRACE_SECONDS)
