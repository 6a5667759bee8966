import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.contracts.batching import MOST_BYTES, MOST_GAS, Weight, packed

WEIGHTS = st.builds(Weight, st.integers(0, 12), st.integers(0, 12))


@pytest.mark.parametrize(("gas", "size"), [(1, 0), (0, 1)])
def test_neither_limit_is_passed(gas, size):
    assert packed([(n, Weight(gas * 4, size * 4)) for n in range(5)], 8, 8) == [[0, 1], [2, 3], [4]]


def test_nineteen_answers_of_the_usual_gas_take_two_transactions():
    batches = packed([(n, Weight(900_000, 4_000)) for n in range(19)])
    assert [len(batch) for batch in batches] == [18, 1]
    assert MOST_GAS >= 18 * 900_000
    assert MOST_BYTES >= 18 * 4_000


def test_nothing_makes_no_batch():
    assert packed([]) == []


def test_what_alone_is_too_much_is_alone():
    assert packed([("a", Weight(1, 1)), ("b", Weight(9, 1)), ("c", Weight(1, 1))], 8, 8) == [["a"], ["b"], ["c"]]


@given(st.lists(WEIGHTS))
def test_nothing_is_lost_and_every_batch_fits_or_is_one(weights):
    batches = packed([((n, weight), weight) for n, weight in enumerate(weights)], 20, 20)
    assert [number for batch in batches for number, _ in batch] == list(range(len(weights)))
    for batch in batches:
        assert len(batch) == 1 or max(sum(w.gas for _, w in batch), sum(w.size for _, w in batch)) <= 20
