import io

import numpy as np
import pytest
from PIL import Image
from tests.unit.contracts.work_scene import offer_of
from tests.unit.works.directory.directories import signed_work
from tests.unit.works.files import root
from tests.unit.works.pictures import drawing

from zkinfer.contracts.market import subject_of
from zkinfer.contracts.work_facts import FlagMoved, FlagRaised, GenerationProven, PrintStored, StandingChange
from zkinfer.v1.works_pb2 import LookupWorkRequest
from zkinfer.works.directory.messages import MAX_CONTENT_BYTES
from zkinfer.works.directory.store import Block, ModelState
from zkinfer.works.errors import CodeError, ContentError, NotIndexedError, QueryError
from zkinfer.works.iscc import encode, fingerprint
from zkinfer.works.kinds import Origin
from zkinfer.works.pixels import normalise
from zkinfer.works.prints import print_of

LISTING, RECORD = "0x" + "11" * 32, "0x" + "22" * 32


def stripped(path, quality=50):
    """A picture saved again as a JPEG, without anything but its pixels."""
    data = io.BytesIO()
    pixels = np.asarray(Image.open(path).convert("RGB"))
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    return data.getvalue()


@pytest.fixture
def listed(found):
    """A certified JPEG with embedded credentials, registered beside another picture; its file, certificate and work."""
    path, certificate, what = signed_work(found, marked="embedded", origin=Origin.GENERATED)
    _, _, other = signed_work(found, seed=2, name="dog.jpg")
    work = found.register(what=what)
    found.register(what=other)
    found.follow()
    assert len(found.read_files().taken) == 3
    return path, certificate, work


def look_up(found, **query):
    with found.directory(clock=found.scene.chain.time) as directory:
        return directory.lookup(LookupWorkRequest(**query))


def add(found, *facts):
    """Facts in a block after those of the chain."""
    last = found.store.last()
    block = Block(last.number + 1, "0x" + "ff" * 32, last.time + 1)
    found.store.add([fact(block.number) for fact in facts], {}, after=last, until=block)


def test_stripped_and_compressed_picture_is_found_and_labelled(found, listed):
    path, _, work = listed
    answer = look_up(found, content=stripped(path))
    (match,) = answer.matches
    assert (answer.certified, match.work.work, match.by, match.compared) == (False, work, "certificate", 256)
    assert match.distance <= 24
    assert (answer.label.ai_generated, answer.label.basis, answer.label.level) == ("yes", "certificate", "claimed")
    assert f"{match.distance} of 256 bits" in answer.label.text
    assert (answer.standing, answer.authorised) == ("clear", "unknown")
    assert any("collide" in text for text in answer.not_proven)


def test_each_kind_of_database_answers(found_anywhere):
    found = found_anywhere
    path, certificate, what = signed_work(found, marked="embedded", origin=Origin.GENERATED)
    work = found.register(what=what)
    offer = found.scene.as_(1)[1].offer(offer_of(int(work, 16), duration=600))
    found.scene.as_(2)[1].buy(offer, found.scene.address(2), subject_of("acme.example"))
    found.follow()
    assert len(found.read_files().taken) == 2
    for query in ({"content": stripped(path)}, {"sha256": certificate.sha256}):
        answer = look_up(found, **query, subject="dns:acme.example", uses=["commercial"])
        assert ([one.work.work for one in answer.matches], answer.authorised) == ([work], "yes")
    with found.directory() as directory:
        (bound,) = directory.manifests_by_content(path.read_bytes())
        assert directory.manifest(bound.manifest_id)


def test_file_itself_is_certified_and_its_credentials_attest(found, listed):
    path, certificate, work = listed
    answer = look_up(found, content=path.read_bytes())
    assert (answer.certified, [one.by for one in answer.matches]) == (True, ["sha256"])
    assert not answer.matches[0].HasField("distance")
    assert (answer.label.basis, answer.label.level) == ("c2pa", "attested")
    for digest in (certificate.sha256, "0x" + certificate.sha256.upper()):
        answer = look_up(found, sha256=digest)
        assert (answer.certified, answer.matches[0].work.work) == (True, work)
        assert (answer.label.basis, answer.label.level) == ("certificate", "claimed")


def test_signer_is_trusted_if_a_given_root_vouches(found, listed, tmp_path):
    path, _, _ = listed
    for roots, vouched in ((None, False), (root(tmp_path), True)):
        with found.directory(roots=roots) as directory:
            label = directory.lookup(LookupWorkRequest(content=path.read_bytes())).label
        assert ("no root that is trusted here vouches" not in label.text) is vouched


def test_fingerprint_of_either_length_finds_the_work(found, listed):
    _, certificate, work = listed
    for code in (certificate.predicate.content.iscc64, certificate.predicate.content.iscc256):
        assert [one.work.work for one in look_up(found, iscc=code).matches] == [work]
        with found.directory() as directory:
            assert [one.similarity for one in directory.manifests_by_iscc(code)] == [100]


def test_picture_that_nobody_registered_is_not_found_and_that_is_an_answer(found, listed):
    data = io.BytesIO()
    drawing(9).save(data, "PNG")
    answer = look_up(found, content=data.getvalue(), subject="dns:acme.example", uses=["commercial"])
    assert (answer.certified, len(answer.matches), answer.standing) == (False, 0, "unknown")
    assert (answer.label.ai_generated, answer.label.basis, answer.authorised) == ("unknown", "none", "unknown")
    assert answer.as_of.block == found.store.last().number


def test_licence_authorises_until_it_runs_out(found, listed):
    path, _, work = listed
    content = stripped(path)
    query = {"content": content, "subject": "dns:acme.example", "uses": ["commercial"]}
    assert look_up(found, **query).authorised == "no"
    offer = found.scene.as_(1)[1].offer(offer_of(int(work, 16), duration=600))
    found.scene.as_(2)[1].buy(offer, found.scene.address(2), subject_of("acme.example"))
    found.follow()
    answer = look_up(found, **query)
    assert (answer.authorised, [one.offer for one in answer.offers]) == ("yes", [offer])
    ends = found.scene.market.licence(1).until
    with found.directory(clock=lambda: ends + 1) as directory:
        assert directory.lookup(LookupWorkRequest(**query)).authorised == "no"


def test_oldest_work_of_a_picture_comes_first_even_if_a_copy_is_nearer(found, listed):
    path, _, work = listed
    copy = found.folder / "copy.jpg"
    copy.write_bytes(stripped(path))
    _, _, what = signed_work(found, seed=1, name="cat.png")
    nearer = found.register(account=3, what=what)
    found.follow()
    found.read_files()
    answer = look_up(found, content=copy.read_bytes())
    assert [one.work.work for one in answer.matches] == [work, nearer]
    assert [one.work.work for one in look_up(found, content=copy.read_bytes(), max_results=1).matches] == [work]


def test_record_is_proof_until_its_model_is_revoked(found, listed):
    path, certificate, work = listed
    add(found, lambda block: GenerationProven(block, 0, work, RECORD, LISTING))

    def label(sound, reason=""):
        found.store.set_sound([ModelState(LISTING, sound, "0x" + "33" * 32, reason)], prints=False)
        return look_up(found, sha256=certificate.sha256).matches[0].work.label

    assert (label(sound=True).level, label(sound=True).record) == ("proven", RECORD)
    assert look_up(found, sha256=certificate.sha256).label.level == "proven"
    assert look_up(found, content=stripped(path)).label.level == "claimed"  # a copy is no answer of the model
    revoked = label(sound=False, reason="The model was revoked.")
    assert (revoked.level, revoked.record) == ("claimed", RECORD)
    assert "The model was revoked." in revoked.text


def test_record_that_was_not_looked_at_proves_nothing(found, listed):
    _, certificate, work = listed
    add(found, lambda block: GenerationProven(block, 0, work, RECORD, LISTING))
    found.store.set_sound([], prints=False)
    assert look_up(found, sha256=certificate.sha256).label.level == "claimed"


def test_proven_print_is_used_while_it_may_be_relied_on(found):
    data = io.BytesIO()
    drawing(4).save(data, "PNG")
    work = found.register(7)
    found.follow()
    code = print_of(normalise(np.asarray(drawing(4))))
    words = (f"0x{code.bits:064x}", f"0x{code.sure:064x}")
    add(found, lambda block: PrintStored(block, 0, work, *words))
    for sound in (False, True):
        found.store.set_sound([], prints=sound)
        answer = look_up(found, content=data.getvalue())
        assert [(one.by, one.distance) for one in answer.matches] == ([("print", 0)] if sound else [])
        with found.directory() as directory:
            told = directory.work(work)
            assert (told.print_bits, told.print_sure) == (words if sound else ("", ""))


def test_upheld_work_has_no_offers_and_is_said_to_be_one(found, listed):
    _, certificate, work = listed
    offer = found.scene.as_(1)[1].offer(offer_of(int(work, 16)))
    found.scene.as_(2)[1].buy(offer, found.scene.address(2))
    found.follow()
    add(found, lambda block: StandingChange(block, 0, work, "upheld", RECORD))
    query = {"sha256": certificate.sha256, "subject": found.scene.address(2), "uses": ["commercial"]}
    answer = look_up(found, **query)
    assert (answer.standing, len(answer.offers), answer.authorised) == (
        "upheld",
        0,
        "yes",
    )  # licences that were sold stay


def test_flag_has_the_state_that_it_came_to(found, listed):
    younger, olders = listed[2], [f"0x{number:064x}" for number in range(4)]
    answered = {1: ["contested", "upheld"], 2: ["acknowledged", "released"], 3: ["contested", "released"]}
    facts = [
        lambda block, one=one: FlagRaised(block, one, younger, olders[one], 9, 250, 2_000_000_000) for one in range(4)
    ]
    moves = [(olders[one], state) for one, states in answered.items() for state in states]
    facts += [
        lambda block, place=place, one=one: FlagMoved(block, place, younger, *one) for place, one in enumerate(moves)
    ]
    add(found, *facts)
    with found.directory() as directory:
        told = directory.work(younger).flags
    assert [one.state for one in told] == ["flagged", "upheld", "acknowledged", "released"]
    assert {(one.distance, one.compared, one.answer_by.seconds) for one in told} == {(9, 250, 2_000_000_000)}


def test_flat_picture_is_looked_up_by_digest_only(found, listed):
    data = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(data, "PNG")
    answer = look_up(found, content=data.getvalue())
    assert len(answer.matches) == 0
    assert any("too regular" in text for text in answer.not_proven)


def test_file_that_is_no_picture_is_looked_up_by_digest_only(found, listed):
    answer = look_up(found, content=b"%PDF-1.7")
    assert len(answer.matches) == 0
    assert any("no picture" in text for text in answer.not_proven)


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        ({}, QueryError, "Nothing is looked up"),
        ({"sha256": "ab"}, QueryError, "no SHA-256"),
        ({"sha256": "g" * 64}, QueryError, "no SHA-256"),
        ({"iscc": "ISCC:KACT4EBWK27737D2"}, CodeError, "no ISCC Image-Code"),
        ({"iscc": encode(0, 64)}, CodeError, "flat or regular"),
        ({"content": b""}, QueryError, "0 bytes"),
        ({"content": bytes(MAX_CONTENT_BYTES + 1)}, QueryError, "at most"),
        ({"content": b"\x89PNG\r\n\x1a\nand no more"}, ContentError, "picture"),
        ({"sha256": "ab" * 32, "max_results": 101}, QueryError, "too many"),
        ({"sha256": "ab" * 32, "distance": 25}, QueryError, "at most 24"),
        ({"sha256": "ab" * 32, "uses": ["commercial"]}, QueryError, "No subject"),
        ({"sha256": "ab" * 32, "subject": "dns:acme.example"}, QueryError, "No use"),
    ],
)
def test_malformed_question_is_refused(found, query, error, words):
    found.follow()
    with pytest.raises(error, match=words):
        look_up(found, **query)


def test_distance_over_the_limit_of_a_short_code_is_refused(found):
    found.follow()
    code = fingerprint_code(found)
    assert look_up(found, iscc=code, distance=6).matches == []
    with pytest.raises(QueryError, match="at most 6"):
        look_up(found, iscc=code, distance=7)


def fingerprint_code(found):
    path = found.folder / "any.png"
    drawing(3).save(path)
    return fingerprint(path).iscc64


def test_new_works_are_found_by_a_directory_that_is_open(found, listed):
    path, _, work = listed
    with found.directory() as directory:
        query = LookupWorkRequest(content=stripped(path))
        assert len(directory.lookup(query).matches) == 1
        _, _, what = signed_work(found, seed=1, name="cat.png")
        again = found.register(account=3, what=what)
        found.follow()
        found.read_files()
        assert [one.work.work for one in directory.lookup(query).matches] == [work, again]
        assert directory.as_of().block == found.store.last().number


@pytest.mark.parametrize("name", ["", "\0", "urn:c2pa:\0", "%", "_", "../works.db", "u" * 100_000])
def test_manifest_of_a_hostile_id_is_not_indexed(found_anywhere, name):
    found_anywhere.register()
    found_anywhere.follow()
    with found_anywhere.directory() as directory, pytest.raises(NotIndexedError, match="no manifest"):
        directory.manifest(name)
