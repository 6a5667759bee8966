import threading
from dataclasses import replace

import pytest
from tests.unit.oracle.fakes import SPEC, START, FakeChain, HubRound

from zkinfer.contracts.feed_formats import Level
from zkinfer.oracle.states import DeliveryState
from zkinfer.oracle.status import WatchedFeed, status_of
from zkinfer.oracle.store import Store
from zkinfer.oracle.store.deliveries import DeliveryKey
from zkinfer.oracle.store.gaps import Gap, GapReason
from zkinfer.oracle.store.leases import feed_lease
from zkinfer.oracle.store.rounds import RoundKey

TICK = START // 10
FEED = "0x0003" + "ab" * 30
WATCHED = WatchedFeed("vol", FEED, SPEC.tick, SPEC.heartbeat, Level.PROVEN, ("base",))


@pytest.fixture
def chain():
    return FakeChain(blocks=[{(FEED, TICK): HubRound(123, START, Level.PROVEN)}])


def status(chain, now, store=None):
    (found,) = status_of([WATCHED], {"base": chain}, store, now)
    return found


def test_fresh_feed_is_fine(chain):
    found = status(chain, START + 60)
    assert (found.fine, found.age, found.round, found.answer, found.level) == (True, 60, TICK, 123, "proven")
    assert found.balance == 100


def test_feed_older_than_its_heartbeat_is_late(chain):
    assert not status(chain, START + 61).fine


def test_attested_round_is_not_enough_for_a_proven_feed(chain):
    chain.blocks = [{(FEED, TICK): HubRound(123, START, Level.ATTESTED)}]
    found = status(chain, START)
    assert (found.fine, found.round) == (False, None)


def test_feed_without_a_round_is_late(chain):
    chain.blocks = [{}]
    assert status(chain, START).late


def test_contradicted_feed_is_not_fine(chain):
    chain.contradicted = True
    found = status(chain, START)
    assert (found.fine, found.late, found.contradicted) == (False, False, True)


def test_chain_that_does_not_answer_is_not_fine(chain):
    chain.down = True
    found = status(chain, START)
    assert (found.fine, found.unreachable) == (False, "The node is silent.")


def test_node_that_hangs_does_not_hide_the_state_on_another_chain(chain, monkeypatch):
    monkeypatch.setattr("zkinfer.oracle.status.PATIENCE", 0.1)
    hanging, ending = FakeChain("other"), threading.Event()
    monkeypatch.setattr(hanging, "latest", lambda feed, level: ending.wait(30))
    watched = replace(WATCHED, chains=("other", "base"))
    silent, fine = status_of([watched], {"other": hanging, "base": chain}, None, START)
    ending.set()
    assert "gave no answer in 0.1 s" in silent.unreachable
    assert fine.fine


def test_gap_and_reason_come_from_the_daemons_store(chain, three):
    store = three[0].store
    key = DeliveryKey(RoundKey(FEED, TICK), "base", "proven")
    store.gaps.note(FEED, Gap(TICK + 1, TICK + 4, GapReason.SOURCE_REFUSED, "503"))
    store.deliveries.plan(key)
    store.deliveries.move(key, DeliveryState.REFUSED, reason="It expired.")
    found = status(chain, START, store)
    assert [one.reason for one in found.undelivered] == ["It expired."]
    assert (found.gap, found.waiting) == (Gap(TICK + 1, TICK + 4, GapReason.SOURCE_REFUSED, "503"), "It expired.")


def test_document_has_large_numbers_as_text(chain, tmp_path):
    chain.blocks = [{(FEED, TICK): HubRound(-(1 << 190), START, Level.PROVEN)}]
    with Store.open(f"sqlite:///{tmp_path}/o/o.db") as store:
        store.gaps.note(FEED, Gap(1, 2, GapReason.NOT_RUNNING, ""))
        document = status(chain, START, store).document()
    assert (document["answer"], document["balance"]) == (str(-(1 << 190)), "100")
    assert document["gaps"] == [{"first": 1, "last": 2, "from": 10, "to": 30, "reason": "not running", "detail": ""}]
    assert document["undelivered"] == []
    assert (document["late"], document["age"]) == (False, 0)


def test_chain_without_an_account_shows_no_balance(chain):
    chain.posts = False
    assert status(chain, START).balance is None


def test_as_many_gaps_and_undelivered_rounds_are_shown_as_asked_for(chain, three):
    store = three[0].store
    for number in range(4):
        store.gaps.note(FEED, Gap(number * 2, number * 2, GapReason.TOO_SLOW, ""))
        key = DeliveryKey(RoundKey(FEED, number), "base", "proven")
        store.deliveries.plan(key)
        store.deliveries.move(key, DeliveryState.SUPERSEDED, reason="newer")
        store.deliveries.plan(DeliveryKey(RoundKey(FEED, number), "other", "proven"))
    (found,) = status_of([WATCHED], {"base": chain}, store, START, gaps=3)
    assert [gap.first for gap in found.gaps] == [6, 4, 2]
    assert [one["round"] for one in found.document()["undelivered"]] == [3, 2, 1]


def test_daemon_that_holds_the_feed_and_looks_at_its_ticks_is_seen(chain, three):
    store = three[0].store
    store.leases.hold(feed_lease(FEED), 15)
    store.gaps.looked_at(FEED, TICK)
    found = status(chain, START, store)
    assert (found.has_daemon, found.looked_at) == (True, START)
    assert (found.document()["daemon"], found.document()["lookedAt"]) == (True, START)


def test_lease_without_a_look_at_the_last_tick_is_no_daemon(chain, three):
    store = three[0].store
    store.leases.hold(feed_lease(FEED), 15)
    store.gaps.looked_at(FEED, TICK)
    assert status(chain, START + 50, store).has_daemon
    assert not status(chain, START + 51, store).has_daemon


def test_daemon_that_has_ended_is_not_seen_although_the_feed_is_fresh(chain, three):
    store = three[0].store
    store.leases.hold(feed_lease(FEED), 15)
    store.gaps.looked_at(FEED, TICK)
    store.leases.release()
    found = status(chain, START, store)
    assert (found.fine, found.has_daemon, found.looked_at) == (True, False, START)


def test_feed_of_which_no_database_tells_has_no_daemon(chain):
    assert (status(chain, START).has_daemon, status(chain, START).looked_at) == (False, None)
