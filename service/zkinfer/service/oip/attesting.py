"""Waiting for the attestation of an answer, on behalf of a caller who keeps the call open."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.prover.jobs import JobState
from zkinfer.service.errors import ProofPendingError
from zkinfer.service.operations.names import name_of
from zkinfer.service.operations.views import error_of
from zkinfer.service.problems import ProofFailedError
from zkinfer.verifier import MAX_BYTES

if TYPE_CHECKING:
    from zkinfer.prover.artefacts import ArtefactStore
    from zkinfer.prover.jobs import Job
    from zkinfer.service.watching import Watch


@dataclass(frozen=True, slots=True)
class Attesting:
    """Follows jobs; when the caller leaves, the job goes on.

    Args:
        watch: of the store of jobs.
        artefacts: where attestations lie.
    """

    watch: Watch
    artefacts: ArtefactStore

    async def attestation(self, job: Job, seconds: float | None) -> bytes:
        """The attestation's file, as soon as it is there.

        Args:
            job: as it was taken on.
            seconds: how long to wait; None for as long as it takes.

        Raises:
            ProofPendingError: it is not ready yet.
            ProofFailedError: there will be none.
            UnknownJobError, StoreError: it was deleted, or the store cannot be asked.
        """
        found = await self.watch.final(job.id, seconds)
        if not found.state.final:
            raise ProofPendingError(
                f"The proof is not ready; it goes on as {name_of(found.id)}.", "WaitOperation waits for it."
            )
        if found.state != JobState.SUCCEEDED or found.attestation is None:
            raise ProofFailedError(error_of(found))
        return await asyncio.to_thread(self.artefacts.get, found.attestation, MAX_BYTES)
