"""Read requests within bounds of time and memory, so that callers that send none, or too much, do not block others.

The memory of a request is counted from before its bytes arrive until the servicer drops it. A message is checked before
it is decoded, because a few megabytes of empty fields would take a gigabyte as objects.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, runtime_checkable

from google.protobuf.message import DecodeError
from grpc import aio

from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import LateRequestError
from zkinfer.service.limits import MemoryBudget
from zkinfer.service.transport import UNREADABLE, count_numbers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from zkinfer.service.limits import Share

    Deserializer: TypeAlias = "Callable[[bytes], object] | Decoder"

_CROWDED_SECONDS = 1.0  # for a request to arrive, while others wait for its place
_COPIES = 2  # the decoded message, and the arrays made of it
NUMBER_BYTES = 24  # of a number in a decoded field, which grows by doubling
_RECEIVED: ContextVar[Received] = ContextVar("received")


@runtime_checkable
class Decoder(Protocol):
    """Decodes requests that are not messages of gRPC."""

    def count_numbers(self, data: bytes) -> int:
        """The number of values in a request, without decoding it; raises DataError if there are too many."""

    async def decode(self, data: bytes) -> object:
        """The decoded request; raises InputError if it cannot be decoded."""


class ByteSource(Protocol):
    """Where the bytes of a request come from; gRPC's context is one."""

    async def read(self) -> Any:  # noqa: ANN401 - gRPC's union of types
        """The next message, or `aio.EOF`."""


class RequestMemory:
    """The memory for requests, of all callers together. Belongs to one event loop.

    Args:
        message_bytes: the largest message, which gRPC enforces.
        total_bytes: for the requests that were received; as much again for those that are arriving, and for answers.

    Attributes:
        arriving: the requests that are read at a time.
        answering: bytes for the answers that are computed, and the attestations that are sent.
    """

    def __init__(self, message_bytes: int, total_bytes: int) -> None:
        self.arriving = MemoryBudget(max(2, total_bytes // message_bytes), newest_first=True)
        self.answering = MemoryBudget(total_bytes)
        self._received = MemoryBudget(total_bytes)

    async def receive(
        self,
        reading: Awaitable[object],
        caller: str,
        deserializer: Deserializer | None,
        others: set[Received] | None = None,
    ) -> Received | None:
        """Read the next message of a call, and decode it once there is memory for it; None if there is none.

        Args:
            reading: gives the message or `aio.EOF`.
            caller: who sends it.
            deserializer: of gRPC; None to keep the bytes.
            others: holds the request until it is dropped.

        Raises:
            DataError: it cannot be decoded.
        """
        data: Any = await reading
        try:
            if data is aio.EOF:
                return None
            numbers = _numbers_in(data, deserializer)
            share = await self._received.acquire(caller, _COPIES * len(data) + NUMBER_BYTES * numbers)
            with ExitStack() as on_error:
                on_error.enter_context(share)
                received = Received(await _decoded(data, deserializer), share, others)
                on_error.pop_all()
            return received
        finally:
            del data  # which the traceback of an error would keep, until that is collected


def _numbers_in(data: bytes, deserializer: Deserializer | None) -> int:
    if isinstance(deserializer, Decoder):
        return deserializer.count_numbers(data)
    kind = getattr(deserializer, "__self__", None)  # the message's class, whose method it is
    return 0 if kind is None else count_numbers(data, kind.DESCRIPTOR)


async def _decoded(data: bytes, deserializer: Deserializer | None) -> object:
    if deserializer is None:
        return data
    if isinstance(deserializer, Decoder):
        return await deserializer.decode(data)
    try:
        return deserializer(data)
    except DecodeError as err:
        raise DataError(UNREADABLE) from err


class Received:
    """A received request, and its share of the memory.

    Args:
        message: decoded.
        share: of the memory for requests.
        others: of the same call; this one is among them until it is dropped.
    """

    def __init__(self, message: object, share: Share, others: set[Received] | None = None) -> None:
        self.message: Any = message
        self._share = share
        self._others = others
        self._until_sent: list[Share] = []
        if others is not None:
            others.add(self)

    def drop(self) -> None:
        """Forget the request and return its memory, before a wait for something else; idempotent."""
        self.message = None
        self._share.release()
        if self._others is not None:
            self._others.discard(self)

    def hold_until_sent(self, share: Share) -> None:
        """Release a share at the end of the `with` block, which is once the response was taken."""
        self._until_sent.append(share)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()
        for share in self._until_sent:
            share.release()


def current_request() -> Received:
    """The request of the current call, which has one. A servicer that drops it must hold no other reference to it."""
    return _RECEIVED.get()


@dataclass(slots=True, eq=False)
class _Arrival:
    """A request that is being read."""

    began: float
    limit: asyncio.Timeout


@dataclass(slots=True)
class RequestReader:
    """Reads the requests of calls that have one each. Belongs to one event loop.

    Only a few requests of a caller are read at a time. While others wait, the oldest one of the caller that has most
    gets one second to arrive. So prompt requests are served, however many others never arrive. Health checks count as
    one caller.

    Args:
        seconds: how long a request may take to arrive.
        memory: for requests.
    """

    seconds: float
    memory: RequestMemory
    _arrivals: dict[str, list[_Arrival]] = field(default_factory=dict)

    async def read(self, context: ByteSource, caller: str, deserializer: Deserializer | None = None) -> Received:
        """Read the request of a call; `caller` is empty for unauthenticated health checks.

        Raises:
            LateRequestError: it did not arrive in time.
            DataError: the call has no request, or it cannot be decoded.
        """
        try:
            async with asyncio.timeout(self.seconds) as limit:
                if self.memory.arriving.must_wait(caller):
                    self._hurry()
                with await self.memory.arriving.acquire(caller):
                    reading = self._reading(context, caller, limit)
                    received = await self.memory.receive(reading, caller, deserializer)
        except TimeoutError as err:
            raise LateRequestError(
                "The request did not arrive in time.", "Send it together with the call, or retry when fewer do."
            ) from err
        if received is None:
            raise DataError("The call has no request.")
        _RECEIVED.set(received)
        return received

    async def _reading(self, context: ByteSource, caller: str, limit: asyncio.Timeout) -> object:
        arrival = _Arrival(asyncio.get_running_loop().time(), limit)
        arrivals = self._arrivals.setdefault(caller, [])
        arrivals.append(arrival)
        try:
            return await context.read()
        finally:
            arrivals.remove(arrival)
            if not arrivals:
                self._arrivals.pop(caller, None)

    def _hurry(self) -> None:
        """Shorten the time limit of the oldest arrival of the busiest caller that was not shortened before."""
        for arrival in self._arrivals.get(self.memory.arriving.busiest or "", ()):
            until = arrival.began + _CROWDED_SECONDS
            if not arrival.limit.expired() and until < (arrival.limit.when() or until):
                arrival.limit.reschedule(until)
                return


class RequestStream:
    """The requests of a streaming call; raises DataError for one that cannot be decoded.

    Iterated, it yields messages one after another, each of which is dropped before the next is read. `received` is for
    servicers that serve several at a time. The end of a `with` block drops what was received.
    """

    def __init__(
        self,
        context: aio.ServicerContext[Any, Any],
        caller: str,
        memory: RequestMemory,
        deserializer: Deserializer | None = None,
    ) -> None:
        self._context = context
        self._caller = caller
        self._memory = memory
        self._deserializer = deserializer
        self._received: set[Received] = set()
        self._last: Received | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for received in list(self._received):
            received.drop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> object:
        if self._last is not None:
            self._last.drop()
        self._last = await self._next()
        if self._last is None:
            raise StopAsyncIteration
        return self._last.message

    async def received(self) -> AsyncGenerator[Received]:
        """The requests, each of which the servicer drops."""
        while (received := await self._next()) is not None:
            yield received

    async def _next(self) -> Received | None:
        return await self._memory.receive(self._context.read(), self._caller, self._deserializer, self._received)
