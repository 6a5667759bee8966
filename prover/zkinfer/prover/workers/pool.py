"""The supervisor of worker processes and of queue maintenance, which a server runs in the background.

One thread does all of it, and all workers die with that thread. The job of a dead worker returns to the queue
immediately; a hanging worker is killed. The pool has no persistent state: after a crash only leases remain, which the
next server releases.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import why
from zkinfer.prover.errors import StoreError
from zkinfer.prover.jobs.job import SweepResult
from zkinfer.prover.workers.config import is_dead, worker_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zkinfer.prover.jobs.store import JobStore
    from zkinfer.prover.workers.config import WorkerSettings


COMMAND = (sys.executable, "-I", "-m", "zkinfer.prover.workers.worker")


class WorkerProcess:
    """A new interpreter in its own session, so that signals for the parent's process group do not reach it.

    The kernel kills it when the thread that created it ends.

    Args:
        settings: sent through stdin.
        command: to run; this process's id is appended.

    Raises:
        StoreError: the process cannot be started.
    """

    def __init__(self, settings: WorkerSettings, command: Sequence[str] = COMMAND) -> None:
        try:
            self._process = subprocess.Popen(
                [*command, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as err:
            raise StoreError(f"No worker can be started: {why(err)}.", "Raise the limit of processes.") from err
        self.name = worker_name(settings.host, self._process.pid)
        self.has_started = False
        self._last_pulse = time.monotonic()
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: PIPE was requested
        os.set_blocking(self._process.stdout.fileno(), False)
        self._send_settings(settings)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """The exit status; None while it runs, negative for a signal."""
        return self._process.poll()

    def silent_for(self) -> float:
        """Seconds since its last pulse, or since its start."""
        assert self._process.stdout is not None  # noqa: S101 - as above
        if self._process.stdout.read(1 << 16):
            self.has_started = True
            self._last_pulse = time.monotonic()
        return time.monotonic() - self._last_pulse

    def drain(self) -> None:
        """Request that it exit after its current job."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it; its own children die with it."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipes of an ended process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _send_settings(self, settings: WorkerSettings) -> None:
        assert self._process.stdin is not None  # noqa: S101 - as above
        with contextlib.suppress(BrokenPipeError):  # it died already, which the pool notices
            self._process.stdin.write(settings.to_bytes())
            self._process.stdin.close()


_LOG = logging.getLogger(__name__)
_LOOP_SECONDS = 0.05
_SWEEP_INTERVAL = 1.0
_FIRST_BACKOFF, _MAX_BACKOFF = 0.5, 30.0
_MAX_SILENCE = 60.0
_KILL_DELAY = 5.0
_MAX_FAILURES = 3


class WorkerPool:
    """Worker processes for one queue on this host.

    Args:
        store: the queue, which this pool maintains.
        settings: of each worker.
        size: the number of workers.
        command: starts a worker; see `WorkerProcess`.
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
        self._failed_starts = 0
        self._failed_sweeps = 0
        self._not_before = 0.0
        self._sweep_at = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker-pool", daemon=True)

    def start(self) -> None:
        """Start the workers in the background."""
        self._thread.start()

    def drain(self) -> None:
        """Let each worker finish its job within the grace period; blocks until all workers have exited."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether the pool's thread is running; if it stopped unexpectedly, the server must be restarted."""
        return self._thread.is_alive()

    @property
    def is_healthy(self) -> bool:
        """Whether jobs make progress: false while all workers die before their first job, or maintenance fails.

        One or two such failures are tolerated, and the pool always retries. A pool without workers counts as healthy.
        """
        stuck = self._size > 0 and self._failed_starts >= _MAX_FAILURES and not self.working
        return self.is_alive and not stuck and self._failed_sweeps < _MAX_FAILURES

    @property
    def size(self) -> int:
        """The intended number of workers."""
        return self._size

    @property
    def working(self) -> int:
        """The number of running workers that have sent a pulse."""
        return sum(worker.has_started and worker.exit_status() is None for worker in [*self._workers])

    @property
    def pids(self) -> list[int]:
        """The process ids of the running workers."""
        return [worker.pid for worker in [*self._workers] if worker.exit_status() is None]

    def _run(self) -> None:
        while not self._ending.wait(_LOOP_SECONDS):
            self._reap()
            self._start_missing()
            if time.monotonic() >= self._sweep_at:
                self._maintain_queue()
                self._sweep_at = time.monotonic() + _SWEEP_INTERVAL
        self._end_all()

    def _reap(self) -> None:
        for worker in [*self._workers]:
            if worker.silent_for() > _MAX_SILENCE + self._settings.lease_seconds:
                _LOG.warning("worker hangs and is killed", extra={"worker": worker.name})
                worker.kill()
            if worker.exit_status() is not None:
                self._remove(worker, blamed=worker.exit_status() != 0)
        self._release_dead()

    def _remove(self, worker: WorkerProcess, *, blamed: bool) -> None:
        _LOG.info("worker ended with status %s", worker.exit_status(), extra={"worker": worker.name})
        self._workers.remove(worker)
        worker.close()
        self._dead.append((worker.name, blamed))
        self._failed_starts = 0 if worker.has_started else self._failed_starts + 1
        if self._failed_starts:  # a persistent problem: back off
            self._not_before = time.monotonic() + min(
                _MAX_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(self._failed_starts, 16)
            )

    def _release_dead(self) -> None:
        """Release the leases of dead workers; retried until the database accepts it."""
        while self._dead:
            name, blamed = self._dead[0]
            if not self._succeeds(partial(self._store.release, name, blamed=blamed)):
                return
            self._dead.pop(0)

    def _start_missing(self) -> None:
        while len(self._workers) < self._size and time.monotonic() >= self._not_before:
            if not self._succeeds(self._start_one):
                self._not_before = time.monotonic() + _FIRST_BACKOFF

    def _start_one(self) -> None:
        self._workers.append(WorkerProcess(self._settings, self._command))

    def _maintain_queue(self) -> None:
        done = [self._succeeds(self._release_orphaned_leases), self._succeeds(self._sweep)]
        self._failed_sweeps = 0 if all(done) else self._failed_sweeps + 1

    def _release_orphaned_leases(self) -> None:
        """Release leases of workers that a killed server on this host left."""
        host = self._settings.host
        for name in self._store.holders(host):
            if is_dead(name, host) and name not in {worker.name for worker in self._workers}:
                self._store.release(name, blamed=False)

    def _sweep(self) -> None:
        swept = self._store.sweep()
        if swept != SweepResult():
            _LOG.info("swept: %s", swept)

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.drain()
        deadline = time.monotonic() + self._settings.grace_seconds + _KILL_DELAY
        while time.monotonic() < deadline and self.pids:
            time.sleep(_LOOP_SECONDS)
        for worker in [*self._workers]:
            worker.kill()
            self._remove(worker, blamed=False)
        self._release_dead()

    def _succeeds(self, step: Callable[[], object]) -> bool:
        """Whether a step succeeds; failed steps are retried, so that a full disk does not end the pool."""
        try:
            step()
        except StoreError as err:
            _LOG.warning("queue maintenance failed: %s", err)
            return False
        return True
