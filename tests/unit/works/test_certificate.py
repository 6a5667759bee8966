"""Certificates: one canonical form, one signature, and no byte that can be altered."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.unit.works.files import NOW, key

from zkinfer.verifier import SigningKey
from zkinfer.works.certificate import MAX_BYTES, Certificate, sign_certificate
from zkinfer.works.errors import CertificateError
from zkinfer.works.evidence import Level
from zkinfer.works.kinds import Kind, Origin, Permission
from zkinfer.works.statement import ContentClaim, EvidenceClaim, Parent, Rights

WORD = "0x" + "12" * 32
FACTS = {
    "content": ContentClaim(size=3, media_type="image/png"),
    "kind": Kind.IMAGE,
    "origin": Origin.HUMAN,
    "evidence": EvidenceClaim(),
    "parents": (Parent(role="original", work=WORD),),
    "rights": Rights(training=Permission.NOT_ALLOWED, mining=Permission.ALLOWED, inference=Permission.CONSTRAINED),
}


@pytest.fixture(scope="module")
def certificate():
    return sign_certificate(FACTS, name="a.png", file="ab" * 32, key=key(), created_at=NOW)


def test_certificate_is_read_as_it_was_written(certificate):
    found = Certificate.from_bytes(certificate.to_bytes())
    assert found == certificate
    assert found.verified() == key().public
    assert (found.name, found.sha256) == ("a.png", "ab" * 32)


def test_file_is_the_certified_one_or_refused(certificate):
    certificate.require_file("ab" * 32)
    with pytest.raises(CertificateError, match="this one has cdcd"):
        certificate.require_file("cd" * 32)


@pytest.mark.parametrize("data", [b'{"payload":"', b"{}", b'{"chainId":1}'])
def test_truncated_or_other_file_is_refused_with_a_cure(data):
    with pytest.raises(CertificateError) as refused:
        Certificate.from_bytes(data)
    assert refused.value.cure == "It is truncated, altered or another file: give the certificate as it was written."


@given(st.data())
def test_every_changed_byte_is_refused(certificate, data):
    content = bytearray(certificate.to_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CertificateError):
        Certificate.from_bytes(bytes(content)).verified()


@given(st.binary(max_size=300))
def test_other_bytes_are_refused(data):
    with pytest.raises(CertificateError):
        Certificate.from_bytes(data)


def test_oversized_certificate_is_refused():
    with pytest.raises(CertificateError, match="exceeds the limit"):
        Certificate.from_bytes(bytes(MAX_BYTES + 1))


def test_signature_by_another_key_is_refused(certificate):
    other = sign_certificate(FACTS, name="a.png", file="ab" * 32, key=SigningKey.generate(), created_at=NOW)
    mixed = json.loads(certificate.to_bytes())
    mixed["signatures"] = json.loads(other.to_bytes())["signatures"]
    with pytest.raises(CertificateError, match="another key"):
        Certificate.from_bytes(json.dumps(mixed, sort_keys=True, separators=(",", ":")).encode()).verified()


@pytest.mark.parametrize(
    "evidence",
    [
        {"level": Level.PROVEN},
        {"level": Level.ATTESTED},
        {"level": Level.CLAIMED, "record": WORD},
        {"level": Level.CLAIMED, "attestation": "ab" * 32},
        {"level": Level.PROVEN, "attestation": "ab" * 32},
    ],
)
def test_level_without_what_it_rests_on_cannot_be_stated(evidence):
    with pytest.raises(ValidationError):
        EvidenceClaim(**evidence)


@pytest.mark.parametrize(
    "parent", [{"role": "model"}, {"role": "model", "work": WORD, "sha256": "ab" * 32}, {"role": "", "work": WORD}]
)
def test_parent_is_one_thing_with_a_role(parent):
    with pytest.raises(ValidationError):
        Parent(**parent)


def test_certificate_is_verified_without_the_extra(certificate, tmp_path, run_without):
    certificate.write(tmp_path / "work.json")
    code = (
        "from pathlib import Path; from zkinfer.works.certificate import Certificate; "
        f"print(Certificate.read(Path({str(tmp_path / 'work.json')!r})).verified().fingerprint)"
    )
    assert run_without(("c2pa", "iscc_core", "PIL"), code) == key().public.fingerprint
