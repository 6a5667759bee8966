"""A close that lets the peer read the last answer, also if it is still sending its request (RFC 9112, section 9.6).

The kernel resets a connection that is closed while data arrives, and a reset takes an answer away that the peer has not
read yet. So the side that sends is closed first, and what still arrives is discarded, within bounds of time and size.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class LingeringTransport(asyncio.Transport):
    """A transport that lingers in `close` while its peer is still sending. Its protocol passes on what arrives then.

    TLS has no end of one side alone; there, the answer must say where it ends, and the peer closes.

    Args:
        transport: of the connection.
        is_sending: whether the peer is in the middle of a request.
        seconds: to linger; then the connection is reset.
        most_bytes: to discard, likewise.
    """

    def __init__(
        self, transport: asyncio.Transport, is_sending: Callable[[], bool], *, seconds: float, most_bytes: int
    ) -> None:
        super().__init__()
        self._transport = transport
        self._is_sending = is_sending
        self._seconds = seconds
        self._left = most_bytes
        self._limit: asyncio.TimerHandle | None = None

    @property
    def lingers(self) -> bool:
        """Whether the last answer was sent, and what arrives is to be discarded."""
        return self._limit is not None

    def close(self) -> None:
        """Close once the peer has closed, if it is still sending, else at once. Idempotent."""
        if self.is_closing():
            return
        if not self._is_sending():
            self._transport.close()
            return
        self._limit = asyncio.get_running_loop().call_later(self._seconds, self._transport.abort)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()

    def discard(self, data: bytes) -> None:
        """Count what arrived while it lingers."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def closed(self) -> None:
        """Forget the time limit, because the connection has ended."""
        if self._limit is not None:
            self._limit.cancel()

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self.lingers or self._transport.is_closing()

    def abort(self) -> None:
        """Reset the connection."""
        self._transport.abort()

    def write(self, data: Any) -> None:  # noqa: ANN401 - bytes of any kind, as in asyncio
        """Send data."""
        self._transport.write(data)

    def pause_reading(self) -> None:
        """Receive nothing until `resume_reading`."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Receive again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as in asyncio
        """A fact of the connection, such as `peername`."""
        return self._transport.get_extra_info(name, default)
