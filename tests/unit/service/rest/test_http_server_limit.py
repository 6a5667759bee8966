"""The limit of connections, and which of them make place for others."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.unit.service.rest.conftest import opened
from tests.unit.service.rest.sockets import LAST, answers, raw, statuses

from zkinfer.service.settings import Limits

SLOW = b"POST /v2/repository/index HTTP/1.1\r\nhost: localhost\r\ncontent-length: 15\r\n\r\n{"


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
        writer.write(b"GET /v2 HTTP/1.1\r\nhost: localhost\r\n\r\n")
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
                writer.write(SLOW)
            refusals = {asyncio.create_task(reader.readuntil(b" 429 ")) for reader, _ in found}
            while len(refusals) > 1:  # one has the slot
                _, refusals = await asyncio.wait(refusals, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            refusals.pop().cancel()
            assert await raw(server, LAST.decode()) == (0, None)
        async with asyncio.timeout(20):
            while await raw(server, LAST.decode()) == (0, None):
                await asyncio.sleep(0.05)
