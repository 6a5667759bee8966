"""What a verification returns."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.recipe import CircuitIdentity, Recipe
    from zkinfer.circuits.statement import Context, Statement


@dataclass(frozen=True, slots=True)
class ProvenAnswer:
    """A proven answer as a contract sees it.

    Args:
        context: the request that the proof was made for.
        model_id: names the circuit, as rebuilt by the verifier.
        statement: what was proven: a contract sees the same inputs and outputs.
    """

    context: Context
    model_id: str
    statement: Statement


class ChainRecord(Protocol):
    """The records of one chain."""

    def agree(self, answer: ProvenAnswer) -> str:
        """Return in a few words where this answer is on record; raise a RefusedError if it is not."""
        ...


SEAL: Final = object()
"""The verifier's, to mark what it verified. Not part of the package's interface."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VerifiedInference:
    """An inference whose proof was checked. Only `Verifier.verify` makes one, so that holding one means something.

    Args:
        model_id: names the circuit: the ONNX file with its quantisation, setup and engine.
        identity: the digests behind `model_id`, as rebuilt by the verifier.
        recipe: how the circuit was made.
        inputs: by name, the public inputs that the proof is about; a hashed or private input is not among them.
        outputs: likewise the outputs. Arrays cannot be written to.
        context: the request that the proof was made for.
        signer: fingerprint of the key that signed.
        ephemeral: the signer's claim that the key was generated for this attestation alone, so it identifies no one.
        created_at: the signer's word, not proven.
        attestation_digest: of the file.
        on_expected_input: whether the caller gave the expected inputs, and all of them were those of the proof.
    """

    model_id: str
    identity: CircuitIdentity
    recipe: Recipe
    inputs: Mapping[str, NDArray[np.generic]]
    outputs: Mapping[str, NDArray[np.generic]]
    context: Context
    signer: str
    ephemeral: bool
    created_at: datetime
    attestation_digest: Digest
    on_expected_input: bool
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not SEAL:
            raise TypeError("Only Verifier.verify makes a VerifiedInference.")
