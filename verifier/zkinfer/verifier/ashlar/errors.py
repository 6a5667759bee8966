"""The reasons to reject an Ashlar proof: one class for each step of section 7.1 that can fail.

Steps 6, 7, 9, 10 and 12 to 14 only compute; what is wrong there shows in step 8 or 15.
"""

from __future__ import annotations

from typing import ClassVar

from zkinfer.circuits.errors import ProofRejectedError

_ASK_AGAIN = "Ask for the proof again; it was altered, or made for another statement or key."


class AshlarRejectedError(ProofRejectedError):
    """The proof is rejected; `step` is the number of the step that rejected it."""

    step: ClassVar[int]

    def __init__(self, cause: str, cure: str = _ASK_AGAIN) -> None:
        super().__init__(cause, cure)


class MalformedKeyError(AshlarRejectedError):
    """Step 1: the bytes are no well-formed key; `rule` names the broken rule of section 4.1, `W1` to `W9`."""

    step = 1

    def __init__(self, rule: str, cause: str) -> None:
        super().__init__(f"The key breaks rule {rule}: {cause}", "Rebuild the key from the ONNX file and the recipe.")
        self.rule = rule


class StatementLengthError(AshlarRejectedError):
    """Step 2: proof, context, inputs or outputs have another length than the key says."""

    step = 2


class OutputRangeError(AshlarRejectedError):
    """Step 3: an output has a magnitude of 2^60 or more."""

    step = 3


class EncodingError(AshlarRejectedError):
    """Step 4: a number of the proof is not below its modulus, or a point is not on the curve."""

    step = 4


class InputDigestError(AshlarRejectedError):
    """Step 5: the commitment in the proof does not have the input digest of the statement."""

    step = 5


class SumcheckError(AshlarRejectedError):
    """Step 8: the last claim of the first sumcheck differs from its value at the final point."""

    step = 8


class HintError(AshlarRejectedError):
    """Step 11: the hint is not the inverse that the opening divides by."""

    step = 11


class OpeningError(AshlarRejectedError):
    """Step 15: the pairing check of the opening fails."""

    step = 15
