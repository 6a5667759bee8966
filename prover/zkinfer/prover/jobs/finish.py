"""Final states of jobs, and the retry of jobs that failed or lost their worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select

from zkinfer.prover.artifact_store import missing_artifact
from zkinfer.prover.errors import JobStateError
from zkinfer.prover.jobs.job import Failure, Job, JobState
from zkinfer.prover.jobs.leases import held
from zkinfer.prover.jobs.query import HELD, change, row_of
from zkinfer.prover.jobs.schema import job_of, jobs, running, seconds_in_ticks, ticks, unfinished

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from zkinfer.circuits.digest import Digest
    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs.job import Lease, RetryPolicy

EXHAUSTED, EXPIRED = "ATTEMPTS_EXHAUSTED", "EXPIRED"
_SUCCEEDED_WITH = select(jobs.c.number).where(
    jobs.c.id == bindparam("id"),
    jobs.c.fence == bindparam("fence"),
    jobs.c.attestation == bindparam("attestation"),
)
_HELD_BY = select(jobs).where(jobs.c.worker == bindparam("worker"), running)
WORKER_DIED = Failure(reason="WORKER_DIED", cause="The worker died during the proof.")
DEADLINE_PASSED = Failure(
    reason=EXPIRED, cause="The deadline passed before the proof was finished.", cure="Submit again with a later one."
)


def succeed(
    connection: Connection, lease: Lease, attestation: Digest, size: int, artifacts: ArtifactStore, now: datetime
) -> None:
    """See `JobStore.succeed`."""
    if not artifacts.has(attestation):
        raise missing_artifact(attestation)
    if _already_succeeded(connection, lease, attestation):
        return
    result = {"attestation": str(attestation), "attestation_bytes": size}
    change(connection, held(connection, lease), **{**_final_columns(JobState.SUCCEEDED, now), **result})


def _already_succeeded(connection: Connection, lease: Lease, attestation: Digest) -> bool:
    """Whether this lease already finished the job with this attestation; the worker missed the confirmation."""
    parameters = {"id": lease.job.id, "fence": lease.fence, "attestation": str(attestation)}
    return connection.scalar(_SUCCEEDED_WITH, parameters) is not None


def fail(
    connection: Connection, lease: Lease, failure: Failure, retry_policy: RetryPolicy, now: datetime, *, retry: bool
) -> None:
    """See `JobStore.fail`."""
    row = held(connection, lease)
    if retry:
        _requeue(connection, row, failure, retry_policy, now, blamed=True)
    else:
        _end(connection, row, JobState.EXPIRED if failure.reason == EXPIRED else JobState.FAILED, now, failure)


def end_cancelled(connection: Connection, lease: Lease, now: datetime) -> None:
    """See `JobStore.cancelled`."""
    _end(connection, held(connection, lease), JobState.CANCELLED, now)


def give_back(connection: Connection, lease: Lease, retry_policy: RetryPolicy, now: datetime) -> None:
    """See `JobStore.give_back`."""
    _requeue(connection, held(connection, lease), None, retry_policy, now, blamed=False, counted=False)


def release(
    connection: Connection, worker: str, retry_policy: RetryPolicy, now: datetime, *, blamed: bool
) -> list[Job]:
    """See `JobStore.release`; returns the changed jobs."""
    rows = connection.execute(_HELD_BY, {"worker": worker}).all()
    return [_requeue(connection, row, WORKER_DIED, retry_policy, now, blamed=blamed) for row in rows]


def expire_lease(
    connection: Connection, job_id: str, fence: int, retry_policy: RetryPolicy, now: datetime
) -> JobState | None:
    """End a lease that was not renewed; returns the job's new state, or None if the lease no longer holds the job."""
    row = connection.execute(HELD, {"id": job_id, "fence": fence}).one_or_none()
    return None if row is None else _requeue(connection, row, WORKER_DIED, retry_policy, now, blamed=False).state


def cancel(connection: Connection, job_id: str, now: datetime) -> Job:
    """See `JobStore.cancel`."""
    row = row_of(connection, job_id)
    job = job_of(row)
    if job.state == JobState.QUEUED:
        return _end(connection, row, JobState.CANCELLED, now)
    if job.state.running and not job.cancel_requested:
        return _changed(connection, row, cancel_requested=True)
    return job


def retry(connection: Connection, job_id: str, artifacts: ArtifactStore, now: datetime) -> Job:
    """See `JobStore.retry`."""
    row = row_of(connection, job_id)
    if row.state != JobState.FAILED:
        raise JobStateError(f"The job is {row.state}.", "Only a FAILED job can be retried.")
    if row.deadline is not None and row.deadline <= ticks(now):
        raise JobStateError("The job's deadline has passed.", "Submit again with a later one.")
    if not row.inputs_kept or not artifacts.has(job_of(row).request.inputs):
        raise JobStateError("The inputs of the job were removed.", "Submit again.")
    if row.request_id is None and (duplicate := _unfinished_duplicate(connection, row)) is not None:
        raise JobStateError(f"The same request was submitted again as the job {duplicate}.", "Wait for that job.")
    values: dict[str, Any] = dict.fromkeys(("attempt", "failures", "passed_over", "progress"), 0)
    values |= dict.fromkeys(("finished_at", "worker", "reason", "cause", "cure"))
    return _changed(connection, row, state=str(JobState.QUEUED), cancel_requested=False, not_before=None, **values)


def _unfinished_duplicate(connection: Connection, row: Row[Any]) -> str | None:
    same = (jobs.c.owner == row.owner, jobs.c.content == row.content, jobs.c.request_id.is_(None), unfinished)
    return connection.scalar(select(jobs.c.id).where(*same))


def delete_finished(connection: Connection, job_id: str) -> Job:
    """See `JobStore.delete`."""
    job = job_of(row_of(connection, job_id))
    if not job.state.final:
        raise JobStateError(f"The job is {job.state}; only a finished job can be deleted.", "Cancel it first.")
    connection.execute(delete(jobs).where(jobs.c.id == job_id))
    return job


def expire(connection: Connection, row: Row[Any], now: datetime) -> None:
    """End a job whose deadline has passed, even if it is running: its worker is fenced out."""
    _end(connection, row, JobState.EXPIRED, now, DEADLINE_PASSED)


def _requeue(
    connection: Connection,
    row: Row[Any],
    failure: Failure | None,
    retry_policy: RetryPolicy,
    now: datetime,
    *,
    blamed: bool,
    counted: bool = True,
) -> Job:
    """Return a running job to the queue, unless its cancellation was requested or its attempts are exhausted."""
    if row.cancel_requested:
        return _end(connection, row, JobState.CANCELLED, now)
    failures = row.failures + blamed
    if failures >= retry_policy.failures or (counted and row.attempt >= retry_policy.attempts):
        return _end(connection, row, JobState.FAILED, now, _attempts_exhausted(row, failure))
    pause = seconds_in_ticks(retry_policy.pause(failures)) if blamed else 0
    return _changed(
        connection,
        row,
        state=str(JobState.QUEUED),
        worker=None,
        host=None,
        failures=failures,
        attempt=row.attempt if counted else row.attempt - 1,
        progress=0.0,
        not_before=ticks(now) + pause if pause else None,
        **({} if failure is None else _failure_columns(failure)),
    )


def _attempts_exhausted(row: Row[Any], failure: Failure | None) -> Failure:
    last = "" if failure is None else f" Last failure: {failure.cause}"
    return Failure(
        reason=EXHAUSTED,
        cause=f"The job was started {row.attempt} times and never finished.{last}",
        cure="Check the server's log, then retry it.",
    )


def _end(connection: Connection, row: Row[Any], state: JobState, now: datetime, failure: Failure | None = None) -> Job:
    return _changed(
        connection, row, **{**_final_columns(state, now), **({} if failure is None else _failure_columns(failure))}
    )


def _final_columns(state: JobState, now: datetime) -> dict[str, Any]:
    done = {"progress": 1.0} if state == JobState.SUCCEEDED else {}
    cleared = {} if state == JobState.FAILED else dict.fromkeys(("reason", "cause", "cure"))
    return {"state": str(state), "finished_at": ticks(now), "not_before": None, **cleared, **done}


def _failure_columns(failure: Failure) -> dict[str, str]:
    return {"reason": failure.reason[:64], "cause": failure.cause[:2000], "cure": failure.cure[:2000]}


def _changed(connection: Connection, row: Row[Any], **values: Any) -> Job:  # noqa: ANN401 - columns
    return job_of(change(connection, row, **values))
