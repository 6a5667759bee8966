"""Make registrations and requests from circuits, and answers from attestations."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.engines.proof_checks import stated_inputs
from zkinfer.circuits.errors import CircuitError, DataError
from zkinfer.circuits.home import Home
from zkinfer.circuits.statement import Context
from zkinfer.circuits.tensor_files import conform
from zkinfer.circuits.tensors import quantise
from zkinfer.contracts import ANY_INPUT, ZERO_ADDRESS, Request, input_commitment
from zkinfer.contracts.registration import Layout, Registration
from zkinfer.verifier import ContextMismatchError, InputMismatchError, LayoutMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits import statement
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.ledger import Posted
    from zkinfer.verifier import Attestation


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to post: a request, the statement's packed inputs and outputs, and the proof."""

    request: Request
    inputs: bytes
    outputs: tuple[int, ...]
    proof: bytes

    @property
    def posted(self) -> Posted:
        """The arguments for `Ledger.record`."""
        return self.request, self.inputs, self.outputs, self.proof


def layout_on_chain(layout: statement.Layout) -> Layout:
    """A program's layout in the contracts' form; the key determines whether inputs are signed."""
    return Layout(layout.visibility, layout.input_width, layout.inputs, layout.outputs)


def registration_of(circuit: Circuit, fee: int = 0, uri: str = "", selector: bytes | None = None) -> Registration:
    """The registration of a circuit.

    Args:
        circuit: an opened circuit.
        fee: the least price of an answer, in wei.
        uri: where to find the ONNX file, the manifest and the terms.
        selector: of the verifier of its proofs; by default the engine's shared verifier.

    Raises:
        CircuitError: no contract verifies proofs of this circuit's engine, or the key is not the one in the manifest.
    """
    program, identity = circuit.manifest.program, circuit.manifest.identity
    engine = _engine_of(circuit)
    shared = engine.evm_selector
    if shared is None:
        raise CircuitError(
            f"No contract verifies proofs of {engine.id}, the engine of {circuit.folder}.", "Use another engine."
        )
    registration = Registration(
        onnx_digest="0x" + identity.model.removeprefix("sha256:"),
        key=engine.evm_key(circuit.folder),
        layout=layout_on_chain(program.layout),
        fee=fee,
        uri=uri,
        selector=shared if selector is None else selector,
    )
    if registration.model_id != circuit.model_id:
        raise CircuitError(f"The verifying key in {circuit.folder} is not the one that its manifest names.")
    return registration


def request_for(
    circuit: Circuit,
    inputs: Mapping[str, NDArray[np.generic]] | None,
    *,
    listing: str,
    consumer: str,
    requester: str,
    expiry: int,
    prover: str = ZERO_ADDRESS,
    prover_fee: int = 0,
    refund_to: str | None = None,
    owner_fee: int = 0,
    salt: str | None = None,
    engine: Engine | None = None,
    setup: Path | None = None,
) -> Request:
    """A request for the circuit's answer to these inputs, or to inputs that the prover chooses.

    Args:
        circuit: an opened circuit.
        inputs: arrays by name; None requests `ANY_INPUT`, which private inputs require.
        listing: under which the model is registered.
        consumer: the contract that will act on the answer.
        requester: opens the request; gets the fees back unless `refund_to` names another account.
        expiry: the last time at which the answer can be recorded, in Unix seconds.
        prover: the account that is paid `prover_fee`.
        prover_fee: in wei.
        refund_to: the account that gets both fees back if there is no answer.
        owner_fee: paid to the model's owner, in wei.
        salt: any word that was not used for an otherwise equal request; a random one by default.
        engine: computes the digests of hashed inputs; by default the circuit's.
        setup: the circuit's trusted setup, for hashed inputs; by default the user's installed one.

    Raises:
        DataError: a missing or unknown input, a wrong shape or dtype, NaN; or inputs that stay private.
        InputError: an input is outside the circuit's range.
    """
    return Request(
        listing=listing,
        input_commitment=ANY_INPUT if inputs is None else commitment_to(circuit, inputs, engine, setup),
        consumer=consumer,
        requester=requester,
        expiry=expiry,
        prover=prover,
        prover_fee=prover_fee,
        refund_to=requester if refund_to is None else refund_to,
        owner_fee=owner_fee,
        salt="0x" + secrets.token_hex(32) if salt is None else salt,
    )


def commitment_to(
    circuit: Circuit,
    inputs: Mapping[str, NDArray[np.generic]],
    engine: Engine | None = None,
    setup: Path | None = None,
) -> str:
    """keccak256 over the inputs as a statement packs them; arguments and errors as `request_for`."""
    program = circuit.manifest.program
    if program.layout.visibility == "private":
        raise DataError(
            "Proofs of this circuit keep the inputs private, so a request cannot name them.", "Request any input."
        )
    if odd := sorted(set(inputs) ^ {spec.name for spec in program.inputs}):
        raise DataError(f"The input {odd[0]!r:.80} is missing, or the model has none of this name.")
    integers = [quantise(conform(inputs[spec.name], spec), spec) for spec in program.inputs]
    if program.layout.visibility == "public":
        return input_commitment(program.layout.pack(value for tensor in integers for value in tensor))
    engine, setup = engine or _engine_of(circuit), setup or _setup_of(circuit)
    return input_commitment(stated_inputs(engine, circuit.folder, program, setup, integers))


def _engine_of(circuit: Circuit) -> Engine:
    engine = engine_named(circuit.manifest.recipe.engine)
    if engine.id != circuit.manifest.recipe.engine:
        raise CircuitError(
            f"{circuit.folder} is of {circuit.manifest.recipe.engine}; {engine.id} is installed.",
            "Compile the model again.",
        )
    return engine


def _setup_of(circuit: Circuit) -> Path:
    setups, manifest = Home.from_environment().setups, circuit.manifest
    return setups.find_or_generate(manifest.program.setup_size, manifest.recipe.setup.ceremony).path


def context_of(request: Request, chain_id: int, ledger: str) -> Context:
    """The context that a proof must be made for to answer this request on this chain."""
    return Context.model_validate(
        {
            "chainId": chain_id,
            "consumer": request.consumer,
            "requestId": request.id(chain_id, ledger),
            "requester": request.requester,
            "expiry": request.expiry,
        }
    )


def answer_of(attestation: Attestation, request: Request) -> Answer:
    """The answer to post from an attestation, without any check; see `require_answer`."""
    stated = attestation.predicate.statement
    return Answer(request, stated.inputs, stated.outputs, attestation.proof)


def require_answer(attestation: Attestation, request: Request, chain_id: int, ledger: str) -> Answer:
    """The same, if the attestation answers this request; the ledger makes the same checks, but for gas.

    The proof itself is not checked.

    Raises:
        ContextMismatchError: it, or its statement, was made for another request.
        LayoutMismatchError: its inputs or outputs have other sizes than its layout.
        InputMismatchError: it is about another input.
    """
    predicate, wanted = attestation.predicate, context_of(request, chain_id, ledger)
    _require_context(predicate.context, wanted)
    stated, layout = predicate.statement, predicate.layout
    if stated.context != wanted.hash:
        raise ContextMismatchError("The proof was made for another request than the attestation says.")
    if len(stated.inputs) != layout.input_bytes or len(stated.outputs) != layout.outputs:
        raise LayoutMismatchError("The attestation's inputs or outputs have other sizes than its layout.")
    if request.input_commitment not in (ANY_INPUT, input_commitment(stated.inputs)):
        raise InputMismatchError("The proof is about another input than the request asks for.", "Prove the right one.")
    return answer_of(attestation, request)


def _require_context(found: Context, wanted: Context) -> None:
    claimed = found.model_dump(by_alias=True)
    for name, value in wanted.model_dump(by_alias=True).items():
        if claimed[name] != value:
            raise ContextMismatchError(
                f"The attestation's {name} is {claimed[name]}; the request asks for {value}.",
                "Prove for this request: zkinfer prove ... --request REQUEST.json",
            )
