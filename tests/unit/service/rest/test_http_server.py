"""Connections that are slow, malformed, too large or too many: each is refused, and the server goes on serving."""

import asyncio
import json

import pytest
from tests.unit.service.rest.conftest import opened
from tests.unit.service.rest.sockets import raw

from zkinfer.service.settings import Limits

INFER = "/v2/models/tiny/infer"
TENSOR = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [0.5, -1.25, 2.0]}
GOOD = json.dumps({"inputs": [TENSOR]}).encode()


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"limits": Limits(read_seconds=0.5)})


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("\x16\x03\x01\x02\x00\x01\x00\x01", 400),  # a TLS handshake
        ("GET\r\n\r\n", 400),
        ("GET /v2 HTTP/1.1\r\n\r\n", 400),  # no host
        ("GET /v2 HTTP/1.1\r\nhost: localhost\r\nhost: other\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404),
        ("POST /v2/models/tiny/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n", 400),
        ("POST /v2/models/tiny/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        ("POST /v2/models/tiny/infer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: other\r\n\r\n", 400),
        ("GET /v2 HTTP/1.1\r\nhost: localhost\r\nx: " + "a" * (1 << 15) + "\r\n\r\n", 431),
        ("GET /v2?" + "a" * (1 << 15), 431),
        ("GET /v2 HTTP/1.1\r\n" + "".join(f"x{number}: a\r\n" for number in range(9999)), 431),
    ],
    ids=range(11),
)
async def test_bytes_that_are_not_http_are_refused(settings, tiny, text, status):
    async with opened(settings, tiny) as (server, client):
        found, problem = await raw(server, text)
        assert found == problem["status"] == status
        assert problem["reason"] in ("BAD_FIELD", "REQUEST_TOO_LARGE", "UNKNOWN_METHOD")
        async with client.get("/v2") as answer:
            assert answer.status == 200


async def test_head_that_arrives_slowly_ends_the_connection(settings, tiny):
    async with opened(settings, tiny) as (server, _):
        host, _, port = server.rest_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        began = asyncio.get_running_loop().time()
        try:
            for letter in b"GET /v2 HTTP/1.1\r\nhost: localhost\r\n" * 9:
                writer.write(bytes([letter]))
                await asyncio.sleep(0.02)
                if reader.at_eof():
                    break
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        writer.close()
        assert asyncio.get_running_loop().time() - began < 3


async def test_connection_that_sends_nothing_is_ended(settings, tiny):
    async with opened(settings, tiny) as (server, _):
        assert await raw(server, "") == (0, None)


async def test_body_that_arrives_slowly_is_refused(settings, tiny):
    head = f"POST {INFER} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n"
    async with opened(settings, tiny) as (server, _):
        status, problem = await raw(server, head, then=GOOD)
    assert (status, problem["reason"]) == (408, "LATE_REQUEST")


async def test_body_that_ends_early_leaves_no_call_behind(settings, tiny):
    head = f"POST {INFER} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n"
    async with opened(settings, tiny) as (server, client):
        await raw(server, head, then=GOOD, end=True)
        await asyncio.sleep(0.1)
        value = server.dependencies.metrics.registry.get_sample_value("zkinfer_requests_in_flight")
        async with client.post(INFER, data=GOOD) as answer:
            assert answer.status == 200
    assert value == 0


async def test_caller_that_leaves_ends_the_call_and_not_the_job(settings, tiny):
    asked = json.dumps({"inputs": [TENSOR], "parameters": {"zkinfer_proof_mode": "sync"}}).encode()
    head = f"POST {INFER} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(asked)}\r\n\r\n"
    async with opened(settings, tiny) as (server, client):
        host, _, port = server.rest_address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode() + asked)
        await asyncio.sleep(0.5)
        registry = server.dependencies.metrics.registry
        assert registry.get_sample_value("zkinfer_requests_in_flight") == 1
        writer.transport.abort()
        await asyncio.sleep(0.3)
        assert registry.get_sample_value("zkinfer_requests_in_flight") == 0
        async with client.get("/v1/operations") as answer:
            [operation] = (await answer.json())["operations"]
    assert operation["metadata"]["state"] == "PROOF_STATE_QUEUED"
