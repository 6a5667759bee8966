"""An honest attestation and tools to forge others; keys and times are fixed, so the bytes are reproducible."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import onnx
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from onnx import TensorProto, helper, numpy_helper

from zkinfer.circuits import canonical
from zkinfer.circuits import statement as proofs
from zkinfer.circuits.build import Assembly, assemble
from zkinfer.circuits.engines.fake import FakeEngine, binding
from zkinfer.circuits.srs import SetupStore
from zkinfer.circuits.statement import Context
from zkinfer.circuits.tensors import quantise
from zkinfer.verifier import (
    AllOf,
    Attestation,
    ContractCode,
    Envelope,
    RecordedAnswer,
    SignedBy,
    SigningKey,
    Trusted,
    UnsafeAcceptDevSetup,
    Verifier,
)
from zkinfer.verifier.statement import PAYLOAD_TYPE, Predicate, pre_authentication_encoding, to_base64

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
EXPIRY = int(NOW.timestamp()) + 3600
OWNER = SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
ATTACKER = SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x02" * 32))
P256 = SigningKey(ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1()))
X = np.array([[0.5, -1.25, 2.0]], dtype=np.float32)
OTHER_X = np.array([[0.5, -1.25, 2.5]], dtype=np.float32)
CONTEXT = Context(
    chainId=31337, consumer="0x" + "c0" * 20, requestId="0x" + "11" * 32, requester="0x" + "aa" * 20, expiry=EXPIRY
)
RECORDED = RecordedAnswer(
    chain_id=31337,
    ledger="0x" + "1e" * 20,
    listing="0x" + "bb" * 32,
    recorded_at=NOW,
    block=96,
    block_hash="0x" + "b7" * 32,
    confirmations=None,
    code=(ContractCode("InferenceLedger", "0x" + "1e" * 20, "0x" + "c1" * 32),),
)
OTHER_CONTEXT = CONTEXT.model_copy(update={"chain_id": 1})
POLICY = AllOf(SignedBy(OWNER.public.fingerprint), UnsafeAcceptDevSetup())


def write_model(path: Path, bias: float) -> Path:
    weights = numpy_helper.from_array(np.array([[1, -1], [0.5, 2], [-0.25, 1]], dtype=np.float32), "weights")
    shift = numpy_helper.from_array(np.array([bias, 0.0], dtype=np.float32), "bias")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["y"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [weights, shift],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)], producer_name="zkinfer")
    path.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path))
    return path


class Parties:
    """A prover with the fake engine, and an auditor who trusts the model `tiny`."""

    now, x, other_x, context, other_context = NOW, X, OTHER_X, CONTEXT, OTHER_CONTEXT

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = FakeEngine()
        self.model = write_model(folder / "tiny.onnx", 0.5)
        self.other_model = write_model(folder / "other.onnx", 0.75)
        self.setups = SetupStore(folder / "setups")
        self.setup = self.setups.insecure_dev(6)  # the model needs 3; a larger file works too
        self.cache = folder / "cache"
        self.trusted = self.trusting(self.model)

    def trusting(self, *models: Path, **changes) -> Trusted:
        options = {"engines": {self.engine.id: self.engine}, "unsafe_accept_fake_engine": True} | changes
        return Trusted.of(models, options.pop("setups", self.setups), options.pop("cache", self.cache), **options)

    def verifier(self, now: datetime = NOW) -> Verifier:
        return Verifier(trusted=self.trusted, clock=lambda: now)

    def verify(self, attestation, policy=POLICY, **options):
        return self.verifier().verify(attestation, policy, **options)

    def attest(self, *, model=None, x=X, context=CONTEXT, key=OWNER, ephemeral=False, created_at=NOW) -> Attestation:
        made = self.assembled(model or self.model)
        inputs = [quantise(x, spec) for spec in made.program.inputs]
        secret = made.folder / "pk"
        proof = self.engine.prove(made.folder, made.program, self.setup.path, secret, inputs, context.hash)
        return Attestation.create(
            identity=made.identity,
            recipe=made.recipe,
            program=made.program,
            proof=proof,
            context=context,
            key=key,
            ephemeral=ephemeral,
            created_at=created_at,
        )

    @cache  # noqa: B019 - one instance per test run
    def assembled(self, model) -> Assembly:
        folder = self.folder / f"circuit-{model.stem}"
        folder.mkdir()
        options = {"engine": self.engine, "run_arguments": {"scale": 8}, "setup": self.setup, "dimensions": {}}
        return assemble(model, folder, proving_key=folder / "pk", **options)


def statement(attestation: Attestation) -> dict:
    return json.loads(attestation.envelope.payload)


def taken_over(document: dict, key: SigningKey = ATTACKER) -> dict:
    """A copy of a statement that names another signer."""
    document = copy.deepcopy(document)
    document["predicate"]["signer"] |= {"algorithm": key.public.algorithm, "publicKey": to_base64(key.public.der)}
    return document


def signed(document: dict, key: SigningKey = ATTACKER) -> bytes:
    """An envelope of any statement signed with any key, as any attacker can make it."""
    payload = canonical.dump(document)
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return Envelope(payload, key.public.fingerprint, signature).to_bytes()


def at(document: dict, path: tuple, change) -> dict:
    """A copy with `change` applied to the value at `path`."""
    copied = copy.deepcopy(document)
    *parents, last = path
    place = copied
    for part in parents:
        place = place[part]
    place[last] = change(place[last])
    return copied


def high_s(signature: bytes) -> bytes:
    """The other form of an ECDSA signature, which most software accepts as well."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return signature[:32] + (order - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")


def with_output(parties: Parties, document: dict, place: int, value: int) -> dict:
    """A statement with a valid fake proof of an output that the circuit can never give."""
    attested = Predicate.model_validate_json(json.dumps(document["predicate"])).statement
    outputs = [*attested.outputs]
    outputs[place] = value
    return with_statement(parties, document, replace(attested, outputs=tuple(outputs)))


def with_statement(parties: Parties, document: dict, stated: proofs.Statement) -> dict:
    """The same for any statement, with the matching fake proof."""
    proof = binding((parties.assembled(parties.model).folder / "vk").read_bytes(), stated)
    changes = {
        "publicContext": "0x" + stated.context.hex(),
        "publicInputs": to_base64(stated.inputs),
        "publicOutputs": [str(value) for value in stated.outputs],
        "proof": to_base64(proof),
    }
    return document | {"predicate": document["predicate"] | changes}
