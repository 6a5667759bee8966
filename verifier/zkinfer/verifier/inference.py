"""Results of a verification: the proven answer and the verified inference."""

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
        statement: the proven inputs and outputs, as a contract sees them.
    """

    context: Context
    model_id: str
    statement: Statement


class ChainRecord(Protocol):
    """The records of one chain."""

    def agree(self, answer: ProvenAnswer) -> str:
        """Describe briefly where this answer is recorded; raise a RefusedError if it is not."""
        ...


SEAL: Final = object()
"""Passed by `Verifier.verify` only, as the mark of a verified inference. Not part of the public interface."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VerifiedInference:
    """An inference whose proof was checked. Only `Verifier.verify` can create one.

    Args:
        model_id: names the circuit: the ONNX file with its quantisation, setup and engine.
        identity: the digests behind `model_id`, as rebuilt by the verifier.
        recipe: how the circuit was made.
        inputs: the public inputs of the proof, by name; hashed and private inputs are left out.
        outputs: the outputs, by name. All arrays are read-only.
        context: the request that the proof was made for.
        signer: fingerprint of the key that signed.
        ephemeral: the signer's claim that the key was generated for this attestation alone, so it identifies no one.
        created_at: the signer's claim, not proven.
        attestation_digest: of the file.
        on_expected_input: whether the caller gave expected inputs, which all matched the proof.
        labels: what the engine's authors say before anyone relies on its proofs.
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
    labels: tuple[str, ...] = ()
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not SEAL:
            raise TypeError("Only Verifier.verify makes a VerifiedInference.")
