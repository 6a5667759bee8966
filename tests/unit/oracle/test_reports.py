from dataclasses import replace

import pytest
from tests.unit.oracle import volatility
from tests.unit.oracle.series import NOW
from tests.unit.oracle.volatility import SIGNERS
from tests.vectors.make_feeds import config, signers

from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.errors import ProofRejectedError
from zkinfer.circuits.statement import Statement
from zkinfer.contracts.errors import AnswerOutOfBoundsError
from zkinfer.contracts.feed_formats import NO_CONFIG, FeedPayload, Level, proof_context
from zkinfer.oracle.errors import OracleError, RecipeError
from zkinfer.oracle.models import CircuitModel
from zkinfer.oracle.reports import attest, context_of, prove, require_same_answer, unsigned
from zkinfer.oracle.sources.files import FileSource
from zkinfer.prover import Prover

pytestmark = pytest.mark.slow
ANSWER = 27_000_000


@pytest.fixture(scope="module")
def circuit(run_folder):
    return volatility.circuit_in(run_folder)


@pytest.fixture(scope="module")
def model(circuit, run_folder):
    prover = Prover(home=volatility.home_in(run_folder))
    return CircuitModel(
        volatility.feed_of(circuit), circuit, FileSource(volatility.PRICES), prover, clock=lambda: float(NOW)
    )


@pytest.fixture(scope="module")
def report(model):
    """A round as one operator makes it, without signatures."""
    observation = model.observe(NOW // 60)
    return unsigned(model.feed, observation, model.answer(observation))


@pytest.fixture(scope="module")
def proven(model, report):
    return model.prove(attest(model.feed, report, SIGNERS[:2]))


def verify(circuit, home, payload):
    """Check the proof as contracts do, under the context that they compute."""
    statement = Statement(bytes.fromhex(proof_context(payload.request_id)[2:]), payload.inputs, payload.outputs)
    manifest = circuit.manifest
    setup = home.setups.find_or_generate(manifest.program.setup_size, manifest.recipe.setup.ceremony)
    engine = engine_named("ashlar")
    engine.verify(circuit.folder, manifest.program, setup.path, Proof(payload.proof, statement))


def test_report_holds_the_observation(model, report):
    observation = volatility.observation_of(model.circuit)
    assert (report.source_digest, report.inputs) == (observation.source_digest, observation.inputs)
    assert (report.round, report.report.observed_at, report.report.expires_at) == (NOW // 60, NOW, NOW + 600)
    assert report.config_digest == config().digest


def test_report_is_signed_by_the_feeds_signers(model, report):
    signed = attest(model.feed, report, SIGNERS[1:])
    assert config().require(signed.signing_hash, signed.signatures) == config().signers[1:]


def test_signatures_are_added_in_order(model, report):
    first = attest(model.feed, report, SIGNERS[2:])
    both = attest(model.feed, first, SIGNERS[:1])
    assert config().require(both.signing_hash, both.signatures) == (config().signers[0], config().signers[2])


def test_signing_again_changes_nothing(model, report):
    signed = attest(model.feed, report, SIGNERS)
    assert attest(model.feed, signed, SIGNERS) == signed


def test_stranger_cannot_sign(model, report):
    stranger = next(one for one in signers(5) if one.address not in config().signers)
    with pytest.raises(OracleError, match="not a signer"):
        attest(model.feed, report, [stranger])


def test_feed_without_signers_cannot_be_signed(model, report):
    with pytest.raises(OracleError, match="no signers"):
        attest(replace(model.feed, config=None), report, SIGNERS)


def test_report_without_chosen_signers_is_refused(model):
    with pytest.raises(RecipeError, match="No signers"):
        unsigned(replace(model.feed, config=None), volatility.observation_of(model.circuit), ANSWER)


def test_report_out_of_bounds_is_refused(model):
    with pytest.raises(AnswerOutOfBoundsError):
        unsigned(model.feed, volatility.observation_of(model.circuit), 0)


def test_proof_is_of_the_report_under_the_context_without_a_chain(circuit, run_folder, proven):
    assert proven.level == Level.PROVEN
    verify(circuit, volatility.home_in(run_folder), proven)


def test_proven_payload_keeps_the_signatures(model, report, proven):
    signed = attest(model.feed, report, SIGNERS[:2])
    assert (proven.signatures, proven.signing_hash) == (signed.signatures, signed.signing_hash)
    assert FeedPayload.decode(proven.encode()) == proven


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, round=one.round + 1),
        lambda one: replace(one, source_digest="0x" + "77" * 32),
        lambda one: replace(one, inputs=bytes(len(one.inputs))),
        lambda one: replace(one, outputs=(one.outputs[0] + 1,)),
        lambda one: replace(one, report=replace(one.report, observed_at=NOW + 1)),
        lambda one: replace(one, report=replace(one.report, feed_id="0x0003" + "77" * 30)),
    ],
)
def test_proof_of_another_round_does_not_verify(circuit, run_folder, proven, change):
    with pytest.raises(ProofRejectedError):
        verify(circuit, volatility.home_in(run_folder), change(proven))


def test_report_of_another_answer_is_not_proven(model, report):
    wrong = replace(report, report=replace(report.report, answer=report.report.answer + 1001))
    with pytest.raises(OracleError, match="tolerance is 1000"):
        prove(model.feed.spec, model.circuit, model.prover, wrong)


@pytest.mark.parametrize(("difference", "same"), [(1000, True), (-1000, True), (1001, False)])
def test_answers_within_the_tolerance_are_the_same(model, proven, difference, same):
    other = replace(proven, report=replace(proven.report, answer=proven.report.answer + difference))
    if same:
        require_same_answer(model.feed.spec, other, proven.outputs)
        return
    with pytest.raises(OracleError, match="not made by this circuit"):
        require_same_answer(model.feed.spec, other, proven.outputs)


def test_context_names_no_chain(report):
    assert context_of(report).chain_id == 0
    assert "0x" + context_of(report).hash.hex() == proof_context(report.request_id)


def test_feed_of_a_contract_is_reported_without_signers(model):
    sourced = volatility.feed_of(model.circuit, signed=False, source="0x" + "44" * 20)
    found = unsigned(sourced, volatility.observation_of(model.circuit), ANSWER)
    assert (found.config_digest, found.signatures) == (NO_CONFIG, ())


def test_circuit_of_another_recipe_is_refused(model):
    other = replace(model.feed, spec=replace(model.feed.spec, scale=model.feed.spec.scale + 1))
    with pytest.raises(RecipeError, match="another scale"):
        replace(model, feed=other)


def test_peers_observation_is_reconstructed_and_compared(model):
    mine = model.observe(NOW // 60)
    other = model.reconstruct(mine.source_file)
    model.require_agreement(mine, other)
    assert other == mine


def test_source_on_a_chain_is_observed_at_the_beginning_of_the_round(model):
    sourced = volatility.feed_of(model.circuit, signed=False, source="0x" + "44" * 20)
    assert replace(model, feed=sourced).observe(1000).observed_at == 60_000
