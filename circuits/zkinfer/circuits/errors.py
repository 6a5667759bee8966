"""The error tree of zkinfer, on one screen.

Every error says its `cause` (what is wrong) and, where there is one, its `cure` (what to do about it).
Classes are cut by who can act: the caller (`InputError`), the operator of trusted setups (`SetupError`),
the owner of a circuit folder (`CircuitError`), whoever runs the engine (`EngineError`), whoever asks for proofs
(`JobError`), the operator of the disk and the database (`StoreError`). The verifier's refusals
(`zkinfer.verifier.errors`) hang from the same root.
"""

from typing import Any


class ZkinferError(Exception):
    """Root of all errors of zkinfer."""

    def __init__(self, cause: str, cure: str = "") -> None:
        super().__init__(cause, cure)
        self.cause = cause
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.cause} {self.cure}".strip()


class InputError(ZkinferError):
    """Something the caller handed in cannot be used."""


class ModelError(InputError):
    """The ONNX file cannot be used at all: missing, empty, not ONNX, inconsistent."""


class ModelTooLargeError(ModelError):
    """The ONNX file, or a tensor it declares, exceeds a cap."""


class UnsupportedModelError(ModelError):
    """The ONNX file is sound but asks for something no circuit can take; the message names the cure."""


class TooCostlyError(ModelError):
    """The circuit of this model would take more memory than it may; the message has the numbers and the layers."""


class DataError(InputError):
    """Input, calibration or label data has the wrong name, shape, dtype or values."""


class JsonError(InputError):
    """A document is not the strict JSON it must be: duplicate keys, NaN, wrong encoding, over its cap."""


class SetupError(ZkinferError):
    """A trusted setup is missing, too small, unknown, damaged or not what it claims to be."""


class CircuitError(ZkinferError):
    """A circuit folder is missing, incomplete or not what its manifest says."""


class EngineError(ZkinferError):
    """The proving engine refused or failed."""


class EngineCrashedError(EngineError):
    """The engine's process died or panicked."""


class EngineTimeoutError(EngineError):
    """The engine's process exceeded its time limit and was killed."""


class EngineMemoryError(EngineError):
    """The engine's process ran out of the memory it was allowed."""


class ProofRejectedError(EngineError):
    """The engine says this proof does not verify."""


class AnswerMismatchError(EngineError):
    """The proof is sound, but about another answer than the one that was given."""


class RangeError(EngineError):
    """A value left the range the circuit can represent; no sound proof exists for this input."""


class BudgetError(EngineError):
    """No circuit, or not the one that was made, keeps the model's accuracy; `options` were weighed, if any."""

    def __init__(self, cause: str, cure: str = "", options: tuple[Any, ...] = ()) -> None:
        super().__init__(cause, cure)
        self.options = options


class StoppedError(ZkinferError):
    """Whoever asked for the work stopped it; nobody's fault."""


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
    """The database or the folder of artefacts cannot be used; nothing was done by halves."""


class ArtefactMissingError(StoreError):
    """An artefact was never put, or was removed meanwhile."""


class ArtefactDamagedError(StoreError):
    """An artefact is not what its name says."""


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
