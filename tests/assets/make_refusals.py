"""Write one bad attestation for every reason of refusal: `python -m tests.assets.make_refusals`.

Keys and times are fixed, so the bytes are reproducible, which a test checks. The index states for each file which error
refuses it, and under which policy. Only the oversized file is missing; a test makes it in memory.
"""

from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tests.unit.verifier import forge

from zkinfer.circuits.storage import write_atomically
from zkinfer.verifier.statement import from_base64, to_base64

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.statement import Context
    from zkinfer.verifier import Attestation

FOLDER = Path(__file__).parent / "refusals"
P = "predicate"
DEV = {"unsafeAcceptDevSetup": True}
BY_OWNER = {"signedBy": [forge.OWNER.public.fingerprint]}
BY_P256 = {"signedBy": [forge.P256.public.fingerprint]}


class Case(NamedTuple):
    """A file, the error that refuses it, and its message."""

    name: str
    error: str
    message: str
    data: bytes
    rules: list = [BY_OWNER, DEV]  # noqa: RUF012 - never changed
    expected_inputs: dict | None = None


class Parties(Protocol):
    """A prover, and two inputs, requests and models."""

    now: datetime
    x: NDArray[np.float32]
    other_x: NDArray[np.float32]
    context: Context
    other_context: Context
    model: Path
    other_model: Path

    def attest(self, **changes: Any) -> Attestation:
        """An honest attestation."""
        ...


class Forger:
    """Makes the cases from one honest attestation."""

    ahead = timedelta(minutes=6)  # more than clocks may differ by

    def __init__(self, parties: Parties) -> None:
        self.parties = parties
        self.good = parties.attest()
        self.document = forge.statement(self.good)
        self.other = forge.statement(parties.attest(x=parties.other_x, context=parties.other_context))[P]

    def all(self) -> list[Case]:
        parts = (self.forms, self.trust, self.circuits, self.values, self.signatures, self.policies)
        return [case for part in parts for case in part()]

    def changed(self, *path, to) -> bytes:
        """The honest statement with one field replaced, signed by its owner: only the proof reveals it."""
        return forge.signed(forge.at(self.document, path, to if callable(to) else lambda _: to), forge.OWNER)

    def forms(self) -> Iterator[Case]:
        data, payload = self.good.to_bytes(), self.good.envelope.payload
        doubled = payload.replace(b'"createdAt"', b'"createdAt":"2020-01-01T00:00:00Z","createdAt"', 1)
        twice = forge.Envelope(doubled, self.good.envelope.keyid, forge.OWNER.sign(doubled)).to_bytes()
        unsigned = forge.canonical.dump(json.loads(data) | {"signatures": []})
        name = "MalformedAttestationError"
        yield Case("duplicate-key", name, "'createdAt' twice", twice)
        yield Case("final-newline", name, "not in canonical form", data + b"\n")
        yield Case("indented", name, "not in canonical form", json.dumps(json.loads(data), indent=2).encode())
        yield Case("truncated", name, "not JSON", data[:-1])
        yield Case("deeply-nested", name, "nested deeper than 32 levels", b"[" * 5000)
        yield Case("missing-signature", name, "signatures", unsigned)
        yield Case("base64-without-padding", name, "not base64", data.replace(b'=="}]', b'"}]'))
        yield Case("unknown-field", name, "note", self.changed(P, to=lambda value: value | {"note": ""}))
        later = "urn:zkinfer:predicate:inference:v2"
        yield Case("later-version", "UnsupportedVersionError", "version 'v2'", self.changed("predicateType", to=later))

    def trust(self) -> Iterator[Case]:
        recipe = (P, "recipe")
        normaliser = self.changed(*recipe, "normaliser", to="zkinfer-normal/999")
        yield Case("later-normaliser", "UnsupportedVersionError", "normaliser zkinfer-normal/999", normaliser)
        engine = self.changed(*recipe, "engine", to="fake/2")
        yield Case("unknown-engine", "UntrustedEngineError", "fake/2; this verifier has fake/1", engine)
        party = self.changed(*recipe, "setup", "ceremony", to="my-party")
        yield Case("unknown-ceremony", "UntrustedSetupError", "my-party is not accepted", party)
        hermez = self.changed(*recipe, "setup", "ceremony", to="hermez")
        yield Case("dev-setup-renamed", "UntrustedSetupError", "tau*G2 differs", hermez)
        yield Case("dev-setup", "InsecureDevSetupError", "anyone can forge", self.good.to_bytes(), [BY_OWNER])
        other = self.parties.attest(model=self.parties.other_model).to_bytes()
        yield Case("other-model", "UnknownModelError", "Give exactly that file", other)

    def circuits(self) -> Iterator[Case]:
        arguments = (P, "recipe", "runArguments")
        unknown = self.changed(*arguments, to={"scale": 8, "check": False})
        yield Case("unknown-run-argument", "UnusableRecipeError", "refuses the recipe's run arguments", unknown)
        dimension = self.changed(P, "recipe", "dimensions", to={"batch": 2})
        yield Case("unknown-dimension", "UnusableRecipeError", "does not fit the ONNX file", dimension)
        yield from self.other_arguments(*arguments)
        key = self.changed(P, "circuit", "verifyingKey", to="keccak256:" + "0" * 64)
        yield Case("other-verifying-key", "CircuitMismatchError", "another verifying key", key)
        network = self.changed(P, "circuit", "network", to="sha256:" + "0" * 64)
        yield Case("other-network", "CircuitMismatchError", "another network digest", network)
        model_id = self.changed(P, "circuit", "modelId", to="0x" + "00" * 32)
        yield Case("other-model-id", "CircuitMismatchError", "another model id", model_id)
        yield Case(
            "other-setup-size", "CircuitMismatchError", "size of the trusted setup", self.changed(P, "setupSize", to=2)
        )
        scale = self.changed(P, "outputs", 0, "scale", to=0)
        yield Case("other-output-scale", "CircuitMismatchError", "another list of outputs", scale)

    def values(self) -> Iterator[Case]:
        outputs, name = (P, "publicOutputs"), "LayoutMismatchError"
        yield Case("extra-output", name, "has 3 outputs", self.changed(*outputs, to=lambda old: [*old, old[0]]))
        yield Case("missing-output", name, "has 1 outputs", self.changed(*outputs, to=lambda old: old[:-1]))
        longer = self.changed(P, "publicInputs", to=lambda text: to_base64(from_base64(text, "") + b"\x00"))
        yield Case("extra-input-byte", name, "has 13 bytes of inputs", longer)
        wider = self.changed(P, "layout", "inputWidth", to=8)
        yield Case("other-layout", name, "another layout", wider)
        spelt = self.changed(*outputs, 0, to=lambda text: f"0{text}")
        yield Case("output-with-a-leading-zero", "MalformedAttestationError", "publicOutputs", spelt)
        cut = self.changed(P, "proof", to=lambda text: to_base64(from_base64(text, "")[:-1]))
        yield Case("truncated-proof", "ProofLengthError", "has 31 bytes", cut)
        long = self.changed(P, "proof", to=lambda text: to_base64(from_base64(text, "") + b"\x00"))
        yield Case("extended-proof", "ProofLengthError", "has 33 bytes", long)
        zero = self.changed(P, "proof", to=to_base64(bytes(len(self.good.proof))))
        yield Case("zero-proof", "InvalidProofError", "does not hold", zero)
        foreign = self.changed(P, "proof", to=self.other["proof"])
        yield Case("proof-of-another-inference", "InvalidProofError", "does not hold", foreign)
        swapped = self.changed(*outputs, to=lambda old: old[::-1])
        yield Case("swapped-outputs", "InvalidProofError", "does not hold", swapped)
        better = self.changed(*outputs, 0, to="1000")
        yield Case("other-output", "InvalidProofError", "does not hold", better)
        request = self.changed(P, "publicContext", to=self.other["publicContext"])
        yield Case("other-public-context", "InvalidProofError", "does not hold", request)
        yield from self.wrapped()
        subject = self.changed("subject", 0, "digest", "sha256", to="0" * 64)
        yield Case("other-subject", "OutputMismatchError", "not that of the proven output", subject)
        yield Case(
            "other-input",
            "InputMismatchError",
            "another value of the input 'x'",
            self.good.to_bytes(),
            expected_inputs={"x": self.parties.other_x.tolist()},
        )
        context = self.changed(P, "context", to=self.other["context"])
        yield Case("other-context", "ContextMismatchError", "another request", context)

    def other_arguments(self, *arguments: str) -> Iterator[Case]:
        coarse = self.changed(*arguments, "scale", to=1)
        yield Case("other-run-argument", "CircuitMismatchError", "another verifying key", coarse)

    def wrapped(self) -> Iterator[Case]:
        """A proof of an output that no input gives, which only the fake engine can make."""
        wrapped = forge.with_output(self.parties, self.document, 0, 1 << 60)
        yield Case("wrapped-output", "ValueRangeError", "holds integers below", forge.signed(wrapped, forge.OWNER))

    def signatures(self) -> Iterator[Case]:
        envelope, name = self.good.envelope, "SignatureError"
        forged = forge.Envelope(envelope.payload, envelope.keyid, forge.ATTACKER.sign(envelope.signed_bytes))
        yield Case("forged-signature", name, "does not match the key", forged.to_bytes())
        yield Case("foreign-signature", name, "keyid is not", forge.signed(self.document, forge.ATTACKER))
        empty = forge.Envelope(envelope.payload, envelope.keyid, b"")
        yield Case("empty-signature", name, "has 0 bytes", empty.to_bytes())
        older = forge.at(self.document, (P, "createdAt"), lambda _: "2026-11-21T12:00:01Z")
        redated = forge.Envelope(forge.canonical.dump(older), envelope.keyid, envelope.signature)
        yield Case("redated", name, "altered after it was signed", redated.to_bytes())
        second = self.parties.attest(key=forge.P256).envelope
        high = forge.Envelope(second.payload, second.keyid, forge.high_s(second.signature))
        yield Case("high-s", name, "its s is high", high.to_bytes(), [BY_P256, DEV])
        key = self.changed(P, "signer", "publicKey", to=to_base64(forge.OWNER.public.der + b"\x00"))
        yield Case("padded-public-key", name, "public key", key)

    def policies(self) -> Iterator[Case]:
        name, good = "PolicyRefusedError", self.good.to_bytes()
        taken_over = forge.taken_over(self.document)
        yield Case("signed-by-an-attacker", name, "not listed in the policy", forge.signed(taken_over))
        ephemeral = self.parties.attest(ephemeral=True).to_bytes()
        yield Case("ephemeral-key", name, "ephemeral key", ephemeral)
        old = self.parties.attest(created_at=self.parties.now - timedelta(days=2)).to_bytes()
        yield Case("old", name, "older than", old, [BY_OWNER, {"notOlderThanSeconds": 3600}, DEV])
        future = self.parties.attest(created_at=self.parties.now + self.ahead).to_bytes()
        yield Case("future", name, "in the future", future, [BY_OWNER, {"notOlderThanSeconds": 3600}, DEV])
        past = self.parties.context.model_copy(update={"expiry": int(self.parties.now.timestamp()) - 1})
        expired = self.parties.attest(context=past).to_bytes()
        yield Case("expired", name, "expired", expired, [{"notExpired": True}, DEV])
        replay = [{"contextIs": {"requestId": "0x" + "22" * 32}}, DEV]
        yield Case("replayed", name, "request_id", good, replay)
        yield Case("empty-policy", "EmptyPolicyError", "requires nothing", good, [DEV])


def generate(parties: forge.Parties) -> dict[str, bytes]:
    """The content of every file of the folder, by name."""
    forger = Forger(parties)
    cases = forger.all()
    files = {f"{case.name}.json": case.data for case in cases}
    entries = [
        {
            "file": f"{case.name}.json",
            "error": case.error,
            "message": case.message,
            "policy": {"version": 1, "allOf": case.rules},
            **({} if case.expected_inputs is None else {"expectedInputs": case.expected_inputs}),
        }
        for case in cases
    ]
    index = {"now": forge.NOW.isoformat(), "accepted": "accepted.json", "model": "tiny.onnx", "refused": entries}
    return files | {
        "accepted.json": forger.good.to_bytes(),
        "tiny.onnx": parties.model.read_bytes(),
        "index.json": json.dumps(index, indent=1).encode() + b"\n",
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = generate(forge.Parties(Path(folder)))
    for stale in FOLDER.glob("*"):
        stale.unlink()
    for name, data in files.items():
        write_atomically(FOLDER / name, data)


if __name__ == "__main__":
    main()
