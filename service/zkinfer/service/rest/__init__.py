"""The HTTP interface: the Open Inference Protocol v2 in JSON, and jobs, attestations and models under `/v1`.

It is a second door to the services that gRPC serves. It translates, and holds no state of its own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from zkinfer.service.auth import OPENAPI
from zkinfer.service.rest.application import application, check_source
from zkinfer.service.rest.handlers import JSON, Answer
from zkinfer.service.rest.http_server import HttpServer
from zkinfer.service.rest.openapi import openapi
from zkinfer.service.rest.route import Route
from zkinfer.service.rest.routes import routes
from zkinfer.service.rest.tls import ReloadingContext
from zkinfer.service.transport import MAX_BEING_REJECTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.service.addresses import Address
    from zkinfer.service.interceptors import Middleware
    from zkinfer.service.request_reader import RequestReader
    from zkinfer.service.rest.request import HttpRequest
    from zkinfer.service.servicers import Servicers
    from zkinfer.service.settings import Settings

__all__ = ["HttpServer", "make_http_server"]


def make_http_server(
    settings: Settings,
    address: Address,
    servicers: Servicers,
    reader: RequestReader,
    middleware: Sequence[Middleware],
) -> HttpServer:
    """The server of the HTTP interface, which does not listen yet.

    Args:
        settings: of the server.
        address: of `rest.listen`.
        servicers: that gRPC serves too.
        reader: of all requests.
        middleware: of this address; its last two authenticate and limit.

    Raises:
        SettingsError: the certificate cannot be used.
    """
    *outer, authenticate, limit = middleware
    source = check_source(local=address.is_local, hosts=settings.rest.hosts, origins=settings.rest.origins)
    app = application(
        _with_description(routes(servicers)),
        middleware=[*outer, source, authenticate, limit],
        reader=reader,
        longest_wait=settings.limits.wait_seconds,
        max_bytes=settings.limits.message_bytes,
        origins=settings.rest.origins,
    )
    return HttpServer(
        app,
        address,
        ReloadingContext(settings.tls) if settings.tls.certificate else None,
        read_seconds=settings.limits.read_seconds,
        most_connections=MAX_BEING_REJECTED + 4 * settings.limits.concurrent_calls,
    )


def _with_description(found: list[Route]) -> list[Route]:
    """The routes, and that of the document that describes them all."""
    document = b""

    async def serve(request: HttpRequest, _body: object) -> Answer:
        request.query()
        return Answer(body=document, headers={"content-type": JSON})

    about = "This document."
    own = Route(path="/openapi.json", verb="GET", call=OPENAPI, serve=serve, about=about, answers={200: "Document"})
    found = [*found, own]
    document = json.dumps(openapi(found), separators=(",", ":")).encode()
    return found
