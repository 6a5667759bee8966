"""Waiting for jobs to end: many may wait, one asks the store.

The store is asked for what changed, at short intervals while anybody waits and not at all otherwise. So a thousand
waiting callers cost as much as one.
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


class Watch:
    """Tells when jobs change. Belongs to one event loop.

    Args:
        store: of jobs.
        interval: seconds between two questions.
        look_again: seconds without news after which a job is looked for.

    `ending` is set by `close`.
    """

    def __init__(self, store: JobStore, interval: float = 0.1, look_again: float = 10.0) -> None:
        self._store = store
        self._interval = interval
        self._look_again = look_again
        self._waiting: dict[str, set[asyncio.Queue[Job | ZkinferError | None]]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self.ending = asyncio.Event()

    async def final(self, job_id: str, timeout: float | None) -> Job:
        """The job as soon as it is final, or as it is when `timeout` seconds have passed or the server ends.

        Raises:
            UnknownJobError: there is no such job.
            StoreError: the store cannot be asked.
        """
        job = await asyncio.to_thread(self._store.get, job_id)
        if job.state.final or timeout == 0:
            return job
        try:
            async with asyncio.timeout(timeout), aclosing(self.changes(job_id)) as changes:
                async for job in changes:  # noqa: B007 - the last one counts
                    pass
        except TimeoutError:
            pass
        return job

    def close(self) -> None:
        """Let everybody go who waits: the server ends, and they can wait at the next one."""
        self.ending.set()
        for queues in self._waiting.values():
            for queue in queues:
                queue.put_nowait(None)

    async def changes(self, job_id: str) -> AsyncGenerator[Job]:
        """The job as it is, and again when it changed, to its final state or the server's end. Raises as `final`."""
        queue: asyncio.Queue[Job | ZkinferError | None] = asyncio.Queue()
        self._waiting.setdefault(job_id, set()).add(queue)
        try:
            await self._start()
            job = await asyncio.to_thread(self._store.get, job_id)
            yield job
            while not job.state.final and not self.ending.is_set():
                news = await self._news(job_id, queue)
                if news is None:
                    return
                if isinstance(news, ZkinferError):
                    raise news
                if news.revision > job.revision:
                    job = news
                    yield job
        finally:
            self._forget(job_id, queue)

    async def _news(self, job_id: str, queue: asyncio.Queue[Job | ZkinferError | None]) -> Job | ZkinferError | None:
        """What comes next; now and then the job as it is, since one that is deleted changes no more."""
        try:
            return await asyncio.wait_for(queue.get(), self._look_again)
        except TimeoutError:
            return await asyncio.to_thread(self._store.get, job_id)

    def _forget(self, job_id: str, queue: asyncio.Queue[Job | ZkinferError | None]) -> None:
        self._waiting[job_id].discard(queue)
        if not self._waiting[job_id]:
            del self._waiting[job_id]

    async def _start(self) -> None:
        async with self._starting:
            if self._asking is None or self._asking.done():
                revision = await asyncio.to_thread(self._store.revision)
                self._asking = asyncio.create_task(self._ask(revision))

    async def _ask(self, revision: int) -> None:
        """Ask as long as anybody waits; an error is everybody's."""
        while self._waiting:
            try:
                changes = await asyncio.to_thread(partial(self._store.changes, revision, size=_BATCH))
            except ZkinferError as err:
                self._tell(err, *self._waiting)
                return
            revision = changes.revision
            for job in changes.jobs:
                self._tell(job, job.id)
            if len(changes.jobs) < _BATCH:
                await asyncio.sleep(self._interval)

    def _tell(self, news: Job | ZkinferError, *job_ids: str) -> None:
        for job_id in job_ids:
            for queue in self._waiting.get(job_id, ()):
                queue.put_nowait(news)
