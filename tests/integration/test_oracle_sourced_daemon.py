"""The daemon's loops over a feed whose inputs a contract computes: nobody signs, and every round is proven."""

from dataclasses import replace
from fractions import Fraction

import pytest
from tests.integration.test_oracle_sourced import scene

from zkinfer.contracts.feed_formats import FeedPayload, Level
from zkinfer.contracts.signers import unsafe_dev_account
from zkinfer.contracts.transactions import Limits
from zkinfer.oracle.alerts import Alerts
from zkinfer.oracle.chains import ImpatientState
from zkinfer.oracle.delivery import DeliveryLoop
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.feed import Delivered, Feed
from zkinfer.oracle.hub_chain import HubChain
from zkinfer.oracle.loop import FeedLoop
from zkinfer.oracle.proofs import ProofLoop
from zkinfer.oracle.settled import SettledSource
from zkinfer.oracle.states import DeliveryState
from zkinfer.oracle.store import Store
from zkinfer.oracle.store.rounds import RoundKey

pytestmark = pytest.mark.slow
__all__ = ["scene"]


@pytest.fixture
def chain(scene):
    payer = unsafe_dev_account(2, scene.chain.id)
    web3, hub = scene.chain._web3, scene.hub.address
    return HubChain("base", web3, hub, payer, limits=Limits(), confirmations=1, min_balance=1)


@pytest.fixture
def feed(scene, chain):
    model = replace(scene.model, source=SettledSource(scene.model.source, chain, ImpatientState(chain, 10)))
    return Feed("vol", scene.feed.spec, None, model, None, "", Delivered.PROVEN, Fraction(0), ("base",))


def test_round_is_made_proven_and_posted_without_any_signature(scene, chain, feed, tmp_path):
    clock = chain.time
    with Store.open(f"sqlite:///{tmp_path}/o/o.db") as store:
        alerts = Alerts()
        FeedLoop(feed, store, {"base": chain}, None, alerts, clock).step()
        assert ProofLoop(feed, store, {"base": chain}, alerts, clock).step()
        delivery = DeliveryLoop(chain, {feed.id: feed}, store, alerts, clock)
        while delivery.step():
            pass
        stored = store.rounds.find(RoundKey(feed.id, scene.time // 60))
        (delivered,) = store.deliveries.of_round(stored.key)
    number, found = scene.hub.latest(feed.id, Level.PROVEN)
    assert (number, found.answer, found.observed_at) == (scene.time // 60, stored.answer, scene.time)
    assert FeedPayload.decode(stored.payload).signatures == ()
    assert (delivered.state, delivered.key.level) == (DeliveryState.FINAL, "proven")


def test_source_waits_for_a_block_after_the_tick(scene, chain, feed):
    with pytest.raises(SourceError, match="has no block after"):
        feed.model.observe(chain.time() // 60 + 1)
