"""Durable jobs: what was acknowledged is proven, fails clearly or is cancelled, whatever is killed meanwhile."""

from zkinfer.prover.jobs.job import (
    Changes,
    Counts,
    Failure,
    Job,
    JobRequest,
    JobState,
    Lease,
    Page,
    Patience,
    QueueLimits,
    Submission,
    Swept,
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
    "Patience",
    "QueueLimits",
    "Submission",
    "Swept",
]
