"""Background tasks of a server: poll the model repository, record finished jobs, report health, return memory.

One of them polls the job store on behalf of all callers that wait for changes: at short intervals while callers wait,
and not at all otherwise, so a thousand waiting callers cost as much as one.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2

from zkinfer.circuits.errors import ZkinferError
from zkinfer.prover.errors import BusyError, StoreError
from zkinfer.prover.repository import ModelState
from zkinfer.service.logs import error_fields, log

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Sequence
    from concurrent.futures import Future

    from grpc_health.v1.health import aio as health_aio

    from zkinfer.prover.jobs import Job, JobStore
    from zkinfer.prover.repository import IndexEntry, ModelVersion
    from zkinfer.service.dependencies import Dependencies


_BATCH = 500  # jobs per poll


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


_POLL_SECONDS = 1.0
_SERVING, _NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING

# Free memory stays with the allocator of C, above all with gRPC's threads, each of which receives into an arena of its
# own: after a few large requests, hundreds of megabytes. So the server has few arenas, takes every large block from the
# system, to which it returns as soon as it is free, and returns the free pages of the arenas after it has grown.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of malloc.h
_LARGE_BLOCK = 64 << 10
_ARENAS = 2
_GROWTH = 32 << 20
_TRIM_SECONDS = 2.0


def limit_allocator() -> None:
    """Make the allocator of this process return memory; no effect without glibc. Call it before gRPC starts."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


async def return_memory() -> None:
    """Return free memory to the system whenever the process is larger than the smallest it was; glibc on Linux only."""
    libc, statm = ctypes.CDLL(None), Path("/proc/self/statm")
    if not (hasattr(libc, "malloc_trim") and statm.exists()):
        return
    smallest = _resident(statm)
    while True:
        await asyncio.sleep(_TRIM_SECONDS)
        if _resident(statm) > smallest + _GROWTH:
            await asyncio.to_thread(libc.malloc_trim, 0)
        smallest = min(smallest, _resident(statm))


def _resident(statm: Path) -> int:
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class BackgroundTasks:
    """The tasks that run beside the calls.

    Args:
        dependencies: of the server.
        health: the health service, which reports a status for each gRPC service.
        proof_services: names of the gRPC services that need the queue.
        inference_services: names of the gRPC services that need a model.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        health: health_aio.HealthServicer,
        *,
        proof_services: Sequence[str],
        inference_services: Sequence[str],
    ) -> None:
        self._dependencies = dependencies
        self._health = health
        self._proof_services = proof_services
        self._inference_services = inference_services
        self._entries: dict[tuple[str, str], IndexEntry] = {}
        self._healthy = True
        self._proving = True
        self._health_update: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start one of the tasks below. A task that fails, which is a bug, makes the server unhealthy."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        err = None if task.cancelled() else task.exception()
        if err is not None:
            self._healthy = False
            log.error("background task failed", **error_fields(err))
            self._health_update = asyncio.create_task(self._update_health())

    async def poll_models(self) -> None:
        """Reload the repository periodically; errors are logged and the reload is retried."""
        while True:
            await asyncio.sleep(self._dependencies.settings.reload_seconds)
            try:
                await self._reload_models()
            except ZkinferError as err:
                log.error("repository", **error_fields(err))

    async def _reload_models(self) -> None:
        try:
            await asyncio.to_thread(self._dependencies.repository.reload)
        finally:  # health must be updated also when the reload fails
            await self.sync_models()

    async def sync_models(self) -> None:
        """Apply the state of the repository: log changes, open sessions, update metrics and health."""
        entries = {(entry.name, entry.version): entry for entry in self._dependencies.repository.index()}
        for key, entry in entries.items():
            if self._entries.get(key) != entry:
                say = log.info if entry.state == ModelState.READY else log.warning
                say("model", model=entry.name, version=entry.version, state=str(entry.state), reason=entry.detail)
                self._log_labels(entry)
        for name, version in self._entries.keys() - entries.keys():
            log.info("model", model=name, version=version, state="REMOVED")
        self._dependencies.metrics.models({key: entry.state == ModelState.READY for key, entry in entries.items()})
        await self._warm([entry for key, entry in entries.items() if self._entries.get(key) != entry])
        self._entries = entries
        await self._update_health()

    def _log_labels(self, entry: IndexEntry) -> None:
        """Log what users of a model must know before they rely on its proofs."""
        for model in self._dependencies.repository.versions(entry.name):
            if model.version == entry.version:
                for label in model.labels:
                    log.warning("label", model=entry.name, version=entry.version, label=label)

    async def _warm(self, changed: Sequence[IndexEntry]) -> None:
        """Open a session for each new model, so that its first caller does not wait."""
        repository, answers = self._dependencies.repository, self._dependencies.answers
        models = [
            model
            for name in sorted({entry.name for entry in repository.index()})
            for model in repository.versions(name)
        ]
        await asyncio.to_thread(answers.retain, models)
        keys = {(entry.name, entry.version) for entry in changed}
        for model in models:
            if (model.name, model.version) in keys:
                self._warm_one(model)

    def _warm_one(self, model: ModelVersion) -> None:
        try:
            self._dependencies.answers.warm(model).add_done_callback(partial(_log_failed_warmup, model))
        except BusyError:  # requests are waiting, so its sessions are open
            return

    async def record_finished_jobs(self) -> None:
        """Log finished jobs and count their outcomes."""
        store, revision = self._dependencies.store, None
        while True:
            try:
                if revision is None:
                    revision = await asyncio.to_thread(store.revision)
                changes = await asyncio.to_thread(store.changes, revision, size=_BATCH)
            except StoreError as err:
                log.error("queue", **error_fields(err))
                await asyncio.sleep(_POLL_SECONDS)
                continue
            revision = changes.revision
            for job in changes.jobs:
                self._record_end(job)
            if len(changes.jobs) < _BATCH:
                await asyncio.sleep(_POLL_SECONDS)

    def _record_end(self, job: Job) -> None:
        if not job.state.final:
            return
        self._dependencies.metrics.job_ended(job)
        reason = job.failure.reason if job.failure else ""
        log.info("job", job=job.id, model=job.request.model, state=str(job.state), attempt=job.attempt, reason=reason)

    async def _update_health(self) -> None:
        """Report the health of each service; the server as a whole is unhealthy only if a restart would help."""
        alive = self._healthy and self._dependencies.workers.is_alive
        proving = alive and self._dependencies.workers.is_healthy
        answers = any(entry.state == ModelState.READY for entry in self._entries.values())
        if proving != self._proving:
            (log.info if proving else log.error)("proofs", state="SERVING" if proving else "NOT_SERVING")
        self._proving = proving
        await self._health.set("", _SERVING if alive else _NOT_SERVING)
        for name in self._proof_services:
            await self._health.set(name, _SERVING if proving else _NOT_SERVING)
        for name in self._inference_services:
            await self._health.set(name, _SERVING if answers else _NOT_SERVING)


def _log_failed_warmup(model: ModelVersion, done: Future[None]) -> None:
    err = None if done.cancelled() else done.exception()
    if isinstance(err, ZkinferError):
        log.warning("model cannot answer", model=model.name, version=model.version, **error_fields(err))
