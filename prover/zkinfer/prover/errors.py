"""Errors of jobs, of the artifact store and of the model repository."""

from zkinfer.circuits.errors import ZkinferError


class JobError(ZkinferError):
    """A job cannot be taken, or is not in a state for what was asked."""


class UnknownJobError(JobError):
    """There is no job of this id, or none any more."""


class RequestConflictError(JobError):
    """The request id was used before, for something else."""


class DeadlinePassedError(JobError):
    """The proof would be worthless before it is begun."""


class JobStateError(JobError):
    """The job is not in a state in which this can be done."""


class LeaseLostError(JobError):
    """The job is no longer this worker's: it was given to another, finished, or deleted."""


class QueueFullError(JobError):
    """As many jobs wait as may; `retry_after` says in how many seconds there may be room."""

    def __init__(self, cause: str, cure: str = "", retry_after: float = 1.0) -> None:
        super().__init__(cause, cure)
        self.retry_after = retry_after


class QuotaExceededError(QueueFullError):
    """This owner has as many unfinished jobs as one may have."""


class StoreError(ZkinferError):
    """The database or the folder of artifacts cannot be used; nothing was done by halves."""


class ArtifactMissingError(StoreError):
    """An artifact was never put, or was removed meanwhile."""


class ArtifactDamagedError(StoreError):
    """An artifact is not what its name says."""


class RepositoryError(ZkinferError):
    """The folder of models that are served cannot be read."""


class ModelNotFoundError(RepositoryError):
    """No model, or no version of it, has this name here."""


class ModelUnavailableError(RepositoryError):
    """The model is here and cannot be served; its owner must act."""


class BusyError(ZkinferError):
    """As many requests wait for an answer as may; `retry_after` says in how many seconds there may be room."""

    def __init__(self, cause: str, cure: str = "", retry_after: float = 1.0) -> None:
        super().__init__(cause, cure)
        self.retry_after = retry_after
