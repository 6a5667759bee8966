"""What runs around every call: its errors are told in one way, its caller is known, its rate is counted."""

from __future__ import annotations

import asyncio
import inspect
import re
import secrets
import time
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import grpc
import structlog
from grpc import aio

from zkinfer.service import error_status, identity
from zkinfer.service.auth import OPEN_METHODS
from zkinfer.service.errors import UnknownMethodError
from zkinfer.service.logs import log
from zkinfer.service.request_reader import Requests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from google.rpc.status_pb2 import Status

    from zkinfer.service.auth import Gate
    from zkinfer.service.identity import Identity
    from zkinfer.service.limits import Rates, Shares
    from zkinfer.service.metrics import Metrics
    from zkinfer.service.request_reader import Reading

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


REQUEST_ID = "x-request-id"
_DETAILS = "grpc-status-details-bin"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def request_id(metadata: tuple[tuple[str, str | bytes], ...]) -> str:
    """The id that the caller gave, where it may stand in a log; else a random one."""
    given = next((value for key, value in metadata if key == REQUEST_ID), "")
    return given if isinstance(given, str) and _ID.fullmatch(given) else secrets.token_hex(8)


def explained() -> Around:
    """End a failed call with the status of its error; the log has what the caller is not told."""

    @asynccontextmanager
    async def around(call: Call) -> AsyncIterator[None]:
        try:
            yield
        except aio.AbortError:
            raise
        except Exception as err:  # noqa: BLE001 - the last place to keep an exception's text from the caller
            call.problem = error_status.status_of(err, call.id)
            error_status.note(err, method=call.method, caller=call.caller)
            await call.context.abort(
                _CODES[call.problem.code],
                call.problem.message,
                ((_DETAILS, call.problem.SerializeToString()), (REQUEST_ID, call.id)),
            )

    return around


def authenticated(gate: Gate, rates: Rates) -> Around:
    """Refuse callers who are nobody, or come too often; the others are `identity.caller()` from here on.

    A call counts once; where it has many requests in it, each of them counts in its place.
    """

    @asynccontextmanager
    async def around(call: Call) -> AsyncIterator[None]:
        if call.method not in OPEN_METHODS:
            names = call.context.auth_context().get("x509_common_name", ())

            def again() -> Identity:
                found = gate.identify(call.metadata, names)
                rates.count(found)
                return found

            found = gate.identify(call.metadata, names) if call.asks else again()
            identity.enter(found, again)
            call.caller = found.name
        yield

    return around


def bounded(calls: Shares, lingering: Shares, watchers: Shares) -> Around:
    """Refuse a call where as many are served already, of all or of its caller; streams are `lingering` as well.

    What a load balancer asks is answered however much there is to do; only of those who watch, some are refused.
    """

    @asynccontextmanager
    async def around(call: Call) -> AsyncIterator[None]:
        if call.method in OPEN_METHODS:
            with watchers.one("") if call.streams else nullcontext():
                yield
            return
        with calls.one(call.caller), lingering.one(call.caller) if call.streams else nullcontext():
            yield

    return around


def observed(metrics: Metrics) -> Around:
    """Count and log every call: method, caller, outcome, time; never what was said. Its caller is told its id."""

    @asynccontextmanager
    async def around(call: Call) -> AsyncIterator[None]:
        structlog.contextvars.bind_contextvars(request_id=call.id)
        call.context.set_trailing_metadata(((REQUEST_ID, call.id),))
        began = time.monotonic()
        metrics.call_began()
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
            line = partial(say, "call", method=call.method, code=code, seconds=round(seconds, 4), caller=call.caller)
            asyncio.get_running_loop().call_soon(line)  # when the answer is on its way

    return around


def _outcome(call: Call) -> str:
    """The code of a call that failed: ours, or the one that its servicer aborted with."""
    if call.problem is not None:
        return _CODES[call.problem.code].name
    code: object = call.context.code()  # a number or a name of it, whatever its stub says
    found = _CODES.get(code) if isinstance(code, int) else code
    return found.name if isinstance(found, grpc.StatusCode) else "UNKNOWN"
