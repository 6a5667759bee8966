"""Worker processes that prove jobs, and the pool that keeps them running."""

from zkinfer.prover.workers.config import WorkerSettings, this_host
from zkinfer.prover.workers.pool import WorkerPool

__all__ = ["WorkerPool", "WorkerSettings", "this_host"]
