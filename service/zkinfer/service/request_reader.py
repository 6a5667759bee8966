"""Read requests within a time limit, so that callers that never send theirs do not block others."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from google.protobuf.message import DecodeError
from grpc import aio

from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import LateRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_UNREAD = 32  # times the largest message bounds the memory that one caller can hold
_CROWDED_SHARE = 0.5  # of the usual time limit


class RequestReader:
    """Reads the requests of calls that have one each. Belongs to one event loop.

    A caller with many unread requests keeps the full time limit for the newest of them only; the older ones get half of
    it. So prompt requests are served, however many others never arrive. Health checks count as one caller.

    Args:
        seconds: how long a request may take to arrive.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._unread: dict[str, OrderedDict[asyncio.Timeout, float]] = {}

    async def read(self, context: aio.ServicerContext[Any, Any], caller: str) -> object:
        """Read the request of a call; `caller` is empty for unauthenticated health checks.

        Raises:
            LateRequestError: it did not arrive in time.
            DataError: the call has no request, or it cannot be decoded.
        """
        try:
            async with asyncio.timeout(self._seconds) as limit:
                with self._counted(limit, caller):
                    message = await _read(context)
        except TimeoutError as err:
            raise LateRequestError("The request did not arrive in time.", "Send it together with the call.") from err
        if message is aio.EOF:
            raise DataError("The call has no request.")
        return message

    @contextmanager
    def _counted(self, limit: asyncio.Timeout, caller: str) -> Iterator[None]:
        """Count one more unread request; if there are too many, the oldest gets the shorter time limit."""
        now, unread = asyncio.get_running_loop().time(), self._unread.setdefault(caller, OrderedDict())
        if len(unread) >= _MAX_UNREAD:
            _shorten(*unread.popitem(last=False), self._seconds * _CROWDED_SHARE)
        unread[limit] = now
        try:
            yield
        finally:
            unread.pop(limit, None)


def _shorten(limit: asyncio.Timeout, began: float, seconds: float) -> None:
    if not limit.expired():
        limit.reschedule(min(limit.when() or began, began + seconds))


class RequestStream:
    """The requests of a streaming call; raises DataError for one that cannot be decoded."""

    def __init__(self, context: aio.ServicerContext[Any, Any]) -> None:
        self._context = context

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> object:
        message = await _read(self._context)
        if message is aio.EOF:
            raise StopAsyncIteration
        return message


async def _read(context: aio.ServicerContext[Any, Any]) -> object:
    """The next message, or `aio.EOF`."""
    try:
        return await context.read()
    except DecodeError as err:
        raise DataError("The request is not a message of the type that this method takes.") from err
