"""What an attestation says about a file: nothing, unless the file is the attested answer."""

import dataclasses
import hashlib

import pytest
from tests.unit.verifier.forge import CONTEXT
from tests.unit.works.files import NOW, key, picture

from zkinfer.circuits.statement import output_words
from zkinfer.works.certify import Facts, certify
from zkinfer.works.content import open_content
from zkinfer.works.errors import CertificateError
from zkinfer.works.findings import Evidence
from zkinfer.works.inspection import inspect
from zkinfer.works.kinds import Kind, Origin

RECORD = "0x" + "11" * 32


class Records:
    """A ledger that has one answer of one model."""

    def __init__(self, attestation):
        self.answer = (attestation.predicate.circuit.claimed_model_id, attestation.predicate.statement.outputs)

    def require_recorded(self, record, model_id, outputs):
        if (record, (model_id, outputs)) != (RECORD, self.answer):
            raise CertificateError("The ledger has no such answer.")
        return "It is on record."


@pytest.fixture
def words(good, tmp_path):
    """The output words of the attested answer, as a file."""
    path = tmp_path / "answer.bin"
    path.write_bytes(output_words(good.predicate.statement.outputs))
    return path


def inspected(good, path, folder, records=None, record=RECORD, **changes):
    file = folder / "attestation.json"
    file.write_bytes(good.to_bytes())
    facts = Facts(Kind.IMAGE, Origin.GENERATED, attestation=file, record=record)
    certificate = certify(path, facts, key=key(), created_at=NOW)
    given = (good, hashlib.sha256(good.to_bytes()).hexdigest())
    evidence = Evidence(content=open_content(path), attestation=given, records=records)
    return inspect(certificate, dataclasses.replace(evidence, **changes))


def test_unrelated_picture_is_not_said_to_be_generated(good, tmp_path):
    found = inspected(good, picture(tmp_path), tmp_path, Records(good))
    assert found.ai_generated == "claimed"
    assert any("Nothing ties the file to the attested answer" in one for one in found.unchecked)


def test_answer_on_record_is_proven(good, words, tmp_path):
    found = inspected(good, words, tmp_path, Records(good), signers=frozenset({key().public.fingerprint}))
    assert (found.ai_generated, found.problems, found.unchecked) == ("proven", [], [])


def test_answer_by_a_signer_who_was_not_given_is_a_problem_without_its_record(good, words, tmp_path):
    signers = frozenset({key().public.fingerprint})
    found = inspected(good, words, tmp_path, signers=signers)
    assert found.ai_generated == "claimed"
    assert found.problems[0].startswith(f"The attestation is signed by {good.envelope.keyid}, which is none")
    both = inspected(good, words, tmp_path, signers=signers | {good.envelope.keyid})
    assert (both.ai_generated, both.problems) == ("attested", [])


def test_answer_without_its_record_is_attested_by_a_key(good, words, tmp_path):
    found = inspected(good, words, tmp_path)
    assert found.ai_generated == "attested"
    assert any(good.envelope.keyid in one.text for one in found.statements)


def test_answer_without_its_file_is_claimed(good, words, tmp_path):
    assert inspected(good, words, tmp_path, Records(good), content=None).ai_generated == "claimed"


def test_record_of_another_answer_is_a_problem(good, other, words, tmp_path):
    found = inspected(good, words, tmp_path, Records(other))
    assert (found.ai_generated, found.problems) == ("claimed", ["The ledger has no such answer."])


def test_attestation_that_the_certificate_does_not_name_is_a_problem(good, other, words, tmp_path):
    given = (other, hashlib.sha256(other.to_bytes()).hexdigest())
    found = inspected(good, words, tmp_path, Records(good), attestation=given)
    assert found.ai_generated == "claimed"
    assert "not the one that the certificate names" in found.problems[0]


def test_attestation_with_a_false_signature_is_a_problem(good, words, tmp_path):
    envelope = dataclasses.replace(good.envelope, signature=bytes(64))
    false = dataclasses.replace(good, envelope=envelope)
    given = (false, hashlib.sha256(good.to_bytes()).hexdigest())
    found = inspected(good, words, tmp_path, Records(good), attestation=given)
    assert (found.ai_generated, len(found.problems)) == ("claimed", 1)


def bare(good, path, records=None):
    """A file without a certificate, beside an attestation."""
    return inspect(None, Evidence(content=open_content(path), attestation=(good, ""), records=records))


class OnRecord(Records):
    """A ledger that has one answer, under the id of its request."""

    def require_recorded(self, record, model_id, outputs):
        if (model_id, outputs) != self.answer:
            raise CertificateError("The ledger has no such answer.")
        return f"It is on record as {record}."


def test_answer_on_record_is_proven_without_a_certificate(good, words):
    found = bare(good, words, OnRecord(good))
    assert (found.ai_generated, found.problems) == ("proven", [])
    assert found.statements[-1].text.endswith(f"on record as {good.predicate.context.request_id}.")


def test_answer_without_a_certificate_and_a_node_is_attested(good, words):
    found = bare(good, words)
    assert (found.ai_generated, found.holds) == ("attested", True)
    assert any("use --rpc" in one for one in found.unchecked)


def test_answer_to_no_request_of_a_chain_is_attested(parties, words):
    offline = parties.attest(context=CONTEXT.model_copy(update={"chain_id": 0}))
    found = bare(offline, words, OnRecord(offline))
    assert (found.ai_generated, found.problems) == ("attested", [])


@pytest.mark.parametrize("case", ["another file", "another record", "false signature"])
def test_file_without_a_certificate_is_not_vouched_for_by_foreign_evidence(case, good, other, words, tmp_path):
    given, path, records = good, words, OnRecord(good)
    if case == "another file":
        path = picture(tmp_path)
    elif case == "another record":
        records = OnRecord(other)
    else:
        given = dataclasses.replace(good, envelope=dataclasses.replace(good.envelope, signature=bytes(64)))
    found = bare(given, path, records)
    assert (found.ai_generated, found.statements, len(found.problems)) == ("unknown", [], 1)
