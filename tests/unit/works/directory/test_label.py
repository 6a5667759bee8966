import pytest
from tests.unit.works.files import NOW, key

from zkinfer.works.certificate import stated_by
from zkinfer.works.credentials import Marks
from zkinfer.works.directory.label import (
    Generation,
    label_of,
    label_of_certified,
    label_of_copy,
    label_of_marks,
    strongest,
    unknown,
)
from zkinfer.works.kinds import Kind, Origin
from zkinfer.works.statement import ContentClaim, EvidenceClaim

SOUND = Generation("0x" + "01" * 32, "0x" + "02" * 32, sound=True, reason="")
REVOKED = Generation("0x" + "01" * 32, "0x" + "02" * 32, sound=False, reason="The record's model was revoked.")


def certificate(origin):
    facts = {"content": ContentClaim(size=1, media_type="image/png"), "kind": Kind.IMAGE, "evidence": EvidenceClaim()}
    return stated_by({**facts, "origin": origin}, key().public, NOW)


def said(label):
    return label.ai_generated, label.basis, label.level


def test_sound_record_is_proof_and_a_void_one_is_not():
    proven, void = (label_of(Origin.GENERATED, one, None) for one in (SOUND, REVOKED))
    assert (*said(proven), proven.model_id, proven.record) == ("yes", "record", "proven", SOUND.model_id, SOUND.record)
    assert (*said(void), void.model_id) == ("yes", "registration", "claimed", "")
    assert "proves nothing now: The record's model was revoked." in void.text


@pytest.mark.parametrize(
    ("registered", "signed", "expected"),
    [
        (Origin.HUMAN, None, ("no", "registration", "claimed")),
        (Origin.GENERATED, None, ("yes", "registration", "claimed")),
        (Origin.COMPOSITE, None, ("yes", "registration", "claimed")),
        (Origin.UNSTATED, None, ("unknown", "none", "")),
        (Origin.UNSTATED, Origin.UNSTATED, ("unknown", "none", "")),
        (Origin.UNSTATED, Origin.HUMAN, ("no", "certificate", "claimed")),
        (Origin.HUMAN, Origin.GENERATED, ("yes", "certificate", "claimed")),
        (Origin.GENERATED, Origin.HUMAN, ("yes", "registration", "claimed")),
    ],
)
def test_word_of_the_creator_is_a_claim_and_a_model_outweighs_a_person(registered, signed, expected):
    assert said(label_of(registered, None, None if signed is None else certificate(signed))) == expected


@pytest.mark.parametrize(
    ("state", "source", "expected"),
    [
        ("Valid", "trainedAlgorithmicMedia", ("yes", "c2pa", "attested")),
        ("Trusted", "compositeWithTrainedAlgorithmicMedia", ("yes", "c2pa", "attested")),
        ("Valid", "digitalCapture", ("no", "c2pa", "attested")),
        ("Valid", "digitalCreation", ("no", "c2pa", "attested")),
        ("Valid", "", None),
        ("Valid", "algorithmicMedia", None),
        ("Invalid", "trainedAlgorithmicMedia", None),
        ("none", "", None),
    ],
)
def test_valid_credentials_alone_attest(state, source, expected):
    found = label_of_marks(Marks(state, issuer="Ann", source_type=source))
    assert (None if found is None else said(found)) == expected


def test_untrusted_signer_is_said_to_be_one():
    texts = [label_of_marks(Marks(state, source_type="digitalCapture")).text for state in ("Valid", "Trusted")]
    assert ["no root that is trusted here vouches" in text for text in texts] == [True, False]


def test_proof_of_a_work_is_a_claim_of_its_copy_and_attested_of_its_certified_file():
    proven = label_of(Origin.GENERATED, SOUND, None)
    copy, certified = label_of_copy(proven, 9, 250), label_of_certified(proven)
    assert (said(copy), said(certified)) == (("yes", "record", "claimed"), ("yes", "record", "attested"))
    assert "9 of 250 bits" in copy.text
    assert said(proven) == ("yes", "record", "proven")
    assert said(label_of_copy(unknown("?"), 0, 64)) == ("unknown", "none", "")


def test_stronger_evidence_gives_the_label_of_a_file():
    proven, claimed = label_of(Origin.GENERATED, SOUND, None), label_of(Origin.GENERATED, None, None)
    camera = label_of_marks(Marks("Valid", source_type="digitalCapture"))
    assert strongest(proven, camera) == proven
    assert strongest(claimed, None) == claimed
    assert strongest(unknown("?"), camera) == strongest(None, camera) == camera
    assert said(strongest(None, None)) == ("unknown", "none", "")
    trusted = strongest(claimed, camera, trusted=True)
    assert said(trusted) == ("no", "c2pa", "attested")
    assert "What is registered says otherwise" in trusted.text


@pytest.mark.parametrize("level", ["claimed", "attested"])
def test_credentials_of_nobody_known_neither_outweigh_a_registration_nor_yield_to_one(level):
    registered = label_of(Origin.GENERATED, SOUND, None)
    registered = label_of_copy(registered, 0, 256) if level == "claimed" else label_of_certified(registered)
    disputed = strongest(registered, label_of_marks(Marks("Valid", source_type="digitalCapture")))
    assert said(disputed) == ("unknown", "none", "")
    assert "contradicts itself" in disputed.text
    assert registered.text in disputed.text
