"""The ASGI application: each request passes the same middleware and reader as a call over gRPC."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

from grpc import aio
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route as StarletteRoute
from starlette.routing import Router

from zkinfer.service.addresses import is_own_name
from zkinfer.service.auth import OPEN_METHODS
from zkinfer.service.errors import UnknownMethodError, UntrustedSourceError
from zkinfer.service.interceptors import REQUEST_ID, UNKNOWN, Call, MiddlewareStack, request_id
from zkinfer.service.rest.handlers import Answer
from zkinfer.service.rest.http_server import HEADER_BYTES
from zkinfer.service.rest.inference import HEADER_LENGTH
from zkinfer.service.rest.problems import headers_of, headers_too_large, http_status, problem_of
from zkinfer.service.rest.request import HttpRequest
from zkinfer.service.rest.route import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence
    from typing import Any

    from google.rpc.status_pb2 import Status
    from starlette.types import ASGIApp, Receive, Scope, Send

    from zkinfer.service.interceptors import Middleware
    from zkinfer.service.request_reader import RequestReader

_CHUNK_BYTES = 64 << 10
_SENT_BY_PAGES = ["authorization", "content-type", HEADER_LENGTH, "prefer", REQUEST_ID]
_READ_BY_PAGES = ["content-disposition", "etag", HEADER_LENGTH, "repr-digest", "retry-after", REQUEST_ID]
_COMMON = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def application(
    routes: Sequence[Route],
    *,
    middleware: Sequence[Middleware],
    reader: RequestReader,
    longest_wait: float,
    max_bytes: int,
    origins: Sequence[str] = (),
) -> ASGIApp:
    """The application of these routes.

    Args:
        routes: of all paths; the first that matches a path serves it.
        middleware: as of gRPC's interceptor.
        reader: of the bodies; its time limit also holds for each part of a response.
        longest_wait: seconds that a call may wait for a proof.
        max_bytes: the largest body.
        origins: web origins whose pages may call.
    """
    server = _Server(tuple(middleware), reader, longest_wait, max_bytes)
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.verb] = route
    paths = [StarletteRoute(path, _Resource(server, verbs)) for path, verbs in by_path.items()]
    router: ASGIApp = Router(paths, redirect_slashes=False, default=_Resource(server, {}))
    if not origins:
        return router
    return CORSMiddleware(
        router,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=_SENT_BY_PAGES,
        expose_headers=_READ_BY_PAGES,
    )


def check_source(*, local: bool, hosts: Sequence[str], origins: Sequence[str]) -> Middleware:
    """Refuse requests that a web page made, unless its origin is listed.

    A page may send requests to any address that its visitor's machine reaches. A browser names the page's origin,
    except in requests to what it takes for the page's own host; so the host is checked too, if only this machine can
    call and callers may therefore be anonymous.

    Args:
        local: whether only this machine can call.
        hosts: names of the server besides `localhost` and loopback addresses.
        origins: that are listed.
    """

    @asynccontextmanager
    async def middleware(call: Call) -> AsyncIterator[None]:
        if call.method not in OPEN_METHODS:
            for name, value in call.metadata:
                if name == "origin" and value not in origins:
                    raise UntrustedSourceError(f"Pages of {value!r:.120} may not call.", "List it in rest.origins.")
                if local and name == "host" and not is_own_name(str(value), hosts):
                    raise UntrustedSourceError(f"This server is not {value!r:.120}.", "List the name in rest.hosts.")
        yield

    return middleware


@dataclass(frozen=True, slots=True)
class _Resource:
    """One path, with a route for each of its HTTP methods; without any, a path that does not exist."""

    server: _Server
    routes: dict[str, Route]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = self.server
        request = HttpRequest(scope, receive, max_bytes=server.max_bytes, longest_wait=server.longest_wait)
        verb = "GET" if scope["method"] == "HEAD" else scope["method"]
        fits = request.head_bytes <= HEADER_BYTES and request.fault is None
        await server.serve((self.routes.get(verb) if fits else None) or self._refusal(scope, verb), request, send)

    def _refusal(self, scope: Scope, verb: str) -> Route:
        """A route that refuses the headers, the method, or the path."""

        async def refuse(request: HttpRequest, _body: object) -> Answer:
            if request.head_bytes > HEADER_BYTES:
                request.refusal = 431
                raise headers_too_large()
            if request.fault is not None:
                raise request.fault
            if self.routes:
                request.refusal, request.allowed = 405, tuple(self.routes)
                raise UnknownMethodError(f"The path does not take {verb!r:.40}.", f"It takes {', '.join(self.routes)}.")
            raise UnknownMethodError(f"There is no path {scope['path']!r:.120}.", "/openapi.json lists the paths.")

        return Route(path="", verb=verb, call=UNKNOWN, serve=refuse, about="", answers={})


@dataclass(frozen=True, slots=True)
class _Server:
    """Serves requests, each in a task of its own."""

    middleware: tuple[Middleware, ...]
    reader: RequestReader
    longest_wait: float
    max_bytes: int

    async def serve(self, route: Route, request: HttpRequest, send: Send) -> None:
        """Serve one request; an error becomes a problem document."""
        response = _Response(request, send, self.reader.seconds)
        call = Call(route.call, request, request_id(request.metadata), metadata=request.metadata, door="http")
        try:
            async with MiddlewareStack(self.middleware, call):
                await self._answer(route, request, call, response)
        except aio.AbortError:
            assert call.problem is not None  # noqa: S101 - `map_errors` sets it before it aborts
            await response.refuse(call.problem)
        except asyncio.CancelledError:
            if not request.disconnected:
                raise

    async def _answer(self, route: Route, request: HttpRequest, call: Call, response: _Response) -> None:
        if route.decoder is None:
            await response.send(await _while_there(request, route.serve(request, None)))
            return
        with await self.reader.read(request, call.caller, route.decoder(request)) as received:
            await response.send(await _while_there(request, route.serve(request, received.message)))


async def _while_there(request: HttpRequest, work: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer; cancels the work and the task if the caller leaves before."""
    task = asyncio.current_task()
    leaving = asyncio.create_task(request.wait_until_left())

    def cancel(done: asyncio.Task[None]) -> None:
        if task is not None and not done.cancelled():
            task.cancel()

    leaving.add_done_callback(cancel)
    try:
        return await work
    finally:
        leaving.remove_done_callback(cancel)
        leaving.cancel()
        await asyncio.wait([leaving])


class _Response:
    """The response to one request, sent in parts, each within a time limit, so that slow readers hold little memory."""

    def __init__(self, request: HttpRequest, send: Send, seconds: float) -> None:
        self._request = request
        self._send = send
        self._seconds = seconds
        self._started = False

    async def send(self, answer: Answer) -> None:
        """Send an answer."""
        headers = dict(answer.headers)
        if isinstance(answer.body, bytes) and answer.status != 204:
            headers["content-length"] = str(len(answer.body))
        await self._start(answer.status, headers)
        async for part in _parts(answer.body):
            await self._within({"type": "http.response.body", "body": part, "more_body": True})
        await self._within({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, status: Status) -> None:
        """Send a problem document; if an answer has begun, end the connection."""
        if self._started:
            self._request.cut_off()
            return
        number = self._request.refusal or http_status(status)
        body = json.dumps(problem_of(status, number)).encode()
        await self.send(Answer(number, body, headers_of(status, number, self._request.allowed)))

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self._started = True
        own = {"date": formatdate(usegmt=True), **({} if self._request.body_read else {"connection": "close"})}
        merged = _COMMON | headers | self._request.response_headers | own
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in merged.items()]
        await self._within({"type": "http.response.start", "status": status, "headers": pairs})

    async def _within(self, event: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(event)
        except TimeoutError:
            self._request.cut_off()
            self._request.disconnected = True
            raise asyncio.CancelledError from None


async def _parts(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body in parts that are sent one after another."""
    if isinstance(body, bytes):
        for start in range(0, len(body), _CHUNK_BYTES):
            yield body[start : start + _CHUNK_BYTES]
        return
    async for part in body:
        for start in range(0, len(part), _CHUNK_BYTES):
            yield part[start : start + _CHUNK_BYTES]
