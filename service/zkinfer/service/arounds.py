"""What runs around every call: its errors are told in one way, its caller is known, its rate is counted."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import grpc
import structlog
from google.rpc import code_pb2
from grpc import aio

from zkinfer.service import identity, problems
from zkinfer.service.auth import OPEN_METHODS
from zkinfer.service.logs import described, log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from zkinfer.service.auth import Gate
    from zkinfer.service.interception import Around, Call
    from zkinfer.service.lingering import Lingering
    from zkinfer.service.metrics import Metrics
    from zkinfer.service.rates import Rates

REQUEST_ID = "x-request-id"
_DETAILS = "grpc-status-details-bin"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OURS = (code_pb2.INTERNAL, code_pb2.UNAVAILABLE, code_pb2.FAILED_PRECONDITION, code_pb2.DATA_LOSS)
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
        except (asyncio.CancelledError, GeneratorExit, aio.AbortError):
            raise
        except Exception as err:  # noqa: BLE001 - the last place to keep an exception's text from the caller
            call.problem = problems.status_of(err, call.id)
            _note(call, err)
            await call.context.abort(
                _CODES[call.problem.code],
                call.problem.message,
                ((_DETAILS, call.problem.SerializeToString()), (REQUEST_ID, call.id)),
            )

    return around


def _note(call: Call, err: BaseException) -> None:
    """What the caller did wrong is theirs, and may quote what they sent; what is wrong here is told in full."""
    if call.problem is not None and call.problem.code in _OURS:
        log.error("failed", method=call.method, caller=call.caller, **described(err))
    else:
        log.info("refused", method=call.method, caller=call.caller, error=type(err).__name__)


def authenticated(gate: Gate, rates: Rates) -> Around:
    """Refuse callers who are nobody, or come too often; the others are `identity.caller()` from here on."""

    @asynccontextmanager
    async def around(call: Call) -> AsyncIterator[None]:
        if call.method not in OPEN_METHODS:
            names = call.context.auth_context().get("x509_common_name", ())
            found = gate.identify(call.metadata, names)
            rates.count(found)
            identity.enter(found)
            call.caller = found.name
        yield

    return around


def bounded(lingering: Lingering) -> Around:
    """Refuse a stream where there are too many already."""

    @asynccontextmanager
    async def around(call: Call) -> AsyncIterator[None]:
        with lingering.one() if call.streams else nullcontext():
            yield

    return around


def observed(metrics: Metrics) -> Around:
    """Count and log every call: method, caller, outcome, time; never what was said."""

    @asynccontextmanager
    async def around(call: Call) -> AsyncIterator[None]:
        structlog.contextvars.bind_contextvars(request_id=call.id)
        began, code = time.monotonic(), ""
        metrics.call_began()
        try:
            yield
            code = "OK"
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        finally:
            seconds, code = time.monotonic() - began, code or _outcome(call)
            metrics.call_ended(call.method, code, seconds)
            say = log.debug if call.method in OPEN_METHODS else log.info
            say("call", method=call.method, code=code, seconds=round(seconds, 4), caller=call.caller)

    return around


def _outcome(call: Call) -> str:
    """The code of a call that failed: ours, or the one that its servicer aborted with."""
    if call.problem is not None:
        return _CODES[call.problem.code].name
    code: object = call.context.code()  # a number or a name of it, whatever its stub says
    found = _CODES.get(code) if isinstance(code, int) else code
    return found.name if isinstance(found, grpc.StatusCode) else "UNKNOWN"
