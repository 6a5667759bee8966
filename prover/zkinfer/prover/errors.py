"""Errors of jobs, of the artifact store and of the model repository."""

from zkinfer.circuits.errors import ZkinferError


class JobError(ZkinferError):
    """A job cannot be accepted, or is not in the required state."""


class UnknownJobError(JobError):
    """There is no job with this id, or it was deleted."""


class RequestConflictError(JobError):
    """The request id was used before for another request."""


class DeadlinePassedError(JobError):
    """The deadline passed before the job was accepted."""


class JobStateError(JobError):
    """The job is not in a state that permits the operation."""


class LeaseLostError(JobError):
    """The worker no longer holds the job: it was reassigned, finished or deleted."""


class QueueFullError(JobError):
    """The queue is full; `retry_after` estimates the seconds until it has room."""

    def __init__(self, cause: str, cure: str = "", retry_after: float = 1.0) -> None:
        super().__init__(cause, cure)
        self.retry_after = retry_after


class QuotaExceededError(QueueFullError):
    """The owner has reached the limit of unfinished jobs."""


class StoreError(ZkinferError):
    """The database or the artifact store cannot be used; no partial change was made."""


class ArtifactMissingError(StoreError):
    """An artifact was never stored, or was removed."""


class ArtifactDamagedError(StoreError):
    """The content of an artifact does not match its digest."""


class RepositoryError(ZkinferError):
    """The folder of served models cannot be read."""


class ModelNotFoundError(RepositoryError):
    """There is no model, or no version of it, with this name."""


class ModelUnavailableError(RepositoryError):
    """The model exists but cannot be served; its operator must act."""


class BusyError(ZkinferError):
    """Too many requests are waiting; `retry_after` estimates the seconds until there is room."""

    def __init__(self, cause: str, cure: str = "", retry_after: float = 1.0) -> None:
        super().__init__(cause, cure)
        self.retry_after = retry_after
