"""What runs around every call: its errors are told in one way, its caller is known, its rate is counted."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import grpc
import structlog
from grpc import aio

from zkinfer.service import identity, problems
from zkinfer.service.auth import OPEN_METHODS
from zkinfer.service.logs import log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from zkinfer.service.auth import Gate
    from zkinfer.service.identity import Identity
    from zkinfer.service.interception import Around, Call
    from zkinfer.service.metrics import Metrics
    from zkinfer.service.rates import Rates
    from zkinfer.service.shares import Shares

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
            call.problem = problems.status_of(err, call.id)
            problems.note(err, method=call.method, caller=call.caller)
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
