"""Everything that an attacker can change in an honest attestation, one change at a time."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.verifier import forge

from zkinfer.verifier import errors
from zkinfer.verifier.statement import from_base64, to_base64

P = "predicate"
LEAVES = {
    ("_type",): errors.MalformedAttestationError,
    ("predicateType",): errors.UnsupportedVersionError,
    ("subject", 0, "name"): errors.MalformedAttestationError,
    ("subject", 0, "digest", "sha256"): errors.OutputMismatchError,
    (P, "circuit", "model"): errors.UnknownModelError,
    (P, "circuit", "modelId"): errors.CircuitMismatchError,
    (P, "circuit", "network"): errors.CircuitMismatchError,
    (P, "circuit", "verifyingKey"): errors.CircuitMismatchError,
    (P, "recipe", "engine"): errors.UntrustedEngineError,
    (P, "recipe", "normaliser"): errors.UnsupportedVersionError,
    (P, "recipe", "inputVisibility"): errors.MalformedAttestationError,
    (P, "recipe", "runArguments", "scale"): errors.CircuitMismatchError,
    (P, "recipe", "setup", "ceremony"): errors.UntrustedSetupError,
    (P, "recipe", "setup", "tauG2"): errors.UntrustedSetupError,
    (P, "setupSize"): errors.CircuitMismatchError,
    **{(P, side, 0, name): errors.CircuitMismatchError for side in ("inputs", "outputs") for name in ("name", "scale")},
    **{
        (P, side, 0, name): errors.MalformedAttestationError
        for side in ("inputs", "outputs")
        for name in ("dtype", "visibility")
    },
    **{(P, "inputs", 0, "shape", place): errors.CircuitMismatchError for place in (0, 1)},
    **{(P, "outputs", 0, "shape", place): errors.CircuitMismatchError for place in (0, 1)},
    **{(P, "publicOutputs", place): errors.InvalidProofError for place in range(2)},
    (P, "publicInputs"): errors.InvalidProofError,
    (P, "publicContext"): errors.InvalidProofError,
    (P, "layout", "visibility"): errors.MalformedAttestationError,
    (P, "layout", "signed"): errors.LayoutMismatchError,
    (P, "layout", "inputWidth"): errors.MalformedAttestationError,
    (P, "layout", "inputs"): errors.LayoutMismatchError,
    (P, "layout", "outputs"): errors.LayoutMismatchError,
    (P, "proof"): errors.InvalidProofError,
    **{
        (P, "context", name): errors.ContextMismatchError
        for name in ("chainId", "consumer", "requestId", "requester", "expiry")
    },
    (P, "createdAt"): errors.PolicyRefusedError,
    (P, "signer", "algorithm"): errors.MalformedAttestationError,
    (P, "signer", "ephemeral"): errors.PolicyRefusedError,
    (P, "signer", "publicKey"): errors.SignatureError,
}


def leaves(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [path]
    return [leaf for key, child in items for leaf in leaves(child, (*path, key))]


def mangled(value):
    """The smallest change that keeps the type and, if possible, the format."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if len(value) % 4 == 0 and value.endswith("="):  # base64
        return base64.b64encode(base64.b64decode(value)[:-1] + b"\x00").decode()
    return value[:-2] + ("1" if value[-2] != "1" else "0") + value[-1] if value.endswith("Z") else _next(value)


def _next(text):
    return text[:-1] + ("2" if text[-1] in "013456789bcdef" else "1")


def test_every_field_is_listed(document):
    assert set(leaves(document)) == set(LEAVES)


@pytest.mark.parametrize(("path", "refusal"), LEAVES.items(), ids=[".".join(map(str, path)) for path in LEAVES])
def test_changed_field_signed_by_an_attacker_is_refused(parties, document, path, refusal):
    changed = forge.at(forge.taken_over(document), path, mangled)
    with pytest.raises(refusal, match=r"\w") as caught:
        parties.verify(forge.signed(changed))
    assert type(caught.value) is refusal


@pytest.mark.parametrize("path", LEAVES, ids=[".".join(map(str, path)) for path in LEAVES])
def test_changed_field_under_the_old_signature_is_refused(parties, good, document, path):
    payload = forge.canonical.dump(forge.at(document, path, mangled))
    forged = forge.Envelope(payload, good.envelope.keyid, good.envelope.signature).to_bytes()
    with pytest.raises(errors.RefusedError, match=r"\w"):
        parties.verify(forged)


@pytest.mark.parametrize("path", LEAVES, ids=[".".join(map(str, path)) for path in LEAVES])
def test_removed_field_is_refused(parties, document, path):
    *parents, last = path
    changed = forge.at({"": document}, ("", *parents), lambda value: _without(value, last))[""]
    with pytest.raises(errors.RefusedError, match=r"\w"):
        parties.verify(forge.signed(changed, forge.OWNER))


def _without(value, key):
    if isinstance(value, list):
        return value[:key] + value[key + 1 :]
    return {name: child for name, child in value.items() if name != key}


@pytest.mark.parametrize("bit", [0, 1, 5])
def test_any_flipped_byte_is_refused(parties, good, bit):
    data = good.to_bytes()
    for place in range(len(data)):
        altered = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        with pytest.raises(errors.RefusedError, match=r"\w"):
            parties.verify(altered)


@pytest.mark.parametrize("alter", [lambda data, at: data[:at], lambda data, at: data[:at] + data[at + 1 :]])
def test_any_truncation_is_refused(parties, good, alter):
    data = good.to_bytes()
    for place in range(len(data)):
        with pytest.raises(errors.RefusedError, match=r"\w"):
            parties.verify(alter(data, place))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_replaced_byte_range_is_refused(parties, good, data):
    content = good.to_bytes()
    start = data.draw(st.integers(0, len(content) - 1))
    run = data.draw(st.binary(min_size=1, max_size=8))
    altered = content[:start] + run + content[start + len(run) :]
    if altered == content:
        return
    with pytest.raises(errors.RefusedError, match=r"\w"):
        parties.verify(altered)


# --- parts of another honest attestation


@pytest.mark.parametrize(
    ("names", "refusal"),
    [
        (["publicOutputs"], errors.InvalidProofError),
        (["proof"], errors.InvalidProofError),
        (["context"], errors.ContextMismatchError),
        (["publicInputs", "publicContext", "context"], errors.InvalidProofError),
        (["proof", "context"], errors.InvalidProofError),
        (["publicContext", "publicInputs", "publicOutputs", "proof"], errors.OutputMismatchError),
    ],
)
def test_parts_of_another_attestation_are_refused(parties, document, other, names, refusal):
    theirs = forge.statement(other)[P]
    changed = forge.at(document, (P,), lambda mine: mine | {name: theirs[name] for name in names})
    with pytest.raises(refusal, match=r"\w") as caught:
        parties.verify(forge.signed(changed, forge.OWNER))
    assert type(caught.value) is refusal


def test_payload_of_another_attestation_is_refused(parties, good, other):
    mixed = forge.Envelope(other.envelope.payload, good.envelope.keyid, good.envelope.signature).to_bytes()
    with pytest.raises(errors.SignatureError, match="altered after it was signed"):
        parties.verify(mixed)


# --- public values


def inputs(change):
    return lambda document: forge.at(
        document, (P, "publicInputs"), lambda text: to_base64(change(from_base64(text, "inputs")))
    )


def outputs(change):
    return lambda document: forge.at(document, (P, "publicOutputs"), change)


@pytest.mark.parametrize(
    ("change", "refusal", "message"),
    [
        (outputs(lambda old: [*old, "1"]), errors.LayoutMismatchError, "has 3 outputs; the circuit has 2"),
        (outputs(lambda old: old[:1]), errors.LayoutMismatchError, "has 1 outputs"),
        (outputs(lambda old: old[::-1]), errors.InvalidProofError, "does not hold"),
        (outputs(lambda old: [str(1 << 30), old[1]]), errors.ValueRangeError, "holds integers below 1073741824"),
        (outputs(lambda old: [str(-(1 << 30)), old[1]]), errors.ValueRangeError, "holds integers below"),
        (inputs(lambda old: old + b"\0"), errors.LayoutMismatchError, "has 13 bytes of inputs; the circuit has 12"),
        (inputs(lambda old: old[:-1]), errors.LayoutMismatchError, "has 11 bytes of inputs"),
        (inputs(lambda _: b""), errors.LayoutMismatchError, "has 0 bytes of inputs"),
        (inputs(lambda old: old[4:8] + old[:4] + old[8:]), errors.InvalidProofError, "does not hold"),
        (inputs(lambda old: b"\x7f" + old[1:]), errors.ValueRangeError, "'x' is .* holds integers below"),
    ],
)
def test_malformed_public_values_are_refused(parties, document, change, refusal, message):
    with pytest.raises(refusal, match=message):
        parties.verify(forge.signed(change(document), forge.OWNER))


@pytest.mark.parametrize(
    "change",
    [
        {"inputWidth": 8}, {"signed": False}, {"inputs": 2}, {"outputs": 3},
        {"visibility": "hashed", "inputWidth": 32, "signed": False},
        {"visibility": "private", "inputWidth": 0, "signed": False, "inputs": 0},
    ],
    ids=str,
)  # fmt: skip
def test_layout_of_another_circuit_is_refused(parties, document, change):
    changed = forge.at(document, (P, "layout"), lambda layout: layout | change)
    with pytest.raises(errors.LayoutMismatchError, match="has another layout than the circuit"):
        parties.verify(forge.signed(changed, forge.OWNER))


@pytest.mark.parametrize("change", [lambda proof: proof[:-1], lambda proof: proof + b"\x00", lambda _: b""])
def test_proof_of_the_wrong_length_is_refused(parties, good, document, change):
    text = base64.b64encode(change(good.proof)).decode()
    with pytest.raises(errors.ProofLengthError, match="this circuit's proofs have 32"):
        parties.verify(forge.signed(forge.at(document, (P, "proof"), lambda _: text), forge.OWNER))


# --- recipes


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((P, "recipe", "runArguments"), {}, "The engine refuses the recipe's run arguments"),
        ((P, "recipe", "runArguments"), {"scale": 8, "x": 1}, "The engine refuses"),
        ((P, "recipe", "runArguments"), {"scale": 99}, "The engine refuses"),
        (
            (P, "recipe", "dimensions"),
            {"batch": 1},
            "ONNX file. The model has no dimension",
        ),
    ],
)
def test_recipe_that_cannot_be_applied_is_refused(parties, document, path, value, message):
    with pytest.raises(errors.UnusableRecipeError, match=message):
        parties.verify(forge.signed(forge.at(document, path, lambda _: value), forge.OWNER))


# --- signatures


def test_foreign_signature_is_refused_by_the_policy(parties, document):
    with pytest.raises(errors.PolicyRefusedError, match="is not listed in the policy"):
        parties.verify(forge.signed(forge.taken_over(document)))


def test_signature_by_another_key_than_named_is_refused(parties, document):
    with pytest.raises(errors.SignatureError, match="keyid is not the fingerprint"):
        parties.verify(forge.signed(document, forge.ATTACKER))


def test_forged_signature_is_refused(parties, good):
    envelope = good.envelope
    forged = forge.Envelope(envelope.payload, envelope.keyid, forge.ATTACKER.sign(envelope.signed_bytes))
    with pytest.raises(errors.SignatureError, match="does not match the key"):
        parties.verify(forged.to_bytes())


def test_signature_over_the_bare_payload_is_refused(parties, good):
    envelope = good.envelope
    bare = forge.Envelope(envelope.payload, envelope.keyid, forge.OWNER.sign(envelope.payload))
    with pytest.raises(errors.SignatureError, match="does not match the key"):
        parties.verify(bare.to_bytes())


def test_empty_signature_is_refused(parties, good):
    with pytest.raises(errors.SignatureError, match="has 0 bytes, not 64"):
        parties.verify(forge.Envelope(good.envelope.payload, good.envelope.keyid, b"").to_bytes())


def test_high_s_is_refused(parties):
    envelope = parties.attest(key=forge.P256).envelope
    with pytest.raises(errors.SignatureError, match="its s is high"):
        parties.verify(forge.Envelope(envelope.payload, envelope.keyid, forge.high_s(envelope.signature)).to_bytes())


@pytest.mark.parametrize("keyid", ["", "sha256:" + "0" * 64])
def test_other_keyid_is_refused(parties, good, keyid):
    with pytest.raises(errors.SignatureError, match="keyid is not the fingerprint"):
        parties.verify(forge.Envelope(good.envelope.payload, keyid, good.envelope.signature).to_bytes())


def test_algorithm_of_another_key_is_refused(parties, document):
    changed = forge.at(document, (P, "signer", "algorithm"), lambda _: "ecdsa-p256")
    with pytest.raises(errors.SignatureError, match="names ecdsa-p256, but its key is ed25519"):
        parties.verify(forge.signed(changed, forge.OWNER))


@pytest.mark.parametrize("visibility", ["hashed", "private"])
def test_recipe_of_another_visibility_is_another_circuit(parties, document, visibility):
    changed = forge.at(forge.taken_over(document), (P, "recipe", "inputVisibility"), lambda _: visibility)
    with pytest.raises(errors.CircuitMismatchError, match=r"another .*verifying key.*list of inputs"):
        parties.verify(forge.signed(changed))
