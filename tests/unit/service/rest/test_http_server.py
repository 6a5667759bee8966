"""Connections that are slow, malformed, too large or too many: each is refused, and the server goes on serving."""

import asyncio
import json
import socket
import sys

import aiohttp
import pytest
from tests.unit.service.rest.conftest import OPTIONS, opened
from tests.unit.service.rest.sockets import raw

from zkinfer.service.errors import SettingsError
from zkinfer.service.server import running
from zkinfer.service.settings import Limits, Proving, Rest

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
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("POST /v2/models/tiny/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n", 400),
        ("POST /v2/models/tiny/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        ("POST /v2/models/tiny/infer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: other\r\n\r\n", 400),
        ("GET /v2 HTTP/1.1\r\nhost: localhost\r\nx: " + "a" * (1 << 15) + "\r\n\r\n", 431),
        ("GET /v2?" + "a" * (1 << 15), 431),
        ("GET /v2 HTTP/1.1\r\n" + "".join(f"x{number}: a\r\n" for number in range(9999)), 431),
    ],
    ids=range(11),
)
async def test_bytes_that_are_not_http_are_refused(narrow, text, status):
    found, problem = await raw(narrow, text)
    assert found == problem["status"] == status
    assert problem["reason"] in ("BAD_FIELD", "REQUEST_TOO_LARGE")
    assert (await raw(narrow, "GET /v2 HTTP/1.1\r\nhost: localhost\r\n\r\n"))[0] == 200


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


async def test_server_without_the_setting_serves_grpc_alone(settings, tiny):
    async with running(settings.model_copy(update={"rest": Rest()}), tiny.home, **OPTIONS) as server:
        assert server.rest_address is None


async def test_address_in_use_is_refused(settings, tiny):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"cannot listen at {address}"):
            async with opened(settings.model_copy(update={"rest": Rest(listen=address)}), tiny):
                pass


async def test_unix_socket_is_served_removed_and_replaced_after_a_crash(settings, tiny, tmp_path):
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))  # as a killed server leaves it
    settings = settings.model_copy(update={"rest": Rest(listen=f"unix:{path}")})
    connector = aiohttp.UnixConnector(str(path))
    async with (
        running(settings, tiny.home, **OPTIONS),
        aiohttp.ClientSession(connector=connector) as client,
        client.get("http://localhost/v2/health/ready") as answer,
    ):
        assert answer.status == 200
    assert not path.exists()


async def test_unix_socket_of_a_running_server_is_refused(settings, tiny, tmp_path):
    path = tmp_path / "http.sock"
    listening = await asyncio.start_unix_server(lambda _reader, writer: writer.close(), path)
    settings = settings.model_copy(update={"rest": Rest(listen=f"unix:{path}")})
    async with listening:
        with pytest.raises(SettingsError, match="Another server listens"):
            async with running(settings, tiny.home, **OPTIONS):
                pass
        assert path.exists()


async def test_head_has_the_headers_of_get_and_no_body(settings, tiny):
    async with opened(settings, tiny) as (_, client), client.head("/v2/models/tiny") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert int(answer.headers["content-length"]) > 0


async def test_request_id_of_the_caller_is_returned_and_an_unsafe_one_replaced(settings, tiny):
    async with opened(settings, tiny) as (_, client):
        for sent, returned in (("mine-1", True), ("a b", False), ("x" * 65, False)):
            async with client.get("/v2", headers={"x-request-id": sent}) as answer:
                assert (answer.headers["x-request-id"] == sent) == returned
        async with client.get("/no", headers={"x-request-id": "mine-2"}) as answer:
            assert (await answer.json(content_type=None))["request_id"] == answer.headers["x-request-id"] == "mine-2"


async def test_shutdown_answers_the_calls_that_wait_and_ends_idle_connections(settings, tiny):
    settings = settings.model_copy(update={"proving": Proving(workers=0, grace_seconds=5, memory=1 << 30)})
    async with aiohttp.ClientSession() as client:
        async with running(settings, tiny.home, **OPTIONS) as server:
            url = f"http://{server.rest_address}"
            async with client.post(f"{url}{INFER}", data=GOOD) as answer:
                name = (await answer.json())["parameters"]["zkinfer_operation"]
            idle = asyncio.create_task(raw(server, ""))
            waiting = asyncio.create_task(client.get(f"{url}/v1/{name}:wait?timeout=30"))
            await asyncio.sleep(0.3)
            began = asyncio.get_running_loop().time()
        assert (await waiting).status == 200
        assert await idle == (0, None)
    assert asyncio.get_running_loop().time() - began < 4


async def test_caller_that_reads_nothing_is_cut_off(settings, tiny):
    async with opened(settings, tiny) as (server, _):
        host, _, port = server.rest_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1)
        reader._transport.pause_reading()
        asked = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
        writer.write(asked * 1000)  # 35 MB of answers, which no buffer of the system holds
        await asyncio.sleep(2.5)
        registry = server.dependencies.metrics.registry
        assert registry.get_sample_value("zkinfer_requests_in_flight") == 0
        writer.transport.abort()


async def test_missing_packages_are_named_with_the_extra(settings, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "zkinfer.service.rest", None)  # as if one of its imports failed
    with pytest.raises(SettingsError, match="needs packages that are not installed") as caught:
        async with running(settings, tiny.home, **OPTIONS):
            pass
    assert caught.value.cure == "pip install 'zkinfer[rest]'"
