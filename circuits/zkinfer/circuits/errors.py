"""The error tree of zkinfer, on one screen.

Every error says its `cause` (what is wrong) and, where there is one, its `cure` (what to do about it).
Classes are cut by who can act: the caller (`InputError`), the operator of trusted setups (`SetupError`),
the owner of a circuit folder (`CircuitError`), whoever runs the engine (`EngineError`), whoever asks for proofs
(`JobError`), the operator of the disk and the database (`StoreError`). The verifier's refusals
(`zkinfer.verifier.errors`) hang from the same root.
"""

from typing import Any


def why(err: OSError) -> str:
    """What the operating system said, as the end of a sentence: `permission denied`."""
    return (err.strerror or "error").lower()


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
