"""One HTTP request, as middleware and servicers see it, and its body, read within bounds."""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl

from grpc import aio

from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import BadFieldError, RequestTooLargeError
from zkinfer.service.interceptors import REQUEST_ID
from zkinfer.service.rest.http_server import ABORT, COMMON_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*(?=[,;]|$)")
_MAX_QUERY = 16


class HttpRequest:
    """The request of one call. It is what gRPC's context is for a call over gRPC, as far as one is needed.

    Args:
        scope: of ASGI.
        receive: of ASGI.
        max_bytes: the largest body, as sent and once decompressed.
        longest_wait: seconds that the call may wait for a proof; the caller may ask for fewer (`Prefer: wait=N`).

    Attributes:
        headers: by lower-case name; if one was sent twice, both values, joined by a comma.
        response_headers: that go with the response, whether an answer or a problem.
        refusal: the HTTP status of a refusal of which gRPC's status does not tell it; None for others.
        allowed: the methods of the path, if it does not take that of the request.
        disconnected: whether the caller has left.
        body_read: whether the whole body was received.
    """

    def __init__(self, scope: Scope, receive: Receive, *, max_bytes: int, longest_wait: float) -> None:
        self._scope = scope
        self._receive = receive
        self._max_bytes = max_bytes
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        self.metadata = tuple(pairs)
        self.headers: dict[str, str] = {}
        for name, value in pairs:
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.response_headers: dict[str, str] = {}
        self.refusal: int | None = None
        self.allowed: tuple[str, ...] = ()
        self.disconnected = False
        self.body_read = "content-length" not in self.headers and "transfer-encoding" not in self.headers
        preferred = _WAIT.search(self.headers.get("prefer", ""))
        seconds = min(longest_wait, float(preferred[1])) if preferred else longest_wait
        self._deadline = time.monotonic() + seconds

    @property
    def path(self) -> Mapping[str, str]:
        """The variable parts of the path."""
        found: dict[str, str] = self._scope["path_params"]
        return found

    @property
    def fault(self) -> BadFieldError | None:
        """Why a proxy could take another end of the request than this server; None if it could not."""
        version = self._scope["http_version"]
        if version not in ("1.0", "1.1"):
            return BadFieldError("request", f"HTTP/{version} is not supported.", "Use HTTP/1.1.")
        if "transfer-encoding" not in self.headers:
            return None
        if version == "1.0":
            return BadFieldError("transfer-encoding", "HTTP/1.0 has none.", "Use HTTP/1.1, or a content-length.")
        if "content-length" in self.headers:
            return BadFieldError("transfer-encoding", "The request has a content-length too.", "Send one of them.")
        return None

    def query(self, *known: str) -> dict[str, str]:
        """The parameters of the query; raises BadFieldError for an unknown or repeated one."""
        text = self._scope["query_string"].decode("latin-1")
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_QUERY, errors="strict")
        except ValueError as err:
            raise BadFieldError("query", "It cannot be read.", f"Use up to {_MAX_QUERY} parameters in UTF-8.") from err
        found: dict[str, str] = {}
        for name, value in pairs:
            if name not in known or name in found:
                cure = f"The parameters are {', '.join(known)}." if known else "There are none."
                raise BadFieldError("query", f"The parameter {name!r:.40} is unknown or repeated.", cure)
            found[name] = value
        return found

    @property
    def head_bytes(self) -> int:
        """The size of the request's path, query and headers."""
        own = len(self._scope.get("raw_path", b"")) + len(self._scope["query_string"])
        return own + sum(len(name) + len(value) + 4 for name, value in self._scope["headers"])

    def auth_context(self) -> Mapping[str, tuple[bytes, ...]]:
        """The names in the caller's certificate, under gRPC's key."""
        return {"x509_common_name": self._scope.get("state", {}).get(COMMON_NAMES, ())}

    def set_trailing_metadata(self, trailing_metadata: tuple[tuple[str, str | bytes], ...], /) -> None:
        """Send the request's id with the response."""
        self.response_headers |= {name: str(value) for name, value in trailing_metadata if name == REQUEST_ID}

    def code(self) -> None:
        """None, because servicers set no status on an HTTP request."""

    def time_remaining(self) -> float:
        """Seconds that the call may still take."""
        return self._deadline - time.monotonic()

    async def abort(self, _code: object, _details: str = "", _metadata: Any = (), /) -> NoReturn:  # noqa: ANN401
        """End the call; what it ends with is in the call's `problem`."""
        raise aio.AbortError

    async def read(self) -> bytes:
        """The body, decompressed.

        Raises:
            RequestTooLargeError: it is too large, as sent or decompressed.
            BadFieldError: it is compressed in an unknown way, or damaged.
            CancelledError: the caller has left.
        """
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", *_WINDOWS):
            raise BadFieldError("content-encoding", f"{encoding!r:.40} is not supported.", "Use gzip, deflate or none.")
        data = await self._body()
        if encoding == "identity":
            return data
        return await asyncio.to_thread(self._decompressed, data, _WINDOWS[encoding])

    async def _body(self) -> bytes:
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._max_bytes:
            raise self._too_large("The body")
        data = bytearray()
        while True:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                self.disconnected = True
                raise asyncio.CancelledError
            data += event.get("body", b"")
            if len(data) > self._max_bytes:
                raise self._too_large("The body")
            if not event.get("more_body", False):
                self.body_read = True
                return bytes(data)

    def _decompressed(self, data: bytes, window: int) -> bytes:
        reader = zlib.decompressobj(window)
        try:
            found = reader.decompress(data, self._max_bytes + 1)
        except zlib.error as err:
            raise BadFieldError("body", "It is not compressed as its content-encoding says.", kind=DataError) from err
        if len(found) > self._max_bytes:
            raise self._too_large("The decompressed body")
        if not reader.eof or reader.unused_data:
            raise BadFieldError("body", "The compressed data is incomplete, or more follows it.", kind=DataError)
        return found

    def _too_large(self, what: str) -> RequestTooLargeError:
        return RequestTooLargeError(
            f"{what} has more than {self._max_bytes:,} bytes.", "Send less; limits.message_bytes is the server's limit."
        )

    def cut_off(self) -> None:
        """End the connection at once."""
        self._scope["state"][ABORT]()

    async def wait_until_left(self) -> None:
        """Return once the caller has left; call it after the body was read, or if there is none."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.disconnected = True
