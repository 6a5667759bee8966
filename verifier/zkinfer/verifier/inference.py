"""Results of a verification: the proven answer and the verified inference."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

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


class ContractCode(NamedTuple):
    """The code of a contract, which was compared with the expected one; the hash is its keccak256, with `0x`."""

    name: str
    address: str
    code_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAnswer:
    """Where a chain has an answer on record, as its nodes say.

    Args:
        chain_id: of the chain.
        ledger: the address of the contract with the record, in lower case.
        listing: under which the model is registered.
        recorded_at: the time of the record, by the chain's clock.
        block: the number of the block whose state was read.
        block_hash: its hash, with `0x`.
        confirmations: how many were required of that block; None if it had to be finalised.
        code: the contracts whose code was compared, in that state.
        nodes: how many nodes say so, alike.
    """

    chain_id: int
    ledger: str
    listing: str
    recorded_at: datetime
    block: int
    block_hash: str
    confirmations: int | None
    code: tuple[ContractCode, ...]
    nodes: int = 1

    def __str__(self) -> str:
        when = f"{self.recorded_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"on chain {self.chain_id} by {self.ledger}, {when}, seen at {self.described_block}"

    @property
    def described_block(self) -> str:
        """The block and how final it is."""
        count = self.confirmations
        rank = "finalised" if count is None else f"with {count} confirmation{'s' * (count != 1)}"
        return f"block {self.block} ({self.block_hash}), {rank}"


class ChainRecord(Protocol):
    """The records of one chain."""

    def agree(self, answer: ProvenAnswer) -> RecordedAnswer:
        """Return where this answer is recorded.

        Raises:
            RefusedError: it is not recorded.
            RecordUnavailableError: the record cannot be read.
        """
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
        experimental: whether the engine is experimental, so that its proofs may be forgeable in ways not yet known.
        recorded: where a chain has the answer on record; None unless the caller required it.
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
    experimental: bool = False
    recorded: RecordedAnswer | None = None
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not SEAL:
            raise TypeError("Only Verifier.verify makes a VerifiedInference.")
