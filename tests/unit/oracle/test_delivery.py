"""Deliveries to a chain that is reorganised, down, refuses, or is served by others."""

import pytest
from tests.unit.oracle.fakes import KEYS, START, HubRound, operators

from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.feed_formats import FeedPayload, Level, SignerConfig
from zkinfer.oracle.alerts import AlertKind
from zkinfer.oracle.feed import Delivered
from zkinfer.oracle.states import DeliveryState
from zkinfer.oracle.store.rounds import RoundKey

TICK = START // 10


@pytest.fixture
def one(tmp_path, clock, chain):
    """An operator of a feed that any of three signers can sign alone, and which goes to chains attested."""
    alone = SignerConfig.of([KEYS[0].address], 1)
    (found,) = operators(tmp_path, clock, [chain], count=1, delivered=Delivered.ATTESTED, config=alone)
    chain.config = alone
    yield found
    found.stop()


@pytest.fixture
def ready(one):
    """The operator, with a signed round that is not posted yet."""
    one.loop.step()
    return one


def state_of(operator, number=TICK):
    (found,) = operator.store.deliveries.of_round(RoundKey(operator.feed.id, number))
    return found.state


def reason_of(operator):
    (found,) = operator.store.deliveries.of_round(RoundKey(operator.feed.id, TICK))
    return found.reason


def test_posted_round_is_seen_and_final_after_its_confirmations(ready, chain):
    states = []
    for _ in range(4):
        ready.deliveries[0].step()
        states.append(state_of(ready))
        chain.mine()
    assert states == [DeliveryState.SEEN, DeliveryState.SEEN, DeliveryState.FINAL, DeliveryState.FINAL]
    assert len(chain.sent) == 1


def test_round_that_is_reorganised_away_is_posted_again(ready, chain):
    chain.mine(5)
    ready.deliveries[0].step()
    chain.reorganise(1)
    ready.deliveries[0].step()
    assert state_of(ready) == DeliveryState.WAITING
    ready.deliveries[0].step()
    assert state_of(ready) == DeliveryState.SEEN
    assert len(chain.sent) == 2


def test_round_that_another_has_posted_is_only_watched(ready, chain):
    chain.post(ready.store.rounds.find(RoundKey(ready.feed.id, TICK)).payload)
    ready.deliveries[0].step()
    assert state_of(ready) == DeliveryState.SEEN
    assert len(chain.sent) == 1


def test_daemon_that_was_killed_while_it_posted_asks_the_hub_first(ready, chain):
    (delivery,) = ready.store.deliveries.open("base")
    ready.store.deliveries.move(delivery.key, DeliveryState.SENT)
    chain.post(ready.store.rounds.find(delivery.key.round).payload)
    ready.deliveries[0].step()
    assert state_of(ready) == DeliveryState.SEEN
    assert len(chain.sent) == 1


def test_sent_transaction_that_never_arrived_is_sent_again(ready, chain):
    (delivery,) = ready.store.deliveries.open("base")
    ready.store.deliveries.move(delivery.key, DeliveryState.SENT)
    ready.deliveries[0].step()
    ready.deliveries[0].step()
    assert state_of(ready) == DeliveryState.SEEN


def test_newer_round_supersedes_one_that_was_not_sent(ready, chain, clock):
    clock.now += 10
    ready.loop.step()
    ready.deliveries[0].step()
    assert state_of(ready, TICK) == DeliveryState.SUPERSEDED
    assert state_of(ready, TICK + 1) == DeliveryState.SEEN
    assert [number for number, _ in chain.sent] == [TICK + 1]


def test_round_from_the_future_waits_and_supersedes_none(ready, chain, clock):
    clock.now += 10
    ready.loop.step()
    clock.now -= 5
    ready.deliveries[0].step()
    assert (state_of(ready, TICK), state_of(ready, TICK + 1)) == (DeliveryState.SEEN, DeliveryState.WAITING)
    clock.now += 5
    ready.deliveries[0].step()
    assert state_of(ready, TICK + 1) == DeliveryState.SEEN


def test_refused_report_is_not_posted_again_and_the_operator_is_told(ready, chain, clock):
    chain.refuses = "WrongConfig"
    for _ in range(3):
        ready.deliveries[0].step()
        clock.now += 10
    assert state_of(ready) == DeliveryState.REFUSED
    assert "WrongConfig" in reason_of(ready)
    assert (AlertKind.POST_REFUSED, "fake on base") in ready.alerts.active


def test_report_from_the_chains_future_waits(ready, chain, clock):
    chain.refuses, chain.block_time = "FromTheFuture", START - 5
    ready.deliveries[0].step()
    assert state_of(ready) == DeliveryState.WAITING
    chain.refuses, chain.block_time = "", START
    clock.now += 2
    ready.deliveries[0].step()
    assert state_of(ready) == DeliveryState.SEEN


def test_chain_with_another_report_of_the_round_keeps_it(ready, chain):
    chain.blocks.append({(ready.feed.id, TICK): HubRound(99, START, Level.PROVEN)})
    ready.deliveries[0].step()
    assert (state_of(ready), reason_of(ready)) == (
        DeliveryState.REFUSED,
        "The chain has another report for this round.",
    )
    assert chain.sent == []


def test_node_that_fails_while_posting_is_asked_again_later(ready, chain, clock, monkeypatch):
    def fail(data):
        raise RpcError("The node is silent.")

    monkeypatch.setattr(chain, "post", fail, raising=False)
    ready.deliveries[0].step()
    assert (state_of(ready), reason_of(ready)) == (DeliveryState.WAITING, "The node is silent.")
    monkeypatch.undo()
    ready.deliveries[0].step()
    assert chain.sent == []
    clock.now += 6
    ready.deliveries[0].step()
    assert state_of(ready) == DeliveryState.SEEN


def test_round_that_expires_unsent_is_refused_with_the_cause(ready, chain, clock):
    chain.posts = False
    ready.deliveries[0].step()
    clock.now += 61
    ready.deliveries[0].step()
    assert (state_of(ready), reason_of(ready)) == (DeliveryState.REFUSED, "It expired before it was posted.")


def test_silent_chain_raises_and_loses_nothing(ready, chain):
    chain.down = True
    with pytest.raises(RpcError):
        ready.deliveries[0].step()
    chain.down = False
    ready.deliveries[0].step()
    assert state_of(ready) == DeliveryState.SEEN


def test_low_balance_contradiction_and_age_are_told_once_and_end(ready, chain, clock):
    chain.wealth, chain.contradicted = 1, True
    ready.deliveries[0].step()
    kinds = {kind for kind, _ in ready.alerts.active}
    assert {AlertKind.BALANCE_LOW, AlertKind.CONTRADICTED} <= kinds
    chain.wealth, chain.contradicted = 100, False
    clock.now += 31
    ready.deliveries[0].step()
    assert ready.alerts.active == frozenset()
    clock.now += 100
    ready.deliveries[0].step()
    assert {kind for kind, _ in ready.alerts.active} == {AlertKind.LATE}


def test_two_operators_with_one_account_take_turns(ready, tmp_path, clock, chain):
    assert ready.store.leases.hold(f"account:{chain.id}:{chain.account}", 120)
    (other,) = operators(tmp_path, clock, [chain], count=1, delivered=Delivered.ATTESTED)
    other.deliveries[0].step()
    assert chain.sent == []


def test_proof_that_comes_later_raises_the_level(tmp_path, clock, chain, three):
    for _ in range(6):
        for one in three:
            one.loop.step()
            one.deliveries[0].step()
        clock.now += 1
    assert chain.round_of(three[0].feed.id, TICK).level == Level.ATTESTED
    for one in three:
        one.proofs.step()
        one.deliveries[0].step()
    found = chain.round_of(three[0].feed.id, TICK)
    assert found.level == Level.PROVEN
    assert [level for _, level in chain.sent] == [Level.ATTESTED, Level.PROVEN]


def test_payload_on_record_is_what_the_hub_takes(ready):
    stored = ready.store.rounds.find(RoundKey(ready.feed.id, TICK))
    assert FeedPayload.decode(stored.payload).encode() == stored.payload
