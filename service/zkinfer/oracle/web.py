"""What all paths of the report server share: limits of requests, and errors as problem documents (RFC 9457)."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError, JsonError, ZkinferError
from zkinfer.oracle.errors import NoReportError, UnknownFeedError, VoteError
from zkinfer.prover.errors import StoreError
from zkinfer.service.addresses import is_own_name
from zkinfer.service.errors import BadFieldError
from zkinfer.service.rest.problems import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

_STATUSES: Final[Mapping[type[Exception], int]] = {
    UnknownFeedError: 404,
    NoReportError: 404,
    VoteError: 409,
    InputError: 400,
    StoreError: 503,
}
_BODY_SECONDS: Final = 10.0
_COMMON: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:  # noqa: ANN401 - JSON
    """A JSON response."""
    return Response(json.dumps(document), status, {**_COMMON, **(headers or {})}, "application/json")


def problem(status: int, cause: str, cure: str = "") -> Response:
    """A problem document; `error` repeats the detail for clients that show nothing else."""
    detail = f"{cause} {cure}".strip()
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return Response(json.dumps({**document, "detail": detail, "error": detail}), status, _COMMON, CONTENT_TYPE)


def status_of(err: ZkinferError) -> int:
    """The HTTP status of an error; 500 for this server's own faults."""
    return next((status for kind, status in _STATUSES.items() if isinstance(err, kind)), 500)


async def on_error(_: Request, err: Exception) -> Response:
    """The response to an error of zkinfer's."""
    assert isinstance(err, ZkinferError)  # noqa: S101 - registered for these alone
    return problem(status_of(err), err.cause, err.cure)


async def on_http_error(_: Request, err: Exception) -> Response:
    """The response to an unknown path or a wrong method."""
    assert isinstance(err, HTTPException)  # noqa: S101 - registered for these alone
    found = problem(
        err.status_code,
        f"{HTTPStatus(err.status_code).phrase}.",
        "docs/guides/feed-daemon.md lists the paths of the report server.",
    )
    for name, value in (err.headers or {}).items():
        found.headers[name] = value
    return found


async def read_json(request: Request, max_bytes: int) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON body of a request; raises BadFieldError if it is too large, too slow or not strict JSON."""
    data = await read_body(request, max_bytes)
    try:
        return canonical.load(data, max_bytes=max_bytes, what="request")
    except JsonError as err:
        raise BadFieldError("body", err.cause, err.cure) from err


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body of a request; raises BadFieldError if it is too large or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > max_bytes:
                    raise BadFieldError("body", f"The body has more than {max_bytes:,} bytes.", "Send less.")
    except TimeoutError as err:
        raise BadFieldError("body", f"The body did not arrive in {_BODY_SECONDS:.0f} s.", "Send it at once.") from err
    return bytes(body)


def parameters(request: Request, *wanted: str) -> list[str]:
    """The values of these query parameters, each given once; raises BadFieldError."""
    found = []
    for name in wanted:
        values = request.query_params.getlist(name)
        if len(values) != 1 or not values[0]:
            raise BadFieldError(
                name, f"The parameter {name} is missing, empty or given twice.", f"Give {name}=... once."
            )
        found.append(values[0])
    return found


class Guard:
    """Refuses what a web page of elsewhere could send, and more requests at a time than allowed.

    A page may make its visitor's browser send requests to this machine, under a name that resolves to it. So a server
    that only this machine reaches checks the Host header, and no page may post.

    Args:
        app: serves the requests.
        local: whether only this machine can call.
        hosts: names of the server besides `localhost` and loopback addresses.
        concurrent: requests at a time; streams of reports do not count.
    """

    def __init__(self, app: ASGIApp, *, local: bool, hosts: Collection[str], concurrent: int) -> None:
        self._app = app
        self._local = local
        self._hosts = hosts
        self._concurrent = concurrent
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope), scope["method"])
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1

    def _refusal(self, headers: Headers, method: str) -> Response | None:
        if self._local and not is_own_name(headers.get("host", ""), self._hosts):
            return problem(421, "This server does not have this name.", "List it in server.hosts.")
        if method not in ("GET", "HEAD") and "origin" in headers:
            return problem(403, "Web pages may not post here.", "Call it from a program.")
        if self._running >= self._concurrent:
            found = problem(429, "Too many requests at a time.", "Try again in a second.")
            found.headers["retry-after"] = "1"
            return found
        return None
