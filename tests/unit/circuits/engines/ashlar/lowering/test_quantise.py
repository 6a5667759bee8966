from fractions import Fraction

import numpy as np
import pytest

from zkinfer.circuits.engines.ashlar.lowering.quantise import coefficient, offset_bias, power, rounded, shifted
from zkinfer.circuits.errors import UnsupportedModelError


def test_halves_go_to_even():
    assert rounded(np.array([0.5, 1.5, 2.5, -0.5, -1.5]), 0, 15, "w").tolist() == [0, 2, 2, 0, -2]


def test_exponents_may_be_negative_and_differ():
    assert rounded(np.array([[8.0, 12.0]]), np.array([[-2, 1]]), 15, "w").tolist() == [[2, 24]]


def test_limit_is_exclusive():
    assert rounded(np.array([32767.0]), 0, 15, "w").tolist() == [32767]
    with pytest.raises(UnsupportedModelError, match=r"'w' becomes 32768, and less than 2\^15"):
        rounded(np.array([32768.0]), 0, 15, "w")
    with pytest.raises(UnsupportedModelError, match="becomes inf"):
        rounded(np.array([1.0]), 2000, 15, "w")


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(UnsupportedModelError, match="hold nan"):
        rounded(np.array([np.nan]), 0, 15, "w")


def test_lifted_integers_keep_the_limit():
    assert shifted(np.array([3, -4]), 2, 15, "w").tolist() == [12, -16]
    with pytest.raises(UnsupportedModelError, match=r"becomes 32,768 at the scale of the sum, above 2\^15"):
        shifted(np.array([1]), 15, 15, "w")


def test_rational_factors_are_rounded_half_to_even():
    assert [coefficient(Fraction(n, 2), "m") for n in (1, 3, 5, -1)] == [0, 2, 2, 0]
    with pytest.raises(UnsupportedModelError, match=r"above 2\^31"):
        coefficient(Fraction(1 << 31), "m")


def test_powers_are_exact():
    assert power(-3) == Fraction(1, 8)
    assert power(70) == 1 << 70


def test_sum_of_offsets_is_rounded_once():
    weights = np.array([[3, -5], [1, 1]])
    offsets = [Fraction(1, 3), Fraction(1, 7)]
    bias = offset_bias(np.array([0.25, 0.0]), 1, weights, offsets, [2, 0], "w")
    assert bias.tolist() == [
        round(Fraction(1, 2) + 3 * Fraction(4, 3) - Fraction(5, 7)),
        round(Fraction(4, 3) + Fraction(1, 7)),
    ]


def test_sum_of_offsets_beyond_sixty_bits_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"above 2\^60"):
        offset_bias(np.array([0.0]), 0, np.array([[1]]), [Fraction(1 << 60)], [0], "w")
    with pytest.raises(UnsupportedModelError, match="not finite"):
        offset_bias(np.array([np.inf]), 0, np.array([[1]]), [Fraction(1)], [0], "w")
