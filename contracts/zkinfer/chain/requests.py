"""Make registrations and requests from circuits, answers from attestations, and files of requests.

A prover proves from a request file, and answers are posted with it. It is canonical JSON; amounts are decimal text, so
that no reader rounds them.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.engines.proof_checks import stated_inputs
from zkinfer.circuits.errors import CircuitError, DataError, InputError, why
from zkinfer.circuits.home import Home
from zkinfer.circuits.statement import Address, Context, Word
from zkinfer.circuits.tensor_files import conform
from zkinfer.circuits.tensors import quantise
from zkinfer.contracts import ANY_INPUT, ZERO_ADDRESS, Request, input_commitment
from zkinfer.contracts.identifiers import Layout, Registration
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


MAX_FILE_BYTES: Final = 1 << 14
Amount = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,28})$")]


class _RequestFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)

    format: Literal["zkinfer-request/1"] = "zkinfer-request/1"
    chain_id: Annotated[int, Field(ge=1, lt=1 << 64)]
    ledger: Address
    listing: Word
    input_commitment: Word
    consumer: Address
    requester: Address
    expiry: Annotated[int, Field(ge=0, lt=1 << 64)]
    prover: Address
    prover_fee: Amount
    refund_to: Address
    owner_fee: Amount
    salt: Word

    @field_validator("prover_fee", "owner_fee")
    @classmethod
    def _fits(cls, text: str) -> str:
        if int(text) >= 1 << 96:
            raise ValueError("an amount must be below 2^96 wei")
        return text


@dataclass(frozen=True, slots=True)
class PlacedRequest:
    """A request, with its ledger and chain."""

    request: Request
    chain_id: int
    ledger: str

    @property
    def id(self) -> str:
        """The request's id on that ledger."""
        return self.request.id(self.chain_id, self.ledger)

    @property
    def context(self) -> Context:
        """The context that a proof must be made for to answer it."""
        return context_of(self.request, self.chain_id, self.ledger)

    def to_bytes(self) -> bytes:
        """The file's content; raises InputError if a field is out of range or malformed."""
        amounts = {name: str(getattr(self.request, name)) for name in ("prover_fee", "owner_fee")}
        fields = {**asdict(self.request), **amounts, "chain_id": self.chain_id, "ledger": self.ledger}
        try:
            document = _RequestFile(**fields)
        except ValidationError as err:
            raise InputError(f"The request is invalid: {_first(err)}.") from err
        return canonical.dump(document.model_dump(mode="json", by_alias=True))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` writes; raises InputError, which names the field, for anything else."""
        canonical.load_canonical(data, max_bytes=MAX_FILE_BYTES, what="request")
        try:
            fields = _RequestFile.model_validate_json(data).model_dump()
        except ValidationError as err:
            raise InputError(f"The file is not a request: {_first(err)}.", "Make one: zkinfer chain request") from err
        del fields["format"]
        fields |= {name: int(fields[name]) for name in ("prover_fee", "owner_fee")}
        chain_id, ledger = fields.pop("chain_id"), fields.pop("ledger")
        return cls(Request(**fields), chain_id, ledger)


def read_request(path: Path) -> PlacedRequest:
    """Read a request file; raises InputError, of which JsonError is one kind, if it is invalid."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as err:
        raise InputError(f"{path} cannot be read: {why(err)}.", "Check the path of the request.") from err
    return PlacedRequest.from_bytes(data)


def _first(err: ValidationError) -> str:
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:80]
    return f"{place!r}: {first['msg'][:200]}"
