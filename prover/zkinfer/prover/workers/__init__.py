"""Worker processes that turn jobs into attestations, and the pool that keeps them alive."""

from zkinfer.prover.workers.identity import this_host
from zkinfer.prover.workers.pool import WorkerPool
from zkinfer.prover.workers.settings import WorkerSettings

__all__ = ["WorkerPool", "WorkerSettings", "this_host"]
