"""Names of operations: `operations/proofs/<job id>`."""

from __future__ import annotations

from zkinfer.service.errors import UnknownOperationError

_PREFIX = "operations/proofs/"


def name_of(job_id: str) -> str:
    """The operation's name of a job."""
    return _PREFIX + job_id


def job_id_of(name: str) -> str:
    """The job's id of an operation; raises UnknownOperationError for what is no such name."""
    job_id = name.removeprefix(_PREFIX)
    if job_id == name or not job_id.isalnum() or len(job_id) > 64:
        raise UnknownOperationError(name)
    return job_id
