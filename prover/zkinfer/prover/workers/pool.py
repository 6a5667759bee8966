"""Keeps worker processes alive, and the queue in order: what a server runs beside its answers.

One thread does it all, and every worker dies with it. A worker that died gives its job back at once; one that hangs is
killed. Nothing here is remembered: a server that was killed leaves nothing to repair but leases, which the next one
finds.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from zkinfer.prover.errors import StoreError
from zkinfer.prover.jobs.job import Swept
from zkinfer.prover.workers.process import COMMAND, WorkerProcess
from zkinfer.prover.workers.worker_id import is_dead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zkinfer.prover.jobs.store import JobStore
    from zkinfer.prover.workers.config import WorkerSettings

_LOG = logging.getLogger(__name__)
_TICK = 0.05
_SWEEP_EVERY = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_LONGEST_SILENCE = 60.0
_AFTER_GRACE = 5.0
_MANY = 3


class WorkerPool:
    """Worker processes for one queue on this host.

    Args:
        store: the queue; kept in order by this pool.
        settings: what each worker is told.
        size: how many workers.
        command: what to run for each; see `WorkerProcess`.
    """

    def __init__(
        self, store: JobStore, settings: WorkerSettings, *, size: int, command: Sequence[str] = COMMAND
    ) -> None:
        self._store = store
        self._settings = settings
        self._size = size
        self._command = command
        self._workers: list[WorkerProcess] = []
        self._dead: list[tuple[str, bool]] = []
        self._stillborn = 0
        self._troubles = 0
        self._not_before = 0.0
        self._sweep_at = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker-pool", daemon=True)

    def start(self) -> None:
        """Start the workers, in the background."""
        self._thread.start()

    def drain(self) -> None:
        """Let each worker end its job within the grace of the settings; then none is left. Blocks until then."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether the pool itself runs; if not while it should, the server must be started again."""
        return self._thread.is_alive()

    @property
    def proves(self) -> bool:
        """Whether jobs get on: not while every worker dies before its first job, or the queue cannot be kept in order.

        Of these, one or two may pass; the pool tries again either way. One without workers leaves jobs to others.
        """
        barren = self._size > 0 and self._stillborn >= _MANY and not self.working
        return self.is_alive and not barren and self._troubles < _MANY

    @property
    def size(self) -> int:
        """How many workers there should be."""
        return self._size

    @property
    def working(self) -> int:
        """How many run and have shown that they are alive."""
        return sum(worker.began_work and worker.exit_status() is None for worker in [*self._workers])

    @property
    def pids(self) -> list[int]:
        """Of the workers that run."""
        return [worker.pid for worker in [*self._workers] if worker.exit_status() is None]

    def _run(self) -> None:
        while not self._ending.wait(_TICK):
            self._reap()
            self._start_missing()
            if time.monotonic() >= self._sweep_at:
                self._keep_order()
                self._sweep_at = time.monotonic() + _SWEEP_EVERY
        self._end_all()

    def _reap(self) -> None:
        for worker in [*self._workers]:
            if worker.silent_for() > _LONGEST_SILENCE + self._settings.lease_seconds:
                _LOG.warning("worker hangs and is killed", extra={"worker": worker.name})
                worker.kill()
            if worker.exit_status() is not None:
                self._bury(worker, blamed=worker.exit_status() != 0)
        self._release_dead()

    def _bury(self, worker: WorkerProcess, *, blamed: bool) -> None:
        _LOG.info("worker ended with status %s", worker.exit_status(), extra={"worker": worker.name})
        self._workers.remove(worker)
        worker.close()
        self._dead.append((worker.name, blamed))
        self._stillborn = 0 if worker.began_work else self._stillborn + 1
        if self._stillborn:  # something is wrong that trying at once will not mend
            self._not_before = time.monotonic() + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._stillborn, 16))

    def _release_dead(self) -> None:
        """Give back what dead workers held; kept in mind until the database takes it."""
        while self._dead:
            name, blamed = self._dead[0]
            if not self._did(partial(self._store.release, name, blamed=blamed)):
                return
            self._dead.pop(0)

    def _start_missing(self) -> None:
        while len(self._workers) < self._size and time.monotonic() >= self._not_before:
            if not self._did(self._start_one):
                self._not_before = time.monotonic() + _FIRST_PAUSE

    def _start_one(self) -> None:
        self._workers.append(WorkerProcess(self._settings, self._command))

    def _keep_order(self) -> None:
        done = [self._did(self._release_strangers), self._did(self._sweep)]
        self._troubles = 0 if all(done) else self._troubles + 1

    def _release_strangers(self) -> None:
        """Leases of workers that another server on this host left when it was killed."""
        host = self._settings.host
        for name in self._store.holders(host):
            if is_dead(name, host) and name not in {worker.name for worker in self._workers}:
                self._store.release(name, blamed=False)

    def _sweep(self) -> None:
        swept = self._store.sweep()
        if swept != Swept():
            _LOG.info("swept: %s", swept)

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.drain()
        deadline = time.monotonic() + self._settings.grace_seconds + _AFTER_GRACE
        while time.monotonic() < deadline and self.pids:
            time.sleep(_TICK)
        for worker in [*self._workers]:
            worker.kill()
            self._bury(worker, blamed=False)
        self._release_dead()

    def _did(self, what: Callable[[], object]) -> bool:
        """Whether it could be done now; what cannot is tried again, so a full disk does not end the pool."""
        try:
            what()
        except StoreError as err:
            _LOG.warning("the queue cannot be kept in order: %s", err)
            return False
        return True
