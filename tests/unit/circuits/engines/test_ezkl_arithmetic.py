"""The rules of the arithmetic apart from the engine; against it: tests/integration/test_arithmetic.py."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.circuits.engines.test_ezkl_compiled import program

from zkinfer.circuits.engines.ezkl_arithmetic import Arithmetic, TooLargeError
from zkinfer.circuits.engines.ezkl_compiled import LARGEST
from zkinfer.circuits.errors import EngineError, RangeError

LIMIT = 1 << 40


@pytest.fixture(scope="module")
def adding():
    """x + [3, -4]"""
    return Arithmetic(program(), LIMIT)


def nearest(value, divisor):
    exact = abs(Fraction(value, divisor))
    return floor(exact + Fraction(1, 2)) * (-1 if value < 0 else 1)


def test_program_is_computed(adding):
    assert adding.input_sizes == [2]
    assert adding.forward([[10, 20]]) == [[13, 16]]


@pytest.mark.parametrize("inputs", [[[1]], [[1, 2, 3]], [[1, 2], [3, 4]], []])
def test_inputs_of_other_sizes_are_refused(adding, inputs):
    with pytest.raises(EngineError, match="other sizes"):
        adding.forward(inputs)


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, LARGEST - 1, 1 << 80])
def test_integer_that_could_overflow_is_not_computed(adding, value):
    with pytest.raises(TooLargeError, match="64 bits"):
        adding.forward([[value, 0]])


@given(st.lists(st.integers(-LIMIT + 1, LIMIT - 1), min_size=1, max_size=5), st.integers(2, 1 << 20))
def test_division_goes_to_the_nearest_integer_and_away_from_zero_between_two(values, divisor):
    found = Arithmetic(program(), LIMIT)._divided(np.array(values), float(divisor))
    assert found.tolist() == [nearest(value, divisor) for value in values]


@pytest.mark.parametrize("value", [5, -5, 15, -15])
def test_half_is_rounded_away_from_zero(adding, value):
    assert adding._divided(np.array([value]), 10.0).tolist() == [(abs(value) + 5) // 10 * (1 if value > 0 else -1)]


def test_division_whose_quotient_or_divisor_does_not_fit_the_circuit_is_refused():
    narrow = Arithmetic(program(), 8)
    assert narrow._divided(np.array([7 * 4]), 4.0).tolist() == [7]
    for value, divisor in ((8 * 4, 4.0), (0, 8.0)):
        with pytest.raises(RangeError):
            narrow._divided(np.array([value]), divisor)


def test_division_of_what_doubles_do_not_hold_is_not_computed(adding):
    with pytest.raises(TooLargeError):
        adding._divided(np.array([1 << 53]), 2.0)
