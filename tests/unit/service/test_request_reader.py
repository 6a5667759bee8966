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
from zkinfer.oip.messages import ModelInferRequest
from zkinfer.service import request_reader as module
from zkinfer.service.errors import LateRequestError
from zkinfer.service.identity import caller
from zkinfer.service.request_reader import RequestMemory, RequestReader, RequestStream, current_request

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


def memory(places=2, size=1000):
    """For so many requests of this size that are arriving, and for two of a caller alone that were received."""
    return RequestMemory(8 * size // places, 8 * size)


async def read(reader, context, caller="ann", **options):
    return (await reader.read(context, caller, **options)).message


async def test_request_is_read():
    assert await read(RequestReader(30.0, memory()), Arrived(b"a")) == b"a"


async def test_call_without_a_request_is_refused():
    with pytest.raises(DataError, match="has no request"):
        await read(RequestReader(30.0, memory()), Arrived())


@pytest.mark.parametrize("name", ["", "ann"])
async def test_late_request_is_abandoned(name):
    with pytest.raises(LateRequestError, match="did not arrive in time"):
        await read(RequestReader(0.0, memory()), Silent(), name)


async def test_while_others_wait_the_oldest_request_of_the_busiest_caller_gives_way(monkeypatch):
    monkeypatch.setattr(module, "_CROWDED_SECONDS", 0.0)
    reader = RequestReader(3600.0, memory(places=4))
    first, other = [asyncio.create_task(read(reader, Silent(), name)) for name in ("ann", "bob")]
    second = asyncio.create_task(read(reader, Silent(), "ann"))
    await asyncio.sleep(0)
    assert await read(reader, Arrived(b"a"), "ann") == b"a"  # after `first`, which has the place it needs
    with pytest.raises(LateRequestError):
        await first
    assert not other.done()
    assert not second.done()
    other.cancel()
    second.cancel()


async def test_requests_that_wait_for_a_place_have_no_more_time_than_others():
    reader = RequestReader(0.05, memory(places=2))
    calls = [read(reader, Silent(), "ann") for _ in range(5)]
    for done in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(done, LateRequestError)
    assert await read(reader, Arrived(b"a"), "ann") == b"a"


async def test_newest_request_of_a_caller_is_read_first():
    reader, order = RequestReader(3600.0, memory(places=2)), []

    async def say(name):
        await read(reader, Arrived(b"a"), "ann")
        order.append(name)

    blocked = asyncio.create_task(read(reader, Silent(), "ann"))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(say(name)) for name in ("old", "new")]
    await asyncio.sleep(0)
    blocked.cancel()
    await asyncio.gather(*waiting)
    assert order == ["new", "old"]


async def test_request_keeps_its_memory_until_it_is_dropped():
    reader = RequestReader(0.05, memory(size=1000))
    held, _ = [await reader.read(Arrived(bytes(1000)), "ann") for _ in range(2)]
    with pytest.raises(LateRequestError):
        await reader.read(Arrived(bytes(1000)), "ann")
    (await reader.read(Arrived(bytes(1000)), "bob")).drop()
    held.drop()
    held.drop()
    assert held.message is None
    assert (await reader.read(Arrived(bytes(1000)), "ann")).message == bytes(1000)


async def test_share_of_an_answer_is_kept_until_the_response_was_taken():
    kept = memory(size=1000)
    with await RequestReader(1.0, kept).read(Arrived(b"a"), "ann") as received:
        for _ in range(2):
            current_request().hold_until_sent(await kept.answering.acquire("ann", 2000))
        received.drop()
        assert kept.answering.must_wait("ann")
    assert not kept.answering.must_wait("ann")


async def test_message_that_cannot_be_decoded_leaves_no_memory_taken():
    kept = memory(size=1000)
    for _ in range(5):
        with pytest.raises(DataError, match="not a message of the type"):
            await RequestReader(1.0, kept).read(Arrived(b"\x0a\x01\xff" * 500), "ann", HealthCheckRequest.FromString)


async def test_small_message_that_would_be_large_when_decoded_is_refused_before():
    with pytest.raises(DataError, match="more than 10,000 fields"):
        await RequestReader(1.0, memory(size=1 << 20)).read(
            Arrived(b"\x2a\0" * 20_000), "ann", ModelInferRequest.FromString
        )


# --- streams


async def test_stream_gives_up_a_request_when_the_next_is_read():
    with RequestStream(Arrived(*[bytes(1000)] * 4), "ann", memory(size=1000)) as stream:
        async with asyncio.timeout(5):
            assert [len(message) async for message in stream] == [1000] * 4


async def test_stream_reads_no_further_than_there_is_memory():
    with RequestStream(Arrived(*[bytes(1000)] * 4), "ann", memory(size=1000)) as stream:
        requests = stream.received()
        first, _ = await anext(requests), await anext(requests)
        third = asyncio.create_task(anext(requests))
        await asyncio.sleep(0.01)
        assert not third.done()
        first.drop()
        (await third).drop()


async def test_end_of_a_stream_gives_up_what_was_received():
    kept = memory(size=1000)
    with RequestStream(Arrived(*[bytes(1000)] * 2), "ann", kept) as stream:
        held = [received async for received in stream.received()]
    assert [received.message for received in held] == [None, None]
    assert await read(RequestReader(1.0, kept), Arrived(bytes(1000))) == bytes(1000)


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
