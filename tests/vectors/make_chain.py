"""Write the vectors shared by pytest and forge: `python -m tests.vectors.make_chain [--values]`.

`values.json` holds contexts, model ids, request ids, and statements with the public values of ezkl, computed by the
Python side; both sides are compared with it, and a test makes it again. `digits.json` holds real proofs of the demo's
model and one of the canary, for contracts at fixed addresses. They need a file of the hermez ceremony, and minutes;
each run writes other proofs, so `--values` leaves them as they are.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from zkinfer.circuits import Circuit, Home
from zkinfer.circuits.digest import keccak256, sha256
from zkinfer.circuits.engines.ezkl import instances
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.instances import instances_of
from zkinfer.circuits.home import KeyRing
from zkinfer.circuits.recipe import CircuitIdentity
from zkinfer.circuits.srs.bn254 import FIELD as Q
from zkinfer.circuits.srs.ceremonies import CEREMONIES
from zkinfer.circuits.statement import Context, Statement
from zkinfer.circuits.statement import Layout as StatementLayout
from zkinfer.circuits.tensors import quantise
from zkinfer.contracts.deploy import EZKL_SELECTOR
from zkinfer.contracts.identifiers import (
    ANY_INPUT,
    VISIBILITIES,
    Layout,
    Registration,
    Request,
    input_commitment,
    listing_of,
    words,
)

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(REPOSITORY / "contracts"))
import canary  # noqa: E402 - scripts beside the contracts, in no package
from digits import DEMO, digits_circuit  # noqa: E402

VALUES, DIGITS = HERE / "chain/values.json", HERE / "chain/digits.json"

CHAIN_ID = 31337
EXPIRY = 2_000_000_000
BATCH = 10


def address(number: int) -> str:
    """An address without a known key."""
    return f"0x{0x2AF0000000000000000000000000000000000000 + number:040x}"


LEDGER, CONSUMER, REQUESTER, PROVER, PUBLISHER, LOCK, ADAPTER = (address(number) for number in range(1, 8))
OWNER_FEE, PROVER_FEE = 10**15, 2 * 10**15


def main() -> None:
    VALUES.write_text(dump(values()))
    if "--values" not in sys.argv[1:]:
        DIGITS.write_text(dump(proofs()))


def dump(document) -> str:
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def values() -> dict:
    return {
        "contexts": [context_case(seed) for seed in range(8)],
        "decimals": [decimals_case(*case) for case in decimals()],
        "models": [model_case(seed) for seed in range(4)],
        "requests": [request_case(seed) for seed in range(4)],
        "setups": {ceremony.name: setup_case(ceremony) for ceremony in CEREMONIES},
        "statements": [statement_case(seed, *case) for seed, case in enumerate(statements())],
    }


def word(number: int) -> str:
    return f"0x{number % 2**256:064x}"


def mixed(seed: int, index: int, bits: int) -> int:
    """Pseudorandom numbers that never change."""
    return int.from_bytes(keccak256(words([seed, index])).value, "big") >> (256 - bits)


def context_case(seed: int) -> dict:
    context = context_of(
        mixed(seed, 0, 256 if seed else 32),
        f"0x{mixed(seed, 1, 160):040x}",
        word(mixed(seed, 2, 256)),
        f"0x{mixed(seed, 3, 160):040x}",
        mixed(seed, 4, 64),
    )
    numbers = {"chainId": word(context.chain_id), "expiry": word(context.expiry)}
    return {**context.model_dump(by_alias=True), **numbers, "hash": "0x" + context.hash.hex()}


def context_of(chain_id: int, consumer: str, request_id: str, requester: str, expiry: int) -> Context:
    fields = {"chainId": chain_id, "consumer": consumer, "requestId": request_id}
    return Context.model_validate({**fields, "requester": requester, "expiry": expiry})


def decimals() -> list[tuple[int, int, int]]:
    return [
        (0, 0, 0),
        (1, 12, 18),
        (-1, 12, 18),
        (-1, 1, 0),
        (-5, 2, 1),
        (12345, 7, 6),
        (-12345, 7, 6),
        (2**127 - 1, 64, 18),
    ]


def decimals_case(value: int, scale: int, places: int) -> dict:
    return {"value": str(value), "scale": scale, "decimals": places, "result": str(value * 10**places >> scale)}


def statements() -> list[tuple[str, int, list[int], list[int]]]:
    """Visibility, width of inputs, inputs and outputs."""
    least, most = -(2**63) + 1, 2**63 - 1
    return [
        ("public", 1, [0, 1, -1, 127, -128], [0, 1, -1]),
        ("public", 2, [-32768, 32767], [least, most]),
        ("public", 4, [2**31 - 1, -(2**31), 5], [7]),
        ("public", 8, [2**63 - 1, -(2**63)], [least]),
        ("hashed", 32, [instances.MODULUS - 1, 0], [3, -4, most]),
        ("private", 0, [], [-9, 9, least]),
    ]


def statement_case(seed: int, visibility: str, width: int, inputs: list[int], outputs: list[int]) -> dict:
    """A statement, and the public values of ezkl for it."""
    shape = {"visibility": visibility, "input_width": width, "signed": visibility == "public"}
    layout = StatementLayout(**shape, inputs=len(inputs), outputs=len(outputs))
    packed = b"".join(value.to_bytes(width, "big", signed=layout.signed) for value in inputs)
    context = mixed(seed, 0, 256).to_bytes(32, "big")
    proof = mixed(seed, 1, 253).to_bytes(32, "big") + b"halo2"
    halo2, instances = instances_of(Statement(context, packed, tuple(outputs)), proof, layout)
    return {
        "layout": layout_fields(Layout(visibility, width, len(inputs), len(outputs))),
        "context": "0x" + context.hex(),
        "inputs": "0x" + packed.hex(),
        "outputs": [str(value) for value in outputs],
        "proof": "0x" + proof.hex(),
        "halo2": "0x" + halo2.hex(),
        "instances": [word(value) for value in instances],
    }


def layout_fields(layout: Layout) -> dict:
    """The fields by the names of the contract."""
    return dict(zip(("visibility", "inputWidth", "inputs", "outputs"), layout.fields, strict=True))


def layout_of(fields: dict) -> Layout:
    """The layout that `layout_fields` wrote."""
    return Layout.of((fields["visibility"], fields["inputWidth"], fields["inputs"], fields["outputs"]))


def model_case(seed: int) -> dict:
    onnx, key = word(mixed(seed, 0, 256)), words([mixed(seed, 1, 256)])
    digest = keccak256(key).hex
    identity = CircuitIdentity(
        model=f"sha256:{onnx[2:]}", network=f"sha256:{onnx[2:]}", verifying_key=f"keccak256:{digest}"
    )
    publisher, selector = f"0x{mixed(seed, 2, 160):040x}", mixed(seed, 3, 32).to_bytes(4, "big")
    layout = Layout(VISIBILITIES[seed % 3], (1, 32, 0)[seed % 3], mixed(seed, 4, 16), mixed(seed, 5, 16))
    registration = Registration(onnx, key, layout, selector)
    return {
        "onnxDigest": onnx,
        "keyDigest": f"0x{digest}",
        "publisher": publisher,
        "selector": "0x" + selector.ljust(32, b"\0").hex(),
        "layout": layout_fields(layout),
        "modelId": identity.model_id,
        "listing": listing_of(registration, publisher),
    }


def request_case(seed: int) -> dict:
    request = Request(
        listing=word(mixed(seed, 0, 256)),
        input_commitment=word(mixed(seed, 1, 256)) if seed else ANY_INPUT,
        consumer=f"0x{mixed(seed, 2, 160):040x}",
        requester=f"0x{mixed(seed, 3, 160):040x}",
        expiry=mixed(seed, 4, 64),
        prover=f"0x{mixed(seed, 5, 160):040x}",
        prover_fee=mixed(seed, 6, 96),
        refund_to=f"0x{mixed(seed, 7, 160):040x}",
        owner_fee=mixed(seed, 8, 96),
        salt=word(mixed(seed, 9, 256)),
    )
    return {**fields_of(request), "id": request.id(CHAIN_ID, LEDGER)}


def fields_of(request: Request) -> dict:
    """The fields by the names of the contract; numbers are words, so that no JSON parser rounds them."""
    return {
        "listing": request.listing,
        "inputCommitment": request.input_commitment,
        "consumer": request.consumer,
        "requester": request.requester,
        "expiry": word(request.expiry),
        "prover": request.prover,
        "proverFee": word(request.prover_fee),
        "refundTo": request.refund_to,
        "ownerFee": word(request.owner_fee),
        "salt": request.salt,
    }


def request_of(fields: dict) -> Request:
    """The request that `fields_of` wrote."""
    return Request(
        listing=fields["listing"],
        input_commitment=fields["inputCommitment"],
        consumer=fields["consumer"],
        requester=fields["requester"],
        expiry=int(fields["expiry"], 16),
        prover=fields["prover"],
        prover_fee=int(fields["proverFee"], 16),
        refund_to=fields["refundTo"],
        owner_fee=int(fields["ownerFee"], 16),
        salt=fields["salt"],
    )


def setup_case(ceremony) -> dict:
    """tau*G2 and its negative, each as four words in the encodings of EIP-197 and of a verifying key."""
    tau = [int.from_bytes(ceremony.tau_g2[i : i + 32], "big") for i in range(0, 128, 32)]
    return {
        "id": "0x" + sha256(ceremony.tau_g2).hex,
        "negated": [word(number) for number in (tau[0], tau[1], Q - tau[2], Q - tau[3])],
    }


def proofs() -> dict:
    """Real proofs, each for a request of a contract at a fixed address."""
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        home = Home(base / "home", setup_search=canary.setup_folders())
        circuit = digits_circuit(base, home)
        maker = Maker(Proving(circuit, home))
        (base / "canary").mkdir()
        watched = canary.compile_canary(base / "canary", "hermez")
        return {
            "chainId": CHAIN_ID,
            "addresses": {
                "ledger": LEDGER,
                "consumer": CONSUMER,
                "requester": REQUESTER,
                "prover": PROVER,
                "publisher": PUBLISHER,
                "lock": LOCK,
                "adapter": ADAPTER,
            },
            "model": maker.model(),
            "batch": [maker.case(number, CONSUMER, REQUESTER) for number in range(BATCH)],
            "lock": maker.case(0, LOCK, LOCK),
            "caller": maker.for_caller(1),
            "canary": canary_case(Proving(watched, home)),
        }


class Proving:
    """A circuit with its setup and its proving key."""

    def __init__(self, circuit: Circuit, home: Home) -> None:
        self.folder, self.program, self.manifest = circuit.folder, circuit.manifest.program, circuit.manifest
        self.setup = home.setups.find_or_generate(self.program.setup_size, "hermez")
        self.key = KeyRing().key_for(circuit, EzklEngine(), self.setup, home.keys)
        self.onnx_digest = "0x" + self.manifest.identity.model.removeprefix("sha256:")

    def prove(self, array: np.ndarray, context: Context):
        """The engine's proof for the only input."""
        integers = quantise(array, self.program.inputs[0])
        return EzklEngine().prove(self.folder, self.program, self.setup.path, self.key, [integers], context.hash)


class Maker:
    """Makes requests for one circuit, and proofs of the answers."""

    def __init__(self, circuit: Proving) -> None:
        self.circuit = circuit
        layout = circuit.program.layout
        self.registration = Registration(
            circuit.onnx_digest,
            EzklEngine().evm_key(circuit.folder),
            Layout(layout.visibility, layout.input_width, layout.inputs, layout.outputs),
            EZKL_SELECTOR,
        )
        self.listing = listing_of(self.registration, PUBLISHER)
        with np.load(DEMO / "held-out.npz") as data:
            self.images = data["image"]

    def model(self) -> dict:
        identity = self.circuit.manifest.identity
        return {
            "key": "0x" + self.registration.key.hex(),
            "keyDigest": "0x" + identity.verifying_key.removeprefix("keccak256:"),
            "onnxDigest": self.circuit.onnx_digest,
            "modelId": identity.model_id,
            "listing": self.listing,
            "layout": layout_fields(self.registration.layout),
        }

    def case(self, number: int, consumer: str, requester: str) -> dict:
        """A request with fees about one image, and a proof of the answer."""
        request = Request(
            listing=self.listing,
            input_commitment=self.commitment(number),
            consumer=consumer,
            requester=requester,
            expiry=EXPIRY,
            prover=PROVER,
            prover_fee=PROVER_FEE,
            refund_to=REQUESTER,
            owner_fee=OWNER_FEE,
            salt=word(number),
        )
        request_id = request.id(CHAIN_ID, LEDGER)
        context = context_of(CHAIN_ID, consumer, request_id, requester, EXPIRY)
        return {"request": fields_of(request), "id": request_id, **self.proven(number, context)}

    def for_caller(self, number: int) -> dict:
        """A proof for a caller of the ERC-7992 adapter."""
        asked = "0x" + keccak256(words([self.listing, self.commitment(number)])).hex
        context = context_of(CHAIN_ID, ADAPTER, asked, REQUESTER, 0)
        return {"inputCommitment": self.commitment(number), **self.proven(number, context)}

    def commitment(self, number: int) -> str:
        program = self.circuit.program
        return input_commitment(program.layout.pack(quantise(self.images[number], program.inputs[0])))

    def proven(self, number: int, context: Context) -> dict:
        proof = self.circuit.prove(self.images[number], context)
        return proven(proof, proof.statement.inputs)


def proven(proof, inputs: bytes) -> dict:
    """A statement and its proof."""
    return {
        "context": "0x" + proof.statement.context.hex(),
        "inputs": "0x" + inputs.hex(),
        "outputs": [str(value) for value in proof.statement.outputs],
        "proof": "0x" + proof.data.hex(),
    }


def canary_case(circuit: Proving) -> dict:
    """A correct answer of the canary, max(-3, 0), encoded like its adapter does: in eight bytes."""
    context = context_of(0, address(0), word(1), address(0), 0)
    proof = circuit.prove(np.array([-3.0], dtype=np.float32), context)
    (integer,) = circuit.program.layout.unpack(proof.statement.inputs)
    return proven(proof, integer.to_bytes(8, "big", signed=True))


if __name__ == "__main__":
    main()
