"""Background tasks of a server: poll the model repository, record finished jobs, report health, return memory."""

from __future__ import annotations

import asyncio
import ctypes
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2

from zkinfer.circuits.errors import ZkinferError
from zkinfer.prover.errors import BusyError, StoreError
from zkinfer.prover.repository import ModelState
from zkinfer.service.logs import error_fields, log

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from concurrent.futures import Future

    from grpc_health.v1.health import aio as health_aio

    from zkinfer.prover.jobs import Job
    from zkinfer.prover.repository import IndexEntry, ModelVersion
    from zkinfer.service.dependencies import Dependencies

_POLL_SECONDS = 1.0
_BATCH = 500
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
        for name, version in self._entries.keys() - entries.keys():
            log.info("model", model=name, version=version, state="REMOVED")
        self._dependencies.metrics.models({key: entry.state == ModelState.READY for key, entry in entries.items()})
        await self._warm([entry for key, entry in entries.items() if self._entries.get(key) != entry])
        self._entries = entries
        await self._update_health()

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
