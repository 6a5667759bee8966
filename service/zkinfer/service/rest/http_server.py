"""The HTTP/1.1 server: listening, TLS, limits of connections and of time, and shutdown. Only this module knows uvicorn.

uvicorn's protocol is used without its process, which would take over signals and logs. What it lacks is added here: a
time limit for the head of a request, a limit of connections, problem documents that also reach callers who are still
sending, and the caller's certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from zkinfer.service.errors import SettingsError
from zkinfer.service.logs import log
from zkinfer.service.rest.linger import LingeringTransport
from zkinfer.service.rest.problems import CONTENT_TYPE, unreadable_request

if TYPE_CHECKING:
    import ssl

    from starlette.types import ASGIApp

    from zkinfer.service.addresses import Address

HEADER_BYTES = 16 << 10
_KEEP_ALIVE_SECONDS = 30
_DISCARDED_BYTES = 256 << 20  # of a request that was refused, so that its sender, who may read at its end, sees why
_RECEIVED = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)
_POLL_SECONDS = 0.05
_MAX_WEBSOCKET_MESSAGE = 4096  # what callers may send
_FAULTS = logging.getLogger("zkinfer.http")
_FAULTS.setLevel(logging.ERROR)  # uvicorn also warns of what any caller may send, with advice that is wrong here
COMMON_NAMES, ABORT = "common_names", "abort"
"""The keys of the state of a request: the names in the caller's certificate, and the call that ends the connection."""


class _Protocol(H11Protocol):
    """One connection.

    Args:
        seconds: for the head of a request to arrive, once the connection is open or has sent its first byte; and for
            the rest of a request that was refused.
        most: connections at a time. A further one takes the place of the one that has been idle for longest, or is
            closed at once if none is.
        idle: the connections of this server without a request, longest first.
        options: of uvicorn's protocol.
    """

    _line: LingeringTransport
    _connection: asyncio.Transport

    def __init__(self, seconds: float, most: int, idle: _Idle, **options: Any) -> None:  # noqa: ANN401 - of uvicorn
        super().__init__(**options)
        self.logger = _FAULTS
        self.access_log = False  # the application logs each call, without its address
        self._seconds = seconds
        self._most = most
        self._idle = idle
        self._head_limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        self._connection = transport
        self._line = LingeringTransport(
            transport, self._is_receiving, seconds=self._seconds, most_bytes=_DISCARDED_BYTES
        )
        super().connection_made(self._line)
        if len(self.connections) > self._most:
            longest = next(iter(self._idle), self)
            longest.transport.abort()
            if longest is self:
                return
            del self._idle[longest]
        self._idle[self] = None
        self.app_state = {COMMON_NAMES: _common_names(transport), ABORT: transport.abort}
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._line.lingers:
            self._line.discard(data)
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
            self._idle.pop(self, None)
        elif self._head_limit is None:
            self._await_head()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection itself to the protocol of WebSockets, which replaces this one."""
        self._idle.pop(self, None)
        self.transport = self._connection
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._idle[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._idle.pop(self, None)
        self._stop_waiting()
        self._line.closed()
        super().connection_lost(exc)

    def _is_receiving(self) -> bool:
        """Whether the caller is in the middle of a request, or has sent more than that one."""
        return self.conn.their_state not in _RECEIVED or bool(self.conn.trailing_data[0])

    def _await_head(self) -> None:
        self._head_limit = self.loop.call_later(self._seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_limit is not None:
            self._head_limit.cancel()
            self._head_limit = None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text
        """Refuse what is not HTTP, or has too large a head; called by uvicorn while it handles h11's error."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()  # in the middle of a response
            return
        reason = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
        status, body = unreadable_request(getattr(reason, "error_status_hint", 400))
        log.info("refused", door="http", status=status)
        headers = [("content-type", CONTENT_TYPE), ("content-length", str(len(body))), ("connection", "close")]
        head = h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase)
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


_Idle = dict[_Protocol, None]


def _common_names(transport: asyncio.Transport) -> tuple[bytes, ...]:
    """The common names in the certificate that the caller presented."""
    certificate = transport.get_extra_info("peercert") or {}
    fields = [field for name in certificate.get("subject", ()) for field in name]
    return tuple(value.encode() for key, value in fields if key == "commonName")


class HttpServer:
    """A server that listens from `start` to `stop`. Belongs to one event loop.

    Args:
        app: serves the requests.
        address: to listen at.
        tls: None for plaintext.
        read_seconds: for a TLS handshake and its end, for the head of a request, and for the rest of a refused one.
        most_connections: at a time.
        websockets: whether the application serves them; else a request for one is served as a plain one.
    """

    def __init__(
        self,
        app: ASGIApp,
        address: Address,
        tls: ssl.SSLContext | None,
        *,
        read_seconds: float,
        most_connections: int,
        websockets: bool = False,
    ) -> None:
        self._address = address
        self._tls = tls
        self._read_seconds = read_seconds
        self._most_connections = most_connections
        self._state = ServerState()
        self._idle: _Idle = {}
        self._listener: asyncio.Server | None = None
        self._config = Config(
            app,
            ws="websockets-sansio" if websockets else "none",
            ws_max_size=_MAX_WEBSOCKET_MESSAGE,
            ws_max_queue=1,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            h11_max_incomplete_event_size=HEADER_BYTES,
        )
        self._config.load()

    async def listen(self) -> str:
        """Bind the address, and return it with the bound port; raises SettingsError. `start` accepts connections."""
        loop, address = asyncio.get_running_loop(), self._address
        options: dict[str, Any] = {"ssl": self._tls, "start_serving": False}
        if self._tls is not None:
            options["ssl_handshake_timeout"] = options["ssl_shutdown_timeout"] = self._read_seconds
        try:
            if not address.host:
                return await self._listen_at_path(Path(address.text.removeprefix("unix:")), options)
            self._listener = await loop.create_server(self._protocol, address.host, address.port, **options)
        except OSError as err:
            raise SettingsError(
                f"The server cannot listen at {address.text}.", "The address is in use, or not one of this machine."
            ) from err
        return address.with_port(self._listener.sockets[0].getsockname()[1])

    async def _listen_at_path(self, path: Path, options: dict[str, Any]) -> str:
        """Listen at a Unix socket; asyncio replaces the one that a killed server has left."""
        if await _answers(path):
            raise SettingsError(f"Another server listens at {self._address.text}.", "Stop it, or choose another path.")
        self._listener = await asyncio.get_running_loop().create_unix_server(self._protocol, str(path), **options)
        return self._address.text

    def _protocol(self) -> asyncio.Protocol:
        return _Protocol(
            self._read_seconds,
            self._most_connections,
            self._idle,
            config=self._config,
            server_state=self._state,
            app_state={},
        )

    async def start(self) -> None:
        """Accept connections."""
        assert self._listener is not None  # noqa: S101 - `listen` is called before
        await self._listener.start_serving()

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more connections, let requests finish, and close what is left after `grace_seconds`."""
        if self._listener is None:
            return
        self._listener.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                while self._state.connections:
                    await asyncio.sleep(_POLL_SECONDS)
        for task in self._state.tasks:
            task.cancel()
        for connection in list(self._state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        if not self._address.host:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._address.text.removeprefix("unix:"))  # noqa: PTH108


async def _answers(path: Path) -> bool:
    """Whether a server listens at a Unix socket."""
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:  # there is no such file, it is no socket, or nobody listens
        return False
    writer.close()
    return True
