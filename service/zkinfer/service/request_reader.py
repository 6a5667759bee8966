"""Reading requests: the one of a call in good time, and few at once, so that half-sent requests keep nobody out."""

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

_AT_ONCE = 32  # times the largest message is what one caller can make the server keep for long
_IN_A_CROWD = 0.5  # of the time that one alone has


class Reading:
    """Reads the requests of calls that have one each. Belongs to one event loop.

    Whoever sends the request soon after the call is served, however many send none: where many requests of one caller
    are on their way, only the newest have all the time, and the others half of it. Those who ask about the server's
    health are one caller here.

    Args:
        seconds: how long a request may take to arrive.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._unread: dict[str, OrderedDict[asyncio.Timeout, float]] = {}

    async def request(self, context: aio.ServicerContext[Any, Any], caller: str) -> object:
        """The request of a call; `caller` is empty where nobody in particular calls.

        Raises:
            LateRequestError: it did not come in time.
            DataError: there is none, or it cannot be read.
        """
        try:
            async with asyncio.timeout(self._seconds) as limit:
                with self._counted(limit, caller):
                    message = await _read(context)
        except TimeoutError as err:
            raise LateRequestError("The request did not come in time.", "Send it together with the call.") from err
        if message is aio.EOF:
            raise DataError("The call has no request.")
        return message

    @contextmanager
    def _counted(self, limit: asyncio.Timeout, caller: str) -> Iterator[None]:
        """One more of a caller; where it is one too many, the oldest has little time left."""
        now, unread = asyncio.get_running_loop().time(), self._unread.setdefault(caller, OrderedDict())
        if len(unread) >= _AT_ONCE:
            _hurry(*unread.popitem(last=False), self._seconds * _IN_A_CROWD)
        unread[limit] = now
        try:
            yield
        finally:
            unread.pop(limit, None)


def _hurry(limit: asyncio.Timeout, began: float, seconds: float) -> None:
    if not limit.expired():
        limit.reschedule(min(limit.when() or began, began + seconds))


class Requests:
    """The requests of a call that has any number of them; raises DataError for one that cannot be read."""

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
        raise DataError("The request is no message of the kind that this method takes.") from err
