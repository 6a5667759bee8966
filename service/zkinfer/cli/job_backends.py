"""Backends of `zkinfer jobs`: a server's database, or a server over gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from zkinfer.client import Client, Progress
    from zkinfer.prover.jobs import Job, JobStore

PREFIX = "operations/proofs/"
Fields = dict[str, Any]


class JobBackend(Protocol):
    """Access to jobs."""

    def list(self, status: str | None, model: str | None, most: int) -> list[Fields]:
        """List jobs, newest first."""
        ...

    def show(self, job_id: str) -> Fields:
        """Show a job."""
        ...

    def cancel(self, job_id: str) -> None:
        """Cancel a job."""
        ...

    def retry(self, job_id: str) -> None:
        """Retry a failed job."""
        ...

    def delete(self, job_id: str) -> None:
        """Delete a finished job."""
        ...


class LocalBackend:
    """The jobs of all identities, from the database."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def list(self, status: str | None, model: str | None, most: int) -> list[Fields]:
        """See `JobBackend`."""
        from zkinfer.service.queue_admin import newest_jobs

        return [_fields_of_job(job) for job in newest_jobs(self._store, status, model, most)]

    def show(self, job_id: str) -> Fields:
        """See `JobBackend`."""
        job = self._store.get(job_id)
        position = self._store.position(job) if job.state == "QUEUED" else None
        return _fields_of_job(job) | {"queuePosition": position}

    def cancel(self, job_id: str) -> None:
        """See `JobBackend`."""
        self._store.cancel(job_id)

    def retry(self, job_id: str) -> None:
        """See `JobBackend`."""
        self._store.retry(job_id)

    def delete(self, job_id: str) -> None:
        """See `JobBackend`."""
        self._store.delete(job_id)


class RemoteBackend:
    """The caller's jobs, from a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, status: str | None, model: str | None, most: int) -> list[Fields]:
        """See `JobBackend`."""
        terms = [f"state = {status}"] if status else []
        terms += [f'model = "{model}"'] if model else []
        return [_fields_of_progress(one) for one in self._client.list(" AND ".join(terms), most=most)]

    def show(self, job_id: str) -> Fields:
        """See `JobBackend`."""
        return _fields_of_progress(self._client.state(PREFIX + job_id))

    def cancel(self, job_id: str) -> None:
        """See `JobBackend`."""
        self._client.cancel(PREFIX + job_id)

    def retry(self, job_id: str) -> NoReturn:
        """Not available over gRPC."""
        raise NotImplementedError(job_id)

    def delete(self, job_id: str) -> None:
        """See `JobBackend`."""
        self._client.delete(PREFIX + job_id)


def _fields_of_job(job: Job) -> Fields:
    request, failure = job.request, job.failure
    return {
        "id": job.id,
        "owner": request.owner,
        "model": request.model,
        "version": request.version,
        "modelId": request.model_id,
        "state": str(job.state),
        "done": job.state.final,
        "progress": job.progress,
        "queuePosition": None,
        "attempt": job.attempt,
        "cancelRequested": job.cancel_requested,
        "requestId": request.request_id or "",
        "createdAt": _timestamp(job.created_at),
        "startedAt": _timestamp(job.started_at),
        "finishedAt": _timestamp(job.finished_at),
        "error": f"{failure.reason}: {failure.cause} {failure.cure}".strip() if failure else "",
        "attestation": str(job.attestation or ""),
    }


def _fields_of_progress(found: Progress) -> Fields:
    return {
        "id": found.operation.removeprefix(PREFIX),
        "owner": "",
        "model": found.model,
        "version": found.version,
        "modelId": found.model_id,
        "state": found.state,
        "done": found.done,
        "progress": found.progress,
        "queuePosition": found.queue_position,
        "attempt": found.attempt,
        "cancelRequested": found.cancel_requested,
        "requestId": found.request_id,
        "createdAt": _timestamp(found.created_at),
        "startedAt": _timestamp(found.started_at),
        "finishedAt": _timestamp(found.finished_at),
        "error": found.error,
        "attestation": found.attestation_digest,
    }


def _timestamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
