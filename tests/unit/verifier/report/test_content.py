import json
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.verifier import forge

from zkinfer.circuits.errors import InputError
from zkinfer.verifier.inference import SEAL
from zkinfer.verifier.report import make_report
from zkinfer.verifier.report.content import document, json_bytes, printable
from zkinfer.verifier.report.markdown import markdown_bytes
from zkinfer.verifier.summary import Question
from zkinfer.verifier.verdict import Verdict

BIDI = "\u202e"


def test_outcome_is_valid_only_under_a_real_setup(report_on, valid, forgeable, refused):
    assert [report_on(verdict).outcome for verdict in (valid, forgeable, refused)] == ["valid", "forgeable", "refused"]


def test_verdict_without_an_inference_is_never_valid(report_on):
    assert report_on(Verdict()).outcome == "refused"


def test_refusal_beside_an_inference_is_refused(report_on, valid, refused):
    assert report_on(replace(valid, refusal=refused.refusal)).outcome == "refused"


def test_report_begins_with_the_sentence_of_the_command(report_on, valid):
    sentence = report_on(valid).sentence
    assert sentence.startswith("Verdict: valid; answer.json proves that tiny.onnx, as this circuit computes it, gives")
    assert "not checked: " in sentence


def test_sentence_of_an_experimental_engine_has_a_reserve(report_on, valid):
    found = replace(valid, inference=replace(valid.inference, experimental=True, seal=SEAL))
    reserve = "proves, as far as the experimental proof system of fake/1 is sound, that tiny.onnx"
    assert reserve in report_on(found).sentence
    assert "experimental" not in report_on(valid).sentence


def test_refused_attestation_has_a_report_with_the_reason_but_no_answer(report_on, refused):
    report = report_on(refused)
    assert (report.inputs, report.outputs, report.card, report.labels) == ((), (), None, ())
    assert "does not hold" in report.refusal[0]
    assert next(one.claim for one in report.open) == "whether inputs and outputs are those of the proof"
    assert dict(report.digests) == {
        "attestation file": refused.digest,
        "the auditor's ONNX file": "sha256:" + "77" * 32,
    }


def test_answer_and_input_are_those_of_the_proof(report_on, valid):
    report = report_on(valid)
    assert np.array_equal(report.inputs[0].values, forge.X)
    assert [one.name for one in report.outputs] == ["y"]


def test_card_is_missing_without_a_manifest(report_on, valid):
    assert report_on(valid, card=False).card is None
    assert report_on(valid).card is not None


def test_manifest_of_another_circuit_is_refused(valid, manifest):
    identity = manifest.identity.model_copy(update={"network": "sha256:" + "99" * 32})
    other = manifest.model_copy(update={"identity": identity})
    if other.identity.model_id == valid.inference.model_id:  # the model id names the key, not the network
        identity = manifest.identity.model_copy(update={"verifying_key": "keccak256:" + "99" * 32})
        other = manifest.model_copy(update={"identity": identity})
    with pytest.raises(InputError, match="not that of the circuit"):
        make_report(valid, Question(attestation="a", model="m"), command=["zkinfer"], manifest=other)


def test_what_was_not_asked_is_open_and_what_was_asked_is_not(report_on, valid):
    claims = " ".join(one.claim for one in report_on(valid).open)
    assert "independent implementation" in claims
    assert "who signed it" in claims
    asked = {"signers": ("owner.pub",), "second_opinion": True, "input_": "i.json", "request_id": "0x1", "circuit": "c"}
    asked |= {"chain": True}
    assert [one.claim for one in report_on(valid, card=False, **asked).open] == []


def test_record_on_a_chain_is_told_with_its_block_and_code(report_on, recorded):
    report = report_on(recorded, chain=True)
    facts, digests = dict(report.facts), dict(report.digests)
    assert facts["state of the chain"] == f"block 96 (0x{'b7' * 32}), finalised"
    assert facts["ledger"] == forge.RECORDED.ledger
    assert digests[f"code of InferenceLedger, {forge.RECORDED.ledger}"] == "0x" + "c1" * 32
    assert document(report)["record"]["blockHash"] == digests["block of the chain"]


def test_node_is_told_not_to_be_proven(report_on, recorded, valid):
    claim = "whether the node of the chain told the truth"
    assert claim in [one.claim for one in report_on(recorded, chain=True).open]
    assert claim not in [one.claim for one in report_on(valid).open]
    assert str(report_on(recorded, chain=True).properties[-1]) == "recorded on the chain, as one node says"


def test_record_that_two_nodes_tell_alike_says_so(report_on, recorded):
    told = replace(recorded.inference, recorded=replace(forge.RECORDED, nodes=2), seal=SEAL)
    report = report_on(replace(recorded, inference=told), chain=True)
    assert str(report.properties[-1]) == "recorded on the chain, as 2 nodes say"
    assert dict(report.facts)["nodes of the chain that say so"] == "2"
    assert "whether the node of the chain told the truth" not in [one.claim for one in report.open]


def test_secret_of_a_real_setup_is_a_limit_and_that_of_the_dev_setup_is_public(report_on, valid, forgeable):
    kept = "That nobody kept the secret of the trusted setup"
    assert any(text.startswith(kept) for text in report_on(valid).limits)
    assert not any(text.startswith(kept) for text in report_on(forgeable).limits)


def test_signer_is_told_not_to_be_known_unless_a_key_was_required(report_on, valid):
    unknown = "; whose key it is was not checked"
    assert dict(report_on(valid).facts)["signer"] == valid.inference.signer + unknown
    assert dict(report_on(valid, signers=("owner.pub",)).facts)["signer"] == valid.inference.signer


def test_figures_of_a_manifest_are_told_not_to_be_proven(report_on, valid):
    assert "whether the figures of fidelity and cost are true" in [one.claim for one in report_on(valid).open]


@pytest.mark.parametrize(("visibility", "words"), [("hashed", "a digest of it"), ("private", "nothing about it")])
def test_input_that_the_circuit_keeps_is_open(report_on, valid, visibility, words):
    recipe = valid.inference.recipe.model_copy(update={"input_visibility": visibility})
    hidden = replace(valid, inference=replace(valid.inference, recipe=recipe, inputs={}, seal=SEAL))
    report = report_on(hidden)
    assert any(words in one.why for one in report.open)
    assert report.inputs == ()
    assert "that it states, " not in report.sentence


def test_ephemeral_signer_identifies_no_one(report_on, valid):
    unknown = replace(valid, inference=replace(valid.inference, ephemeral=True, seal=SEAL))
    assert dict(report_on(unknown).facts)["signer"] == "an ephemeral key, which identifies no one"


def test_expiry_beyond_the_calendar_is_a_number(report_on, valid):
    context = valid.inference.context.model_copy(update={"expiry": 2**63})
    distant = replace(valid, inference=replace(valid.inference, context=context, seal=SEAL))
    assert dict(report_on(distant).facts)["request expires"] == f"{2**63} s after 1970"


@pytest.mark.parametrize("name", ["a b", "$(rm -rf x)", "it's", "a\nb", f"a{BIDI}'b\\", "-x", "é"])
def test_command_line_gives_a_shell_the_same_words(report_on, valid, name):
    line = report_on(valid, command=("printf", "%s|", name)).command_line
    assert line.isprintable()
    shown = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout.decode()
    assert shown == f"{name}|"
    assert "'" in line or shlex.split(line)[-1] == name


def test_characters_that_hide_or_reorder_text_are_replaced():
    assert printable(f"a\x1b[2J{BIDI}\u200b\nb") == "a\ufffd[2J\ufffd\ufffd\ufffdb"


# --- stored reports, to be read when a form changes: run with ZKINFER_STORE_REPORTS=1 to write them anew


@pytest.mark.parametrize(("name", "write"), [("stored.md", markdown_bytes), ("stored.json", json_bytes)])
def test_report_is_the_stored_one(report_on, valid, name, write):
    stored, found = Path(__file__).with_name(name), write(replace(report_on(valid), made_by="zkinfer 0"))
    if os.environ.get("ZKINFER_STORE_REPORTS"):
        stored.write_bytes(found)
    assert found.decode() == stored.read_text()


# --- JSON


def test_json_has_every_part(report_on, valid):
    found = json.loads(json_bytes(report_on(valid)))
    assert (found["format"], found["outcome"], found["accepted"]) == ("zkinfer-report/1", "valid", True)
    assert found["outputs"][0]["values"] == valid.inference.outputs["y"].tolist()
    assert found["inputs"][0]["shownAs"] == "table"
    assert len(found["checks"]) == 12
    assert found["model"]["columns"][0]["maximum"] == "50%"
    assert found["madeAt"] == "2026-11-21T12:00:00Z"


def test_json_of_a_refusal_has_the_reason(report_on, refused):
    found = document(report_on(refused))
    assert (found["accepted"], found["model"], found["outputs"]) == (False, None, [])
    assert found["refusal"]["cause"]


def test_json_is_ascii_whatever_the_names_are(report_on, valid):
    assert json_bytes(report_on(valid, model=f"<é{BIDI}\x00")).isascii()


def test_digest_of_the_expected_input_is_named(valid):
    question = Question(attestation="a", model="m", input_="i", input_digest="sha256:" + "11" * 32)
    report = make_report(valid, question, command=["zkinfer"])
    assert dict(report.digests)["expected input"] == question.input_digest


def test_policy_without_requirements_says_so(report_on, valid):
    assert "nothing else was required" in dict(report_on(valid).facts)["policy"]


def test_unaudited_engine_is_among_what_was_not_checked(report_on, valid):
    claims = [one.claim for one in report_on(valid).open]
    assert not [one for one in claims if one.endswith("is sound")]
    experimental = replace(valid, inference=replace(valid.inference, experimental=True, seal=SEAL))
    claims = [one.claim for one in report_on(experimental).open]
    assert [one for one in claims if one.endswith("is sound")]
