"""Requests whose end a proxy could see elsewhere are refused with their connection; odd but clear ones are served."""

import pytest
from tests.unit.service.rest.sockets import LAST, answers, statuses

HOST = b"host: localhost\r\n"
BODY = b'{"ready": true}'
POST = b"POST /v2/repository/index HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"


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
