"""Requests whose end a proxy could see elsewhere are refused with their connection; odd but clear ones are served."""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest
from tests.unit.service.rest.conftest import opened
from tests.unit.service.rest.sockets import raw

from zkinfer.service.settings import Limits

HOST = b"host: localhost\r\n"
LAST = b"GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
"""Follows each request: its answer shows that the server saw the end of the request where the sender did."""
BODY = b'{"ready": true}'
POST = b"POST /v2/repository/index HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"


async def answers(server, data):
    """Everything that is answered until the server ends the connection."""
    host, _, port = server.rest_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    async with asyncio.timeout(10):
        found = await reader.read()
    writer.close()
    return found


def statuses(found):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", found)]


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"content-length: 15\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        POST + b"content-length: 15\r\ntransfer-encoding : chunked\r\n\r\n" + BODY,
        POST + b"content-length: 15\r\ntransfer-encoding: x\r\n\r\n" + BODY,
        POST + b"content-length: 15\r\ncontent-length: 3\r\n\r\n" + BODY,
        POST + b"content-length: 15, 3\r\n\r\n" + BODY,
        POST + b"content-length: +15\r\n\r\n" + BODY,
        POST + b"content-length: -15\r\n\r\n" + BODY,
        POST + b"content-length: 0xf\r\n\r\n" + BODY,
        POST + b"content-length: 1_5\r\n\r\n" + BODY,
        POST + b"content-length: \xc2\xb2\r\n\r\n" + BODY,
        POST + b"content-length: " + b"9" * 5000 + b"\r\n\r\n" + BODY,
        POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST.replace(b"1.1", b"1.0") + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST.replace(b"1.1", b"2.0") + b"content-length: 15\r\n\r\n" + BODY,
        POST.replace(b"1.1", b"1.2") + b"content-length: 15\r\n\r\n" + BODY,
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"0xf\r\n" + BODY + b"\r\n0\r\n\r\n",
        CHUNKED + b"f" * 30 + b"\r\n",
        CHUNKED + b"f\r\n" + BODY + b"XX0\r\n\r\n",
        CHUNKED + b"f;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n x: folded\r\n" + HOST + b"\r\n",
        b"GET /v2 HTTP/1.1\r\nhost : localhost\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n" + HOST + b"x: a\rb\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n" + HOST + b"x: a\0b\r\n\r\n",
        b"GET /v2 http/1.1\r\n" + HOST + b"\r\n",
        "GET /v2/models/é HTTP/1.1\r\n".encode() + HOST + b"\r\n",
    ],
    ids=range(32),
)
async def test_request_with_a_doubtful_end_is_refused_and_nothing_after_it_is_read(narrow, request_):
    found = await answers(narrow, request_ + LAST)
    assert statuses(found) == [400]
    assert b'"reason": "BAD_FIELD"' in found


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (POST + b"content-length: 15\r\ncontent-length: 15\r\n\r\n" + BODY, [200]),
        (POST + b"content-length: 15\r\nexpect: 100-continue\r\n\r\n" + BODY, [100, 200]),
        (CHUNKED + b"f;name=value\r\n" + BODY + b"\r\n0\r\n\r\n", [200]),
        (CHUNKED + b"f\r\n" + BODY + b"\r\n0\r\nauthorization: Bearer x\r\nhost: evil.example\r\n\r\n", [200]),
        (b"GET /v2 HTTP/1.1\r\n" + HOST + b"x: a\r\n folded\r\n\r\n", [200]),
        ((b"GET /v2 HTTP/1.1\r\n" + HOST + b"\r\n") * 100, [200] * 100),
        (b"HEAD /v2 HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
        (b"HEAD /nothing HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
        (b"OPTIONS /v2 HTTP/1.1\r\n" + HOST + b"\r\n", [405]),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
        (b"TRACE /v2 HTTP/1.1\r\n" + HOST + b"\r\n", [405]),
        (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
        (b"GET http://evil.example/v2 HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
        (b"GET /v2/models/a%2f..%2fb HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
        (b"GET /v2/models/%ed%a0%80%0d%0ax:%20y HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
        (b"GET /v2 HTTP/1.1\r\n" + HOST + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n", [200]),
        (b"GET /v1/operations?filter=%ed%a0%80 HTTP/1.1\r\n" + HOST + b"\r\n", [400]),
        (b"GET /v1/models?token=zki_0 HTTP/1.1\r\n" + HOST + b"\r\n", [400]),
        (b"GET /v1/models?page_token=" + b"1" * 15_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [400]),
        (b"GET /v1/models?page_token=" + b"1" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [431]),
    ],
    ids=range(20),
)
async def test_request_with_a_clear_end_is_answered_and_so_is_the_next(narrow, request_, expected):
    assert statuses(await answers(narrow, request_ + LAST)) == [*expected, 200]


async def test_request_after_the_last_of_a_connection_is_not_served(narrow):
    assert statuses(await answers(narrow, LAST * 3)) == [200]


async def test_range_of_an_answer_is_ignored_and_the_whole_sent(narrow):
    head = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"%sconnection: close\r\n\r\n"
    parts, whole = [await answers(narrow, head % one) for one in (b"range: bytes=0-3\r\n", b"")]
    assert statuses(parts) == [200]
    assert parts.partition(b"\r\n\r\n")[2] == whole.partition(b"\r\n\r\n")[2]


async def test_lines_that_are_no_requests_are_logged_without_advice_of_the_library(narrow, capfd):
    await answers(narrow, b"\x16\x03\x01\r\n\r\n")
    upgrade = b"GET /v2 HTTP/1.1\r\n" + HOST + b"connection: close, upgrade\r\nupgrade: websocket\r\n\r\n"
    await answers(narrow, upgrade)
    logged = capfd.readouterr().err
    assert "refused" in logged
    assert "pip install" not in logged
    assert "warning" not in logged


@pytest.fixture
def few(settings, monkeypatch):
    """A server of at most eight connections."""
    monkeypatch.setattr("zkinfer.service.rest.MAX_BEING_REJECTED", 0)
    return settings.model_copy(update={"limits": Limits(concurrent_calls=2)})


@asynccontextmanager
async def connected(server, most):
    """Connections, in the order in which they were opened."""
    host, _, port = server.rest_address.rpartition(":")
    found = [await asyncio.open_connection(host, int(port)) for _ in range(most)]
    try:
        yield found
    finally:
        for _, writer in found:
            writer.close()


async def ended(found, most):
    """Which of the connections the server has ended, once those are so many."""
    async with asyncio.timeout(20):
        while True:
            gone = [reader.at_eof() or reader.exception() is not None for reader, _ in found]
            if sum(gone) >= most:
                return gone
            await asyncio.sleep(0.05)


async def test_connection_over_the_limit_takes_the_place_of_the_one_that_is_idle_for_longest(few, tiny):
    async with opened(few, tiny) as (server, _), connected(server, 8) as found:
        reader, writer = found[0]
        writer.write(b"GET /v2 HTTP/1.1\r\n" + HOST + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(3):
            assert statuses(await answers(server, LAST)) == [200]
        assert await ended(found, 1) == [False, True] + [False] * 6


async def test_flood_of_idle_connections_keeps_nobody_out(few, tiny):
    async with opened(few, tiny) as (server, _), connected(server, 100) as found:
        assert statuses(await answers(server, LAST)) == [200]
        assert await ended(found, 93) == [True] * 93 + [False] * 7


async def test_connection_over_the_limit_is_ended_if_none_is_idle(few, tiny):
    async with opened(few, tiny) as (server, _):
        async with connected(server, 8) as found:
            for _, writer in found:
                writer.write(POST + b"content-length: 15\r\n\r\n{")
            refusals = {asyncio.create_task(reader.readuntil(b" 429 ")) for reader, _ in found}
            while len(refusals) > 1:  # one has the slot
                _, refusals = await asyncio.wait(refusals, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            refusals.pop().cancel()
            assert await raw(server, LAST.decode()) == (0, None)
        async with asyncio.timeout(20):
            while await raw(server, LAST.decode()) == (0, None):
                await asyncio.sleep(0.05)
