"""Durable jobs: what was acknowledged is proven, fails clearly or is cancelled, whatever is killed meanwhile."""

from zkinfer.prover.jobs.store import JobStore
from zkinfer.prover.jobs.values import (
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
