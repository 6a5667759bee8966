"""Middleware around every call: status of errors, authentication, limits, metrics and logs."""

from __future__ import annotations

import asyncio
import inspect
import re
import secrets
import time
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

import grpc
import structlog
from grpc import aio

from zkinfer.service import error_status, identity
from zkinfer.service.auth import OPEN_METHODS
from zkinfer.service.errors import UnknownMethodError
from zkinfer.service.logs import log
from zkinfer.service.request_reader import RequestStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from google.rpc.status_pb2 import Status

    from zkinfer.service.auth import Authenticator
    from zkinfer.service.identity import Identity
    from zkinfer.service.limits import ConcurrencyLimiter, RateLimiter
    from zkinfer.service.metrics import Metrics
    from zkinfer.service.request_reader import RequestReader

    Handler = grpc.RpcMethodHandler[Any, Any]
    Middleware = Callable[["Call"], AbstractAsyncContextManager[None]]


UNKNOWN = "/unknown"
"""Stands for all unknown methods, so that names made up by callers never reach metrics or logs."""


class CallContext(Protocol):
    """What middleware needs of a call's transport; gRPC's own context has it."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What the connection has shown, such as the names in its certificate."""

    def set_trailing_metadata(self, trailing_metadata: Any, /) -> None:  # noqa: ANN401 - gRPC's union of types
        """Set what accompanies the response."""

    def code(self) -> grpc.StatusCode | int | None:
        """The status that a servicer set."""

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any, /) -> NoReturn:  # noqa: ANN401
        """End the call with a status; raises `aio.AbortError`."""


@dataclass(slots=True)
class Call:
    """One call while it is served.

    Args:
        method: `/service/method`, of gRPC also if the call came over HTTP.
        context: of the transport.
        id: the request id.
        problem: the status of the error that `map_errors` handled.
        code: the name of the status code, once the call has ended.
        caller: the name of the identity; empty for open methods.
        metadata: sent by the caller.
        response_streaming: whether the responses are a stream.
        request_streaming: whether the requests are a stream.
        door: the protocol by which the call came.
    """

    method: str
    context: CallContext
    id: str
    problem: Status | None = None
    code: str = ""
    caller: str = ""
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=())
    response_streaming: bool = False
    request_streaming: bool = False
    door: Literal["grpc", "http"] = "grpc"


class Interceptor(aio.ServerInterceptor):
    """Runs middleware around every call, the first outermost, and reads the request inside all of it.

    Args:
        new_id: makes a request id from the metadata.
        reader: reads the request of calls that have one.
        middleware: entered in this order in the call's own task, so that the call sees context variables set there.
    """

    def __init__(
        self,
        new_id: Callable[[tuple[tuple[str, str | bytes], ...]], str],
        reader: RequestReader,
        *middleware: Middleware,
    ) -> None:
        self._new_id = new_id
        self._reader = reader
        self._middleware = middleware

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the handler of a method; methods that do not exist share one handler and one name."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return self._wrap(grpc.stream_unary_rpc_method_handler(_unknown(handler_call_details.method)), UNKNOWN)
        return self._wrap(handler, handler_call_details.method)

    def _wrap(self, handler: Any, method: str) -> Handler:  # noqa: ANN401 - of grpc, untyped
        """A handler that reads requests and sends responses itself, which gRPC allows for streams only.

        So it starts before the request is read, decodes the request, and ends once its responses were taken.
        """
        decode = handler.request_deserializer
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        respond = _send_responses if handler.response_streaming else _send_response

        async def serve(_requests: object, context: aio.ServicerContext[Any, Any]) -> None:
            call = self._call(method, context, handler)
            async with MiddlewareStack(self._middleware, call):
                if call.request_streaming:
                    with RequestStream(context, call.caller, self._reader.memory, decode) as requests:
                        await respond(behaviour(requests, context), context)
                else:
                    with await self._reader.read(context, call.caller, decode) as received:
                        await respond(behaviour(received.message, context), context)

        return grpc.stream_stream_rpc_method_handler(serve, None, handler.response_serializer)

    def _call(self, method: str, context: aio.ServicerContext[Any, Any], handler: Handler) -> Call:
        metadata = tuple(context.invocation_metadata() or ())
        return Call(
            method,
            context,
            self._new_id(metadata),
            metadata=metadata,
            response_streaming=handler.response_streaming,
            request_streaming=handler.request_streaming,
        )


def _unknown(method: str) -> Callable[..., Any]:
    def serve(_requests: object, _context: object) -> object:
        raise UnknownMethodError(
            f"There is no method {method!r:.120}.", "Server reflection, if enabled, lists the methods."
        )

    return serve


async def _send_response(answer: Any, context: aio.ServicerContext[Any, Any]) -> None:  # noqa: ANN401
    """Send the response of a call without a response stream: a message, or an awaitable of one."""
    await context.write(await answer if inspect.isawaitable(answer) else answer)


async def _send_responses(answers: Any, context: aio.ServicerContext[Any, Any]) -> None:  # noqa: ANN401
    """Send a response stream in the call's own task, so that cancelling the call ends it immediately."""
    if inspect.isawaitable(answers):  # a servicer that writes to the context itself
        await answers
        return
    async with aclosing(answers):
        async for answer in answers:
            await context.write(answer)


class MiddlewareStack(AsyncExitStack):
    """An exit stack that enters its context managers when it is entered."""

    def __init__(self, middleware: Sequence[Middleware], call: Call) -> None:
        super().__init__()
        self._managers = [one(call) for one in middleware]

    async def __aenter__(self) -> MiddlewareStack:
        async with AsyncExitStack() as partly_entered:
            for manager in self._managers:
                await partly_entered.enter_async_context(manager)
            self.push_async_exit(partly_entered.pop_all())
        return self


REQUEST_ID = "x-request-id"
_DETAILS = "grpc-status-details-bin"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def request_id(metadata: tuple[tuple[str, str | bytes], ...]) -> str:
    """The id that the caller sent if it is safe to log, else a random one."""
    given = next((value for key, value in metadata if key == REQUEST_ID), "")
    return given if isinstance(given, str) and _ID.fullmatch(given) else secrets.token_hex(8)


def map_errors() -> Middleware:
    """End a failed call with the status of its error; details that callers must not see go to the log."""

    @asynccontextmanager
    async def middleware(call: Call) -> AsyncIterator[None]:
        try:
            yield
        except aio.AbortError:
            raise
        except Exception as err:  # noqa: BLE001 - the last place to keep exception text from the caller
            call.problem = error_status.status_of(err, call.id)
            error_status.log_error(err, method=call.method, caller=call.caller)
            error_status.forget_frames(err)
            await call.context.abort(
                _CODES[call.problem.code],
                call.problem.message,
                ((_DETAILS, call.problem.SerializeToString()), (REQUEST_ID, call.id)),
            )

    return middleware


def authenticate(authenticator: Authenticator, rates: RateLimiter) -> Middleware:
    """Reject callers that are unauthenticated or exceed their rate; sets `identity.caller()` for all others.

    A call counts once against the rate; in a request stream, each request counts instead.
    """

    @asynccontextmanager
    async def middleware(call: Call) -> AsyncIterator[None]:
        if call.method not in OPEN_METHODS:
            names = call.context.auth_context().get("x509_common_name", ())

            def identify() -> Identity:
                found = authenticator.identify(call.metadata, names)
                rates.acquire(found)
                return found

            found = authenticator.identify(call.metadata, names) if call.request_streaming else identify()
            identity.set_caller(found, identify)
            call.caller = found.name
        yield

    return middleware


def limit_concurrency(
    calls: ConcurrencyLimiter, waiting: ConcurrencyLimiter, streams: ConcurrencyLimiter, watchers: ConcurrencyLimiter
) -> Middleware:
    """Reject calls beyond the limits.

    Those are `calls` for all of them, `waiting` for response streams too, `streams` for request streams too, each of
    which may buffer a message, and `watchers` for Health/Watch.

    Health checks are not limited, so that a load balancer gets an answer under any load.
    """

    @asynccontextmanager
    async def middleware(call: Call) -> AsyncIterator[None]:
        if call.method in OPEN_METHODS:
            with watchers.slot("") if call.response_streaming else nullcontext():
                yield
            return
        with (
            calls.slot(call.caller),
            waiting.slot(call.caller) if call.response_streaming else nullcontext(),
            streams.slot(call.caller) if call.request_streaming else nullcontext(),
        ):
            yield

    return middleware


def record_calls(metrics: Metrics) -> Middleware:
    """Count and log every call: method, caller, outcome, seconds, never content. Sends the request id to the caller."""

    @asynccontextmanager
    async def middleware(call: Call) -> AsyncIterator[None]:
        structlog.contextvars.bind_contextvars(request_id=call.id)
        call.context.set_trailing_metadata(((REQUEST_ID, call.id),))
        began = time.monotonic()
        metrics.call_started()
        try:
            yield
            call.code = "OK"
        except asyncio.CancelledError:
            call.code = "CANCELLED"
            raise
        finally:
            seconds, code = time.monotonic() - began, call.code or _outcome(call)
            call.code = code
            metrics.call_ended(call.method, code, seconds)
            say = log.debug if call.method in OPEN_METHODS else log.info
            facts = {"method": call.method, "door": call.door, "code": code, "caller": call.caller}
            line = partial(say, "call", **facts, seconds=round(seconds, 4))
            asyncio.get_running_loop().call_soon(line)  # after the response is sent

    return middleware


def _outcome(call: Call) -> str:
    """The code of a failed call: set by `map_errors`, or by the servicer that aborted it."""
    if call.problem is not None:
        return _CODES[call.problem.code].name
    code: object = call.context.code()  # an int or a StatusCode, whatever the stub says
    found = _CODES.get(code) if isinstance(code, int) else code
    return found.name if isinstance(found, grpc.StatusCode) else "UNKNOWN"
