"""Posting several payloads at once: in one transaction, or one by one if one of them is refused."""

from dataclasses import replace

import pytest
from tests.unit.oracle.fakes import KEYS, SPEC, START, Model

from zkinfer.contracts.errors import FeeLimitError, RevertedError, RpcError
from zkinfer.contracts.feed_formats import FeedPayload, SignerConfig, sign
from zkinfer.oracle import outbox
from zkinfer.oracle.alerts import AlertKind, Alerts
from zkinfer.oracle.feed import Delivered, Feed, packed
from zkinfer.oracle.outbox import Outbox, Ready
from zkinfer.oracle.states import DeliveryState, RoundState
from zkinfer.oracle.store import Store
from zkinfer.oracle.store.deliveries import DeliveryKey

ALONE = SignerConfig.of([KEYS[0].address], 1)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/oracle.db") as found:
        yield found


@pytest.fixture
def alerts():
    return Alerts()


@pytest.fixture
def box(store, chain, alerts, clock):
    chain.config = ALONE
    return Outbox(chain, store, alerts, clock)


@pytest.fixture
def ready(store, clock):
    return [waiting(store, clock, value) for value in (1, 2, 3)]


def waiting(store, clock, value):
    """A delivery of a signed round of a feed of its own."""
    spec = replace(SPEC, description=f"feed {value}")
    key = KEYS[0]
    feed = Feed(
        name=f"feed{value}",
        spec=spec,
        config=ALONE,
        model=Model(clock),
        signer=key,
        address=key.address.lower(),
        delivered=Delivered.ATTESTED,
        deviation=0,
        chains=("base",),
    )
    stored = store.rounds.record(feed.new_round(Model.observed(START, value), value, feed.address))
    unsigned = feed.unsigned_of(stored)
    payload = feed.attested(unsigned, [packed(sign(unsigned.signing_hash, key))])
    delivery = DeliveryKey(stored.key, "base", "attested")
    store.deliveries.plan(delivery)
    store.rounds.advance(stored.key, RoundState.SIGNED, payload=payload.encode())
    (found,) = store.deliveries.of_round(stored.key)
    return Ready(found, feed, store.rounds.find(stored.key))


def states(store, ready):
    return [store.deliveries.of_round(one.delivery.key.round)[0].state for one in ready]


def refuse(chain, monkeypatch, feed):
    """Let the hub refuse the payloads of one feed."""
    accept = chain.post

    def post(data):
        if FeedPayload.decode(data).report.feed_id == feed.id:
            raise RevertedError("WrongConfig")
        return accept(data)

    monkeypatch.setattr(chain, "post", post)


def test_several_payloads_go_in_one_transaction(box, chain, store, ready):
    box.send(ready)
    assert (chain.batches, len(chain.sent)) == ([3], 3)
    assert states(store, ready) == [DeliveryState.SEEN] * 3
    assert len({store.deliveries.of_round(one.delivery.key.round)[0].transaction for one in ready}) == 1


def test_one_payload_goes_alone(box, chain, ready):
    box.send(ready[:1])
    assert (chain.batches, len(chain.sent)) == ([], 1)


def test_nothing_is_sent_without_payloads(box, chain):
    box.send([])
    assert chain.sent == []


def test_refused_payload_spoils_none_of_the_others(box, chain, store, ready, alerts, monkeypatch):
    refuse(chain, monkeypatch, ready[1].feed)
    box.send(ready)
    assert states(store, ready) == [DeliveryState.SEEN, DeliveryState.REFUSED, DeliveryState.SEEN]
    assert alerts.active == {(AlertKind.POST_REFUSED, "feed2 on base")}
    assert box.is_in_doubt


def test_payloads_that_do_not_fit_wait_for_the_next_step(box, chain, store, ready, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_BYTES", len(ready[0].payload) + len(ready[1].payload))
    box.send(ready)
    assert chain.batches == [2]
    assert states(store, ready) == [DeliveryState.SEEN, DeliveryState.SEEN, DeliveryState.WAITING]


def test_payload_larger_than_a_transaction_is_tried_alone(box, chain, ready, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_BYTES", 1)
    box.send(ready)
    assert len(chain.sent) == 1


@pytest.mark.parametrize(("error", "is_in_doubt"), [(RpcError, False), (FeeLimitError, True)])
def test_failure_of_a_transaction_leaves_all_waiting_and_pauses(
    box, chain, store, ready, clock, monkeypatch, error, is_in_doubt
):
    def fail(payloads):
        raise error("It failed.")

    monkeypatch.setattr(chain, "post_all", fail)
    box.send(ready)
    assert states(store, ready) == [DeliveryState.WAITING] * 3
    assert (chain.sent, box.may_post(), box.is_in_doubt) == ([], False, is_in_doubt)
    clock.now += 6
    assert box.may_post()
