import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from tests.unit.verifier.forge import NOW, OWNER, P256, high_s

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import JsonError
from zkinfer.verifier.errors import AttestationTooLargeError, MalformedAttestationError, RefusedError, SignatureError
from zkinfer.verifier.sigstore_bundle import from_bundle, to_bundle
from zkinfer.verifier.statement import MAX_BYTES, from_base64, to_base64

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(scope="module", params=[OWNER, P256], ids=["ed25519", "ecdsa-p256"])
def attestation(request, parties):
    return parties.attest(key=request.param, created_at=NOW)


def at(document, *path):
    for part in path:
        document = document[part]
    return document


def changed(attestation, change):
    document = json.loads(to_bundle(attestation))
    change(document)
    return canonical.dump(document)


def test_attestation_is_the_same_after_a_round_trip(attestation):
    assert from_bundle(to_bundle(attestation)).to_bytes() == attestation.to_bytes()


def test_bundle_is_read_by_the_library_of_sigstore(attestation):
    models = pytest.importorskip("sigstore_models.bundle.v1")
    envelope = models.Bundle.from_json(to_bundle(attestation)).dsse_envelope
    assert envelope.payload == attestation.envelope.payload


def test_ecdsa_signature_in_a_bundle_is_verified_by_other_software(parties):
    attestation = parties.attest(key=P256)
    signature = at(json.loads(to_bundle(attestation)), "dsseEnvelope", "signatures", 0, "sig")
    key = serialization.load_der_public_key(P256.public.der)
    key.verify(from_base64(signature, "sig"), attestation.envelope.signed_bytes, ec.ECDSA(hashes.SHA256()))


def test_high_s_from_other_software_becomes_the_accepted_form(parties):
    attestation = parties.attest(key=P256)
    raw = high_s(attestation.envelope.signature)
    r, s = (int.from_bytes(part, "big") for part in (raw[:32], raw[32:]))
    der = to_base64(encode_dss_signature(r, s))
    data = changed(attestation, lambda document: at(document, "dsseEnvelope", "signatures", 0).update(sig=der))
    assert from_bundle(data) == attestation


def test_key_id_and_material_of_other_software_are_not_needed(attestation):
    def change(document):
        del document["dsseEnvelope"]["signatures"][0]["keyid"]
        document["verificationMaterial"] = {"certificate": {"rawBytes": "AAAA"}}

    assert from_bundle(changed(attestation, change)) == attestation


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
        lambda document: document.pop("dsseEnvelope"),
        lambda document: document["dsseEnvelope"].update(payloadType="text/plain"),
        lambda document: document["dsseEnvelope"].update(payload="e30="),
        lambda document: document["dsseEnvelope"].update(payload="?"),
        lambda document: document["dsseEnvelope"].update(signatures=[]),
        lambda document: document["dsseEnvelope"].update(signatures=document["dsseEnvelope"]["signatures"] * 2),
        lambda document: document["dsseEnvelope"]["signatures"][0].update(sig="?"),
    ],
)
def test_other_bundle_is_refused(attestation, change):
    with pytest.raises(MalformedAttestationError):
        from_bundle(changed(attestation, change))


def test_ecdsa_signature_that_is_not_der_is_refused(parties):
    data = changed(
        parties.attest(key=P256), lambda document: at(document, "dsseEnvelope", "signatures", 0).update(sig="AAAA")
    )
    with pytest.raises(MalformedAttestationError, match="not ECDSA in DER"):
        from_bundle(data)


def test_altered_payload_is_refused_when_it_is_verified(parties, attestation):
    payload = attestation.envelope.payload.replace(b'"chainId":31337', b'"chainId":31338')
    data = changed(attestation, lambda document: document["dsseEnvelope"].update(payload=to_base64(payload)))
    with pytest.raises(RefusedError):
        parties.verify(from_bundle(data))


def test_bundle_that_is_no_json_or_too_large_is_refused():
    with pytest.raises(JsonError, match="bundle is not JSON"):
        from_bundle(b"no")
    with pytest.raises(AttestationTooLargeError):
        from_bundle(b" " * (MAX_BYTES + 1))


def test_malformed_key_in_the_statement_is_refused(attestation):
    statement = json.loads(attestation.envelope.payload)
    statement["predicate"]["signer"]["publicKey"] = "AAAA"
    payload = to_base64(canonical.dump(statement))
    with pytest.raises(SignatureError, match="public key is malformed"):
        from_bundle(changed(attestation, lambda document: document["dsseEnvelope"].update(payload=payload)))
