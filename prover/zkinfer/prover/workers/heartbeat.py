"""Heartbeats from a second thread during a proof, which also stop the proof if it must not continue."""

from __future__ import annotations

import logging
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from zkinfer.circuits.sandbox.child import StopSignal
from zkinfer.prover.errors import LeaseLostError, StoreError
from zkinfer.prover.jobs.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from zkinfer.prover.jobs.job import Lease
    from zkinfer.prover.jobs.store import JobStore

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
