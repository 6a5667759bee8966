from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.oracle.fakes import CONFIG, SPEC, START

from zkinfer.oracle.feed import Delivered, Feed
from zkinfer.oracle.schedule import Due, Last, due, last_vote, proposal_time, rank, takeover_time

TICK = START // 10


def feed_of(signer=0, config=CONFIG, **changes):
    address = "" if config is None else config.signers[signer]
    found = Feed("fake", SPEC, config, None, None, address, Delivered.BOTH, Fraction(1, 100), ("base",))
    return replace(found, **changes)


@pytest.mark.parametrize(
    ("answer", "last", "wanted"),
    [
        (100, None, Due.FIRST),
        (100, Last(START, 100), None),
        (100, Last(START + 10, 0), None),
        (100, Last(START - 10, 100), None),
        (101, Last(START - 10, 100), Due.DEVIATION),
        (99, Last(START - 10, 100), Due.DEVIATION),
        (-101, Last(START - 10, -100), Due.DEVIATION),
        (0, Last(START - 10, 0), Due.DEVIATION),
        (100, Last(START - 40, 100), None),
        (100, Last(START - 41, 100), Due.HEARTBEAT),
        (100, Last(START - 1000, 100), Due.HEARTBEAT),
    ],
    ids=range(11),
)
def test_round_is_due_by_heartbeat_or_deviation(answer, last, wanted):
    assert due(feed_of(), TICK, answer, [last]) == wanted


def test_without_a_deviation_only_the_heartbeat_counts():
    assert due(feed_of(deviation=None), TICK, 500, [Last(START - 10, 100)]) is None


def test_round_that_one_of_two_chains_lacks_is_due():
    assert due(feed_of(), TICK, 100, [Last(START - 10, 100), None]) == Due.FIRST
    assert due(feed_of(), TICK, 100, [Last(START - 10, 100), Last(START - 50, 100)]) == Due.HEARTBEAT


def test_asked_for_round_is_due_whatever_the_chains_have():
    assert due(feed_of(), TICK, 100, [Last(START, 100)], asked=True) == Due.ASKED


@given(st.integers(0, 1 << 40))
def test_each_rank_is_taken_once_in_every_round(number):
    assert sorted(rank(feed_of(signer), number) for signer in range(3)) == [0, 1, 2]


@given(st.integers(0, 1 << 32))
def test_all_propose_within_the_tick_and_one_at_its_beginning(number):
    times = sorted(proposal_time(feed_of(signer), number) - number * SPEC.tick for signer in range(3))
    assert times[0] == 0
    assert times[2] < SPEC.tick * 0.75


@given(st.integers(0, 1 << 32))
def test_all_take_over_before_the_next_heartbeat(number):
    at = number * SPEC.tick
    assert all(0 < takeover_time(feed_of(signer), number, at) - at <= SPEC.heartbeat / 2 for signer in range(3))


def test_feed_without_signers_waits_for_nobody():
    alone = feed_of(config=None)
    assert (rank(alone, TICK), proposal_time(alone, TICK)) == (0, TICK * 10)
    assert takeover_time(alone, TICK, START) == START


def test_reports_are_signed_for_a_tick_and_the_clocks_skew():
    assert last_vote(SPEC, START) == START + 15
