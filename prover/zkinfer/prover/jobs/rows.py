"""Between rows of the database and values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.context import Context
from zkinfer.circuits.digest import Digest
from zkinfer.prover.jobs.values import Failure, Job, JobRequest, JobState

if TYPE_CHECKING:
    from sqlalchemy import Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def ticks(moment: datetime) -> int:
    """Microseconds since 1970; of a time with a zone."""
    return (moment - _EPOCH) // _TICK


def seconds_in_ticks(seconds: float) -> int:
    """A span of time as microseconds."""
    return round(seconds * 1_000_000)


def moment(count: int) -> datetime:
    """The time of so many microseconds since 1970, in UTC."""
    return _EPOCH + count * _TICK


def _maybe(count: int | None) -> datetime | None:
    return None if count is None else moment(count)


def request_columns(request: JobRequest) -> dict[str, Any]:
    """The columns that say what was asked."""
    return {
        "owner": request.owner,
        "model": request.model,
        "version": request.version,
        "circuit": str(request.circuit),
        "model_id": request.model_id,
        "inputs": str(request.inputs),
        "outputs": str(request.outputs),
        "context": request.context.model_dump_json(by_alias=True),
        "random_request_id": request.random_request_id,
        "request_id": request.request_id,
        "content": str(request.content),
        "memory_bytes": request.memory_bytes,
        "seconds": request.seconds,
        "deadline": None if request.deadline is None else ticks(request.deadline),
    }


def job_of(row: Row[Any]) -> Job:
    """The job in a row."""
    return Job(
        id=row.id,
        number=row.number,
        revision=row.revision,
        request=_request_of(row),
        state=JobState(row.state),
        attempt=row.attempt,
        progress=row.progress,
        worker=row.worker,
        created_at=moment(row.created_at),
        started_at=_maybe(row.started_at),
        finished_at=_maybe(row.finished_at),
        not_before=_maybe(row.not_before),
        failure=None if row.reason is None else Failure(reason=row.reason, cause=row.cause, cure=row.cure),
        attestation=None if row.attestation is None else Digest.parse(row.attestation),
        attestation_bytes=row.attestation_bytes,
        cancel_requested=bool(row.cancel_requested),
    )


def _request_of(row: Row[Any]) -> JobRequest:
    return JobRequest(
        owner=row.owner,
        model=row.model,
        version=row.version,
        circuit=Digest.parse(row.circuit),
        model_id=row.model_id,
        inputs=Digest.parse(row.inputs),
        outputs=Digest.parse(row.outputs),
        context=Context.model_validate_json(row.context),
        random_request_id=bool(row.random_request_id),
        request_id=row.request_id,
        memory_bytes=row.memory_bytes,
        seconds=row.seconds,
        deadline=_maybe(row.deadline),
    )
