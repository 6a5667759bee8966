"""The error tree of zkinfer, on one screen.

Every error has a `cause` (what is wrong) and, if there is one, a `cure` (what to do about it). Classes are divided by
who can act: the caller (`InputError`), the operator of trusted setups (`SetupError`), the owner of a circuit folder
(`CircuitError`), and the operator of the engine (`EngineError`). The errors of jobs (`zkinfer.prover.errors`) and the
verifier's rejections (`zkinfer.verifier.errors`) have the same root.
"""

from typing import Any, Protocol


def why(err: OSError) -> str:
    """The operating system's reason, as the end of a sentence: `permission denied`."""
    return (err.strerror or "error").lower()


class Explained(Protocol):
    """An error with a cause and a cure; also those of `zkinfer.contracts`, which have a separate root."""

    cause: str
    cure: str


def describe(error: Explained) -> dict[str, str]:
    """The JSON form of an error: its class, cause and cure."""
    return error_document(type(error).__name__, error.cause, error.cure)


def error_document(kind: str, cause: str, cure: str = "") -> dict[str, str]:
    """The JSON form of an error of any kind."""
    return {"type": kind, "cause": cause, "cure": cure}


class ZkinferError(Exception):
    """Root of all errors of zkinfer."""

    def __init__(self, cause: str, cure: str = "") -> None:
        super().__init__(cause, cure)
        self.cause = cause
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.cause} {self.cure}".strip()


class InputError(ZkinferError):
    """An argument or file of the caller cannot be used."""


class ModelError(InputError):
    """The ONNX file cannot be used at all: missing, empty, not ONNX, inconsistent."""


class ModelTooLargeError(ModelError):
    """The ONNX file, or a tensor it declares, exceeds a cap."""


class UnsupportedModelError(ModelError):
    """The ONNX file is valid but uses features that circuits do not support; the message names the cure."""


class TooCostlyError(ModelError):
    """The circuit would exceed the memory limit, or the search for it the time limit; the message has figures and the
    heaviest layers."""


class DataError(InputError):
    """Input, calibration or label data has the wrong name, shape, dtype or values."""


class JsonError(InputError):
    """A document is not strict JSON: it has duplicate keys, NaN or a wrong encoding, or exceeds a limit."""


class SetupError(ZkinferError):
    """A trusted setup is missing, too small, unknown, damaged, or not of the ceremony that it claims."""


class CircuitError(ZkinferError):
    """A circuit folder is missing, incomplete or differs from its manifest."""


class EngineError(ZkinferError):
    """The proving engine failed or rejected its input."""


class EngineCrashedError(EngineError):
    """The engine's process died or panicked."""


class EngineTimeoutError(EngineError):
    """The engine's process exceeded its time limit and was killed."""


class EngineMemoryError(EngineError):
    """The engine's process exceeded its memory limit."""


class ProofRejectedError(EngineError):
    """The proof does not verify."""


class AnswerMismatchError(EngineError):
    """The proof is valid, but proves a different answer from the one that was given."""


OUT_OF_RANGE = (
    "A value of this inference does not fit the range that the circuit was compiled for.",
    "Check the input's magnitude, or compile again with calibration data that covers it.",
)
"""Cause and cure of a RangeError about a value that an engine does not name."""


class RangeError(EngineError):
    """A value exceeds the range of the circuit; no sound proof exists for this input."""


class BudgetError(EngineError):
    """No circuit, or not the compiled one, meets the accuracy budget; `options` are the settings that were tried."""

    def __init__(self, cause: str, cure: str = "", options: tuple[Any, ...] = ()) -> None:
        super().__init__(cause, cure)
        self.options = options


class StoppedError(ZkinferError):
    """The work was cancelled by its caller."""
