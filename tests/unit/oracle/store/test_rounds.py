import pytest
from tests.unit.oracle.rounds import FEED, OTHER, SIGNER, new_round

from zkinfer.oracle.errors import RoundStateError
from zkinfer.oracle.states import RoundState
from zkinfer.oracle.store import Store
from zkinfer.oracle.store.deliveries import DeliveryKey


def test_recorded_round_is_found_again_after_a_restart(url):
    with Store.open(url) as store:
        store.rounds.record(new_round())
    with Store.open(url) as again:
        found = again.rounds.find(new_round().key)
        assert (found.state, found.answer, found.inputs) == (RoundState.OBSERVED, -1234, b"\x01\x02")
        assert again.rounds.source(found.source_digest) == b'{"prices":[1]}'


def test_second_report_for_a_round_leaves_the_first(store):
    store.rounds.record(new_round())
    found = store.rounds.record(new_round(answer=7, signing_hash="0x" + "ff" * 32))
    assert (found.answer, found.signing_hash) == (-1234, f"0x{100:064x}")


def test_answer_of_192_bits_is_kept_exactly(store):
    found = store.rounds.record(new_round(answer=-(1 << 191)))
    assert found.answer == -(1 << 191)


def test_signature_is_kept_once(store):
    key = store.rounds.record(new_round()).key
    store.rounds.sign(key, SIGNER, b"a" * 65)
    store.rounds.sign(key, SIGNER, b"b" * 65)
    assert store.rounds.signatures(key) == {SIGNER: b"a" * 65}


def test_advance_keeps_payload_and_is_repeatable(store):
    key = store.rounds.record(new_round()).key
    assert store.rounds.advance(key, RoundState.SIGNED, payload=b"attested")
    assert not store.rounds.advance(key, RoundState.SIGNED, payload=b"other")
    assert store.rounds.advance(key, RoundState.PROVEN, payload=b"proven", milliseconds=12)
    found = store.rounds.find(key)
    assert (found.state, found.payload, found.milliseconds) == (RoundState.PROVEN, b"proven", 12)


def test_round_that_is_not_signed_cannot_be_proven(store):
    key = store.rounds.record(new_round()).key
    with pytest.raises(RoundStateError, match="observed cannot become proven"):
        store.rounds.advance(key, RoundState.PROVEN)


def test_unknown_round_cannot_advance(store):
    with pytest.raises(RoundStateError, match="There is no round 100"):
        store.rounds.advance(new_round().key, RoundState.SIGNED)


def test_supersede_leaves_newer_proven_unsigned_and_other_feeds(store):
    for number in (1, 2, 3, 4):
        store.rounds.record(new_round(number))
    store.rounds.record(new_round(1, OTHER))
    for new in (new_round(1), new_round(2), new_round(4), new_round(1, OTHER)):
        store.rounds.advance(new.key, RoundState.SIGNED)
    store.rounds.advance(new_round(1).key, RoundState.PROVEN)
    assert store.rounds.supersede(FEED, 4, "newer") == 1
    states = [store.rounds.find(new_round(number).key).state for number in (1, 2, 3, 4)]
    assert states == [RoundState.PROVEN, RoundState.SUPERSEDED, RoundState.OBSERVED, RoundState.SIGNED]
    assert store.rounds.find(new_round(1, OTHER).key).state == RoundState.SIGNED


def test_reports_are_found_by_time_and_only_with_payload(store):
    for number in (1, 2, 3):
        store.rounds.record(new_round(number))
    for number in (1, 2):
        store.rounds.advance(new_round(number).key, RoundState.SIGNED, payload=bytes([number]))
    assert store.rounds.report_at(FEED, 99).key.number == 2
    assert store.rounds.report_at(FEED, 22).key.number == 1
    assert store.rounds.report_at(FEED, 12) is None
    assert [one.key.number for one in store.rounds.reports_from(FEED, 13, 9)] == [1, 2]
    assert [one.key.number for one in store.rounds.reports_from(FEED, 0, 1)] == [1]


def test_page_of_reports_has_an_upper_limit_of_bytes_but_at_least_one(store):
    for number in (1, 2, 3):
        store.rounds.record(new_round(number))
        store.rounds.advance(new_round(number).key, RoundState.SIGNED, payload=b"a" * 100)
    assert [one.key.number for one in store.rounds.reports_from(FEED, 0, 9, max_bytes=250)] == [1, 2]
    assert [one.key.number for one in store.rounds.reports_from(FEED, 0, 9, max_bytes=1)] == [1]


def test_newest_round_is_found_by_state(store):
    assert store.rounds.newest(FEED) is None
    for number in (5, 9, 7):
        store.rounds.record(new_round(number))
    store.rounds.advance(new_round(5).key, RoundState.SIGNED)
    assert store.rounds.newest(FEED).key.number == 9
    assert store.rounds.newest(FEED, RoundState.SIGNED).key.number == 5


def test_prune_forgets_what_has_expired_with_all_that_belongs_to_it(store):
    for number in (1, 9):
        new = new_round(number, source=bytes([number]), source_digest=f"0x{number:064x}")
        key = store.rounds.record(new).key
        store.rounds.sign(key, SIGNER, b"a" * 65)
        store.deliveries.plan(DeliveryKey(key, "base", "attested"))
    assert store.rounds.prune(before=100) == 1
    assert store.rounds.find(new_round(1).key) is None
    assert store.rounds.signatures(new_round(1).key) == {}
    assert [one.key.round.number for one in store.deliveries.open("base")] == [9]
    assert store.rounds.source(f"0x{9:064x}") == bytes([9])


def test_counts_are_by_feed_and_state(store):
    store.rounds.record(new_round(1))
    store.rounds.record(new_round(2))
    store.rounds.advance(new_round(2).key, RoundState.REFUSED, reason="no peer agreed")
    assert store.rounds.counts() == {(FEED, RoundState.OBSERVED): 1, (FEED, RoundState.REFUSED): 1}


def test_forgotten_round_and_those_before_it_are_never_recorded_again(url):
    with Store.open(url) as store:
        for number in (5, 9):
            store.rounds.record(new_round(number))
        assert store.rounds.prune(before=140) == 1
    with Store.open(url) as store:
        for number in (3, 5):
            with pytest.raises(RoundStateError, match="may have been signed, and was forgotten"):
                store.rounds.record(new_round(number))
        assert store.rounds.record(new_round(6)).key.number == 6
        assert store.rounds.record(new_round(3, OTHER)).key.number == 3


def test_floor_never_falls(store):
    for number in (9, 5):
        store.rounds.record(new_round(number))
    store.rounds.prune(before=160)
    store.rounds.prune(before=120)
    with pytest.raises(RoundStateError, match="forgotten"):
        store.rounds.record(new_round(9))


def test_withdrawn_rounds_are_those_after_one_and_have_no_report(store):
    for number in (1, 2, 3):
        store.rounds.record(new_round(number))
        store.rounds.advance(new_round(number).key, RoundState.SIGNED, payload=b"report")
    store.rounds.advance(new_round(3).key, RoundState.PROVEN)
    assert store.rounds.withdraw(FEED, 1, "wrong clock") == 2
    assert store.rounds.withdraw(FEED, 1, "wrong clock") == 0
    found = [store.rounds.find(new_round(number).key) for number in (1, 2, 3)]
    assert [one.state for one in found] == [RoundState.SIGNED, RoundState.REFUSED, RoundState.REFUSED]
    assert [one.payload for one in found] == [b"report", None, None]
