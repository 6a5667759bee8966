"""Code that runs around every call, whatever its kind and whoever serves it.

A request is read when that code was entered: who is refused at the door sends nothing that is kept in memory.
"""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import grpc
from grpc import aio

from zkinfer.service.errors import UnknownMethodError
from zkinfer.service.reading import Requests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from google.rpc.status_pb2 import Status

    from zkinfer.service.reading import Reading

    Handler = grpc.RpcMethodHandler[Any, Any]
    Around = Callable[["Call"], AbstractAsyncContextManager[None]]


UNKNOWN = "/unknown"
"""The name of all methods that do not exist: what callers make up is kept nowhere."""


@dataclass(slots=True)
class Call:
    """One call while it is served: `/service/method`, its context, who calls; its code once it ended, and the problem
    if it failed with one of ours.

    One that `streams` lasts as long as its caller likes; one that `asks` has any number of requests in it.
    """

    method: str
    context: aio.ServicerContext[Any, Any]
    id: str
    problem: Status | None = None
    code: str = ""
    caller: str = ""
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=())
    streams: bool = False
    asks: bool = False


class Interceptor(aio.ServerInterceptor):
    """Puts context managers around every call, the first outermost; inside them its request is read.

    Args:
        new_id: gives a request's id from its metadata.
        reading: of calls that have one request.
        arounds: entered in this order in the call's own task, so that context variables set there hold for the call.
    """

    def __init__(
        self, new_id: Callable[[tuple[tuple[str, str | bytes], ...]], str], reading: Reading, *arounds: Around
    ) -> None:
        self._new_id = new_id
        self._reading = reading
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
        """A handler that is told of the call before its request is read: so grpc takes it for one of a stream."""
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        streams, asks = handler.response_streaming, handler.request_streaming
        answered = _written if streams else _returned

        async def serve(_requests: object, context: aio.ServicerContext[Any, Any]) -> object:
            call = self._call(method, context, streams=streams, asks=asks)
            async with _Entered(self._arounds, call):
                asked = Requests(context) if asks else await self._reading.request(context, call.caller)
                return await answered(behaviour(asked, context), context)

        make: Any = grpc.stream_stream_rpc_method_handler if streams else grpc.stream_unary_rpc_method_handler
        return cast("Handler", make(serve, handler.request_deserializer, handler.response_serializer))

    def _call(self, method: str, context: aio.ServicerContext[Any, Any], *, streams: bool, asks: bool) -> Call:
        metadata = tuple(context.invocation_metadata() or ())
        return Call(method, context, self._new_id(metadata), metadata=metadata, streams=streams, asks=asks)


def _unknown(method: str) -> Callable[..., Any]:
    def serve(_requests: object, _context: object) -> object:
        raise UnknownMethodError(f"There is no method {method!r:.120} here.", "Reflection, where it is on, lists them.")

    return serve


async def _returned(answer: Any, _context: object) -> object:  # noqa: ANN401 - a message, or what will be one
    """The answer of a call that has one."""
    return await answer if inspect.isawaitable(answer) else answer


async def _written(answers: Any, context: aio.ServicerContext[Any, Any]) -> None:  # noqa: ANN401
    """Send a stream of answers, in the call's own task: when the caller leaves, it ends where it stands."""
    if inspect.isawaitable(answers):  # a servicer that writes to its context
        await answers
        return
    async with aclosing(answers):
        async for answer in answers:
            await context.write(answer)


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
