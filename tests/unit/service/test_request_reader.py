"""Requests that never arrive: of anonymous callers, of one caller, of many callers."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc import aio
from grpc_health.v1.health import aio as health_aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server
from tests.unit.service import queue_server
from tests.unit.service.queue_server import bearer, details

from zkinfer.circuits.errors import DataError
from zkinfer.service import request_reader as module
from zkinfer.service.errors import LateRequestError
from zkinfer.service.identity import caller
from zkinfer.service.request_reader import RequestReader

CHECK, WATCH, ONE = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/test.Calls/One"


class Silent:
    """A call whose request never arrives."""

    async def read(self):
        await asyncio.Event().wait()


class Arrived:
    """A call whose requests have arrived."""

    def __init__(self, *messages):
        self.messages = [*messages, aio.EOF]

    async def read(self):
        return self.messages.pop(0)


async def one(request, context):
    return f"{caller().name}:{request.decode()}".encode()


def register(backend, server):
    handlers = {"One": grpc.unary_unary_rpc_method_handler(one)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Calls", handlers),))
    add_HealthServicer_to_server(health_aio.HealthServicer(), server)


async def never():
    await asyncio.Event().wait()
    yield b""


@asynccontextmanager
async def half_open(calls, number, method=ONE, **options):
    """`number` calls without a request, once the server has received all of them."""
    opened = [calls.channel.stream_unary(method)(never(), **options) for _ in range(number)]
    in_flight = calls.backend.metrics.registry.get_sample_value
    while (in_flight("zkinfer_requests_in_flight") or 0) < number and not any(one.done() for one in opened):
        await asyncio.sleep(0.01)
    yield opened
    for one in opened:
        one.cancel()


async def test_request_is_read():
    assert await RequestReader(30.0).read(Arrived(b"a"), "ann") == b"a"


async def test_call_without_a_request_is_refused():
    with pytest.raises(DataError, match="has no request"):
        await RequestReader(30.0).read(Arrived(), "ann")


@pytest.mark.parametrize("name", ["", "ann"])
async def test_late_request_is_abandoned(name):
    with pytest.raises(LateRequestError, match="did not arrive in time"):
        await RequestReader(0.0).read(Silent(), name)


async def test_oldest_unread_request_of_a_crowding_caller_is_dropped(monkeypatch):
    monkeypatch.setattr(module, "_MAX_UNREAD", 1)
    monkeypatch.setattr(module, "_CROWDED_SHARE", 0.0)
    reading = RequestReader(3600.0)
    first, other, second = [asyncio.create_task(reading.read(Silent(), name)) for name in ("ann", "bob", "ann")]
    with pytest.raises(LateRequestError):
        await first
    assert not other.done()
    assert not second.done()
    assert await reading.read(Arrived(b"a"), "ann") == b"a"
    with pytest.raises(LateRequestError):
        await second
    other.cancel()


async def test_crowding_never_extends_the_read_timeout(monkeypatch):
    monkeypatch.setattr(module, "_MAX_UNREAD", 1)
    monkeypatch.setattr(module, "_CROWDED_SHARE", 3600.0)
    reading = RequestReader(0.0)
    for done in await asyncio.gather(*(reading.read(Silent(), "ann") for _ in range(5)), return_exceptions=True):
        assert isinstance(done, LateRequestError)


# --- over gRPC


async def test_late_request_gets_a_retry_delay(backend):
    backend.read_seconds = 0.05
    async with queue_server.served(backend, register=register) as calls:
        with pytest.raises(aio.AioRpcError, match="did not arrive in time") as caught:
            await calls.channel.stream_unary(ONE)(never())
        assert await calls.channel.unary_unary(ONE)(b"a") == b"anonymous:a"
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "RetryInfo" in details(caught.value)


async def test_silent_anonymous_calls_block_neither_calls_nor_health(backend):
    backend.most_calls = 1
    async with queue_server.served(backend, register=register) as calls, half_open(calls, 40, CHECK):
        assert await calls.channel.unary_unary(ONE)(b"a") == b"anonymous:a"
        health = await HealthStub(calls.channel).Check(HealthCheckRequest())
    assert health.status == HealthCheckResponse.SERVING


async def test_silent_calls_of_one_caller_leave_room_for_another(backend):
    backend.most_calls = 4
    ann, bob = (bearer(backend.authenticator.tokens.new(name)[1]) for name in ("ann", "bob"))
    async with queue_server.served(backend, register=register) as calls, half_open(calls, 2, metadata=ann):
        with pytest.raises(aio.AioRpcError, match="of all callers or of this one") as caught:
            await calls.channel.unary_unary(ONE)(b"a", metadata=ann)
        assert await calls.channel.unary_unary(ONE)(b"a", metadata=bob) == b"bob:a"
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "RetryInfo" in details(caught.value)


async def test_health_watchers_have_their_own_limit(backend):
    backend.most_watchers = 2
    async with queue_server.served(backend, register=register) as calls:
        first = HealthStub(calls.channel).Watch(HealthCheckRequest())
        assert (await first.read()).status == HealthCheckResponse.SERVING
        with pytest.raises(aio.AioRpcError, match="Too many callers watch") as caught:
            await HealthStub(calls.channel).Watch(HealthCheckRequest()).read()
        first.cancel()
    assert "RetryInfo" in details(caught.value)
