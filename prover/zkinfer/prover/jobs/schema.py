"""The tables. Times are integers, microseconds since 1970 in UTC, in every database.

A changed table needs a new `SCHEMA_VERSION` and a migration in `database`. A new table does not: it is created if
missing, and older versions ignore it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    or_,
)

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.statement import Context
from zkinfer.prover.jobs.job import RUNNING, Failure, Job, JobRequest, JobState

if TYPE_CHECKING:
    from sqlalchemy import Row


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def ticks(moment: datetime) -> int:
    """Convert a time with a zone to microseconds since 1970."""
    return (moment - _EPOCH) // _TICK


def seconds_in_ticks(seconds: float) -> int:
    """Convert seconds to microseconds."""
    return round(seconds * 1_000_000)


def moment(count: int) -> datetime:
    """Convert microseconds since 1970 to a time in UTC."""
    return _EPOCH + count * _TICK


def _optional_moment(count: int | None) -> datetime | None:
    return None if count is None else moment(count)


def request_columns(request: JobRequest) -> dict[str, Any]:
    """The columns of a request."""
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
    """The job of a row."""
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
        started_at=_optional_moment(row.started_at),
        finished_at=_optional_moment(row.finished_at),
        not_before=_optional_moment(row.not_before),
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
        deadline=_optional_moment(row.deadline),
    )


SCHEMA_VERSION = 1
_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows automatically only for this type

metadata = MetaData()

# One row: the schema version, and the number of changes so far.
state = Table(
    "zkinfer_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

# One row, in a database that several machines can reach: the artifact store that its jobs refer to.
place = Table(
    "zkinfer_place",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("artifacts", String(64), nullable=False),
)

# One row: the last time at which the system clock was trusted.
clock = Table(
    "zkinfer_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seen", BigInteger, nullable=False),
)

# The revision at which each owner was last served; the owner with the smallest is next.
owners = Table(
    "zkinfer_owners",
    metadata,
    Column("owner", String(256), primary_key=True),
    Column("served", BigInteger, nullable=False, index=True),
)

jobs = Table(
    "zkinfer_jobs",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("revision", BigInteger, nullable=False, index=True),
    Column("owner", String(256), nullable=False),
    Column("model", String(256), nullable=False),
    Column("version", String(64), nullable=False),
    Column("circuit", String(80), nullable=False),
    Column("model_id", String(80), nullable=False),
    Column("inputs", String(80), nullable=False, index=True),
    Column("inputs_kept", Boolean, nullable=False),
    Column("outputs", String(80), nullable=False),
    Column("context", Text, nullable=False),
    Column("random_request_id", Boolean, nullable=False),
    Column("request_id", String(256)),
    Column("content", String(80), nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("deadline", BigInteger),
    Column("state", String(16), CheckConstraint(f"state IN {tuple(map(str, JobState))}"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("passed_over", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("lease_seconds", Float, nullable=False),
    Column("worker", String(256)),
    Column("host", String(256)),
    Column("progress", Float, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("not_before", BigInteger),
    Column("reason", String(64)),
    Column("cause", Text),
    Column("cure", Text),
    Column("attestation", String(80), index=True),
    Column("attestation_bytes", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # numbers are never reused, even after the last job is deleted
)

queued = jobs.c.state == str(JobState.QUEUED)
running = or_(*(jobs.c.state == str(one) for one in RUNNING))
unfinished = or_(queued, running)
_same_request = jobs.c.request_id.is_not(None)
_same_content = and_(jobs.c.request_id.is_(None), unfinished)

Index("zkinfer_jobs_queue", jobs.c.owner, jobs.c.state, jobs.c.number)
Index("zkinfer_jobs_state", jobs.c.state, jobs.c.model)
Index("zkinfer_jobs_finished", jobs.c.finished_at)
Index("zkinfer_jobs_kept", jobs.c.inputs_kept, jobs.c.state)
Index("zkinfer_jobs_worker", jobs.c.worker)
Index(
    "zkinfer_jobs_request",
    jobs.c.owner,
    jobs.c.request_id,
    unique=True,
    sqlite_where=_same_request,
    postgresql_where=_same_request,
)
Index(
    "zkinfer_jobs_content",
    jobs.c.owner,
    jobs.c.content,
    unique=True,
    sqlite_where=_same_content,
    postgresql_where=_same_content,
)
