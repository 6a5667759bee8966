"""The middleware of every type of call."""

import asyncio
import gc
import json
import sys

import grpc
import pytest
from grpc import aio
from grpc_health.v1.health import aio as health_aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server
from prometheus_client import generate_latest
from tests.unit.service import queue_server
from tests.unit.service.queue_server import details

from zkinfer.circuits.errors import DataError
from zkinfer.service.identity import caller
from zkinfer.service.logs import configure
from zkinfer.service.settings import Log
from zkinfer.v1.models_pb2 import ListModelsRequest

MARKER = "31337-marker"


def text(value: str) -> str:
    return value


async def one(request, context):
    return f"{caller().name}:{request.decode()}".encode()


async def many(request, context):
    for word in request.split():
        yield word


async def collected(requests, context):
    return b" ".join([request async for request in requests])


async def echoed(requests, context):
    async for request in requests:
        yield request


async def written(request, context):
    for word in request.split():
        await context.write(word)


async def endless(request, context):
    while True:
        yield b"word"


def max_concurrent(request, context):
    return request


async def refusing(request, context):
    raise DataError(f"It is wrong: {request.decode()}.")


async def breaking(request, context):
    raise RuntimeError(request.decode())


async def breaking_late(request, context):
    yield b"first"
    raise RuntimeError(request.decode())


async def aborting(request, context):
    await context.abort(grpc.StatusCode.ABORTED, "own words")


async def hanging(request, context):
    await asyncio.sleep(60)


NOTED = []


def noted(data):
    NOTED.append(len(data))
    return data


UNARY = {
    "One": one,
    "AtOnce": max_concurrent,
    "Refusing": refusing,
    "Breaking": breaking,
    "Aborting": aborting,
    "Hanging": hanging,
}
STREAM = {"Many": many, "Written": written, "BreakingLate": breaking_late, "Endless": endless}


def handlers(backend, server):
    found = {name: grpc.unary_unary_rpc_method_handler(call) for name, call in UNARY.items()}
    found |= {name: grpc.unary_stream_rpc_method_handler(call) for name, call in STREAM.items()}
    found |= {"Collected": grpc.stream_unary_rpc_method_handler(collected)}
    found |= {"Noted": grpc.unary_unary_rpc_method_handler(one, request_deserializer=noted)}
    found |= {"Typed": grpc.unary_unary_rpc_method_handler(one, request_deserializer=ListModelsRequest.FromString)}
    typed = grpc.stream_stream_rpc_method_handler(echoed, request_deserializer=ListModelsRequest.FromString)
    found |= {"TypedStream": typed}
    found |= {"Echoed": grpc.stream_stream_rpc_method_handler(echoed)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Calls", found),))


@pytest.fixture
async def calls(backend):
    async with queue_server.served(backend, register=handlers) as served:
        yield served


@pytest.fixture
def logged(capsys):
    configure(Log())
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


async def settled(calls):
    """Wait until the server has finished every call, as it logs after answering."""
    while calls.backend.metrics.registry.get_sample_value("zkinfer_requests_in_flight"):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)  # the log line follows


async def words():
    for word in (b"a", b"b"):
        yield word


async def test_every_rpc_type_is_served(calls):
    channel = calls.channel
    assert await channel.unary_unary("/test.Calls/One")(b"a") == b"anonymous:a"
    assert await channel.unary_unary("/test.Calls/AtOnce")(b"a") == b"a"
    assert [word async for word in channel.unary_stream("/test.Calls/Many")(b"a b")] == [b"a", b"b"]
    assert [word async for word in channel.unary_stream("/test.Calls/Written")(b"a b")] == [b"a", b"b"]
    assert await channel.stream_unary("/test.Calls/Collected")(words()) == b"a b"
    assert [word async for word in channel.stream_stream("/test.Calls/Echoed")(words())] == [b"a", b"b"]


async def test_every_generator_is_closed_explicitly(calls):
    hooks, left = sys.get_asyncgen_hooks(), []
    sys.set_asyncgen_hooks(finalizer=left.append)
    try:
        await calls.channel.unary_unary("/test.Calls/One")(b"a")
        leaving = calls.channel.unary_stream("/test.Calls/Endless")(b"")
        await leaving.read()
        leaving.cancel()
        await settled(calls)
        gc.collect()
    finally:
        sys.set_asyncgen_hooks(*hooks)
    assert left == []


async def test_unknown_method_is_unimplemented(calls):
    with pytest.raises(aio.AioRpcError, match=r"There is no method '/test\.Calls/None'") as caught:
        await calls.channel.unary_unary("/test.Calls/None")(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert details(caught.value)["ErrorInfo"].reason == "UNKNOWN_METHOD"


async def test_invented_method_names_are_in_no_metric_or_log(calls, logged):
    for number in range(5):
        with pytest.raises(aio.AioRpcError):
            await calls.channel.unary_unary(f"/test.Calls/{MARKER}-{number}")(b"")
    await settled(calls)
    assert MARKER not in generate_latest(calls.backend.metrics.registry).decode()
    assert MARKER not in json.dumps(logged())


async def test_call_beyond_the_limit_gets_a_retry_delay_while_health_is_served(backend):
    backend.most_calls = 1

    def both(backend, server):
        handlers(backend, server)
        add_HealthServicer_to_server(health_aio.HealthServicer(), server)

    async with queue_server.served(backend, register=both) as calls:
        hanging_call = calls.channel.unary_unary("/test.Calls/Hanging")(b"")
        while not backend.metrics.registry.get_sample_value("zkinfer_requests_in_flight"):
            await asyncio.sleep(0.01)
        with pytest.raises(aio.AioRpcError, match="Too many calls are being served") as caught:
            await calls.channel.unary_unary("/test.Calls/One")(b"")
        health = await HealthStub(calls.channel).Check(HealthCheckRequest())
        hanging_call.cancel()
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "RetryInfo" in details(caught.value)
    assert health.status == HealthCheckResponse.SERVING


# --- unread and malformed requests


async def test_request_of_a_refused_caller_is_never_read(calls):
    calls.backend.authenticator.tokens.new("alice")
    with pytest.raises(aio.AioRpcError) as caught:
        await calls.channel.unary_unary("/test.Calls/Noted")(bytes(10 << 20))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert NOTED == []


@pytest.mark.parametrize("name", ["Typed", "TypedStream"])
async def test_malformed_request_is_refused_with_a_reason(calls, name):
    call = calls.channel.stream_stream(f"/test.Calls/{name}")(iter([b"\xff\xff"]))
    with pytest.raises(aio.AioRpcError, match="not a message of the type") as caught:
        await call.read()
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert details(caught.value)["ErrorInfo"].reason == "DATA"


async def test_call_without_its_request_is_refused(calls):
    with pytest.raises(aio.AioRpcError, match="has no request"):
        await calls.channel.stream_unary("/test.Calls/One")(iter(()))


async def test_message_too_large_when_decompressed_is_refused(calls):
    packed = calls.channel.unary_unary("/test.Calls/One")(bytes(24 << 20), compression=grpc.Compression.Gzip)
    with pytest.raises(aio.AioRpcError, match="larger than max") as caught:
        await packed
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_known_error_is_returned_with_details(calls):
    with pytest.raises(aio.AioRpcError, match="It is wrong: x") as caught:
        await calls.channel.unary_unary("/test.Calls/Refusing")(b"x")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert details(caught.value)["ErrorInfo"].reason == "DATA"


@pytest.mark.parametrize("name", ["Breaking", "BreakingLate"])
async def test_unexpected_error_discloses_only_the_request_id(calls, logged, name):
    stub = calls.channel.unary_stream if name in STREAM else calls.channel.unary_unary
    call = stub(f"/test.Calls/{name}")(MARKER.encode(), metadata=(("x-request-id", "r-1"),))
    with pytest.raises(aio.AioRpcError) as caught:
        _ = [word async for word in call] if name in STREAM else await call
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert MARKER not in str(caught.value)
    assert "r-1" in caught.value.details()
    [failure] = [line for line in logged() if line["event"] == "failed"]
    assert (failure["request_id"], failure["error"]) == ("r-1", "RuntimeError")
    assert "test_interceptors.py" in failure["place"]
    assert MARKER not in json.dumps(failure)


async def test_refusal_is_logged_without_the_request_values(calls, logged):
    with pytest.raises(aio.AioRpcError):
        await calls.channel.unary_unary("/test.Calls/Refusing")(MARKER.encode())
    await settled(calls)
    lines = logged()
    assert {line["event"] for line in lines} == {"refused", "call"}
    assert MARKER not in json.dumps(lines)


async def test_abort_of_a_servicer_passes_unchanged(calls):
    with pytest.raises(aio.AioRpcError, match="own words") as caught:
        await calls.channel.unary_unary("/test.Calls/Aborting")(b"")
    assert caught.value.code() == grpc.StatusCode.ABORTED


async def test_every_call_is_counted_and_logged_with_its_outcome(calls, logged):
    hanging_call = calls.channel.unary_unary("/test.Calls/Hanging")(b"")
    await calls.channel.unary_unary("/test.Calls/One")(b"")
    for name in ("Refusing", "Breaking", "Aborting"):
        with pytest.raises(aio.AioRpcError):
            await calls.channel.unary_unary(f"/test.Calls/{name}")(b"")
    hanging_call.cancel()
    await settled(calls)
    outcomes = {line["method"].rpartition("/")[2]: line["code"] for line in logged() if line["event"] == "call"}
    expected = {"One": "OK", "Refusing": "INVALID_ARGUMENT", "Breaking": "INTERNAL", "Aborting": "ABORTED"}
    assert outcomes == expected | {"Hanging": "CANCELLED"}
    registry = calls.backend.metrics.registry
    for name, code in outcomes.items():
        labels = {"method": f"/test.Calls/{name}", "code": code}
        assert registry.get_sample_value("zkinfer_requests_total", labels) == 1
    assert registry.get_sample_value("zkinfer_requests_in_flight") == 0
