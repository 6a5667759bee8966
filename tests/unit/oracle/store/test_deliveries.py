import pytest
from tests.unit.oracle.rounds import FEED, new_round

from zkinfer.oracle.errors import RoundStateError
from zkinfer.oracle.states import DeliveryState
from zkinfer.oracle.store.deliveries import DeliveryKey

KEY = DeliveryKey(new_round().key, "base", "attested")


@pytest.fixture
def deliveries(store):
    store.rounds.record(new_round())
    store.deliveries.plan(KEY)
    return store.deliveries


def test_planned_twice_is_one_delivery(deliveries):
    deliveries.move(KEY, DeliveryState.SENT)
    deliveries.plan(KEY)
    assert [one.state for one in deliveries.open("base")] == [DeliveryState.SENT]


def test_attempts_count_what_was_sent(deliveries):
    for _ in range(2):
        deliveries.move(KEY, DeliveryState.SENT)
        deliveries.move(KEY, DeliveryState.WAITING, reason="the node is silent")
    (found,) = deliveries.open("base")
    assert (found.attempts, found.reason) == (2, "the node is silent")


def test_reorganised_delivery_forgets_its_height(deliveries):
    deliveries.move(KEY, DeliveryState.SEEN, height=7)
    assert deliveries.open("base")[0].height == 7
    deliveries.move(KEY, DeliveryState.WAITING)
    assert deliveries.open("base")[0].height is None


def test_final_delivery_is_closed_and_stays_final(deliveries):
    deliveries.move(KEY, DeliveryState.SEEN, height=7)
    deliveries.move(KEY, DeliveryState.FINAL)
    assert deliveries.open("base") == []
    assert deliveries.newest(FEED, "base").state == DeliveryState.FINAL
    with pytest.raises(RoundStateError, match="final cannot become waiting"):
        deliveries.move(KEY, DeliveryState.WAITING)


def test_delivery_that_was_not_planned_cannot_move(deliveries):
    with pytest.raises(RoundStateError, match="was not to go to other"):
        deliveries.move(DeliveryKey(KEY.round, "other", "attested"), DeliveryState.SENT)


def test_open_deliveries_are_of_one_chain_newest_first(store, deliveries):
    newer = store.rounds.record(new_round(101)).key
    deliveries.plan(DeliveryKey(newer, "base", "attested"))
    deliveries.plan(DeliveryKey(newer, "other", "attested"))
    assert [one.key.round.number for one in deliveries.open("base")] == [101, 100]
    assert deliveries.counts() == {("base", DeliveryState.WAITING): 2, ("other", DeliveryState.WAITING): 1}
    assert len(deliveries.of_round(newer)) == 2
