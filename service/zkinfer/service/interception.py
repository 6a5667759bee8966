"""Code that runs around every call, whatever its kind and whoever serves it."""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import grpc
from grpc import aio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from google.rpc.status_pb2 import Status

    Handler = grpc.RpcMethodHandler[Any, Any]
    Around = Callable[["Call"], AbstractAsyncContextManager[None]]


_MAKERS: Mapping[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


@dataclass(slots=True)
class Call:
    """One call while it is served: `/service/method`, its context, who calls, and, once it failed, with what.

    One that `streams` lasts as long as its caller likes.
    """

    method: str
    context: aio.ServicerContext[Any, Any]
    id: str
    problem: Status | None = None
    caller: str = ""
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=())
    streams: bool = False


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
    ) -> Handler | None:
        """Wrap the handler of a method; None, for a method that does not exist, stays None."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return self._wrapped(handler, handler_call_details.method)

    def _wrapped(self, handler: Any, method: str) -> Handler:  # noqa: ANN401 - of grpc, untyped
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        make = _MAKERS[handler.request_streaming, handler.response_streaming]
        wrapped = self._streaming(behaviour, method) if handler.response_streaming else self._single(behaviour, method)
        made = make(wrapped, handler.request_deserializer, handler.response_serializer)
        return cast("Handler", made)

    def _single(self, behaviour: Callable[..., Any], method: str) -> Callable[..., Any]:
        async def serve(request: object, context: aio.ServicerContext[Any, Any]) -> object:
            async with self._entered(method, context, streams=False):
                answer = behaviour(request, context)
                return await answer if inspect.isawaitable(answer) else answer

        return serve

    def _streaming(self, behaviour: Callable[..., Any], method: str) -> Callable[..., Any]:
        async def serve(request: object, context: aio.ServicerContext[Any, Any]) -> AsyncIterator[object]:
            async with self._entered(method, context, streams=True):
                answers = behaviour(request, context)
                if inspect.isawaitable(answers):  # a servicer that writes to its context
                    await answers
                    return
                async for answer in answers:
                    yield answer

        return serve

    def _entered(self, method: str, context: aio.ServicerContext[Any, Any], *, streams: bool) -> AsyncExitStack:
        metadata = tuple(context.invocation_metadata() or ())
        call = Call(method, context, self._new_id(metadata), metadata=metadata, streams=streams)
        return _Entered(self._arounds, call)


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
