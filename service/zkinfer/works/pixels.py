"""Normalised pixels, `luma32/1`: what a fingerprint is computed from, with the same integers on every machine.

Grey is `(299 R + 587 G + 114 B + 500) // 1000`. The picture is cut into 32 by 32 equal fields, whose borders may run
through pixels; a field is the mean of its area, rounded half up. All sums are integers, so the result does not depend
on the machine.
What a decoder makes of a lossy file may: JPEG decoders differ by up to 2 of 255.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from zkinfer.circuits.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE: Final = 32


def normalise(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The normalised pixels of a picture.

    Args:
        rgb: `[height, width, 3]`, at least one pixel.

    Returns:
        `[32, 32]`.

    Raises:
        DataError: another shape or type.
    """
    return shrink(rgb, SIDE)


def shrink(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The grey means of `side` by `side` equal fields of a picture; arguments and errors as `normalise`."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise DataError(f"The picture is {rgb.dtype} {list(rgb.shape)}.", "Give uint8 [height, width, 3].")
    height, width = rgb.shape[:2]
    rows = np.stack([_field(rgb, row, side) for row in range(side)])
    # Sums of at most 255 * height * width, in units of a part `1 / side^2` of a field's area: exact in 53 bits.
    sums = (rows @ _weights(width, side).T).astype(np.int64)
    area = height * width
    means: NDArray[np.uint8] = ((2 * sums + area) // (2 * area)).astype(np.uint8)
    return means


def _field(rgb: NDArray[np.uint8], row: int, side: int) -> NDArray[np.float64]:
    """The weighted sum of the picture's rows that lie in one row of fields."""
    height = rgb.shape[0]
    first, last = row * height // side, -(-(row + 1) * height // side)
    parts = rgb[first:last].astype(np.int64)
    grey = (299 * parts[..., 0] + 587 * parts[..., 1] + 114 * parts[..., 2] + 500) // 1000
    weights = _overlap(row, np.arange(first, last), height, side)
    total: NDArray[np.float64] = weights @ grey.astype(np.float64)
    return total


def _weights(size: int, side: int) -> NDArray[np.float64]:
    return np.stack([_overlap(place, np.arange(size), size, side) for place in range(side)])


def _overlap(place: int, pixels: NDArray[np.int64], size: int, side: int) -> NDArray[np.float64]:
    """How much of each pixel lies in a field, in parts `1 / side` of a pixel."""
    begin = np.maximum(side * pixels, place * size)
    end = np.minimum(side * (pixels + 1), (place + 1) * size)
    weights: NDArray[np.float64] = np.maximum(end - begin, 0).astype(np.float64)
    return weights
