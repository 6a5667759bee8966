from hypothesis import given
from hypothesis import strategies as st
from tests.unit.oracle.rounds import FEED, OTHER

from zkinfer.oracle.store import Store
from zkinfer.oracle.store.gaps import Gap, GapReason


def test_gap_that_continues_the_last_extends_it(store):
    for number in (4, 5, 6):
        store.gaps.note(FEED, Gap(number, number, GapReason.SOURCE_REFUSED, f"at {number}"))
    assert store.gaps.of(FEED) == [Gap(4, 6, GapReason.SOURCE_REFUSED, "at 4")]
    assert store.gaps.of(OTHER) == []


def test_gap_for_another_reason_is_another(store):
    store.gaps.note(FEED, Gap(4, 5, GapReason.SOURCE_REFUSED, "a"))
    store.gaps.note(FEED, Gap(6, 6, GapReason.PEERS_DISAGREE, "b"))
    assert [gap.first for gap in store.gaps.of(FEED)] == [6, 4]


def test_tick_that_was_looked_at_never_goes_back(store):
    assert store.gaps.last_tick(FEED) is None
    assert store.gaps.looked_at(FEED, 7) is None
    assert store.gaps.looked_at(FEED, 5) == 7
    assert store.gaps.last_tick(FEED) == 7


def test_pruned_gaps_are_gone(store):
    store.gaps.note(FEED, Gap(1, 3, GapReason.NOT_RUNNING, ""))
    store.gaps.note(FEED, Gap(8, 9, GapReason.NOT_RUNNING, ""))
    store.gaps.prune(FEED, 4)
    assert [gap.first for gap in store.gaps.of(FEED)] == [8]


_REASONS = st.sampled_from([GapReason.NOT_RUNNING, GapReason.TOO_SLOW])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), _REASONS), max_size=12))
def test_gaps_never_overlap_whatever_is_noted(tmp_path_factory, noted):
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('gaps')}/x/o.db") as store:
        for first, more, reason in noted:
            store.gaps.note(FEED, Gap(first, first + more, reason, ""))
        found = store.gaps.of(FEED, 100)
    covered = [number for gap in found for number in range(gap.first, gap.last + 1)]
    assert len(covered) == len(set(covered))
