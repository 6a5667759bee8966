import pytest
from tests.unit.contracts.work_scene import offer_of

from zkinfer.contracts.market import NO_SUBJECT, subject_of
from zkinfer.v1.works_pb2 import CheckAuthorisationRequest
from zkinfer.works.directory.authority import Asked
from zkinfer.works.errors import NotIndexedError, QueryError
from zkinfer.works.terms import Use


@pytest.fixture
def sold(found):
    """A work with a licence for a minute that names a domain, and an endless one for an account."""
    work = found.register()
    market = found.scene.as_(1)[1]
    short = market.offer(offer_of(int(work, 16), duration=60, uses=Use.COMMERCIAL | Use.TRAINING | Use.ATTRIBUTION))
    endless = market.offer(offer_of(int(work, 16), uses=Use.INFERENCE))
    found.scene.as_(2)[1].buy(short, found.scene.address(2), subject_of("bücher.example"))
    found.scene.as_(2)[1].buy(endless, found.scene.address(3), NO_SUBJECT)
    found.follow()
    return work


def asked(found, work, subject, *uses, now=None):
    clock = found.scene.chain.time if now is None else lambda: now
    with found.directory(clock=clock) as directory:
        return directory.authorisation(CheckAuthorisationRequest(work=work, subject=subject, uses=uses))


@pytest.mark.parametrize("subject", ["dns:bücher.example", "dns:BÜCHER.example.", "dns:xn--bcher-kva.EXAMPLE"])
def test_domain_has_one_form(found, sold, subject):
    answer = asked(found, sold, subject, "commercial")
    assert (answer.authorised, answer.licence, answer.holder) == ("yes", "1", found.scene.address(2))
    assert "nobody proves it" in answer.text


def test_answer_is_the_market_s_until_the_licence_runs_out(found, sold):
    until = found.scene.market.licence(1).until
    for now, expected in ((until - 1, "yes"), (until, "yes"), (until + 1, "no")):
        assert asked(found, sold, "dns:bücher.example", "commercial", now=now).authorised == expected
    answer = asked(found, sold, "dns:bücher.example", "commercial")
    assert answer.until.seconds == until
    holder = found.scene.address(2)
    for uses, words in ((1, ["commercial"]), (5, ["commercial", "training"]), (2, ["derivatives"]), (8, ["inference"])):
        covered = found.scene.market.covers(1, int(sold, 16), holder, uses)
        assert asked(found, sold, holder, *words).authorised == ("yes" if covered else "no")


def test_endless_licence_of_an_account_has_no_end(found, sold):
    answer = asked(found, sold, found.scene.address(3).upper().replace("0X", "0x"), "inference", now=2**45)
    assert (answer.authorised, answer.HasField("until")) == ("no", False)
    answer = asked(found, sold, found.scene.address(3), "inference")
    assert (answer.authorised, answer.licence, answer.HasField("until")) == ("yes", "2", False)


def test_other_subjects_are_told_how_a_licence_can_be_had(found, sold):
    for subject in ("dns:other.example", "dns:www.bücher.example", found.scene.address(1)):
        answer = asked(found, sold, subject, "commercial")
        assert (answer.authorised, answer.licence, len(answer.offers)) == ("no", "", 2)


@pytest.mark.parametrize("uses", [[], ["attribution"], ["Commercial"], ["commercial", "everything"]])
def test_unknown_or_no_uses_are_refused(uses):
    with pytest.raises(QueryError, match="use"):
        Asked.of("dns:acme.example", uses)


@pytest.mark.parametrize("subject", ["acme.example", "dns:", "dns:a b.example", "dns:-.example", "0x12", "dns:a..b"])
def test_what_is_no_subject_is_refused(subject):
    with pytest.raises(QueryError, match=r"no subject|no domain"):
        Asked.of(subject, ["commercial"])


def test_question_without_a_subject_asks_for_one():
    with pytest.raises(QueryError, match="No subject is named") as refused:
        Asked.of("", ["commercial"])
    assert "Write who wants to use it: dns:" in refused.value.cure


def test_unknown_work_is_not_the_same_as_no_licence(found, sold):
    with pytest.raises(NotIndexedError, match="up to block"):
        asked(found, "0x" + "ab" * 32, "dns:bücher.example", "commercial")
    with pytest.raises(QueryError, match="no work"):
        asked(found, "1", "dns:bücher.example", "commercial")
