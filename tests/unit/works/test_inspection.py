"""What `works show` says: levels are earned by what was looked at, and contradictions are problems."""

import dataclasses

import pytest
from tests.unit.works.files import NOW, credentials, key, picture, root

from zkinfer.works.certificate import sign_certificate
from zkinfer.works.certify import Facts, Mark, certify, prompt_commitment
from zkinfer.works.content import decode, open_content
from zkinfer.works.credentials import read_marks
from zkinfer.works.evidence import UNPROVEN, Level
from zkinfer.works.findings import Evidence
from zkinfer.works.inspection import inspect
from zkinfer.works.iscc import fingerprint
from zkinfer.works.kinds import Kind, Origin
from zkinfer.works.statement import Parent
from zkinfer.works.terms import Terms


def evidence(path, folder, **changes):
    content = open_content(path)
    pixels, marks = decode(path), read_marks(path, content.media_type, root=root(folder))
    found = Evidence(content, pixels, fingerprint(path), marks)
    return dataclasses.replace(found, **changes)


def certified(path, origin=Origin.HUMAN, marked=None, **facts):
    return certify(
        path, Facts(Kind.IMAGE, origin, Terms.preset("cc-by"), **facts), key=key(), created_at=NOW, marked=marked
    )


def texts(finding, level):
    return [one.text for one in finding.statements if one.level == level]


def test_certified_and_marked_file_holds(tmp_path):
    path, out = picture(tmp_path), tmp_path / "signed.png"
    certificate = certified(path, marked=Mark(out, credentials()), creator="Ann")
    found = inspect(certificate, evidence(out, tmp_path))
    assert (found.holds, found.problems, found.ai_generated) == (True, [], "unknown")
    assert any("a given root vouches" in one for one in texts(found, Level.ATTESTED))
    assert texts(found, Level.CLAIMED) == ["A person made it, without a model.", "Its creator is Ann."]
    assert found.document["notProven"] == list(UNPROVEN)


def test_generated_without_evidence_is_a_claim(tmp_path):
    found = inspect(certified(picture(tmp_path), Origin.GENERATED), Evidence())
    assert (found.ai_generated, found.holds) == ("claimed", True)
    assert "The file was not given" in found.unchecked[1]


def test_another_file_is_a_problem(tmp_path):
    certificate = certified(picture(tmp_path))
    found = inspect(certificate, evidence(picture(tmp_path, "other.png", seed=2), tmp_path))
    assert not found.holds
    assert "this one has" in found.problems[0]


def test_false_fingerprint_is_a_problem(tmp_path):
    path, other = picture(tmp_path), picture(tmp_path, "other.png", seed=2)
    certificate = certified(path)
    stated = dict(certificate.predicate)
    claim = stated["content"].model_copy(update={"iscc256": fingerprint(other).iscc256})
    facts = {name: value for name, value in stated.items() if name not in ("created_at", "signer")}
    false = sign_certificate(
        {**facts, "content": claim}, name="cat.png", file=certificate.sha256, key=key(), created_at=NOW
    )
    found = inspect(false, evidence(path, tmp_path))
    assert [one for one in found.problems if "of 256 bits" in one]


def test_credentials_that_say_otherwise_are_a_problem(tmp_path):
    path, out = picture(tmp_path), tmp_path / "signed.png"
    certified(path, Origin.HUMAN, Mark(out, credentials()))
    says_generated = certified(out, Origin.GENERATED)
    found = inspect(says_generated, evidence(out, tmp_path))
    assert found.problems == ["The certificate says generated, and the credentials digitalCreation."]


def test_human_work_whose_credentials_name_a_model_is_a_problem(tmp_path):
    path, out = picture(tmp_path), tmp_path / "signed.png"
    certified(path, Origin.GENERATED, Mark(out, credentials()))
    found = inspect(certified(out, Origin.HUMAN), evidence(out, tmp_path))
    assert found.problems == ["The certificate says human, and the credentials trainedAlgorithmicMedia."]


@pytest.mark.parametrize("certificate", [True, False])
def test_credentials_that_name_a_model_attest_that_it_made_the_work(tmp_path, certificate):
    path, out = picture(tmp_path), tmp_path / "signed.png"
    certified(path, Origin.GENERATED, Mark(out, credentials()))
    found = inspect(certified(out, Origin.GENERATED) if certificate else None, evidence(out, tmp_path))
    assert (found.ai_generated, found.problems) == ("attested", [])


def test_credentials_of_a_human_work_say_nothing_of_a_model(tmp_path):
    path, out = picture(tmp_path), tmp_path / "signed.png"
    certified(path, Origin.HUMAN, Mark(out, credentials()))
    assert inspect(None, evidence(out, tmp_path)).ai_generated == "unknown"


def test_invalid_credentials_are_a_problem(tmp_path):
    path, out = picture(tmp_path), tmp_path / "signed.png"
    certified(path, marked=Mark(out, credentials()))
    content = bytearray(out.read_bytes())
    content[-30] ^= 1
    out.write_bytes(content)
    found = inspect(None, Evidence(marks=read_marks(out, "image/png", root=root(tmp_path))))
    assert not found.holds
    assert "are invalid" in found.problems[0]


def test_signer_who_was_not_given_is_a_problem(tmp_path):
    certificate = certified(picture(tmp_path))
    other = inspect(certificate, Evidence(signers=frozenset({"SHA256:other"})))
    assert other.problems == [
        f"The certificate is signed by {key().public.fingerprint}, which is none of the given signers."
    ]
    assert inspect(certificate, Evidence(signers=frozenset({key().public.fingerprint}))).holds


def test_signer_is_nobody_if_none_was_given(tmp_path):
    assert inspect(certified(picture(tmp_path)), Evidence()).unchecked[0].startswith("Whose key")


def test_altered_signature_ends_the_inspection(tmp_path):
    certificate = certified(picture(tmp_path))
    envelope = dataclasses.replace(certificate.envelope, signature=bytes(64))
    found = inspect(dataclasses.replace(certificate, envelope=envelope), Evidence())
    assert (found.statements, len(found.problems)) == ([], 1)


def test_parents_are_claims(tmp_path):
    parent = Parent(role="original", work="0x" + "12" * 32)
    found = inspect(certified(picture(tmp_path), parents=(parent,)), Evidence())
    assert any("It was made from work 0x1212" in one for one in texts(found, Level.CLAIMED))


@pytest.mark.parametrize("show", [False, True])
def test_prompt_is_committed_to_and_shown_only_if_asked(tmp_path, show):
    certificate = certified(picture(tmp_path), prompt="a secret cat", show_prompt=show, salt=bytes(32))
    prompt = certificate.predicate.prompt
    assert prompt.commitment == prompt_commitment("a secret cat", bytes(32))
    assert (b"secret" in certificate.envelope.payload) == show
    assert (prompt.text, prompt.salt) == (("a secret cat", "00" * 32) if show else (None, None))
