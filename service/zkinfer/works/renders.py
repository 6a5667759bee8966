"""The work that a painter's proof is about: its content, and the picture, by the rule *grey/1*.

An output of `S * S` numbers is a grey picture of side `S`, row by row. 0 is black and 1 white; what lies beyond is cut
off, and each number is rounded to the nearest of 256 levels, halves up.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.errors import DataError
from zkinfer.circuits.statement import output_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


_LEVELS: Final = 255


def content_of(outputs: Sequence[int]) -> Digest:
    """The content of a work whose generation is proven: sha256 of the outputs as words of 32 bytes each."""
    return sha256(output_words(outputs))


def render(outputs: Sequence[int], scale: int, *, enlarge: int = 1) -> bytes:
    """A proven output as a PNG file; computed with integers, so that the pixels are the same everywhere.

    Args:
        outputs: the integers of one output; their number is a square.
        scale: the output's fraction bits.
        enlarge: how many pixels wide each number is.

    Raises:
        DataError: the number of outputs is no square.
    """
    side = math.isqrt(len(outputs))
    if side * side != len(outputs) or not outputs:
        raise DataError(f"{len(outputs)} numbers are no square picture.", "Use the output of a painter.")
    stream = io.BytesIO()
    Image.fromarray(_levels(outputs, scale, enlarge)).save(stream, "PNG")
    return stream.getvalue()


def is_rendering(outputs: Sequence[int], scale: int, rgb: NDArray[np.uint8]) -> bool:
    """Whether a picture shows an output by the rule, each number as a square of equal pixels.

    A picture of one level shows none: with a scale that is far off, every output is all black or all white.

    Args:
        outputs: the integers of one output.
        scale: the output's fraction bits.
        rgb: `[height, width, 3]`.
    """
    side = math.isqrt(len(outputs))
    height, width = rgb.shape[:2]
    if not outputs or side * side != len(outputs) or height != width or height % side:
        return False
    levels = _levels(outputs, scale, height // side)
    return bool(levels.min() < levels.max() and (rgb == levels[..., None]).all())


def _levels(outputs: Sequence[int], scale: int, enlarge: int) -> NDArray[np.uint8]:
    side = math.isqrt(len(outputs))
    levels = np.array([_level(value, scale) for value in outputs], np.uint8).reshape(side, side)
    return levels.repeat(enlarge, axis=0).repeat(enlarge, axis=1)


def _level(value: int, scale: int) -> int:
    """`floor(255 value 2^-scale + 1/2)` between 0 and 255."""
    numerator = 2 * _LEVELS * value << max(0, -scale)
    one = 1 << max(0, scale)
    return min(max((numerator + one) // (2 * one), 0), _LEVELS)
