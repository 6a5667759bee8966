"""What somebody may write on a chain, or sign, to make a look-up say something false of another's file."""

from dataclasses import replace

import pytest
from tests.unit.contracts.work_scene import image
from tests.unit.works.directory.directories import signed_work
from tests.unit.works.directory.test_lookup import LISTING, RECORD, add, look_up
from tests.unit.works.files import NOW

from zkinfer.contracts.work_facts import GenerationProven
from zkinfer.verifier import SigningKey
from zkinfer.works.certificate import sign_certificate
from zkinfer.works.directory.store import ModelState
from zkinfer.works.kinds import Kind, Origin
from zkinfer.works.statement import EvidenceClaim

ANSWER = "ab" * 32


def false_certificate(found, certificate, name="false.json", **changes):
    """Somebody's certificate of a file that is another's; returns the digest by which a work names it."""
    content = certificate.predicate.content.model_copy(update=changes)
    facts = {"content": content, "kind": Kind.IMAGE, "origin": Origin.GENERATED, "evidence": EvidenceClaim()}
    forged = sign_certificate(
        facts, name="photo.jpg", file=certificate.sha256, key=SigningKey.generate(), created_at=NOW
    )
    forged.write(found.folder / name)
    return "0x" + forged.digest.value.hex()


def proven(found, work):
    add(found, lambda block: GenerationProven(block, 0, work, RECORD, LISTING))
    found.store.set_sound([ModelState(LISTING, True, "0x" + "33" * 32)], prints=False)


@pytest.mark.parametrize(
    ("outputs", "level", "basis"), [(None, "claimed", "certificate"), (ANSWER, "attested", "record")]
)
def test_proof_is_told_of_a_file_only_if_its_certificate_names_that_answer(found, outputs, level, basis):
    _, certificate, _ = signed_work(found)
    attestation = false_certificate(found, certificate, outputs=outputs)
    work = found.register(what=image(content="0x" + ANSWER, origin="generated", attestation=attestation))
    found.follow()
    found.read_files()
    proven(found, work)
    label = look_up(found, sha256=certificate.sha256).label
    assert (label.level, label.basis) == (level, basis)


def test_certificate_of_a_photograph_does_not_prove_that_a_model_made_it(found):
    _, certificate, what = signed_work(found)
    work = found.register(account=3, what=replace(what, content="0x" + ANSWER, origin="generated"))
    found.follow()
    found.read_files()
    proven(found, work)
    answer = look_up(found, sha256=certificate.sha256)
    assert answer.matches[0].work.work == work
    assert answer.label.level == "claimed"
    assert answer.label.record == ""


@pytest.mark.parametrize("by", ["sha256", "iscc"])
def test_commitment_to_another_content_gives_a_false_certificate_no_age(found, by):
    _, certificate, what = signed_work(found)
    early = image(content="0x" + "cc" * 32, origin="generated", salt="0x" + "55" * 32)
    scene = found.scene
    scene.as_(3)[0].commit(early.commitment(scene.address(3)))
    scene.chain._web3.provider.ethereum_tester.time_travel(scene.chain.time() + 1000)
    honest = found.register(what=what)
    forged = found.register(account=3, what=replace(early, attestation=false_certificate(found, certificate)))
    found.follow()
    found.read_files()
    query = {"sha256": certificate.sha256} if by == "sha256" else {"iscc": certificate.predicate.content.iscc256}
    answer = look_up(found, **query)
    assert [one.work.work for one in answer.matches] == [honest, forged]
    assert answer.label.ai_generated == "no"


def test_commitment_to_the_file_itself_keeps_its_age(found):
    _, certificate, what = signed_work(found)
    scene = found.scene
    salted = replace(what, salt="0x" + "55" * 32)
    scene.as_(1)[0].commit(salted.commitment(scene.address(1)))
    scene.chain._web3.provider.ethereum_tester.time_travel(scene.chain.time() + 1000)
    copy = found.register(account=3, what=replace(what, attestation="0x" + "00" * 32))
    first = found.register(what=salted)
    found.follow()
    found.read_files()
    assert [one.work.work for one in look_up(found, sha256=certificate.sha256).matches] == [first, copy]


def test_absurd_size_in_a_certificate_does_not_end_every_look_up(found):
    _, certificate, _ = signed_work(found)
    attestation = false_certificate(found, certificate, size=1 << 70)
    found.register(what=image(1, attestation=attestation))
    found.follow()
    found.read_files()
    assert look_up(found, sha256=certificate.sha256).as_of.block == found.store.last().number
