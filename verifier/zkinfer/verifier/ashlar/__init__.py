"""Ashlar proofs verified in pure Python: a second implementation of the specification, to be read beside it.

It shares no code with the prover, the compiler or the contract; with the rest of zkinfer only Keccak-256, the points
and the pairing of BN254, and the reader of setup files.
"""

from zkinfer.verifier.ashlar.errors import (
    AshlarRejectedError,
    EncodingError,
    HintError,
    InputDigestError,
    MalformedKeyError,
    OpeningError,
    OutputRangeError,
    StatementLengthError,
    SumcheckError,
)
from zkinfer.verifier.ashlar.input_digest import commit_input
from zkinfer.verifier.ashlar.verify import verify

__all__ = [
    "AshlarRejectedError",
    "EncodingError",
    "HintError",
    "InputDigestError",
    "MalformedKeyError",
    "OpeningError",
    "OutputRangeError",
    "StatementLengthError",
    "SumcheckError",
    "commit_input",
    "verify",
]
