"""Serve the requests of a stream concurrently, with bounded memory."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from zkinfer.circuits.errors import ZkinferError
from zkinfer.prover.jobs import JobState
from zkinfer.service.error_status import ProofFailedError
from zkinfer.service.errors import ProofPendingError
from zkinfer.service.v1.operations import error_of, name_of
from zkinfer.verifier import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable

    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs import Job
    from zkinfer.service.background import JobWatcher
    from zkinfer.service.limits import MemoryBudget, Share

_COPIES = 3  # the file, its copy in a message, and the encoded message


@dataclass(frozen=True, slots=True)
class AttestationWaiter:
    """Waits for the attestations of jobs. Cancelling a call does not cancel its job.

    Args:
        watcher: of the job store.
        artifacts: holds the attestations.
        memory: for the attestations that are sent.
    """

    watcher: JobWatcher
    artifacts: ArtifactStore
    memory: MemoryBudget

    async def attestation(self, job: Job, seconds: float | None) -> tuple[bytes, Share]:
        """Wait for the attestation file of a job; returns it with its memory, to be released once it was sent.

        Args:
            job: as submitted.
            seconds: time limit; None for none.

        Raises:
            ProofPendingError: the time limit has passed.
            ProofFailedError: the job failed, was cancelled or has expired.
            UnknownJobError, StoreError: the job was deleted, or the store cannot be read.
        """
        found = await self.watcher.wait_final(job.id, seconds)
        if not found.state.final:
            raise ProofPendingError(
                f"The proof is not ready; it continues as {name_of(found.id)}.", "Wait for it with WaitOperation."
            )
        if found.state != JobState.SUCCEEDED or found.attestation is None:
            raise ProofFailedError(error_of(found))
        with ExitStack() as on_error:
            share = on_error.enter_context(
                await self.memory.acquire(job.request.owner, _COPIES * found.attestation_bytes)
            )
            attestation = await asyncio.to_thread(self.artifacts.get, found.attestation, MAX_BYTES)
            on_error.pop_all()
        return attestation, share


RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")


async def requests_until(ending: asyncio.Event, requests: AsyncIterable[RequestT]) -> AsyncGenerator[RequestT]:
    """The requests until `ending` is set, so that an idle stream does not delay shutdown."""
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


async def serve_concurrently(
    requests: AsyncIterable[RequestT], answers_to: Callable[[RequestT], AsyncGenerator[AnswerT]], *, max_concurrent: int
) -> AsyncGenerator[AnswerT]:
    """The answers to all requests, each as soon as it is ready.

    Args:
        requests: read as fast as they are served. If reading fails with a ZkinferError, the stream ends after the
            answers to the requests before it.
        answers_to: the answers to one request; an error ends the stream.
        max_concurrent: the most requests served at a time, each of which waits until its answer is taken.
    """
    waiting: asyncio.Queue[AnswerT | None] = asyncio.Queue(1)

    async def serve(request: RequestT) -> None:
        async for answer in answers_to(request):
            await waiting.put(answer)

    reading = asyncio.create_task(_with_end_marker(waiting, _serve_all(requests, serve, max_concurrent)))
    try:
        while (answer := await waiting.get()) is not None:
            yield answer
        await reading
    finally:
        reading.cancel()
        await asyncio.wait([reading])  # the requests that it serves are dropped next


async def _serve_all(
    requests: AsyncIterable[RequestT], serve: Callable[[RequestT], Awaitable[None]], max_concurrent: int
) -> None:
    """Serve all requests; an error in reading them is raised after the earlier ones were served."""
    free, request_error = asyncio.Semaphore(max_concurrent), None

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
            request_error = err
    if request_error is not None:
        raise request_error


async def _with_end_marker(waiting: asyncio.Queue[AnswerT | None], work: Awaitable[None]) -> None:
    """Do the work, then append None to the queue, unless cancelled: then the queue has no reader."""
    cancelled = False
    try:
        await work
    except asyncio.CancelledError:
        cancelled = True
        raise
    finally:
        if not cancelled:
            await waiting.put(None)
