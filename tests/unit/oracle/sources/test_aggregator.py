from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.oracle.series import recipe, returns

from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.sources.aggregator import MAX_STEPS, PHASE, AggregatorSource, ForeignRound

TIME = 1_000_000
ANSWERS = st.lists(st.integers(1, 10**12), min_size=4, max_size=4)


class Foreign:
    """Another feed, with two decimals, whose rounds are a minute apart and end at TIME."""

    def __init__(self, *answers, phase=0, after=()):
        every = dict(enumerate((*answers, *after), 1))
        start = TIME - 60 * (len(answers) - 1)
        self.rounds = {phase * PHASE + n: ForeignRound(one, start + 60 * (n - 1)) for n, one in every.items()}

    def decimals(self):
        return 2

    def newest(self):
        return max(self.rounds)

    def round(self, number):
        if number not in self.rounds:
            raise SourceError(f"no round {number}")
        return self.rounds[number]


def test_last_answers_become_the_inputs():
    found = AggregatorSource(Foreign(5, 100, 150, 299)).observe(recipe(), TIME)
    assert found.numbers == (1, Fraction(3, 2), Fraction(299, 100))
    assert (found.inputs.hex(), found.observed_at) == ("00100018002f", TIME)
    assert (found.source_digest, found.source_file) == (f"0x{4:064x}", b"")


def test_answers_after_the_time_are_left_out():
    early = AggregatorSource(Foreign(100, 200, 300)).observe(recipe(), TIME)
    late = AggregatorSource(Foreign(100, 200, 300, after=(400, 500))).observe(recipe(), TIME)
    assert late == early


def test_last_answer_that_is_too_old_is_refused():
    foreign = Foreign(100, 200, 300)
    AggregatorSource(foreign, max_age=60).observe(recipe(), TIME + 60)
    with pytest.raises(SourceError, match="61 s old; at most 60"):
        AggregatorSource(foreign, max_age=60).observe(recipe(), TIME + 61)


def test_answers_of_one_phase_are_numbered_with_it():
    found = AggregatorSource(Foreign(100, 200, 300, phase=3)).observe(recipe(), TIME)
    assert int(found.source_digest, 16) == 3 * PHASE + 3


@given(ANSWERS)
def test_returns_are_those_of_the_contract(answers):
    """The contract: numerator / base rounded towards zero, and one less for negative ones with a remainder."""
    expected = []
    for before, after in pairwise(answers):
        numerator = (after - before) * 1024
        number = abs(numerator) // before * (1 if numerator >= 0 else -1)
        expected.append(number - (numerator < 0 and numerator % before != 0))
    wide = returns(bounds=("0.01", "10000000000"), encoding={"width": 8, "scale": 10})
    found = AggregatorSource(Foreign(*answers)).observe(wide, TIME)
    assert found.inputs == b"".join(one.to_bytes(8, "big", signed=True) for one in expected)


@pytest.mark.parametrize(
    ("foreign", "reason"),
    [
        (Foreign(100, 200), "needs 3"),
        (Foreign(100, 200, phase=2), "needs 3"),
        (Foreign(100, 0, 300), "answer of round 2"),
        (Foreign(100, -5, 300), "answer of round 2"),
        (Foreign(100, 1 << 127, 300), "answer of round 2"),
        (Foreign(100, 200, 10**6), "outside the recipe's bounds"),
    ],
)
def test_series_that_cannot_be_used_is_refused(foreign, reason):
    with pytest.raises(SourceError, match=reason):
        AggregatorSource(foreign).observe(recipe(), TIME)


@pytest.mark.parametrize(("last", "reason"), [(2, "too"), (4, "after"), (6, "no round")])
def test_hint_that_is_not_the_last_round_is_refused(last, reason):
    with pytest.raises(SourceError, match=reason):
        AggregatorSource(Foreign(100, 200, 300, after=(400,))).observe_from(recipe(), TIME, last)


def test_gap_after_the_hint_is_refused():
    foreign = Foreign(100, 200, 300, after=(400, 500))
    del foreign.rounds[4]
    with pytest.raises(SourceError, match="no round 4"):
        AggregatorSource(foreign).observe_from(recipe(), TIME, 3)


@pytest.mark.parametrize(("since", "accepted"), [(1, True), (0, False), (-60, False)])
def test_later_phase_must_have_begun_after_the_time(since, accepted):
    foreign = Foreign(100, 200, 300, after=(400,))
    foreign.rounds[PHASE + 1] = ForeignRound(400, TIME + since)
    source = AggregatorSource(foreign)
    if accepted:
        assert source.observe_from(recipe(), TIME, 3).inputs.hex() == "001000200030"
        return
    with pytest.raises(SourceError, match="too"):
        source.observe_from(recipe(), TIME, 3)


def test_phase_that_began_after_the_time_has_no_series():
    with pytest.raises(SourceError, match="began after"):
        AggregatorSource(Foreign(after=(100, 200))).observe(recipe(), TIME - 600)


def test_search_for_the_last_round_ends():
    foreign = Foreign(100, after=range(1, MAX_STEPS + 2))
    with pytest.raises(SourceError, match="more than 1000 rounds"):
        AggregatorSource(foreign).observe(recipe(), TIME)


def test_number_beyond_the_signed_width_is_refused():
    unsigned = recipe(encoding={"width": 1, "scale": 6, "signed": False})
    with pytest.raises(SourceError, match="signed bytes"):
        AggregatorSource(Foreign(100, 199, 200)).observe(unsigned, TIME)
