import asyncio

import pytest

from zkinfer.circuits.errors import DataError
from zkinfer.service.oip.streams import requests_until, serve_concurrently


async def given(*items):
    for item in items:
        yield item


async def twice(item):
    yield item
    await asyncio.sleep(0)
    yield item * 10


async def test_all_requests_are_answered():
    found = [answer async for answer in serve_concurrently(given(1, 2, 3), twice, max_concurrent=2)]
    assert sorted(found) == [1, 2, 3, 10, 20, 30]


async def test_stream_without_requests_ends():
    assert [answer async for answer in serve_concurrently(given(), twice, max_concurrent=1)] == []


async def test_slow_request_does_not_block_the_others():
    release = asyncio.Event()

    async def answers_to(item):
        if item == "slow":
            await release.wait()
        yield item
        if item == "last":
            release.set()

    found = [
        answer async for answer in serve_concurrently(given("slow", "quick", "last"), answers_to, max_concurrent=3)
    ]
    assert found == ["quick", "last", "slow"]


async def test_requests_are_read_with_backpressure_from_the_answers():
    read = []

    async def many():
        for number in range(1000):
            read.append(number)
            yield number

    answers = serve_concurrently(many(), twice, max_concurrent=2)
    await anext(answers)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(read) < 10
    await answers.aclose()


async def test_unexpected_error_ends_the_stream():
    async def failing(item):
        yield item
        raise ValueError("a bug")

    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        _ = [answer async for answer in serve_concurrently(given(1), failing, max_concurrent=1)]


async def test_unreadable_request_ends_the_stream_after_earlier_answers():
    async def request_error():
        yield 1
        raise DataError("It is no message.")

    answers = serve_concurrently(request_error(), twice, max_concurrent=1)
    assert [await anext(answers), await anext(answers)] == [1, 10]
    with pytest.raises(DataError, match="no message"):
        await anext(answers)


async def test_closed_stream_leaves_no_task():
    before = asyncio.all_tasks()

    async def endless(item):
        while True:
            yield item

    answers = serve_concurrently(given(1, 2), endless, max_concurrent=2)
    await anext(answers)
    await answers.aclose()
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


# --- server shutdown


async def test_requests_are_read_to_the_end():
    assert [one async for one in requests_until(asyncio.Event(), given(1, 2, 3))] == [1, 2, 3]


async def test_pending_requests_are_abandoned_when_the_server_stops():
    async def silent():
        yield 1
        await asyncio.Event().wait()
        yield 2

    ending, found = asyncio.Event(), []
    async for one in requests_until(ending, silent()):
        found.append(one)
        asyncio.get_running_loop().call_later(0.01, ending.set)
    assert found == [1]


async def test_error_while_reading_requests_is_propagated():
    async def broken():
        yield 1
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        _ = [one async for one in requests_until(asyncio.Event(), broken())]
