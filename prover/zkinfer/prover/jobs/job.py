"""What a job is: what was asked, how far it is, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import Digest, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from zkinfer.circuits.context import Context


class JobState(StrEnum):
    """Where a job is. It moves down this list, but for a lost worker or a retry, which put it back to the top."""

    QUEUED = "QUEUED"
    PROVING = "PROVING"
    VERIFYING = "VERIFYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in UNFINISHED

    @property
    def running(self) -> bool:
        """Whether a worker holds the job."""
        return self in RUNNING


RUNNING = (JobState.PROVING, JobState.VERIFYING)
UNFINISHED = (JobState.QUEUED, *RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What is acknowledged: one inference that was answered and is to be proven.

    Args:
        owner: identity of the caller; "anonymous" where there is none.
        model: name in the repository.
        version: of the model there.
        circuit: digest of the circuit folder; a worker refuses a folder with another.
        model_id: of the circuit.
        inputs: the artifact with the quantised integers, as `integers_to_bytes` writes them.
        outputs: `integers_digest` of what was answered; the proof must say the same.
        context: what the proof is for.
        random_request_id: the context's request id was made up for this job, and is no part of what was asked.
        request_id: the client's idempotency key, if it gave one.
        memory_bytes: predicted peak.
        seconds: predicted time of one proof on this machine.
        deadline: the proof is worthless after this.
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
        """Digest of what is asked to be proven: two requests with the same one may share a proof."""
        left_out = {"request_id"} if self.random_request_id else None
        asked = self.context.model_dump(mode="json", by_alias=True, exclude=left_out)
        return sha256(canonical.dump([str(self.circuit), str(self.inputs), asked]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job failed. `reason` is UPPER_SNAKE and stable; the other two are sentences for people."""

    reason: str
    cause: str
    cure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as the store has it at one moment. Times are in UTC.

    `attempt` counts how often a worker took it, `progress` goes from 0 to 1 within an attempt, `not_before` is set
    while it waits for its next attempt. `number` grows with every job, `revision` with every change of any job.
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
    """The job that stands for a request, and whether the request made it or found it."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job until somebody else is given it; `fence` tells the two apart."""

    job: Job
    worker: str
    fence: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and the token of the next page; None after the last."""

    jobs: tuple[Job, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class Swept:
    """How many jobs a sweep put back into the queue, failed, expired and forgot, and how many files it removed."""

    requeued: int = 0
    failed: int = 0
    expired: int = 0
    forgotten: int = 0
    artifacts: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Jobs by model and state, the age of the oldest that waits, and the memory predicted for those that run."""

    by_model: Mapping[tuple[str, JobState], int]
    oldest_queued_seconds: float
    running_memory_bytes: int

    def of(self, state: JobState) -> int:
        """Jobs in one state, of all models."""
        return sum(count for (_, found), count in self.by_model.items() if found == state)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """What is taken on; None bounds nothing.

    Args:
        queued: jobs that may wait, of all owners together.
        per_owner: unfinished jobs that one owner may have.
        memory_bytes: predicted memory of one job.
        seconds: predicted time of one proof.
        disk_reserve_bytes: room that stays free, so that what was taken on can end.
    """

    queued: int = 1000
    per_owner: int = 100
    memory_bytes: int | None = None
    seconds: float | None = None
    disk_reserve_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a job is tried, and how long one is remembered. All times are in seconds.

    Args:
        failures: times that the engine, or the worker with it, may die over one job.
        attempts: times that a job may be begun for whatever reason, a killed server included.
        backoff: before the second try; twice that before the third, and so on.
        longest_backoff: its bound.
        finished: how long a finished job and its attestation are kept.
        failed_inputs: how long the inputs of a failed job are kept, so that it can be retried; 0 keeps none.
        orphans: age from which a file that no job names is removed.
        settling: how long the clock must run evenly before anything expires or is removed; six times that where it is
            more than an hour ahead of when it was last believed.
    """

    failures: int = 5
    attempts: int = 20
    backoff: float = 1.0
    longest_backoff: float = 300.0
    finished: float = 30 * 86_400.0
    failed_inputs: float = 86_400.0
    orphans: float = 3600.0
    settling: float = 600.0

    def pause(self, failures: int) -> float:
        """Seconds before a job is tried again that failed so many times."""
        return min(self.longest_backoff, self.backoff * 2.0 ** min(max(0, failures - 1), 32))


@dataclass(frozen=True, slots=True)
class Changes:
    """Jobs that changed, in the order of their last change, and the revision to ask from next time."""

    jobs: tuple[Job, ...] = field(default=())
    revision: int = 0
