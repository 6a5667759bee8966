"""What a circuit and an attestation are to the contracts: a registration, a request, an answer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.circuits import field
from zkinfer.circuits.context import Context
from zkinfer.circuits.engines.base import slots_in_order
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.errors import CircuitError, DataError
from zkinfer.circuits.tensor_files import conform
from zkinfer.circuits.tensors import quantise
from zkinfer.contracts import ANY_INPUT, NOBODY, Request, commitment
from zkinfer.contracts.registration import SELECTOR, Registration
from zkinfer.verifier import ContextMismatchError, InputMismatchError, InstanceCountError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.circuit import Circuit
    from zkinfer.circuits.engines.base import Engine, Slot
    from zkinfer.verifier import Attestation

VERIFIED_ENGINE: Final = "ezkl/23.0.5"
"""The engine whose proofs the contracts verify."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is posted: a request, the proof, and the proof's public values as field elements."""

    request: Request
    proof: bytes
    instances: list[int]


def registration_of(circuit: Circuit, fee: int = 0, uri: str = "", selector: bytes = SELECTOR) -> Registration:
    """What a publisher says of a circuit.

    Args:
        circuit: an opened circuit.
        fee: what an answer costs at least, in wei.
        uri: where to read more.
        selector: of the verifier of its proofs; by default the one for all circuits.

    Raises:
        CircuitError: no contract verifies proofs of this circuit's engine, or the key is not the manifest's.
    """
    program, identity = circuit.manifest.program, circuit.manifest.identity
    engine = circuit.manifest.recipe.engine
    if engine != VERIFIED_ENGINE:
        raise CircuitError(
            f"The contracts verify proofs of {VERIFIED_ENGINE}; {circuit.folder} is of {engine}.",
            "Compile the model again.",
        )
    registration = Registration(
        onnx_digest="0x" + identity.model.removeprefix("sha256:"),
        key=EzklEngine.evm_key(circuit.folder),
        visibility=program.inputs[0].visibility,
        inputs=sum(slot.count for slot in program.slots if slot.role == "input"),
        outputs=sum(slot.count for slot in program.slots if slot.role == "output"),
        fee=fee,
        uri=uri,
        selector=selector,
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
    prover: str = NOBODY,
    prover_fee: int = 0,
    refund_to: str | None = None,
    owner_fee: int = 0,
    salt: str | None = None,
    engine: Engine | None = None,
) -> Request:
    """A request for the circuit's answer to these inputs, or to any that the prover chooses.

    Args:
        circuit: an opened circuit.
        inputs: arrays by name; None asks for `ANY_INPUT`, as one must where inputs are private.
        listing: under which the model is registered.
        consumer: the contract that will act on the answer.
        requester: who opens the request; gets the fees back unless `refund_to` says otherwise.
        expiry: until when the answer can be recorded, in Unix seconds.
        prover: who is paid `prover_fee`.
        prover_fee: in wei.
        refund_to: who gets both fees back where there is no answer.
        owner_fee: what the model's owner is paid, in wei.
        salt: any word that was not used for the same question; a random one by default.
        engine: computes the digests of hashed inputs; by default the one whose proofs the contracts verify.

    Raises:
        DataError: a missing or unknown input, a wrong shape or dtype, NaN; or inputs that no proof tells of.
    """
    return Request(
        listing=listing,
        input_commitment=ANY_INPUT if inputs is None else input_commitment(circuit, inputs, engine or EzklEngine()),
        consumer=consumer,
        requester=requester,
        expiry=expiry,
        prover=prover,
        prover_fee=prover_fee,
        refund_to=requester if refund_to is None else refund_to,
        owner_fee=owner_fee,
        salt="0x" + secrets.token_hex(32) if salt is None else salt,
    )


def input_commitment(circuit: Circuit, inputs: Mapping[str, NDArray[np.generic]], engine: Engine) -> str:
    """keccak256 over the inputs' public values: all numbers in order, or the digest of each hashed tensor."""
    program = circuit.manifest.program
    slots = {slot.name: slot for slot in program.slots if slot.role == "input"}
    if not slots:
        raise DataError(
            "A proof of this circuit tells nothing of its inputs, so none can be asked for.", "Ask for any input."
        )
    if odd := sorted(set(inputs) ^ {spec.name for spec in program.inputs}):
        raise DataError(f"The input {odd[0]!r:.80} is missing, or the model has none of this name.")
    elements: list[int] = []
    for spec in program.inputs:
        integers = quantise(conform(inputs[spec.name], spec), spec)
        hashed = slots[spec.name].hashed
        elements += [engine.commit(integers)] if hashed else [field.encode(integer) for integer in integers]
    return commitment(elements)


def context_of(request: Request, chain_id: int, ledger: str) -> Context:
    """What a proof that answers this request on this chain must be made for."""
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
    """The part of an attestation that is posted; nothing is compared, see `require_answer`."""
    return Answer(request, attestation.proof, [int(word, 16) for word in attestation.predicate.instances])


def require_answer(attestation: Attestation, request: Request, chain_id: int, ledger: str) -> Answer:
    """The same, if the attestation speaks about this request; the ledger would find the same at a price.

    The proof itself is not checked.

    Raises:
        ContextMismatchError: it was made for another request, or its public values say so.
        InputMismatchError: it is about another input.
        InstanceCountError: its public values do not fit the tensors that it names.
        InputError: a public value is not canonical.
    """
    predicate, wanted = attestation.predicate, context_of(request, chain_id, ledger)
    _require_context(predicate.context, wanted)
    slots = slots_in_order(predicate.inputs, predicate.outputs)
    values = [field.from_word(word) for word in predicate.instances]
    if len(values) != sum(slot.count for slot in slots):
        raise InstanceCountError("The attestation's public values do not fit the tensors that it names.")
    if _of(slots, "context", values) != list(wanted.limbs):
        raise ContextMismatchError("The proof was made for another request than the attestation says.")
    if request.input_commitment not in (ANY_INPUT, commitment(_of(slots, "input", values))):
        raise InputMismatchError("The proof is about another input than the request asks for.", "Prove the right one.")
    return answer_of(attestation, request)


def _of(slots: Sequence[Slot], role: str, values: Sequence[int]) -> list[int]:
    return [value for slot in slots if slot.role == role for value in values[slot.start : slot.start + slot.count]]


def _require_context(found: Context, wanted: Context) -> None:
    claimed = found.model_dump(by_alias=True)
    for name, value in wanted.model_dump(by_alias=True).items():
        if claimed[name] != value:
            raise ContextMismatchError(
                f"The attestation's {name} is {claimed[name]}; the request asks for {value}.",
                "Prove for this request: zkinfer prove ... --request REQUEST.json",
            )
