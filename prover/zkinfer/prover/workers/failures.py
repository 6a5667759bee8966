"""What an error means for the job over which it was raised: the reason that its owner reads, and whether to try again.

Only what another attempt may cure is tried again. An operator who mended the cause can retry the others.
"""

from __future__ import annotations

from zkinfer.circuits.errors import (
    AnswerMismatchError,
    ArtefactDamagedError,
    ArtefactMissingError,
    CircuitError,
    DataError,
    EngineCrashedError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    RangeError,
    SetupError,
    StoreError,
    ZkinferError,
)
from zkinfer.prover.jobs.values import Failure
from zkinfer.verifier import RefusedError

# The first that fits counts. True: try again.
_MEANINGS: tuple[tuple[type[ZkinferError], str, bool], ...] = (
    (RangeError, "RANGE", False),
    (EngineMemoryError, "OUT_OF_MEMORY", False),
    (EngineTimeoutError, "TIMEOUT", False),
    (EngineCrashedError, "ENGINE_CRASHED", True),
    (AnswerMismatchError, "OUTPUTS_DIFFER", False),
    (EngineError, "ENGINE", False),
    (SetupError, "SETUP", False),
    (CircuitError, "CIRCUIT_GONE", False),
    (ArtefactMissingError, "INPUTS_GONE", False),
    (ArtefactDamagedError, "INPUTS_DAMAGED", False),
    (DataError, "INPUTS_DAMAGED", False),
    (StoreError, "STORE", True),
    (RefusedError, "NOT_VERIFIED", False),
    (ZkinferError, "OTHER", False),
)
REASONS = tuple(dict.fromkeys(reason for _, reason, _ in _MEANINGS))


def meaning(err: ZkinferError) -> tuple[Failure, bool]:
    """The failure that an error is, and whether another attempt may help."""
    reason, again = next((reason, again) for kind, reason, again in _MEANINGS if isinstance(err, kind))
    return Failure(reason=reason, cause=err.cause, cure=err.cure), again
