"""The properties, the sentence and the open claims of a verdict."""

import pytest

from zkinfer.verifier import MalformedAttestationError, RecordUnavailableError, Step
from zkinfer.verifier.summary import Question, headline, hints, open_claims, properties, sentence
from zkinfer.verifier.verdict import Verdict

EVERYTHING = Question(attestation="a", model="m", circuit="c", policy="p", input_="i", signers=("k",), request_id="0x1")
NOTHING = Question(attestation="a", model="m")


def verdict(**statuses):
    """A verdict with eleven passed steps, except those given as `s3="failed"`."""
    steps = [Step(number, "t", statuses.get(f"s{number}", "passed")) for number in range(1, 12)]
    return Verdict(steps, claimed_request="0x1")


def statuses(verdict_, question=EVERYTHING):
    return [one.status for one in properties(verdict_, question)]


def test_verdict_without_steps_has_no_passed_property():
    assert statuses(Verdict()) == statuses(Verdict(), NOTHING) == ["not_reached"] * 4


def test_verdict_with_all_steps_passed_has_all_properties():
    assert statuses(verdict()) == ["passed"] * 4


@pytest.mark.parametrize(("step", "place"), [(5, 0), (6, 0), (7, 0), (3, 1), (4, 1), (8, 2), (9, 3)])
def test_failed_step_fails_every_property_that_depends_on_it(step, place):
    assert statuses(verdict(**{f"s{step}": "failed"}))[place] == "failed"
    assert statuses(verdict(**{f"s{step}": "failed"}), NOTHING)[place] == "failed"


def test_proof_for_another_request_fails_the_context():
    other = verdict()
    other.claimed_request = "0x2"
    assert statuses(other)[3] == "failed"


def test_property_that_was_not_compared_counts_as_skipped():
    assert statuses(verdict(), NOTHING)[2:] == ["skipped", "skipped"]


def test_first_failure_leaves_later_properties_open():
    stopped = {f"s{number}": "not_reached" for number in range(2, 12)}
    assert statuses(verdict(s1="failed", **stopped)) == ["not_reached"] * 4


def test_required_record_is_a_property():
    recorded = verdict()
    recorded.steps.append(Step(12, "t", "failed"))
    asked = Question(attestation="a", model="m", chain=True)
    assert statuses(recorded, asked)[4] == "failed"


def test_record_that_cannot_be_read_is_said_to_be_required():
    unread = verdict()
    unread.refusal = RecordUnavailableError("The node is down.", "Wait.")
    assert headline(unread) == "refused"
    assert sentence(unread, NOTHING) == (
        "; the chain's record, which was required of a, cannot be read: The node is down."
    )
    assert hints(unread, NOTHING) == ["Wait."]


def test_open_claims_are_those_without_something_to_compare_with():
    assert [one.claim for one in open_claims(EVERYTHING)] == ["whether a chain has recorded it"]
    assert len(open_claims(NOTHING)) == 5


def test_hints_offer_options_or_the_cure_of_a_refusal():
    refused = verdict(s1="failed")
    refused.refusal = MalformedAttestationError("It is odd.", "Fix it.")
    assert hints(refused, NOTHING) == ["Fix it."]
    assert [hint.split()[0] for hint in hints(verdict(), NOTHING)] == [
        "--circuit",
        "--input",
        "--request-id",
        "--signer",
    ]


def test_sentence_says_where_the_answer_is():
    assert "the answer below" in sentence(verdict(), NOTHING, place="below")
    assert "every property" not in sentence(verdict(), NOTHING)


def test_remark_limits_passed_checks_only():
    assert [one.remark for one in properties(Verdict(), NOTHING)] == [""] * 4
    assert [one.remark for one in properties(verdict(), NOTHING)][2:] == [": not compared"] * 2


def test_each_property_says_what_it_means():
    asked = Question(attestation="a", model="m", chain=True)
    meanings = [one.meaning for one in properties(verdict(), asked)]
    assert len(set(meanings)) == 5
    assert all(meaning.startswith("Whether ") for meaning in meanings)
