"""Value types of the queue: requests, jobs, leases, limits and the retry policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import Digest, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from zkinfer.circuits.statement import Context


class JobState(StrEnum):
    """The state of a job. It advances down this list, except that a lost worker or a retry returns it to QUEUED."""

    QUEUED = "QUEUED"
    PROVING = "PROVING"
    VERIFYING = "VERIFYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def final(self) -> bool:
        """Whether the state is final."""
        return self not in UNFINISHED

    @property
    def running(self) -> bool:
        """Whether a worker holds the job."""
        return self in RUNNING


RUNNING = (JobState.PROVING, JobState.VERIFYING)
UNFINISHED = (JobState.QUEUED, *RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """An accepted request: one inference that was answered and is to be proven.

    Args:
        owner: name of the caller's identity, or "anonymous".
        model: name in the repository.
        version: of the model in the repository.
        circuit: digest of the circuit folder; a worker rejects any other circuit.
        model_id: of the circuit.
        inputs: the artifact with the quantised integers, as encoded by `integers_to_bytes`.
        outputs: `integers_digest` of the answer; the proof must state the same.
        context: the context of the proof.
        random_request_id: the context's request id was generated for this job and is not part of the request.
        request_id: the client's idempotency key, if any.
        memory_bytes: predicted peak of memory.
        seconds: predicted time of one proof on this machine.
        deadline: time after which the proof is of no use.
    """

    owner: str
    model: str
    version: str
    circuit: Digest
    model_id: str
    inputs: Digest
    outputs: Digest
    context: Context
    random_request_id: bool = False
    request_id: str | None = None
    memory_bytes: int = 0
    seconds: float = 0.0
    deadline: datetime | None = None

    @property
    def content(self) -> Digest:
        """Digest of the circuit, inputs and context: requests with equal digests can share a proof."""
        excluded = {"request_id"} if self.random_request_id else None
        context = self.context.model_dump(mode="json", by_alias=True, exclude=excluded)
        return sha256(canonical.dump([str(self.circuit), str(self.inputs), context]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job failed. `reason` is a stable UPPER_SNAKE code; cause and cure are sentences to display."""

    reason: str
    cause: str
    cure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A snapshot of one job. Times are in UTC.

    `attempt` counts the claims by workers, `progress` goes from 0 to 1 within an attempt, and `not_before` is set
    during the backoff. `number` grows with every job, `revision` with every change of any job.
    """

    id: str
    number: int
    revision: int
    request: JobRequest
    state: JobState
    attempt: int
    progress: float
    worker: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    not_before: datetime | None
    failure: Failure | None
    attestation: Digest | None
    attestation_bytes: int
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Submission:
    """The job of a request, and whether the request created it."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job until it is reassigned; `fence` distinguishes successive leases."""

    job: Job
    worker: str
    fence: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page of jobs, newest first, and the token of the next page; None after the last."""

    jobs: tuple[Job, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The numbers of jobs that a sweep requeued, failed, expired and deleted, and of the files it removed."""

    requeued: int = 0
    failed: int = 0
    expired: int = 0
    deleted: int = 0
    artifacts: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Jobs by model and state, the age of the oldest queued one, and the predicted memory of running ones."""

    by_model: Mapping[tuple[str, JobState], int]
    oldest_queued_seconds: float
    running_memory_bytes: int

    def of(self, state: JobState) -> int:
        """The number of jobs in one state, over all models."""
        return sum(count for (_, found), count in self.by_model.items() if found == state)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """Limits for accepting jobs; None means no limit.

    Args:
        queued: waiting jobs, of all owners together.
        per_owner: unfinished jobs per owner.
        memory_bytes: predicted memory of one job.
        seconds: predicted time of one proof.
        disk_reserve_bytes: disk space to keep free, so that accepted jobs can finish.
    """

    queued: int = 1000
    per_owner: int = 100
    memory_bytes: int | None = None
    seconds: float | None = None
    disk_reserve_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a job is attempted, and how long jobs are retained. All times are in seconds.

    Args:
        failures: maximum number of attempts of one job in which the engine or the worker dies.
        attempts: maximum number of attempts for any reason, including a killed server.
        backoff: pause before the second attempt; doubled before each further one.
        max_backoff: maximum of the pause.
        finished: retention of a finished job and its attestation.
        failed_inputs: retention of the inputs of a failed job, so that it can be retried; 0 for none.
        orphans: age at which an unreferenced file is removed.
        settling: how long the clock must run evenly before anything expires or is removed; six times that if it is
            more than an hour ahead of the last trusted time.
    """

    failures: int = 5
    attempts: int = 20
    backoff: float = 1.0
    max_backoff: float = 300.0
    finished: float = 30 * 86_400.0
    failed_inputs: float = 86_400.0
    orphans: float = 3600.0
    settling: float = 600.0

    def pause(self, failures: int) -> float:
        """The pause in seconds before the next attempt, after this many failures."""
        return min(self.max_backoff, self.backoff * 2.0 ** min(max(0, failures - 1), 32))


@dataclass(frozen=True, slots=True)
class Changes:
    """Changed jobs in the order of their last change, and the revision to continue from."""

    jobs: tuple[Job, ...] = field(default=())
    revision: int = 0
