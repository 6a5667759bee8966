"""The job queue, in a durable database.

A job is on the disk when `submit` returns. Workers hold jobs under leases with a fence that grows with every claim, and
an outdated lease cannot change a job. So each job ends once, even if several workers believe they hold it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ZkinferError
from zkinfer.prover.jobs import finish, leases, query
from zkinfer.prover.jobs.database import open_database
from zkinfer.prover.jobs.job import JobState, RetryPolicy
from zkinfer.prover.jobs.query import row_of
from zkinfer.prover.jobs.reaper import Reaper
from zkinfer.prover.jobs.schema import job_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from zkinfer.circuits.digest import Digest
    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs.job import (
        Changes,
        Counts,
        Failure,
        Job,
        JobRequest,
        Lease,
        Page,
        QueueLimits,
        Submission,
        SweepResult,
    )


class JobStore:
    """Jobs and their artifacts. Thread-safe; every process opens its own, which creates missing tables.

    All methods raise StoreError if the database or the disk cannot be used; nothing is changed then.

    Args:
        url: `sqlite:////path/to/jobs.db`, or `postgresql+psycopg://user@host/database`.
        artifacts: holds inputs and attestations; all processes of a queue must share it.
        retry_policy: attempts and retention of jobs.
        clock: the system clock, in UTC. It may jump: leases do not depend on it.
        monotonic: a monotonic clock, in seconds.
        busy_seconds: how long to wait for a writer in another process.

    Raises:
        StoreError: as `open_database`, or the jobs of this database have another artifact store.
    """

    def __init__(
        self,
        url: str,
        artifacts: ArtifactStore,
        *,
        retry_policy: RetryPolicy | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        busy_seconds: float = 10.0,
    ) -> None:
        self._database = open_database(url, busy_seconds=busy_seconds, artifact_store_id=artifacts.identity)
        self.artifacts = artifacts
        self._retry_policy = retry_policy or RetryPolicy()
        self._clock = clock
        self._reaper = Reaper(
            self._database, artifacts, retry_policy=self._retry_policy, clock=clock, monotonic=monotonic
        )

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    # --- callers

    def submit(self, request: JobRequest, limits: QueueLimits, *, inputs: bytes | None = None) -> Submission:
        """Accept a job, or return the existing one of the same request; the job is on the disk when this returns.

        Requests with the same owner and request id get the same job, in any state. Without a request id, requests with
        the same owner, circuit, inputs and context get the same job while it is unfinished.

        Args:
            request: the inference to prove; its inputs must be in the artifact store.
            limits: for accepting jobs.
            inputs: the bytes of the inputs, to store them again if they were removed with another job in the meantime.

        Raises:
            RequestConflictError: the request id belongs to another request.
            QueueFullError, QuotaExceededError: too many jobs; `retry_after` says when to try again.
            TooCostlyError: the job is predicted to exceed a limit.
            DeadlinePassedError: the deadline is in the past.
            ArtifactMissingError: the inputs are missing and were not given.
        """
        now = self._clock()
        try:
            query.check_request(request, limits, self.artifacts, now)
        except ZkinferError:
            if (existing := self._find_existing(request)) is None:  # submission is idempotent
                raise
            return existing
        return self._database.write(
            lambda connection: query.submit(connection, request, limits, self.artifacts, now, inputs)
        )

    def precheck(self, request: JobRequest, limits: QueueLimits) -> None:
        """Raise as `submit` would, to reject a request before any work is done for it.

        Not binding: `submit` checks again. The inputs and outputs of the request are not considered.
        """
        with self._database.reading() as connection:
            if query.find_existing(connection, request) is None:
                query.check_request(request, limits, self.artifacts, self._clock())
                query.check_queue(connection, request.owner, limits)

    def _find_existing(self, request: JobRequest) -> Submission | None:
        with self._database.reading() as connection:
            return query.find_existing(connection, request)

    def discard(self, inputs: Digest) -> None:
        """Remove stored inputs of a rejected job, unless another job needs them."""
        self._reaper.collect([inputs])

    def get(self, job_id: str) -> Job:
        """The current state of a job; raises UnknownJobError."""
        with self._database.reading() as connection:
            return job_of(row_of(connection, job_id))

    def find_by_request_id(self, owner: str, request_id: str) -> Job | None:
        """The job of an owner's request id; None if there is none."""
        with self._database.reading() as connection:
            return query.find_by_request_id(connection, owner, request_id)

    def page(
        self,
        *,
        owner: str | None = None,
        states: Collection[JobState] = (),
        model: str | None = None,
        size: int = 100,
        token: str = "",
    ) -> Page:
        """Jobs, newest first, filtered by owner, states and model.

        Args:
            owner: None for all.
            states: empty for all.
            model: None for all.
            size: of the page, at most 1000.
            token: of the previous page; empty for the first page. Raises InputError for an invalid one.
        """
        with self._database.reading() as connection:
            return query.page(connection, owner=owner, states=states, model=model, size=size, token=token)

    def position(self, job: Job) -> int:
        """The number of queued jobs that start before this one; 0 also for a job that is not queued."""
        if job.state != JobState.QUEUED:
            return 0
        with self._database.reading() as connection:
            return query.position(connection, job)

    def changes(self, after: int = 0, *, size: int = 256) -> Changes:
        """The jobs that changed after a revision, oldest change first; polling it misses no final state.

        A job that changed twice is listed once, with its current state; deleted jobs are not listed.
        """
        with self._database.reading() as connection:
            return query.changes(connection, after, size)

    def revision(self) -> int:
        """The latest revision, to poll `changes` from now on."""
        with self._database.reading() as connection:
            return query.revision(connection)

    def counts(self) -> Counts:
        """Numbers of jobs, for monitoring."""
        with self._database.reading() as connection:
            return query.counts(connection, self._clock())

    def cancel(self, job_id: str) -> Job:
        """Cancel a job: immediately if queued, by a request to its worker if running; a finished job is unchanged.

        Raises UnknownJobError.
        """
        job = self._database.write(lambda connection: finish.cancel(connection, job_id, self._clock()))
        if job.state.final:
            self._reaper.collect([job.request.inputs])
        return job

    def retry(self, job_id: str) -> Job:
        """Return a failed job to the queue; its earlier attempts still count.

        Raises:
            UnknownJobError: as `get`.
            JobStateError: it did not fail, its inputs were removed, or the same request was submitted again.
        """
        return self._database.write(lambda connection: finish.retry(connection, job_id, self.artifacts, self._clock()))

    def delete(self, job_id: str) -> None:
        """Delete a finished job and its attestation; raises UnknownJobError, JobStateError."""
        job = self._database.write(lambda connection: finish.delete_finished(connection, job_id))
        self._reaper.collect([job.request.inputs, *([job.attestation] if job.attestation else [])])

    # --- workers

    def claim(self, worker: str, *, lease_seconds: float, memory_bytes: int | None = None) -> Lease | None:
        """Claim the next job; None if no job can start now.

        The owner served least recently comes first, then the oldest job. A job that does not fit into memory beside the
        running ones is passed over a limited number of times.

        Args:
            worker: `host/name`, unique among all processes of all times.
            lease_seconds: time without `renew` after which the job is reassigned.
            memory_bytes: maximum predicted memory of all jobs running on this host; None for no limit.
        """
        now, host = self._clock(), leases.host_of(worker)
        with self._database.reading() as connection:  # without the writer's lock: usually no job is ready
            if leases.choose(connection, host, memory_bytes, self._retry_policy, now)[0] is None:
                return None
        return self._database.write(
            lambda connection: leases.claim(
                connection,
                worker,
                lease_seconds=lease_seconds,
                memory_bytes=memory_bytes,
                retry_policy=self._retry_policy,
                now=now,
            )
        )

    def renew(self, lease: Lease, *, state: JobState = JobState.PROVING, progress: float = 0.0) -> bool:
        """Send a heartbeat; returns whether cancellation was requested. Raises LeaseLostError."""
        return self._database.write(lambda connection: leases.renew(connection, lease, state, progress))

    def succeed(self, lease: Lease, attestation: Digest, size: int) -> None:
        """Finish a job with its stored attestation; idempotent.

        Raises LeaseLostError, ArtifactMissingError.
        """
        self._database.write(
            lambda connection: finish.succeed(connection, lease, attestation, size, self.artifacts, self._clock())
        )
        self._reaper.collect([lease.job.request.inputs])

    def fail(self, lease: Lease, failure: Failure, *, retry: bool) -> None:
        """Fail a job, or schedule another attempt after a backoff if the retry policy permits it.

        The reason EXPIRED ends the job as EXPIRED. Raises LeaseLostError.
        """
        self._database.write(
            lambda connection: finish.fail(connection, lease, failure, self._retry_policy, self._clock(), retry=retry)
        )
        self._reaper.collect([lease.job.request.inputs])

    def cancelled(self, lease: Lease) -> None:
        """Confirm that the work was stopped after a request to cancel; raises LeaseLostError."""
        self._database.write(lambda connection: finish.end_cancelled(connection, lease, self._clock()))
        self._reaper.collect([lease.job.request.inputs])

    def give_back(self, lease: Lease) -> None:
        """Return the job to the queue without counting the attempt; raises LeaseLostError."""
        self._database.write(lambda connection: finish.give_back(connection, lease, self._retry_policy, self._clock()))

    def release(self, worker: str, *, blamed: bool = True) -> int:
        """End the leases of a dead worker; returns their number.

        Args:
            worker: its name.
            blamed: count this as a failure with a backoff, because the job may have killed the worker.
        """
        released = self._database.write(
            lambda connection: finish.release(connection, worker, self._retry_policy, self._clock(), blamed=blamed)
        )
        self._reaper.collect([job.request.inputs for job in released if job.state.final])
        return len(released)

    def holders(self, host: str) -> list[str]:
        """The workers of a host that hold leases, dead or alive."""
        with self._database.reading() as connection:
            return leases.holders(connection, host)

    # --- maintenance

    def sweep(self) -> SweepResult:
        """End leases without heartbeats, expire jobs, and remove jobs and files past their retention.

        Call it about once a second, in one thread per server. A lease ends if this object sees no heartbeat for the
        lease's duration. While the clock cannot be trusted, nothing expires or is removed.
        """
        return self._reaper.sweep()
