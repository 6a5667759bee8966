"""Serving many requests of one stream at once, with no more in memory than a few of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")


async def taken_until(ending: asyncio.Event, requests: AsyncIterable[RequestT]) -> AsyncGenerator[RequestT]:
    """The requests that come before an event: a caller may keep a stream open for ever, and say nothing."""
    source = aiter(requests)

    async def following() -> RequestT | None:
        return await anext(source, None)

    ended = asyncio.create_task(ending.wait())
    coming = asyncio.create_task(following())
    try:
        while True:
            await asyncio.wait((coming, ended), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done() or (request := coming.result()) is None:
                return
            yield request
            coming = asyncio.create_task(following())
    finally:
        ended.cancel()
        coming.cancel()


async def merged(
    requests: AsyncIterable[RequestT], answers_to: Callable[[RequestT], AsyncGenerator[AnswerT]], *, at_once: int
) -> AsyncGenerator[AnswerT]:
    """The answers to all requests, each as soon as it is there.

    Args:
        requests: read only as fast as they are served.
        answers_to: the answers to one; an error ends the stream.
        at_once: how many requests are served at a time, and how many answers wait to be taken.
    """
    waiting: asyncio.Queue[AnswerT | None] = asyncio.Queue(at_once)
    free = asyncio.Semaphore(at_once)

    async def serve(request: RequestT) -> None:
        try:
            async for answer in answers_to(request):
                await waiting.put(answer)
        finally:
            free.release()

    async def read() -> None:
        try:
            async with asyncio.TaskGroup() as serving:
                async for request in requests:
                    await free.acquire()
                    serving.create_task(serve(request))
        except asyncio.CancelledError:  # then nobody takes what comes
            raise
        except BaseException:
            await waiting.put(None)
            raise
        await waiting.put(None)

    reading = asyncio.create_task(read())
    try:
        while (answer := await waiting.get()) is not None:
            yield answer
        await reading
    finally:
        reading.cancel()
