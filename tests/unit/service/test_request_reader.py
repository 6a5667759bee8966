"""Requests that do not come: of nobody in particular, of one caller, of many at once."""

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
    """A call whose request does not come."""

    async def read(self):
        await asyncio.Event().wait()


class Told:
    """A call whose requests are there."""

    def __init__(self, *messages):
        self.messages = [*messages, aio.EOF]

    async def read(self):
        return self.messages.pop(0)


async def one(request, context):
    return f"{caller().name}:{request.decode()}".encode()


def register(desk, server):
    handlers = {"One": grpc.unary_unary_rpc_method_handler(one)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Calls", handlers),))
    add_HealthServicer_to_server(health_aio.HealthServicer(), server)


async def never():
    await asyncio.Event().wait()
    yield b""


@asynccontextmanager
async def half_open(calls, number, method=ONE, **options):
    """So many calls whose request never comes, once the server has all of them."""
    opened = [calls.channel.stream_unary(method)(never(), **options) for _ in range(number)]
    in_flight = calls.desk.metrics.registry.get_sample_value
    while (in_flight("zkinfer_requests_in_flight") or 0) < number and not any(one.done() for one in opened):
        await asyncio.sleep(0.01)
    yield opened
    for one in opened:
        one.cancel()


async def test_request_is_read():
    assert await RequestReader(30.0).read(Told(b"a"), "ann") == b"a"


async def test_call_without_a_request_is_refused():
    with pytest.raises(DataError, match="has no request"):
        await RequestReader(30.0).read(Told(), "ann")


@pytest.mark.parametrize("name", ["", "ann"])
async def test_request_that_does_not_come_is_not_waited_for(name):
    with pytest.raises(LateRequestError, match="did not arrive in time"):
        await RequestReader(0.0).read(Silent(), name)


async def test_in_a_crowd_of_one_caller_the_oldest_gives_way_and_nobody_elses(monkeypatch):
    monkeypatch.setattr(module, "_MAX_UNREAD", 1)
    monkeypatch.setattr(module, "_CROWDED_SHARE", 0.0)
    reading = RequestReader(3600.0)
    first, other, second = [asyncio.create_task(reading.read(Silent(), name)) for name in ("ann", "bob", "ann")]
    with pytest.raises(LateRequestError):
        await first
    assert not other.done()
    assert not second.done()
    assert await reading.read(Told(b"a"), "ann") == b"a"
    with pytest.raises(LateRequestError):
        await second
    other.cancel()


async def test_crowd_gives_nobody_more_time_than_there_was(monkeypatch):
    monkeypatch.setattr(module, "_MAX_UNREAD", 1)
    monkeypatch.setattr(module, "_CROWDED_SHARE", 3600.0)
    reading = RequestReader(0.0)
    for done in await asyncio.gather(*(reading.read(Silent(), "ann") for _ in range(5)), return_exceptions=True):
        assert isinstance(done, LateRequestError)


# --- over the wire


async def test_late_request_is_told_when_to_come_again(desk):
    desk.read_seconds = 0.05
    async with queue_server.served(desk, register=register) as calls:
        with pytest.raises(aio.AioRpcError, match="did not arrive in time") as caught:
            await calls.channel.stream_unary(ONE)(never())
        assert await calls.channel.unary_unary(ONE)(b"a") == b"anonymous:a"
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "RetryInfo" in details(caught.value)


async def test_calls_of_nobody_that_send_nothing_keep_neither_calls_nor_health_waiting(desk):
    desk.most_calls = 1
    async with queue_server.served(desk, register=register) as calls, half_open(calls, 40, CHECK):
        assert await calls.channel.unary_unary(ONE)(b"a") == b"anonymous:a"
        health = await HealthStub(calls.channel).Check(HealthCheckRequest())
    assert health.status == HealthCheckResponse.SERVING


async def test_calls_of_one_caller_that_send_nothing_leave_room_for_another(desk):
    desk.most_calls = 4
    ann, bob = (bearer(desk.authenticator.tokens.new(name)[1]) for name in ("ann", "bob"))
    async with queue_server.served(desk, register=register) as calls, half_open(calls, 2, metadata=ann):
        with pytest.raises(aio.AioRpcError, match="of all callers or of this one") as caught:
            await calls.channel.unary_unary(ONE)(b"a", metadata=ann)
        assert await calls.channel.unary_unary(ONE)(b"a", metadata=bob) == b"bob:a"
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "RetryInfo" in details(caught.value)


async def test_watchers_of_health_have_few_places_of_their_own(desk):
    desk.most_watchers = 2
    async with queue_server.served(desk, register=register) as calls:
        first = HealthStub(calls.channel).Watch(HealthCheckRequest())
        assert (await first.read()).status == HealthCheckResponse.SERVING
        with pytest.raises(aio.AioRpcError, match="Too many callers watch") as caught:
            await HealthStub(calls.channel).Watch(HealthCheckRequest()).read()
        first.cancel()
    assert "RetryInfo" in details(caught.value)
