"""Worker processes that prove jobs, and the pool that keeps them running."""

from zkinfer.prover.workers.config import WorkerSettings
from zkinfer.prover.workers.pool import WorkerPool
from zkinfer.prover.workers.worker_id import this_host

__all__ = ["WorkerPool", "WorkerSettings", "this_host"]
