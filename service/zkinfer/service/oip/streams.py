"""Serving many requests of one stream at once, with no more in memory than a few of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from zkinfer.circuits.errors import ZkinferError
from zkinfer.prover.jobs import JobState
from zkinfer.service.error_status import ProofFailedError
from zkinfer.service.errors import ProofPendingError
from zkinfer.service.v1.operation_messages import error_of, name_of
from zkinfer.verifier import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable

    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs import Job
    from zkinfer.service.job_events import Watch


@dataclass(frozen=True, slots=True)
class Attesting:
    """Follows jobs; when the caller leaves, the job goes on.

    Args:
        watch: of the store of jobs.
        artifacts: where attestations lie.
    """

    watch: Watch
    artifacts: ArtifactStore

    async def attestation(self, job: Job, seconds: float | None) -> bytes:
        """The attestation's file, as soon as it is there.

        Args:
            job: as it was taken on.
            seconds: how long to wait; None for as long as it takes.

        Raises:
            ProofPendingError: it is not ready yet.
            ProofFailedError: there will be none.
            UnknownJobError, StoreError: it was deleted, or the store cannot be asked.
        """
        found = await self.watch.final(job.id, seconds)
        if not found.state.final:
            raise ProofPendingError(
                f"The proof is not ready; it goes on as {name_of(found.id)}.", "WaitOperation waits for it."
            )
        if found.state != JobState.SUCCEEDED or found.attestation is None:
            raise ProofFailedError(error_of(found))
        return await asyncio.to_thread(self.artifacts.get, found.attestation, MAX_BYTES)


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
        requests: read only as fast as they are served. An error of ours in them ends the stream after the answers to
            those before it.
        answers_to: the answers to one; an error ends the stream.
        at_once: how many requests are served at a time, and how many answers wait to be taken.
    """
    waiting: asyncio.Queue[AnswerT | None] = asyncio.Queue(at_once)

    async def serve(request: RequestT) -> None:
        async for answer in answers_to(request):
            await waiting.put(answer)

    reading = asyncio.create_task(_ended_with_none(waiting, _served(requests, serve, at_once)))
    try:
        while (answer := await waiting.get()) is not None:
            yield answer
        await reading
    finally:
        reading.cancel()


async def _served(
    requests: AsyncIterable[RequestT], serve: Callable[[RequestT], Awaitable[None]], at_once: int
) -> None:
    """Serve them all; an error in the requests comes up when those before it were served."""
    free, torn = asyncio.Semaphore(at_once), None

    async def one(request: RequestT) -> None:
        try:
            await serve(request)
        finally:
            free.release()

    async with asyncio.TaskGroup() as serving:
        try:
            async for request in requests:
                await free.acquire()
                serving.create_task(one(request))
        except ZkinferError as err:
            torn = err
    if torn is not None:
        raise torn


async def _ended_with_none(waiting: asyncio.Queue[AnswerT | None], work: Awaitable[None]) -> None:
    """Do the work and put None behind what it put, unless this is cancelled: then nobody takes what comes."""
    cancelled = False
    try:
        await work
    except asyncio.CancelledError:
        cancelled = True
        raise
    finally:
        if not cancelled:
            await waiting.put(None)
