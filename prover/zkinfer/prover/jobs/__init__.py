"""Durable jobs: every accepted job is proven, fails with a reason or is cancelled, also after crashes."""

from zkinfer.prover.jobs.job import (
    Changes,
    Counts,
    Failure,
    Job,
    JobRequest,
    JobState,
    Lease,
    Page,
    QueueLimits,
    RetryPolicy,
    Submission,
    SweepResult,
)
from zkinfer.prover.jobs.store import JobStore

__all__ = [
    "Changes",
    "Counts",
    "Failure",
    "Job",
    "JobRequest",
    "JobState",
    "JobStore",
    "Lease",
    "Page",
    "QueueLimits",
    "RetryPolicy",
    "Submission",
    "SweepResult",
]
