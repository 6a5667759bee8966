"""How much this machine takes on: workers, memory for proofs, jobs in the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.sandbox import resources
from zkinfer.prover.jobs import Patience, QueueLimits

if TYPE_CHECKING:
    from zkinfer.service.identity import Identity
    from zkinfer.service.settings import Settings

_FOR_PROOFS = 0.8  # of the memory that is free when the server starts; the rest is for answers
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """Worker processes, and the memory that their proofs may take together."""

    workers: int
    memory_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Capacity:
        """As the settings say; where they do not, a worker for every two cores, since an engine uses several."""
        proving = settings.proving
        workers = max(1, resources.cores() // 2) if proving.workers is None else proving.workers
        return cls(workers, proving.memory or int(resources.available_memory() * _FOR_PROOFS))


def limits_for(identity: Identity, settings: Settings, capacity: Capacity) -> QueueLimits:
    """What is taken on of an identity."""
    own = identity.rights.unfinished_jobs
    return QueueLimits(
        queued=settings.queue.queued,
        per_owner=settings.queue.per_owner if own is None else own,
        memory_bytes=min(capacity.memory_bytes, settings.queue.proof_memory or capacity.memory_bytes),
        seconds=min(settings.proving.job_seconds, settings.queue.proof_seconds or settings.proving.job_seconds),
    )


def patience_of(settings: Settings) -> Patience:
    """How often jobs are tried, and how long they are kept."""
    queue = settings.queue
    return Patience(failures=queue.attempts, attempts=queue.begun, finished=queue.keep_days * _DAY)
