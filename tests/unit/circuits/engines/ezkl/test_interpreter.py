"""The arithmetic without the engine; tests/integration/test_arithmetic.py compares it with the engine."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.circuits.engines.ezkl.test_program import program

from zkinfer.circuits.engines.ezkl.interpreter import Arithmetic, Pass, TooLargeError, _divided, _einsum, _Widest
from zkinfer.circuits.engines.ezkl.program import LARGEST
from zkinfer.circuits.errors import EngineError

LARGE = 1 << 40


@pytest.fixture(scope="module")
def adding():
    """x + [3, -4], with x range-checked."""
    return Arithmetic(program())


@pytest.fixture
def widest():
    return _Widest(0)


def nearest(value, divisor):
    exact = abs(Fraction(value, divisor))
    return floor(exact + Fraction(1, 2)) * (-1 if value < 0 else 1)


def test_program_is_evaluated(adding):
    assert adding.input_sizes == [2]
    assert adding.forward([[10, -20]]) == Pass([[13, -24]], widest=20)


def test_constant_counts_towards_the_widest_integer_only_if_used_more_than_once():
    assert Arithmetic(program(values=(700, 1))).forward([[10, 20]]).widest == 20
    assert Arithmetic(program(values=(-700, 1), uses=2)).forward([[10, 20]]).widest == 700


@pytest.mark.parametrize("inputs", [[[1]], [[1, 2, 3]], [[1, 2], [3, 4]], []])
def test_inputs_of_the_wrong_size_are_refused(adding, inputs):
    with pytest.raises(EngineError, match="sizes of the inputs differ"):
        adding.forward(inputs)


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, LARGEST - 1, 1 << 80])
def test_integer_that_could_overflow_is_left_to_the_engine(adding, value):
    with pytest.raises(TooLargeError, match="64 bits"):
        adding.forward([[value, 0]])


@given(st.lists(st.integers(-LARGE, LARGE), min_size=1, max_size=5), st.integers(2, 1 << 20))
def test_division_rounds_to_nearest_and_ties_away_from_zero(values, divisor):
    found = _divided(np.array(values), float(divisor), _Widest(0))
    assert found.tolist() == [nearest(value, divisor) for value in values]


@pytest.mark.parametrize(("value", "expected"), [(5, 1), (-5, -1), (15, 2), (-15, -2), (4, 0), (-14, -1)])
def test_tie_is_rounded_away_from_zero(widest, value, expected):
    assert _divided(np.array([value]), 10.0, widest).tolist() == [expected]


@pytest.mark.parametrize(("value", "divisor", "magnitude"), [(28, 4, 7), (-32, 4, 8), (0, 8, 8), (7, 100, 93)])
def test_quotient_and_both_remainders_are_range_checked(widest, value, divisor, magnitude):
    _divided(np.array([value]), float(divisor), widest)
    assert widest.magnitude == magnitude


def test_division_beyond_double_precision_is_not_computed(widest):
    with pytest.raises(TooLargeError):
        _divided(np.array([1 << 53]), 2.0, widest)


@pytest.mark.parametrize(
    ("equation", "given", "shapes", "expected"),
    [
        ("mk,->mn", (3, -4), [(1, 1), (1,)], [-12]),
        ("mk,k->mn", ([3, 5], [2, 1]), [(1, 2), (2,)], [11]),
        (",->", (3, -4), [(1,), (1,)], -12),
    ],
)
def test_product_with_a_scalar_is_evaluated(equation, given, shapes, expected):
    """The engine drops axes of size 1 from constants: a scalar has no axis, and the shape [1]."""
    operands = [np.array(values).reshape(shape) for values, shape in zip(given, shapes, strict=True)]
    assert _einsum(*operands, equation).tolist() == expected
