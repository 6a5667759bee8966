"""What a server does while nobody calls: look for models, follow jobs, say how it is."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2

from zkinfer.circuits.errors import ZkinferError
from zkinfer.prover.errors import BusyError, StoreError
from zkinfer.prover.repository import ModelState
from zkinfer.service.logs import described, log

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from concurrent.futures import Future

    from grpc_health.v1.health import aio as health_aio

    from zkinfer.prover.jobs import Job
    from zkinfer.prover.repository import IndexEntry, ModelVersion
    from zkinfer.service.dependencies import Parts

_FOLLOW_SECONDS = 1.0
_BATCH = 500
_SERVING, _NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Tending:
    """The tasks beside the calls.

    Args:
        parts: of the server.
        health: is told how each service is.
        proving: names of the services that need the queue.
        answering: names of those that need a model.
    """

    def __init__(
        self, parts: Parts, health: health_aio.HealthServicer, *, proving: Sequence[str], answering: Sequence[str]
    ) -> None:
        self._parts = parts
        self._health = health
        self._proving = proving
        self._answering = answering
        self._known: dict[tuple[str, str], IndexEntry] = {}
        self._is_whole = True
        self._proves = True
        self._telling: asyncio.Task[None] | None = None

    def begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Do one of the tasks below in the background. One that breaks, which is a bug, makes the server unhealthy."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._broken)
        return task

    def _broken(self, task: asyncio.Task[None]) -> None:
        err = None if task.cancelled() else task.exception()
        if err is not None:
            self._is_whole = False
            log.error("a task of the server broke", **described(err))
            self._telling = asyncio.create_task(self._tell_health())

    async def watch_models(self) -> None:
        """Look at the repository now and then, for ever: what goes wrong once is told, and tried again."""
        while True:
            await asyncio.sleep(self._parts.settings.reload_seconds)
            try:
                await self._look_at_models()
            except ZkinferError as err:
                log.error("repository", **described(err))

    async def _look_at_models(self) -> None:
        try:
            await asyncio.to_thread(self._parts.repository.reload)
        finally:  # health is told also where they cannot be looked at
            await self.take_over_models()

    async def take_over_models(self) -> None:
        """Get ready for what the repository has now."""
        entries = {(entry.name, entry.version): entry for entry in self._parts.repository.index()}
        for place, entry in entries.items():
            if self._known.get(place) != entry:
                say = log.info if entry.state == ModelState.READY else log.warning
                say("model", model=entry.name, version=entry.version, state=str(entry.state), reason=entry.detail)
        for name, version in self._known.keys() - entries.keys():
            log.info("model", model=name, version=version, state="REMOVED")
        self._parts.metrics.models({place: entry.state == ModelState.READY for place, entry in entries.items()})
        await self._warm([entry for place, entry in entries.items() if self._known.get(place) != entry])
        self._known = entries
        await self._tell_health()

    async def _warm(self, changed: Sequence[IndexEntry]) -> None:
        """Open a session for each new model, so that the first caller need not wait for it."""
        repository, answers = self._parts.repository, self._parts.answers
        models = [
            model
            for name in sorted({entry.name for entry in repository.index()})
            for model in repository.versions(name)
        ]
        await asyncio.to_thread(answers.keep, models)
        places = {(entry.name, entry.version) for entry in changed}
        for model in models:
            if (model.name, model.version) in places:
                self._warm_one(model)

    def _warm_one(self, model: ModelVersion) -> None:
        try:
            self._parts.answers.warm(model).add_done_callback(partial(_note_cold, model))
        except BusyError:  # then it is warm already
            return

    async def follow_jobs(self) -> None:
        """Count how jobs end, for ever."""
        store, revision = self._parts.store, None
        while True:
            try:
                if revision is None:
                    revision = await asyncio.to_thread(store.revision)
                changes = await asyncio.to_thread(store.changes, revision, size=_BATCH)
            except StoreError as err:
                log.error("queue", **described(err))
                await asyncio.sleep(_FOLLOW_SECONDS)
                continue
            revision = changes.revision
            for job in changes.jobs:
                self._note_end(job)
            if len(changes.jobs) < _BATCH:
                await asyncio.sleep(_FOLLOW_SECONDS)

    def _note_end(self, job: Job) -> None:
        if not job.state.final:
            return
        self._parts.metrics.job_ended(job)
        reason = job.failure.reason if job.failure else ""
        log.info("job", job=job.id, model=job.request.model, state=str(job.state), attempt=job.attempt, reason=reason)

    async def _tell_health(self) -> None:
        """Of the whole, only what a new start would mend: a full disk is no reason for one."""
        whole = self._is_whole and self._parts.workers.is_alive
        proves = whole and self._parts.workers.proves
        answers = any(entry.state == ModelState.READY for entry in self._known.values())
        if proves != self._proves:
            (log.info if proves else log.error)("proofs", state="SERVING" if proves else "NOT_SERVING")
        self._proves = proves
        await self._health.set("", _SERVING if whole else _NOT_SERVING)
        for name in self._proving:
            await self._health.set(name, _SERVING if proves else _NOT_SERVING)
        for name in self._answering:
            await self._health.set(name, _SERVING if answers else _NOT_SERVING)


def _note_cold(model: ModelVersion, done: Future[None]) -> None:
    err = None if done.cancelled() else done.exception()
    if isinstance(err, ZkinferError):
        log.warning("model cannot answer", model=model.name, version=model.version, **described(err))
