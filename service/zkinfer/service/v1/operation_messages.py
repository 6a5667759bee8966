"""A job as an operation: name, metadata, and result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.longrunning.operations_proto_pb2 import Operation
from google.protobuf.timestamp_pb2 import Timestamp

from zkinfer.prover.jobs import JobState
from zkinfer.service.error_status import failure_status
from zkinfer.service.errors import UnknownOperationError
from zkinfer.service.v1.context import context_message
from zkinfer.v1 import values_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.rpc.status_pb2 import Status

    from zkinfer.prover.jobs import Job


_PREFIX = "operations/proofs/"


def name_of(job_id: str) -> str:
    """The name of the operation of a job."""
    return _PREFIX + job_id


def job_id_of(name: str) -> str:
    """The job id of an operation name; raises UnknownOperationError for a malformed name."""
    job_id = name.removeprefix(_PREFIX)
    if job_id == name or not job_id.isalnum() or len(job_id) > 64:
        raise UnknownOperationError(name)
    return job_id


@dataclass(frozen=True, slots=True)
class EndTimeEstimator:
    """Estimates when jobs end, from their predicted durations; `workers` prove at a time.

    The estimate assumes that the jobs ahead in the queue take as long as this one.
    """

    workers: int = 1
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def end(self, job: Job, position: int | None) -> datetime | None:
        """The estimated end; None for a finished job, or if nothing is known."""
        seconds = job.request.seconds
        if job.state.final or seconds <= 0 or (job.state == JobState.QUEUED and position is None):
            return None
        now = self.clock()
        if job.state == JobState.QUEUED:
            rounds = (position or 0) // max(1, self.workers) + 1
            return max(now, job.not_before or now) + timedelta(seconds=seconds * rounds)
        return max(now, (job.started_at or now) + timedelta(seconds=seconds))


def operation_of(job: Job, estimates: EndTimeEstimator, position: int | None = None) -> Operation:
    """The operation of a job; `position` in the queue, if known."""
    operation = Operation(name=name_of(job.id), done=job.state.final)
    operation.metadata.Pack(metadata_of(job, estimates, position))
    if job.state == JobState.SUCCEEDED:
        operation.response.Pack(_proof(job))
    elif job.state.final:
        operation.error.CopyFrom(error_of(job))
    return operation


def metadata_of(job: Job, estimates: EndTimeEstimator, position: int | None = None) -> values_pb2.ProofMetadata:
    """The metadata of an operation: state, progress and times."""
    request = job.request
    return values_pb2.ProofMetadata(
        model=request.model,
        version=request.version,
        model_id=request.model_id,
        circuit_digest=str(request.circuit),
        outputs_digest=str(request.outputs),
        context=context_message(request.context),
        request_id=request.request_id or "",
        state=values_pb2.ProofState.Value(f"PROOF_STATE_{job.state}"),
        progress=job.progress,
        queue_position=position if job.state == JobState.QUEUED else None,
        attempt=job.attempt,
        cancel_requested=job.cancel_requested,
        create_time=timestamp(job.created_at),
        start_time=timestamp(job.started_at),
        end_time=timestamp(job.finished_at),
        estimated_end_time=timestamp(estimates.end(job, position)),
        expire_time=timestamp(request.deadline),
    )


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A time as a message; None stays absent."""
    if moment is None:
        return None
    found = Timestamp()
    found.FromDatetime(moment)
    return found


def _proof(job: Job) -> values_pb2.Proof:
    return values_pb2.Proof(
        operation=name_of(job.id),
        attestation_digest=str(job.attestation),
        attestation_size=job.attestation_bytes,
        model_id=job.request.model_id,
    )


def error_of(job: Job) -> Status:
    """The error of a final job without an attestation."""
    if job.state == JobState.CANCELLED:
        return failure_status("CANCELLED", "The proof was cancelled.", "")
    if job.state == JobState.EXPIRED:
        return failure_status("EXPIRED", "The request expired before its proof was made.", "Retry with a later expiry.")
    failure = job.failure
    if failure is None:
        return failure_status("UNKNOWN", "", "")
    return failure_status(failure.reason, failure.cause, failure.cure)
