"""An answer to a caller who is still sending arrives, and the caller cannot hold the connection beyond the bounds."""

import asyncio
import http.client
import json
import socket
import ssl
import time
from contextlib import asynccontextmanager

import pytest
from tests.unit.service.certificates import Authority
from tests.unit.service.rest.conftest import opened

from zkinfer.service.rest.linger import LingeringTransport
from zkinfer.service.settings import Limits, Tls

INFER = "/v2/models/tiny/infer"
LONG = 2 << 20
TIMES = 30
ENDED = r"reset|Broken pipe"


def connected(server):
    """A plain socket to a server."""
    host, _, port = server.rest_address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def head(*lines, path=INFER):
    return "\r\n".join((f"POST {path} HTTP/1.1", "host: localhost", *lines, "", "")).encode()


def answered(line):
    """Status and problem of an answer that ends with the connection."""
    data = b"".join(iter(lambda: line.recv(1 << 16), b""))
    first, _, body = data.partition(b"\r\n\r\n")
    assert b"connection: close" in first.lower()
    return int(first.split()[1]), json.loads(body)


def drip(line, most):
    """Send byte after byte."""
    for _ in range(most):
        line.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("path", [INFER, "/v1/proofs", "/v1/attestations:verify", "/v2/nothing"])
async def test_caller_who_sends_a_long_body_and_then_reads_gets_the_answer_each_time(narrow, path):
    def send(_):
        with connected(narrow) as line:
            line.sendall(head(f"content-length: {LONG}", path=path) + b"x" * LONG)
            status, problem = answered(line)
        return status, problem["reason"]

    found = {await asyncio.to_thread(send, number) for number in range(TIMES)}
    assert found == {(404, "UNKNOWN_METHOD") if path == "/v2/nothing" else (413, "REQUEST_TOO_LARGE")}


async def test_caller_who_sends_long_chunks_and_then_reads_gets_the_answer_each_time(narrow):
    def send(_):
        with connected(narrow) as line:
            line.sendall(head("transfer-encoding: chunked"))
            line.sendall(b"10000\r\n" + b" " * (1 << 16) + b"\r\n")
            line.sendall((b"10000\r\n" + b" " * (1 << 16) + b"\r\n") * 31)
            return answered(line)[0]

    assert {await asyncio.to_thread(send, number) for number in range(TIMES)} == {413}


@pytest.mark.parametrize(
    ("text", "status"), [(b"GET /v2 HTTP/1.1\r\nx: " + b"a" * LONG, 431), (b"\r\n\r\n" + b"\0" * LONG, 400)]
)
async def test_caller_who_sends_no_request_gets_the_answer_each_time(narrow, text, status):
    def send(_):
        with connected(narrow) as line:
            line.sendall(text)
            return answered(line)[0]

    assert {await asyncio.to_thread(send, number) for number in range(TIMES)} == {status}


async def test_caller_who_goes_on_sending_slowly_is_cut_off(narrow):
    def send():
        with connected(narrow) as line:
            line.sendall(head(f"content-length: {LONG}"))
            status, _ = answered(line)
            began = time.monotonic()
            with pytest.raises(OSError, match=ENDED):
                drip(line, 400)
        return status, time.monotonic() - began

    status, seconds = await asyncio.to_thread(send)
    assert status == 413
    assert seconds < 6  # the narrow server waits half a second


async def test_caller_who_neither_sends_nor_leaves_is_cut_off(settings, tiny):
    limited = settings.model_copy(update={"limits": Limits(read_seconds=0.5)})
    async with opened(limited, tiny) as (server, _):

        def send():
            with connected(server) as line:
                line.sendall(head("content-length: 1000000000"))
                assert answered(line)[0] == 413
                time.sleep(1.5)
                with pytest.raises(OSError, match=ENDED):
                    drip(line, 20)

        await asyncio.to_thread(send)


async def test_stop_of_the_server_does_not_wait_for_callers_who_send(settings, tiny):
    async with opened(settings, tiny) as (server, _):
        line = connected(server)
        line.sendall(head("content-length: 1000000000"))
        await asyncio.to_thread(answered, line)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5
    line.close()


async def test_caller_over_tls_gets_the_answer_each_time(settings, tiny, tmp_path):
    authority = Authority()
    files = authority.write(tmp_path)
    tls = Tls(key=files["key"], certificate=files["certificate"])
    limits = Limits(read_seconds=2, message_bytes=1 << 16, request_memory=1 << 20)
    context = ssl.create_default_context(cadata=authority.certificate.decode())

    def send(server):
        with connected(server) as plain, context.wrap_socket(plain, server_hostname="localhost") as line:
            line.sendall(head(f"content-length: {LONG}") + b"x" * LONG)
            answer = http.client.HTTPResponse(line)
            answer.begin()
            return answer.status, json.load(answer)["reason"]

    async with opened(settings.model_copy(update={"tls": tls, "limits": limits}), tiny) as (server, _):
        found = {await asyncio.to_thread(send, server) for _ in range(TIMES)}
    assert found == {(413, "REQUEST_TOO_LARGE")}


class Answering(asyncio.Protocol):
    """Answers, and closes while its peer is or is not still sending."""

    def __init__(self, *, is_sending):
        self._is_sending = is_sending
        self.ended = False

    def connection_made(self, transport):
        self.line = LingeringTransport(transport, lambda: self._is_sending, seconds=5, most_bytes=1000)
        self.line.write(b"answer")
        self.line.close()
        self.line.close()

    def data_received(self, data):
        self.line.discard(data)

    def connection_lost(self, _reason):
        self.line.closed()
        self.ended = True


@asynccontextmanager
async def answering(*, is_sending):
    """A connection to it, and its own side."""
    own = Answering(is_sending=is_sending)
    async with await asyncio.get_running_loop().create_server(lambda: own, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield own, reader, writer
        writer.close()


async def test_what_arrives_is_discarded_up_to_its_bound():
    async with answering(is_sending=True) as (own, reader, writer):
        assert await reader.read() == b"answer"
        writer.write(b"x" * 1000)
        await asyncio.sleep(0.1)
        assert own.line.lingers
        assert not own.ended
        writer.write(b"x")
        await asyncio.sleep(0.1)
        assert own.ended


async def test_connection_of_a_peer_that_is_not_sending_is_closed_at_once():
    async with answering(is_sending=False) as (own, reader, _):
        assert await reader.read() == b"answer"
        await asyncio.sleep(0.1)
        assert own.ended
