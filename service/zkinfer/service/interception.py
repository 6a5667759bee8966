"""Code that runs around every call, whatever its kind and whoever serves it.

A request is read when that code was entered: who is refused at the door sends nothing that is kept in memory.
"""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import UnknownMethodError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from google.rpc.status_pb2 import Status

    Handler = grpc.RpcMethodHandler[Any, Any]
    Around = Callable[["Call"], AbstractAsyncContextManager[None]]


UNKNOWN = "/unknown"
"""The name of all methods that do not exist: what callers make up is kept nowhere."""


@dataclass(slots=True)
class Call:
    """One call while it is served: `/service/method`, its context, who calls, and, once it failed, with what.

    One that `streams` lasts as long as its caller likes; one that `asks` has any number of requests in it.
    """

    method: str
    context: aio.ServicerContext[Any, Any]
    id: str
    problem: Status | None = None
    caller: str = ""
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=())
    streams: bool = False
    asks: bool = False


class Interceptor(aio.ServerInterceptor):
    """Puts context managers around every call, the first outermost.

    Args:
        new_id: gives a request's id from its metadata.
        arounds: entered in this order in the call's own task, so that context variables set there hold for the call.
    """

    def __init__(self, new_id: Callable[[tuple[tuple[str, str | bytes], ...]], str], *arounds: Around) -> None:
        self._new_id = new_id
        self._arounds = arounds

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the handler of a method. One that does not exist has one name for all that runs around it."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return self._wrapped(grpc.stream_unary_rpc_method_handler(_unknown(handler_call_details.method)), UNKNOWN)
        return self._wrapped(handler, handler_call_details.method)

    def _wrapped(self, handler: Any, method: str) -> Handler:  # noqa: ANN401 - of grpc, untyped
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        read = _read if handler.request_streaming else _only
        enter = partial(self._entered, method, streams=handler.response_streaming, asks=handler.request_streaming)
        wrap = _streaming if handler.response_streaming else _single
        make: Any = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        made = make(wrap(behaviour, read, enter), handler.request_deserializer, handler.response_serializer)
        return cast("Handler", made)

    def _entered(
        self, method: str, context: aio.ServicerContext[Any, Any], *, streams: bool, asks: bool
    ) -> AsyncExitStack:
        metadata = tuple(context.invocation_metadata() or ())
        call = Call(method, context, self._new_id(metadata), metadata=metadata, streams=streams, asks=asks)
        return _Entered(self._arounds, call)


def _unknown(method: str) -> Callable[..., Any]:
    def serve(_requests: object, _context: object) -> object:
        raise UnknownMethodError(f"There is no method {method!r:.120} here.", "Reflection, where it is on, lists them.")

    return serve


def _single(behaviour: Callable[..., Any], read: Callable[..., Any], enter: Callable[..., Any]) -> Callable[..., Any]:
    """What serves a call with one answer."""

    async def serve(requests: AsyncIterable[object], context: aio.ServicerContext[Any, Any]) -> object:
        async with enter(context):
            answer = behaviour(await _had(read(requests)), context)
            return await answer if inspect.isawaitable(answer) else answer

    return serve


def _streaming(
    behaviour: Callable[..., Any], read: Callable[..., Any], enter: Callable[..., Any]
) -> Callable[..., Any]:
    """What serves a call with a stream of answers."""

    async def serve(requests: AsyncIterable[object], context: aio.ServicerContext[Any, Any]) -> AsyncIterator[object]:
        async with enter(context):
            answers = behaviour(await _had(read(requests)), context)
            if inspect.isawaitable(answers):  # a servicer that writes to its context
                await answers
                return
            async for answer in answers:
                yield answer

    return serve


async def _had(given: Any) -> Any:  # noqa: ANN401 - a message, or a stream of them
    return await given if inspect.isawaitable(given) else given


async def _only(requests: AsyncIterable[object]) -> object:
    """The request of a call that has one; raises DataError where it cannot be read."""
    async for request in _read(requests):
        return request
    raise DataError("The call has no request.")


async def _read(requests: AsyncIterable[object]) -> AsyncIterator[object]:
    """The requests; raises DataError for one that cannot be read."""
    try:
        async for request in requests:
            yield request
    except DecodeError as err:
        raise DataError("The request is no message of the kind that this method takes.") from err


class _Entered(AsyncExitStack):
    """An exit stack that enters its context managers when it is entered itself."""

    def __init__(self, arounds: tuple[Around, ...], call: Call) -> None:
        super().__init__()
        self._planned = [around(call) for around in arounds]

    async def __aenter__(self) -> _Entered:
        async with AsyncExitStack() as half:
            for planned in self._planned:
                await half.enter_async_context(planned)
            self.push_async_exit(half.pop_all())
        return self
