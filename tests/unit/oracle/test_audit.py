from dataclasses import replace

import pytest
from tests.unit.oracle import volatility
from tests.unit.oracle.series import NOW
from tests.unit.oracle.volatility import SIGNERS
from tests.vectors.make_feeds import config, word

from zkinfer.circuits.engines import engine_named
from zkinfer.contracts.feed_events import ReportedRound
from zkinfer.contracts.feed_formats import Level
from zkinfer.contracts.identifiers import input_commitment
from zkinfer.oracle.audit import Auditor, published_observation, recipe_of
from zkinfer.oracle.errors import RecipeError, SourceError
from zkinfer.oracle.models import CircuitModel
from zkinfer.oracle.published import PublishedFolder
from zkinfer.oracle.reports import attest, unsigned
from zkinfer.oracle.sources.files import FileSource
from zkinfer.prover import Prover

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(run_folder):
    circuit = volatility.circuit_in(run_folder)
    prover, source = Prover(home=volatility.home_in(run_folder)), FileSource(volatility.PRICES)
    return CircuitModel(volatility.feed_of(circuit), circuit, source, prover, clock=lambda: float(NOW))


@pytest.fixture(scope="module")
def observation(model):
    return model.observe(0)


@pytest.fixture(scope="module")
def payload(model, observation):
    return model.prove(attest(model.feed, unsigned(model.feed, observation, model.answer(observation)), SIGNERS[:2]))


@pytest.fixture
def published(tmp_path, model, observation):
    found = PublishedFolder(tmp_path)
    found.write(model.feed.recipe.to_bytes())
    found.write(observation.source_file)
    return found


@pytest.fixture
def auditor(model, published, run_folder):
    manifest = model.circuit.manifest
    setups = volatility.home_in(run_folder).setups
    return Auditor(
        spec=model.feed.spec,
        observe=published_observation(recipe_of(model.feed.spec, published), published),
        signers_of={config().digest: config()}.get,
        circuit=model.circuit,
        engine=engine_named("ashlar"),
        setup=setups.find_or_generate(manifest.program.setup_size, manifest.recipe.setup.ceremony).path,
    )


def reported(payload, **changes):
    """What a hub reports of a payload."""
    found = ReportedRound(
        feed=payload.report.feed_id,
        round=payload.round,
        answer=payload.report.answer,
        observed_at=payload.report.observed_at,
        level=payload.level,
        source_digest=payload.source_digest,
        input_commitment=input_commitment(payload.inputs),
        block=7,
        transaction=word(7),
    )
    return replace(found, **changes)


def test_proven_round_holds(auditor, payload):
    verdict = auditor.audit(reported(payload), payload)
    assert (verdict.holds, verdict.problem) == (True, "")
    assert (verdict.answer, verdict.signatures, verdict.proof) == (payload.report.answer, 2, "valid")


def test_attested_round_holds(auditor, payload):
    attested = replace(payload, outputs=(), proof=b"")
    verdict = auditor.audit(reported(attested), attested)
    assert (verdict.holds, verdict.signatures, verdict.proof) == (True, 2, "none")


def test_round_that_another_contract_posted_holds_on_record(auditor, payload):
    verdict = auditor.audit(reported(payload), None)
    assert (verdict.holds, verdict.signatures, verdict.proof) == (True, None, "on record")


def test_tampered_source_file_is_named(auditor, payload, published):
    path = published.folder / payload.source_digest
    path.write_bytes(path.read_bytes().replace(b"46.92", b"64.92"))
    verdict = auditor.audit(reported(payload), payload)
    assert not verdict.holds
    assert f"{path} was changed" in verdict.problem
    assert verdict.answer is None


def test_missing_source_file_is_named(auditor, payload, published):
    (published.folder / payload.source_digest).unlink()
    assert f"{payload.source_digest} cannot be read" in auditor.audit(reported(payload), payload).problem


def test_signatures_and_proof_are_told_without_the_source_file(auditor, payload, published):
    (published.folder / payload.source_digest).unlink()
    verdict = auditor.audit(reported(payload), payload)
    assert (verdict.holds, verdict.signatures, verdict.proof) == (False, 2, "valid")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"input_commitment": word(1)}, "other inputs than the report commits to"),
        ({"observed_at": NOW + 1}, "was observed at"),
        ({"answer": 1}, "and 1 was reported"),
    ],
)
def test_report_that_does_not_follow_from_the_source_does_not_hold(auditor, payload, changes, problem):
    verdict = auditor.audit(reported(payload, **changes), None)
    assert not verdict.holds
    assert problem in verdict.problem


def test_answer_within_the_tolerance_holds(auditor, payload):
    assert auditor.audit(reported(payload, answer=payload.report.answer + 1000), None).holds
    assert not auditor.audit(reported(payload, answer=payload.report.answer + 1001), None).holds


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda one: replace(one, signatures=one.signatures[:1]), "1 signatures"),
        (lambda one: replace(one, signatures=one.signatures[::-1]), "order"),
        (lambda one: replace(one, config_digest=word(9)), "knows no signers"),
        (lambda one: replace(one, proof=bytes(len(one.proof))), "Proof rejected"),
        (lambda one: replace(one, outputs=(one.outputs[0] + 1,)), "Proof rejected"),
        (lambda one: replace(one, report=replace(one.report, answer=5)), "another report than the hub's log"),
        (lambda one: replace(one, inputs=bytes(48)), "another report than the hub's log"),
    ],
)
def test_payload_that_is_not_valid_does_not_hold(auditor, payload, change, problem):
    verdict = auditor.audit(reported(payload), change(payload))
    assert not verdict.holds
    assert problem in verdict.problem


def test_verdict_is_written_as_json(auditor, payload):
    document = auditor.audit(reported(payload), payload).document
    assert document["holds"] is True
    assert (document["level"], document["reported"], document["derived"]) == (
        "proven",
        str(payload.report.answer),
        str(payload.report.answer),
    )
    assert Level[document["level"].upper()] == Level.PROVEN


def test_recipe_is_found_by_its_digest(model, published):
    assert recipe_of(model.feed.spec, published) == model.feed.recipe


def test_recipe_that_is_not_published_is_refused(model, published):
    (published.folder / model.feed.spec.recipe).unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        recipe_of(model.feed.spec, published)


def test_published_file_that_is_no_recipe_is_refused(model, published, observation):
    with pytest.raises(RecipeError, match="not a recipe"):
        recipe_of(replace(model.feed.spec, recipe=observation.source_digest), published)
