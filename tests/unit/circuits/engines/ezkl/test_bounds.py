import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.engines.ezkl.bounds import MAX_BITS, narrowest
from zkinfer.circuits.errors import RangeError

widths = st.lists(st.integers(1, MAX_BITS), min_size=1, max_size=8)


def asking(asked):
    """A measure on samples that are simply the bits they need; records its calls."""

    def fitting(bits, samples):
        asked.append(bits)
        return [str(need) for need in samples[: next((at for at, need in enumerate(samples) if need > bits), None)]]

    return fitting


@given(samples=widths, likely=st.integers(-5, 99))
def test_bits_are_those_of_the_widest_sample_for_any_guess(samples, likely):
    assert narrowest(samples, asking([]), likely) == (max(samples), [str(need) for need in samples])


@given(bits=st.integers(3, MAX_BITS - 2), wrong=st.integers(-1, 1))
def test_good_guess_saves_time(bits, wrong):
    guessed, blind = [], []
    narrowest([bits], asking(guessed), bits + wrong)
    narrowest([bits], asking(blind), 0)
    assert len(guessed) <= 4 <= len(blind)


@pytest.mark.parametrize("samples", [[MAX_BITS + 1], [3, MAX_BITS + 1], [MAX_BITS + 1, 3]])
def test_sample_beyond_the_widest_range_is_a_range_error(samples):
    with pytest.raises(RangeError, match="does not fit the range"):
        narrowest(samples, asking([]), 7)
