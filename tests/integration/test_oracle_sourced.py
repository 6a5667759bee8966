"""A feed whose inputs a contract computes from another feed: nobody signs, and everything is derived again."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.unit.contracts.deployed import deployed_chain
from tests.unit.oracle import volatility
from tests.vectors.make_feeds import config, signers, spec, word

from zkinfer.chain import registration_of
from zkinfer.circuits.engines import engine_named
from zkinfer.contracts.deploy import create
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.feed_events import posted_payload, reported_rounds
from zkinfer.contracts.feed_formats import FeedPayload, FeedReport, Level, feed_id
from zkinfer.contracts.feed_parts import deploy_face
from zkinfer.contracts.feeds import FeedHub
from zkinfer.contracts.registry import Registry
from zkinfer.oracle.audit import Auditor
from zkinfer.oracle.errors import AuditError
from zkinfer.oracle.models import CircuitModel
from zkinfer.oracle.onchain import chain_observation
from zkinfer.oracle.post import post
from zkinfer.oracle.proposals import Terms, propose_feed, propose_recipe, source_part
from zkinfer.oracle.reports import unsigned
from zkinfer.oracle.sources.settings import SourceSettings
from zkinfer.prover import Prover

pytestmark = pytest.mark.slow
ROUNDS = 40


def price(number):
    return 10**8 * (50 + number % 7)


@pytest.fixture(scope="module")
def scene(run_folder):
    """A hub with a price feed of one round a second, and a feed of the model's answers to its last prices."""
    circuit = volatility.circuit_in(run_folder)
    chain, book = deployed_chain(test=True)
    listing = Registry(chain, book.addresses["ModelRegistry"]).register(registration_of(circuit))
    hub = FeedHub(chain, book.addresses["FeedHub"])
    prices = spec(listing=listing, owner=chain.address, tick=1, heartbeat=1, scale=0, most=10**12)
    hub.create(prices, hub.configure(config()))
    face = deploy_face(chain, hub.address, feed_id(prices), Level.ATTESTED)
    settings = SourceSettings.of({"aggregator": face, "form": "return"})
    recipe = propose_recipe(circuit, settings, ())
    source = create(chain, source_part(face, recipe, 60, 600))
    feed = propose_feed(circuit, recipe, Terms(listing, chain.address, "Volatility on chain", source=source))
    hub.create(feed.spec)
    time = (chain.time() - 2) // 60 * 60  # so that there is a price after it
    put_prices(chain, hub, prices, range(time - ROUNDS, chain.time() + 1))
    prover = Prover(home=volatility.home_in(run_folder))
    model = CircuitModel(feed, circuit, settings.open(run_folder, chain, max_age=feed.spec.max_age), prover)
    return SimpleNamespace(chain=chain, hub=hub, feed=feed, model=model, source=source, time=time)


def put_prices(chain, hub, prices, seconds):
    payloads = [price_report(prices, second).encode() for second in seconds]
    for at in range(0, len(payloads), 50):
        chain.write("FeedHub", hub.address, "verifyBulk", payloads[at : at + 50], b"")


def price_report(prices, second):
    report = FeedReport(feed_id(prices), second, second + prices.max_age, price(second))
    bare = FeedPayload(config().digest, second, report, (), word(1), bytes(48))
    return replace(bare, signatures=tuple(one.unsafe_sign_hash(bare.signing_hash) for one in signers(3)[:2]))


@pytest.fixture(scope="module")
def observation(scene):
    return scene.model.observe(scene.time // 60)


@pytest.fixture(scope="module")
def proven(scene, observation):
    """The report of the present round, posted."""
    payload = scene.model.prove(unsigned(scene.feed, observation, scene.model.answer(observation)))
    post(scene.hub, scene.chain, payload)
    return payload


def auditor(scene, run_folder):
    manifest = scene.model.circuit.manifest
    setups = volatility.home_in(run_folder).setups
    return Auditor(
        spec=scene.feed.spec,
        observe=chain_observation(scene.chain, scene.feed.spec, scene.feed.recipe),
        signers_of=scene.hub.signers_of,
        circuit=scene.model.circuit,
        engine=engine_named("ashlar"),
        setup=setups.find_or_generate(manifest.program.setup_size, manifest.recipe.setup.ceremony).path,
    )


def test_inputs_are_those_of_the_contract(scene, observation):
    last = int(observation.source_digest, 16)
    assert last == observation.observed_at == scene.time
    found = scene.chain.read("AggregatorSource", scene.source, "inputsOf", last, scene.time)
    assert bytes(found) == observation.inputs


@pytest.mark.parametrize("back", [1, 2, 13])
def test_inputs_of_earlier_times_are_those_of_the_contract(scene, back):
    time = scene.time - back
    found = scene.model.source.observe(scene.feed.recipe, time)
    last = int(found.source_digest, 16)
    assert bytes(scene.chain.read("AggregatorSource", scene.source, "inputsOf", last, time)) == found.inputs


def test_proven_round_is_read_from_the_hub(scene, proven):
    assert proven.signatures == ()
    number, found = scene.hub.latest(scene.feed.id, Level.PROVEN)
    assert (number, found.answer, found.observed_at) == (proven.round, proven.report.answer, scene.time)


@pytest.mark.parametrize(("change", "error"), [(-1, "NotTheLast"), (1, "NotYet")])
def test_other_hint_is_refused_by_the_contract(scene, observation, change, error):
    hint = (int(observation.source_digest, 16) + change).to_bytes(32, "big")
    recipe = bytes.fromhex(scene.feed.spec.recipe[2:])
    with pytest.raises(RevertedError, match=error):
        scene.chain.read("AggregatorSource", scene.source, "inputsAt", recipe, scene.time // 60, hint)


def test_audit_derives_the_round_from_the_chain_alone(scene, proven, run_folder):
    (found,) = reported_rounds(scene.chain, scene.hub.address, scene.feed.id)
    verdict = auditor(scene, run_folder).audit(found, posted_payload(scene.chain, scene.hub.address, found))
    assert (verdict.holds, verdict.problem) == (True, "")
    assert (verdict.signatures, verdict.proof, verdict.answer) == (0, "valid", proven.report.answer)


def test_audit_of_a_false_round_fails(scene, proven, run_folder):
    (found,) = reported_rounds(scene.chain, scene.hub.address, scene.feed.id)
    lie = replace(found, input_commitment=word(3))
    assert "other inputs" in auditor(scene, run_folder).audit(lie, None).problem


def test_source_with_other_arguments_is_refused(scene):
    other = replace(scene.feed.spec, tick=30)
    with pytest.raises(AuditError, match="not the contract that follows its recipe"):
        chain_observation(scene.chain, other, scene.feed.recipe)
