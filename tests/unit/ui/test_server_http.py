"""What a hostile or mistaken server can do to the page: nothing but give an error with cause and cure."""

import asyncio
import gzip
import json
import ssl
from contextlib import asynccontextmanager

import pytest
from tests.unit.service.certificates import Authority

from zkinfer.circuits.errors import InputError
from zkinfer.ui.errors import ServerError
from zkinfer.ui.server_http import ServerHttp
from zkinfer.ui.settings import ServerAccess

OK = "HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def answering(*parts, pause=0.0):
    """A server that answers every request with these bytes; yields its URL and the requests that it got."""
    heads = []

    async def serve(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        except ConnectionError:  # the page has left
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


def response(body, *, status=OK, **headers):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"{status}{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def problem(status, **members):
    return response(
        json.dumps(members).encode(), status=f"HTTP/1.1 {status} X\r\n", content_type="application/problem+json"
    )


async def refused(url, *, most=100, seconds=5.0, token=""):
    with pytest.raises(ServerError) as refusal:
        await ServerHttp(ServerAccess(url, token), seconds=seconds).get("v1/x", most=most)
    return refusal.value


async def test_body_comes_with_the_token_and_below_the_path():
    async with answering(response(b"{}")) as (url, heads):
        http = ServerHttp(ServerAccess(f"{url}/below/", "s3cret"))
        assert await http.get("v1/x", query={"a": "b c"}, most=2) == b"{}"
    (head,) = heads
    assert head.startswith("GET /below/v1/x?a=b+c HTTP/1.1\r\n")
    assert "authorization: Bearer s3cret\r\n" in head


async def test_environment_names_no_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with answering(response(b"{}")) as (url, _):
        assert await ServerHttp(ServerAccess(url)).get("x", most=2) == b"{}"


@pytest.mark.parametrize("number", [301, 302, 307, 308])
async def test_redirect_is_not_followed(number):
    async with answering(response(b"{}")) as (other, others):
        answer = response(b"", status=f"HTTP/1.1 {number} X\r\n", location=f"{other}/v1/x")
        async with answering(answer) as (url, _):
            refusal = await refused(url, token="s3cret")
    assert "redirects" in refusal.cause
    assert others == []


async def test_too_long_answer_is_refused_by_what_arrives():
    async with answering(OK.encode() + b"\r\n", b"x" * 101) as (url, _):
        assert "exceeds 100 bytes" in (await refused(url)).cause


async def test_endless_answer_is_refused():
    async with answering(OK.encode() + b"transfer-encoding: chunked\r\n\r\n", *[b"10\r\n0123456789abcdef\r\n"] * 9) as (
        url,
        _,
    ):
        assert "exceeds 100 bytes" in (await refused(url)).cause


async def test_compressed_answer_is_refused():
    async with answering(response(gzip.compress(b"0" * 1_000_000), content_encoding="gzip")) as (url, _):
        assert "compressed" in (await refused(url)).cause


@pytest.mark.parametrize("begin", [b"", OK.encode(), OK.encode() + b"content-length: 100\r\n\r\n"])
async def test_slow_answer_ends_in_time_however_it_trickles(begin):
    async with answering(begin, *[b"a"] * 100, pause=0.05) as (url, _):
        refusal = await refused(url, seconds=0.3)
    assert "within 0.3 seconds" in refusal.cause
    assert refusal.status == 504


async def test_cut_answer_is_refused():
    async with answering(OK.encode() + b"content-length: 10\r\n\r\nabc") as (url, _):
        assert "does not answer in HTTP" in (await refused(url)).cause


async def test_server_of_another_protocol_is_named():
    async with answering(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00") as (url, _):
        assert "--rest" in (await refused(url)).cure


async def test_server_that_is_away_is_named():
    refusal = await refused("http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached" in refusal.cause
    assert refusal.status == 502


async def test_problem_is_shown_as_the_error_that_it_is():
    members = {
        "detail": "There is no such operation.",
        "code": "NOT_FOUND",
        "reason": "UNKNOWN_OPERATION",
        "request_id": "r1",
    }
    async with answering(problem(404, **members)) as (url, _):
        refusal = await refused(url, most=1)
    assert (refusal.cause, refusal.status) == ("There is no such operation.", 404)
    assert refusal.cure == "The server's error is 404 NOT_FOUND UNKNOWN_OPERATION, request r1."


@pytest.mark.parametrize(
    ("number", "further", "cure"),
    [
        (401, {}, "--token-file"),
        (403, {}, "a token that may do this"),
        (429, {"retry_after": 2.5}, "Try again in 2.5 seconds."),
        (599, {}, "599"),
    ],
)
async def test_problem_says_what_helps(number, further, cure):
    async with answering(problem(number, detail="No.", **further)) as (url, _):
        refusal = await refused(url)
    assert cure in refusal.cure
    assert refusal.status == 502


@pytest.mark.parametrize(
    "answer",
    [
        response(b"<h1>Bad gateway</h1>", status="HTTP/1.1 502 X\r\n", content_type="text/html"),
        response(b"", status="HTTP/1.1 204 X\r\n"),
        response(b"ab", status="HTTP/1.1 206 X\r\n"),
    ],
)
async def test_answer_without_a_reason_names_its_status(answer):
    async with answering(answer) as (url, _):
        assert "HTTP status" in (await refused(url)).cause


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"detail": 1}', b'{"detail": "a", "detail": "b"}', b"\xff", b"0" * 70_000]
)
async def test_malformed_problem_is_refused(body):
    answer = response(body, status="HTTP/1.1 500 X\r\n", content_type="application/problem+json; charset=utf-8")
    async with answering(answer) as (url, _):
        assert (await refused(url)).status == 502


@pytest.mark.parametrize("certificates", [b"", b"\xff", b"no certificate"])
def test_file_without_a_certificate_is_refused(certificates):
    with pytest.raises(InputError, match="holds no certificate"):
        ServerHttp(ServerAccess("https://server.example", root_certificates=certificates))


async def test_server_is_known_by_its_certificate(tmp_path):
    authority = Authority()
    files = authority.write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["certificate"], files["key"])

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(b"{}"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        known = ServerHttp(ServerAccess(url, "s3cret", authority.certificate))
        assert await known.get("x", most=2) == b"{}"
        for others in (Authority("other").certificate, None):
            with pytest.raises(ServerError, match="cannot be reached"):
                await ServerHttp(ServerAccess(url, "s3cret", others)).get("x", most=2)
