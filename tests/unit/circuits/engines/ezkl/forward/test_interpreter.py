"""The rules of the arithmetic apart from the engine; against it: tests/integration/test_arithmetic.py."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.circuits.engines.ezkl.forward.test_program import program

from zkinfer.circuits.engines.ezkl.forward.interpreter import Arithmetic, Pass, TooLargeError, _divided, _Widest
from zkinfer.circuits.engines.ezkl.forward.program import LARGEST
from zkinfer.circuits.errors import EngineError

LARGE = 1 << 40


@pytest.fixture(scope="module")
def adding():
    """x + [3, -4], with x range-checked"""
    return Arithmetic(program())


@pytest.fixture
def widest():
    return _Widest(0)


def nearest(value, divisor):
    exact = abs(Fraction(value, divisor))
    return floor(exact + Fraction(1, 2)) * (-1 if value < 0 else 1)


def test_program_is_computed(adding):
    assert adding.input_sizes == [2]
    assert adding.forward([[10, -20]]) == Pass([[13, -24]], widest=20)


def test_constant_that_is_used_once_is_no_cell_and_any_other_is_looked_at():
    assert Arithmetic(program(values=(700, 1))).forward([[10, 20]]).widest == 20
    assert Arithmetic(program(values=(-700, 1), uses=2)).forward([[10, 20]]).widest == 700


@pytest.mark.parametrize("inputs", [[[1]], [[1, 2, 3]], [[1, 2], [3, 4]], []])
def test_inputs_of_other_sizes_are_refused(adding, inputs):
    with pytest.raises(EngineError, match="sizes of the inputs differ"):
        adding.forward(inputs)


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, LARGEST - 1, 1 << 80])
def test_integer_that_could_overflow_is_not_computed(adding, value):
    with pytest.raises(TooLargeError, match="64 bits"):
        adding.forward([[value, 0]])


@given(st.lists(st.integers(-LARGE, LARGE), min_size=1, max_size=5), st.integers(2, 1 << 20))
def test_division_goes_to_the_nearest_integer_and_away_from_zero_between_two(values, divisor):
    found = _divided(np.array(values), float(divisor), _Widest(0))
    assert found.tolist() == [nearest(value, divisor) for value in values]


@pytest.mark.parametrize(("value", "expected"), [(5, 1), (-5, -1), (15, 2), (-15, -2), (4, 0), (-14, -1)])
def test_half_is_rounded_away_from_zero(widest, value, expected):
    assert _divided(np.array([value]), 10.0, widest).tolist() == [expected]


@pytest.mark.parametrize(("value", "divisor", "magnitude"), [(28, 4, 7), (-32, 4, 8), (0, 8, 8), (7, 100, 93)])
def test_quotient_rest_and_what_is_left_of_the_divisor_are_decomposed(widest, value, divisor, magnitude):
    _divided(np.array([value]), float(divisor), widest)
    assert widest.magnitude == magnitude


def test_division_of_what_doubles_do_not_hold_is_not_computed(widest):
    with pytest.raises(TooLargeError):
        _divided(np.array([1 << 53]), 2.0, widest)
