import json

import pytest
from tests.unit.verifier import forge

from zkinfer.circuits.errors import DataError
from zkinfer.verifier import MalformedAttestationError, RecordUnavailableError, Step
from zkinfer.verifier.verdict import Verdict, verdict_document, verdict_on


def verdict(**statuses):
    """A verdict with eleven passed steps, except those given as `s3="failed"`."""
    return Verdict([Step(number, "t", statuses.get(f"s{number}", "passed")) for number in range(1, 12)])


def test_verdict_without_steps_is_never_passed():
    assert [Verdict().status(number) for number in range(1, 13)] == ["not_reached"] * 12


def test_status_over_no_steps_is_never_passed():
    assert Verdict().status() != "passed"


@pytest.mark.parametrize("worst", ["failed", "not_reached", "skipped"])
def test_status_is_the_worst_of_its_steps(worst):
    assert verdict(s6=worst).status(5, 6, 7) == worst
    assert verdict(s6=worst).status(5, 7) == "passed"


def test_failed_is_worse_than_not_reached_which_is_worse_than_skipped():
    assert verdict(s5="skipped", s6="not_reached", s7="failed").status(5, 6, 7) == "failed"
    assert verdict(s5="skipped", s6="not_reached").status(5, 6) == "not_reached"


def test_document_of_a_refusal_is_not_ok():
    refused = verdict(s1="failed")
    refused.refusal = MalformedAttestationError("The file is malformed.")
    document = verdict_document(refused)
    assert document["ok"] is False
    assert document["error"]["type"] == "MalformedAttestationError"
    assert "modelId" not in document


def test_document_without_an_inference_and_without_a_refusal_is_not_ok():
    assert verdict_document(Verdict())["ok"] is False


def test_document_of_an_accepted_attestation_has_the_proven_identity(parties, good):
    found = verdict_on(parties.verifier(), good.to_bytes(), forge.POLICY)
    document = json.loads(json.dumps(verdict_document(found)))
    assert document["ok"] is True
    assert document["modelId"] == good.predicate.circuit.identity.model_id
    assert {step["status"] for step in document["steps"]} == {"passed", "skipped"}


def test_file_that_is_not_an_attestation_is_refused_with_a_verdict(parties, tmp_path):
    (tmp_path / "a.json").write_text("{}")
    found = verdict_on(parties.verifier(), tmp_path / "a.json", forge.POLICY)
    assert isinstance(found.refusal, MalformedAttestationError)
    assert (found.inference, found.claimed_request, found.status(1)) == (None, "", "failed")


class NoRecord:
    """The record of a chain whose node is down."""

    def agree(self, answer):
        raise RecordUnavailableError("The node is down.", "Wait.")


def test_record_that_cannot_be_read_gives_the_other_steps_and_accepts_nothing(parties, good):
    found = verdict_on(parties.verifier(), good.to_bytes(), forge.POLICY, record=NoRecord())
    assert [step.status for step in found.steps] == ["passed"] * 11 + ["failed"]
    assert (found.inference, found.steps[-1].detail) == (None, "The node is down. Wait.")
    document = verdict_document(found)
    assert (document["ok"], document["error"]["type"]) == (False, "RecordUnavailableError")


def test_unusable_expected_inputs_give_no_verdict(parties, good):
    def unusable(_):
        raise DataError("The input has the wrong shape.")

    with pytest.raises(DataError, match="wrong shape"):
        verdict_on(parties.verifier(), good.to_bytes(), forge.POLICY, expected_inputs=unusable)
