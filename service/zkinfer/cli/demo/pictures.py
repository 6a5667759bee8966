"""Drawing an 8 x 8 digit in a terminal, two rows of pixels to a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHADES = " ░▒▓█"


def draw(image: NDArray[np.generic]) -> list[str]:
    """Lines of text for an image of 64 values in 0..1; every pixel is two characters wide."""
    rows = image.reshape(8, 8).tolist()
    return ["".join(_SHADES[round(pixel * (len(_SHADES) - 1))] * 2 for pixel in row) for row in rows]


def beside(pictures: list[list[str]]) -> list[str]:
    """Pictures next to each other."""
    return ["   ".join(lines) for lines in zip(*pictures, strict=True)]
