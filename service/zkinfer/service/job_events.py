"""Wait for changes of jobs. One task polls the store on behalf of all waiting callers.

The store is polled at short intervals while callers wait, and not at all otherwise, so a thousand waiting callers cost
as much as one.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ZkinferError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from zkinfer.prover.jobs import Job, JobStore

_BATCH = 500


class JobWatcher:
    """Notifies callers of changes of jobs. Belongs to one event loop; `closed` is set by `close`.

    Args:
        store: of jobs.
        interval: seconds between two polls.
        recheck_seconds: seconds without a change after which a job is read again, in case it was deleted.
    """

    def __init__(self, store: JobStore, interval: float = 0.1, recheck_seconds: float = 10.0) -> None:
        self._store = store
        self._interval = interval
        self._recheck_seconds = recheck_seconds
        self._waiting: dict[str, set[asyncio.Queue[Job | ZkinferError | None]]] = {}
        self._polling: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self.closed = asyncio.Event()

    async def wait_final(self, job_id: str, timeout: float | None) -> Job:
        """The job once it is final, or its state after `timeout` seconds or when the server shuts down.

        Raises:
            UnknownJobError: the job does not exist.
            StoreError: the store cannot be read.
        """
        job = await asyncio.to_thread(self._store.get, job_id)
        if job.state.final or timeout == 0:
            return job
        try:
            async with asyncio.timeout(timeout), aclosing(self.changes(job_id)) as changes:
                async for job in changes:  # noqa: B007 - only the last one matters
                    pass
        except TimeoutError:
            pass
        return job

    def close(self) -> None:
        """Release all waiting callers, because the server shuts down."""
        self.closed.set()
        for queues in self._waiting.values():
            for queue in queues:
                queue.put_nowait(None)

    async def changes(self, job_id: str) -> AsyncGenerator[Job]:
        """The job now and after each change, until it is final or the server shuts down. Raises as `wait_final`."""
        queue: asyncio.Queue[Job | ZkinferError | None] = asyncio.Queue()
        self._waiting.setdefault(job_id, set()).add(queue)
        try:
            await self._start()
            job = await asyncio.to_thread(self._store.get, job_id)
            yield job
            while not job.state.final and not self.closed.is_set():
                change = await self._next(job_id, queue)
                if change is None:
                    return
                if isinstance(change, ZkinferError):
                    raise change
                if change.revision > job.revision:
                    job = change
                    yield job
        finally:
            self._forget(job_id, queue)

    async def _next(self, job_id: str, queue: asyncio.Queue[Job | ZkinferError | None]) -> Job | ZkinferError | None:
        """The next change; after `recheck_seconds` the job itself, because deleted jobs have no changes."""
        try:
            return await asyncio.wait_for(queue.get(), self._recheck_seconds)
        except TimeoutError:
            return await asyncio.to_thread(self._store.get, job_id)

    def _forget(self, job_id: str, queue: asyncio.Queue[Job | ZkinferError | None]) -> None:
        self._waiting[job_id].discard(queue)
        if not self._waiting[job_id]:
            del self._waiting[job_id]

    async def _start(self) -> None:
        async with self._starting:
            if self._polling is None or self._polling.done():
                revision = await asyncio.to_thread(self._store.revision)
                self._polling = asyncio.create_task(self._poll(revision))

    async def _poll(self, revision: int) -> None:
        """Poll while callers wait; an error is sent to all of them."""
        while self._waiting:
            try:
                changes = await asyncio.to_thread(partial(self._store.changes, revision, size=_BATCH))
            except ZkinferError as err:
                self._publish(err, *self._waiting)
                return
            revision = changes.revision
            for job in changes.jobs:
                self._publish(job, job.id)
            if len(changes.jobs) < _BATCH:
                await asyncio.sleep(self._interval)

    def _publish(self, change: Job | ZkinferError, *job_ids: str) -> None:
        for job_id in job_ids:
            for queue in self._waiting.get(job_id, ()):
                queue.put_nowait(change)
