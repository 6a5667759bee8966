"""The queue of jobs, in a database that survives whatever is killed.

What `submit` returned is on the disk. A job is worked on under a lease, whose fence grows with every claim: nobody
changes a job with an old one. So each job ends once, however many workers believe that it is theirs.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from zkinfer.circuits.errors import ZkinferError
from zkinfer.prover.jobs import finish, leases, query, submit
from zkinfer.prover.jobs.database import opened
from zkinfer.prover.jobs.job import JobState, Patience
from zkinfer.prover.jobs.query import row_of
from zkinfer.prover.jobs.reaper import Keeper
from zkinfer.prover.jobs.schema import job_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from zkinfer.circuits.digest import Digest
    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs.database import Database
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
        Swept,
    )


class JobStore:
    """Jobs and their artifacts. Threads may share one; processes open one each. Use `open`.

    All methods raise StoreError where the database or the disk cannot be used; then nothing was changed.
    """

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        *,
        patience: Patience,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self.artifacts = artifacts
        self._patience = patience
        self._clock = clock
        self._keeper = Keeper(database, artifacts, patience=patience, clock=clock, monotonic=monotonic)

    @classmethod
    def open(
        cls,
        url: str,
        artifacts: ArtifactStore,
        *,
        patience: Patience | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        busy_seconds: float = 10.0,
    ) -> Self:
        """Open the queue; its tables are made where there are none.

        Args:
            url: `sqlite:////path/to/jobs.db`, or `postgresql+psycopg://user@host/database`.
            artifacts: where inputs and attestations lie; every process of one queue must see the same.
            patience: how often jobs are tried, and how long they are kept.
            clock: the time of day, UTC. It may be set back and forth: no lease hangs on it.
            monotonic: seconds, for what must not hang on the time of day.
            busy_seconds: how long to wait for a writer of another process.

        Raises:
            StoreError: see `opened`; or the jobs of this database have their artifacts in another folder.
        """
        database = opened(url, busy_seconds=busy_seconds, place=artifacts.identity)
        return cls(database, artifacts, patience=patience or Patience(), clock=clock, monotonic=monotonic)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    # --- whoever asks

    def submit(self, request: JobRequest, limits: QueueLimits, *, inputs: bytes | None = None) -> Submission:
        """Take a job on, or find the one that stands for the same request; it is on the disk when this returns.

        The same owner and request id give the same job whatever its state. Without a request id, the same owner,
        circuit, inputs and context give the same job while it is unfinished.

        Args:
            request: what is to be proven; its inputs were put into the artifacts before.
            limits: what is taken on.
            inputs: their bytes, to put them again where the last job with the same inputs ended meanwhile, and took
                them along.

        Raises:
            RequestConflictError: the request id stands for something else.
            QueueFullError, QuotaExceededError: too many jobs; `retry_after` says when to ask again.
            TooCostlyError: predicted to take more than the limits allow.
            DeadlinePassedError: the deadline is in the past.
            ArtifactMissingError: the inputs are not there, or not any more, and were not given.
        """
        now = self._clock()
        try:
            submit.refuse_beforehand(request, limits, self.artifacts, now)
        except ZkinferError:
            if (known := self._known(request)) is None:  # what was taken on is not refused when it is asked again
                raise
            return known
        return self._database.write(
            lambda connection: submit.submit(connection, request, limits, self.artifacts, now, inputs)
        )

    def refuse(self, request: JobRequest, limits: QueueLimits) -> None:
        """Raise what `submit` would raise now, before anybody works for a request that is not taken on.

        Nothing is promised: `submit` decides. What the request says of its outputs, and its inputs, is not looked at.
        """
        with self._database.reading() as connection:
            if submit.known(connection, request) is None:
                submit.refuse_beforehand(request, limits, self.artifacts, self._clock())
                submit.refuse_where_full(connection, request.owner, limits)

    def _known(self, request: JobRequest) -> Submission | None:
        with self._database.reading() as connection:
            return submit.known(connection, request)

    def discard(self, inputs: Digest) -> None:
        """Remove inputs that were put for a job that was not taken on; those that some job needs stay."""
        self._keeper.collect([inputs])

    def get(self, job_id: str) -> Job:
        """A job as it is now; raises UnknownJobError."""
        with self._database.reading() as connection:
            return job_of(row_of(connection, job_id))

    def of_request(self, owner: str, request_id: str) -> Job | None:
        """The job that an owner's request id stands for."""
        with self._database.reading() as connection:
            return submit.of_request(connection, owner, request_id)

    def page(
        self,
        *,
        owner: str | None = None,
        states: Collection[JobState] = (),
        model: str | None = None,
        size: int = 100,
        token: str = "",
    ) -> Page:
        """Jobs, newest first: of this owner, in one of these states, of this model, where these are given.

        Args:
            owner: None for all.
            states: empty for all.
            model: None for all.
            size: at most 1000.
            token: from the page before; empty for the first. Raises InputError for any other.
        """
        with self._database.reading() as connection:
            return query.page(connection, owner=owner, states=states, model=model, size=size, token=token)

    def position(self, job: Job) -> int:
        """How many waiting jobs will start before this one; 0 for the next, and for one that does not wait."""
        if job.state != JobState.QUEUED:
            return 0
        with self._database.reading() as connection:
            return query.position(connection, job)

    def changes(self, after: int = 0, *, size: int = 256) -> Changes:
        """The jobs that changed after a revision, oldest change first. One who asks again and again misses no end.

        A job that changed twice is there once, as it is now; deleted ones are not.
        """
        with self._database.reading() as connection:
            return query.changes(connection, after, size)

    def revision(self) -> int:
        """The number of the latest change, to follow `changes` from now on."""
        with self._database.reading() as connection:
            return query.revision(connection)

    def counts(self) -> Counts:
        """How many jobs there are, for whoever watches."""
        with self._database.reading() as connection:
            return query.counts(connection, self._clock())

    def cancel(self, job_id: str) -> Job:
        """Cancel a job: at once while it waits; a running one is asked to stop; a finished one stays as it is.

        Raises UnknownJobError.
        """
        job = self._database.write(lambda connection: finish.cancel(connection, job_id, self._clock()))
        if job.state.final:
            self._keeper.collect([job.request.inputs])
        return job

    def retry(self, job_id: str) -> Job:
        """Put a failed job back into the queue, with all its attempts before it.

        Raises:
            UnknownJobError: see `get`.
            JobStateError: it did not fail, its inputs are gone, or the same was asked again since.
        """
        return self._database.write(lambda connection: finish.retry(connection, job_id, self.artifacts, self._clock()))

    def delete(self, job_id: str) -> None:
        """Forget a finished job and its attestation; raises UnknownJobError, JobStateError."""
        job = self._database.write(lambda connection: finish.forget(connection, job_id))
        self._keeper.collect([job.request.inputs, *([job.attestation] if job.attestation else [])])

    # --- whoever works

    def claim(self, worker: str, *, lease_seconds: float, memory_bytes: int | None = None) -> Lease | None:
        """Take the next job, or None where there is nothing to do now.

        The owner who was served longest ago comes first, then the oldest job. A job that does not fit into memory
        beside those that run is passed over, but not for ever.

        Args:
            worker: `host/name`, a name that no other process has or had.
            lease_seconds: after so long without `renew` the job is given to another.
            memory_bytes: what the predictions for all jobs that run on this host may add up to; None for no bound.
        """
        now, host = self._clock(), leases.host_of(worker)
        with self._database.reading() as connection:  # without a writer's lock, since most often there is nothing
            if leases.choose(connection, host, memory_bytes, self._patience, now)[0] is None:
                return None
        return self._database.write(
            lambda connection: leases.claim(
                connection,
                worker,
                lease_seconds=lease_seconds,
                memory_bytes=memory_bytes,
                patience=self._patience,
                now=now,
            )
        )

    def renew(self, lease: Lease, *, state: JobState = JobState.PROVING, progress: float = 0.0) -> bool:
        """Say that the work goes on; True where its owner wants it cancelled. Raises LeaseLostError."""
        return self._database.write(lambda connection: leases.renew(connection, lease, state, progress))

    def succeed(self, lease: Lease, attestation: Digest, size: int) -> None:
        """Finish a job with its attestation, which was put before. To say it twice is as good as once.

        Raises LeaseLostError, ArtifactMissingError.
        """
        self._database.write(
            lambda connection: finish.succeed(connection, lease, attestation, size, self.artifacts, self._clock())
        )
        self._keeper.collect([lease.job.request.inputs])

    def fail(self, lease: Lease, failure: Failure, *, retry: bool) -> None:
        """Finish a job with a failure, or have it tried again after a pause, as often as patience goes.

        The reason EXPIRED ends it as EXPIRED. Raises LeaseLostError.
        """
        self._database.write(
            lambda connection: finish.fail(connection, lease, failure, self._patience, self._clock(), retry=retry)
        )
        self._keeper.collect([lease.job.request.inputs])

    def cancelled(self, lease: Lease) -> None:
        """Say that the work was stopped because its owner wanted that; raises LeaseLostError."""
        self._database.write(lambda connection: finish.end_cancelled(connection, lease, self._clock()))
        self._keeper.collect([lease.job.request.inputs])

    def give_back(self, lease: Lease) -> None:
        """Put the job back into the queue as if it had not been begun; raises LeaseLostError."""
        self._database.write(lambda connection: finish.give_back(connection, lease, self._patience, self._clock()))

    def release(self, worker: str, *, blamed: bool = True) -> int:
        """End the leases of a worker that is dead, at once; how many there were.

        Args:
            worker: its name.
            blamed: the job may have killed it, so it counts among the failures and waits before its next try.
        """
        released = self._database.write(
            lambda connection: finish.release(connection, worker, self._patience, self._clock(), blamed=blamed)
        )
        self._keeper.collect([job.request.inputs for job in released if job.state.final])
        return len(released)

    def holders(self, host: str) -> list[str]:
        """The workers of a host that hold leases, alive or not."""
        with self._database.reading() as connection:
            return leases.holders(connection, host)

    # --- whoever keeps order

    def sweep(self) -> Swept:
        """End the leases of workers that fell silent, expire, and remove what was kept long enough.

        To be called every second or so, by one thread of each server. A lease is over when this object saw no
        heartbeat for its length. While the clock is not to be trusted, nothing is expired or removed.
        """
        return self._keeper.sweep()
