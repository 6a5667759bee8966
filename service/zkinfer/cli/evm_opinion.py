"""A second opinion on ezkl's proofs: the contract that ezkl generates for all circuits, in an EVM inside this process.

The contract and its adapter share no code with ezkl's own verifier: the adapter spreads the statement over the public
values, the contract computes the transcript, and the EVM the pairing. Needs the extra `chain-dev`; no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.errors import EngineError, ProofRejectedError
from zkinfer.cli.console import require_extra
from zkinfer.contracts.artifacts import key_store_code

if TYPE_CHECKING:
    from web3 import Web3

    from zkinfer.circuits.engines.base import Proof
    from zkinfer.circuits.statement import Layout
    from zkinfer.contracts.chain import Chain

_ADAPTER: Final = "ReusableHalo2Adapter"
_CURE: Final = "Verify without --second-opinion."
_KNOWN_REASON: Final = "refused: "  # otherwise the gas may have run out, which says nothing about the proof
_GAS: Final = 25_000_000  # below that of a block of the chain
_VISIBILITIES: Final = ("public", "hashed", "private")  # as the contracts number them


@dataclass(frozen=True, slots=True)
class _Deployed:
    web3: Web3
    chain: Chain
    adapter: str


class EvmVerifier:
    """Verifies with the generated contract; the chain is made on first use, and lost with the object."""

    name = "the generated EVM verifier"

    def __init__(self) -> None:
        self._deployed: _Deployed | None = None

    def verify(self, key: bytes, layout: Layout, proof: Proof) -> None:
        """Return if the contract accepts the proof.

        Raises:
            ProofRejectedError: the contract refuses it.
            InputError: the libraries are not installed.
            EngineError: the EVM or the deployment failed, so that there is no opinion.
        """
        from zkinfer.contracts.errors import ChainError, RevertedError

        try:
            with require_extra("chain-dev"):
                on_chain = self._deployed = self._deployed or _deploy()
            stored = _create(on_chain.web3, key_store_code(key))
            on_chain.chain.write(_ADAPTER, on_chain.adapter, "prepare", stored, gas=_GAS)
        except ChainError as err:
            raise EngineError(f"The EVM cannot hold the verifier. {err}", _CURE) from err
        try:
            on_chain.chain.read(_ADAPTER, on_chain.adapter, "verify", *_arguments(key, stored, layout, proof))
        except ChainError as err:
            if isinstance(err, RevertedError) and _KNOWN_REASON in str(err):
                raise ProofRejectedError(str(err)) from err
            raise EngineError(f"The EVM gave no verdict. {err}", _CURE) from err


def _deploy() -> _Deployed:
    from zkinfer.contracts.abi import creation_code, hex_to_bytes
    from zkinfer.contracts.artifacts import load_canary
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.devchain import embedded_web3
    from zkinfer.contracts.signers import unsafe_dev_account

    web3, canary = embedded_web3(), load_canary()
    chain = Chain(web3, unsafe_dev_account(0, Chain(web3).id))
    halo2 = _create(web3, creation_code("Halo2VerifierReusable", ()))
    arguments = (halo2, _create(web3, key_store_code(canary.key)), hex_to_bytes(canary.key_digest))
    return _Deployed(web3, chain, _create(web3, creation_code(_ADAPTER, arguments)))


def _create(web3: Web3, code: bytes) -> str:
    """Create a contract; returns its address in lower case."""
    from zkinfer.contracts.errors import TransactionFailedError
    from zkinfer.contracts.rpc import rpc_errors

    with rpc_errors(web3):
        sent = web3.eth.send_transaction({"from": web3.eth.accounts[0], "data": code, "gas": _GAS})
        receipt = web3.eth.wait_for_transaction_receipt(sent)
    if receipt["status"] != 1:
        raise TransactionFailedError(f"A contract of {len(code):,} bytes cannot be created.")
    return str(receipt["contractAddress"]).lower()


def _arguments(key: bytes, address: str, layout: Layout, proof: Proof) -> tuple[Any, ...]:
    """The arguments of the adapter's `verify`."""
    statement = proof.statement
    described = (_VISIBILITIES.index(layout.visibility), layout.input_width, layout.inputs, layout.outputs)
    outputs = list(statement.outputs)
    return keccak256(key).value, address, described, statement.context, statement.inputs, outputs, proof.data
