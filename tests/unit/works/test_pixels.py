"""Normalised pixels: exact integers, the same for the same picture at any whole multiple of its size."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkinfer.circuits.errors import DataError
from zkinfer.works.pixels import SIDE, normalise, shrink


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def reference(rgb):
    """The definition, in fractions."""
    height, width = rgb.shape[:2]
    red, green, blue = (rgb[..., place].astype(int) for place in range(3))
    grey = (299 * red + 587 * green + 114 * blue + 500) // 1000
    result = np.empty((SIDE, SIDE), np.uint8)
    for row in range(SIDE):
        for column in range(SIDE):
            total = Fraction(0)
            for y in range(height):
                high = min(Fraction(y + 1), Fraction((row + 1) * height, SIDE)) - max(
                    Fraction(y), Fraction(row * height, SIDE)
                )
                for x in range(width if high > 0 else 0):
                    wide = min(Fraction(x + 1), Fraction((column + 1) * width, SIDE)) - max(
                        Fraction(x), Fraction(column * width, SIDE)
                    )
                    if wide > 0:
                        total += high * wide * int(grey[y, x])
            mean = total * SIDE * SIDE / (height * width)
            result[row, column] = (2 * mean + 1) // 2
    return result


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
def test_fields_are_means_of_their_areas(height, width, seed):
    rgb = picture(height, width, seed)
    assert (normalise(rgb) == reference(rgb)).all()


def test_one_colour_stays_its_luma():
    rgb = np.full((50, 70, 3), (10, 200, 30), np.uint8)
    assert (normalise(rgb) == (299 * 10 + 587 * 200 + 114 * 30 + 500) // 1000).all()


@pytest.mark.parametrize("times", [2, 3, 7])
def test_repeated_pixels_change_nothing(times):
    rgb = picture(33, 47)
    assert (normalise(rgb) == normalise(rgb.repeat(times, 0).repeat(times, 1))).all()


def test_large_picture_is_exact():
    rgb = np.full((4000, 4000, 3), 255, np.uint8)
    assert (normalise(rgb) == 255).all()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((32, 32), np.uint8),
        np.zeros((32, 32, 4), np.uint8),
        np.zeros((0, 32, 3), np.uint8),
        np.zeros((32, 32, 3), np.float32),
    ],
)
def test_other_arrays_are_refused(wrong):
    with pytest.raises(DataError, match="uint8"):
        normalise(wrong)


def test_picture_can_be_shrunk_to_another_side():
    levels = np.array([[0, 90], [180, 255]], np.uint8)
    large = np.repeat(levels.repeat(5, axis=0).repeat(7, axis=1)[..., None], 3, axis=2)
    assert np.array_equal(shrink(large, 2), levels)
