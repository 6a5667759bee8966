"""The loop of a worker: claim a job, prove it, check the proof, store it, and report the outcome.

Heartbeats from a second thread renew the lease during a proof, and stop the proof if it must not continue.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from zkinfer.circuits.errors import (
    AnswerMismatchError,
    CircuitError,
    DataError,
    EngineCrashedError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    RangeError,
    SetupError,
    StoppedError,
    ZkinferError,
)
from zkinfer.circuits.manifest import Circuit
from zkinfer.circuits.sandbox.child import StopSignal, stoppable
from zkinfer.circuits.sandbox.processes import yielding
from zkinfer.prover.errors import ArtifactDamagedError, ArtifactMissingError, LeaseLostError, StoreError
from zkinfer.prover.jobs.finish import DEADLINE_PASSED
from zkinfer.prover.jobs.job import Failure, JobState
from zkinfer.prover.quantised_inputs import MAX_BYTES, integers_from_bytes
from zkinfer.verifier import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from zkinfer.prover.jobs.job import JobRequest, Lease
    from zkinfer.prover.jobs.store import JobStore
    from zkinfer.prover.prover import Prover
    from zkinfer.prover.workers.config import WorkerSettings


_LOG = logging.getLogger(__name__)
_MAX_PROGRESS = 0.95


class Stop(StrEnum):
    """Why work on a job was stopped."""

    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    LOST = "LOST"
    DRAINING = "DRAINING"


class Heartbeat:
    """Renews a lease in its own thread while the block runs; sets `stop` when the work must end.

    Args:
        store: the queue.
        lease: of the job.
        seconds: interval of heartbeats.
        grace_over: whether this process received SIGTERM and its grace period is over.
        seconds_left: time to the job's deadline, measured by the monotonic clock from here on; None for no deadline.
        pulse: called with every heartbeat.
    """

    def __init__(
        self,
        store: JobStore,
        lease: Lease,
        *,
        seconds: float,
        grace_over: Callable[[], bool],
        seconds_left: float | None,
        pulse: Callable[[], None],
    ) -> None:
        self.stop = StopSignal()
        self.reason: Stop | None = None
        self.state = JobState.PROVING
        self._store = store
        self._lease = lease
        self._seconds = seconds
        self._grace_over = grace_over
        self._pulse = pulse
        self._started_at = time.monotonic()
        self._deadline = None if seconds_left is None else self._started_at + seconds_left
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        self.stop.close()

    @property
    def progress(self) -> float:
        """The predicted fraction done, for display."""
        predicted = max(self._lease.job.request.seconds, 0.001)
        return min(_MAX_PROGRESS, (time.monotonic() - self._started_at) / predicted)

    def _run(self) -> None:
        while not self._done.wait(self._seconds):
            self._pulse()
            reason = self._beat()
            if reason is not None and self.reason is None:
                self.reason = reason
                self.stop.set()

    def _beat(self) -> Stop | None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return Stop.EXPIRED
        if self._grace_over():
            return Stop.DRAINING
        try:
            cancelled = self._store.renew(self._lease, state=self.state, progress=self.progress)
        except LeaseLostError:
            return Stop.LOST
        except StoreError as err:  # possibly temporary; if not, the lease expires
            _LOG.warning("heartbeat not written: %s", err, extra={"job": self._lease.job.id})
            return None
        return Stop.CANCELLED if cancelled else None


_RETRY_SECONDS = 1.0
# The first match applies; True means that another attempt may succeed.
_FAILURES: tuple[tuple[type[ZkinferError], str, bool], ...] = (
    (RangeError, "RANGE", False),
    (EngineMemoryError, "OUT_OF_MEMORY", False),
    (EngineTimeoutError, "TIMEOUT", False),
    (EngineCrashedError, "ENGINE_CRASHED", True),
    (AnswerMismatchError, "OUTPUTS_DIFFER", False),
    (EngineError, "ENGINE", False),
    (SetupError, "SETUP", False),
    (CircuitError, "CIRCUIT_GONE", False),
    (ArtifactMissingError, "INPUTS_GONE", False),
    (ArtifactDamagedError, "INPUTS_DAMAGED", False),
    (DataError, "INPUTS_DAMAGED", False),
    (StoreError, "STORE", True),
    (RefusedError, "NOT_VERIFIED", False),
    (ZkinferError, "OTHER", False),
)


class Worker:
    """Proves jobs until it is drained.

    Args:
        name: of this process; see `worker_name`.
        store: the queue.
        prover: makes attestations.
        settings: limits and intervals.
        pulse: called regularly, to show that this process is alive.
        idle: called if no job is queued; returns whether it did any work; if so, the queue is polled without a pause.
    """

    def __init__(
        self,
        name: str,
        store: JobStore,
        prover: Prover,
        settings: WorkerSettings,
        pulse: Callable[[], None],
        idle: Callable[[], bool] = lambda: False,
    ) -> None:
        self._name = name
        self._store = store
        self._prover = prover
        self._settings = settings
        self._pulse = pulse
        self._idle = idle
        self._draining = StopSignal()
        self._drain_until: float | None = None

    def drain(self) -> None:
        """Claim no further job and return after the current one; safe to call from a signal handler."""
        if self._drain_until is None:
            self._drain_until = time.monotonic() + self._settings.grace_seconds
        self._draining.set()

    def run(self) -> None:
        """Work until drained."""
        while not self._draining.is_set():
            self._pulse()
            lease = self._claim()
            if lease is not None:
                self._process(lease)

    def _claim(self) -> Lease | None:
        pause = self._settings.poll_seconds
        try:
            lease = self._store.claim(
                self._name,
                lease_seconds=self._settings.lease_seconds,
                memory_bytes=self._settings.memory_bytes,
            )
        except StoreError as err:
            _LOG.warning("no job can be claimed: %s", err, extra={"worker": self._name})
            lease, pause = None, _RETRY_SECONDS
        if lease is None and not self._idle():
            self._wait(pause)
        return lease

    def _wait(self, seconds: float) -> None:
        select.select([self._draining.descriptor], [], [], seconds)

    def _grace_over(self) -> bool:
        return self._drain_until is not None and time.monotonic() >= self._drain_until

    def _process(self, lease: Lease) -> None:
        job, start = lease.job, time.monotonic()
        with Heartbeat(
            self._store,
            lease,
            seconds=self._settings.heartbeat_seconds,
            grace_over=self._grace_over,
            seconds_left=_seconds_left(job.request),
            pulse=self._pulse,
        ) as heartbeat:
            report = self._run_job(lease, heartbeat)
            self._report(lease, report)
        facts = {"job": job.id, "model": job.request.model, "attempt": job.attempt, "worker": self._name}
        _LOG.info("job processed", extra={**facts, "seconds": round(time.monotonic() - start, 3)})

    def _run_job(self, lease: Lease, heartbeat: Heartbeat) -> Callable[[], None]:
        """Run the job; returns the call that reports its outcome to the queue."""
        try:
            data = self._attest(lease.job.request, heartbeat)
        except StoppedError:
            return self._stopped(lease, heartbeat.reason)
        except ZkinferError as err:
            failure, retry = classify(err)
            # The reason alone: messages of an engine may quote input values.
            _LOG.warning("job failed", extra={"job": lease.job.id, "reason": failure.reason})
            return lambda: self._store.fail(lease, failure, retry=retry)
        return lambda: self._store.succeed(lease, self._store.artifacts.put(data), len(data))

    def _stopped(self, lease: Lease, reason: Stop | None) -> Callable[[], None]:
        if reason == Stop.CANCELLED:
            return lambda: self._store.cancelled(lease)
        if reason == Stop.EXPIRED:
            return lambda: self._store.fail(lease, DEADLINE_PASSED, retry=False)
        return lambda: self._store.give_back(lease)  # has no effect for a lost lease

    def _attest(self, request: JobRequest, heartbeat: Heartbeat) -> bytes:
        with stoppable(heartbeat.stop), yielding() if self._settings.yielding else nullcontext():
            circuit = self._circuit_of(request)
            integers = integers_from_bytes(self._store.artifacts.get(request.inputs, MAX_BYTES))
            data = self._prover.prove_integers(circuit, integers, request.context).to_bytes()
            heartbeat.state = JobState.VERIFYING
            self._prover.check(circuit, data, request.context, request.outputs)
        return data

    def _circuit_of(self, request: JobRequest) -> Circuit:
        """The requested circuit, hashed again: its folder may have changed since the last job."""
        for name in (request.model, request.version):
            if Path(name).name != name or name in ("", ".", ".."):
                raise CircuitError(f"{name[:80]!r} is not a valid name in a repository.")
        circuit = Circuit.open(Path(self._settings.repository) / request.model / request.version)
        if circuit.digest != request.circuit:
            raise CircuitError(
                f"Version {request.version} of {request.model} is not the circuit that gave the answer.",
                "Restore that circuit and retry the job; give new versions a new number.",
            )
        return circuit

    def _report(self, lease: Lease, report: Callable[[], None]) -> None:
        """Report the outcome of a job to the queue, repeatedly if the store is unavailable."""
        while True:
            try:
                return report()
            except LeaseLostError as err:
                return _LOG.warning("job lost: %s", err, extra={"job": lease.job.id})
            except StoreError as err:
                _LOG.warning("outcome of a job not stored: %s", err, extra={"job": lease.job.id})
            if self._grace_over():
                return None  # the lease expires
            time.sleep(_RETRY_SECONDS)


def classify(err: ZkinferError) -> tuple[Failure, bool]:
    """The failure of an error, and whether another attempt may succeed."""
    reason, retry = next((reason, retry) for kind, reason, retry in _FAILURES if isinstance(err, kind))
    return Failure(reason=reason, cause=err.cause, cure=err.cure), retry


def _seconds_left(request: JobRequest) -> float | None:
    return None if request.deadline is None else (request.deadline - datetime.now(UTC)).total_seconds()
