"""A picture file as a model's input, by the rule *luma-area/1*, so that everybody gets the same numbers.

Integer luma, the exact mean over the area of each of `S * S` cells, rounded to 256 levels; divided by 255, unless the
circuit's input has no fraction bits, as that of a fingerprint circuit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from zkinfer.circuits.errors import DataError
from zkinfer.works.pixels import shrink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

INPUT_RULE: Final = "luma-area/1"
_LEVELS: Final = 255


def model_input(rgb: NDArray[np.uint8], specs: Sequence[TensorSpec]) -> dict[str, NDArray[np.generic]]:
    """A decoded picture as the input of a model.

    Args:
        rgb: `[height, width, 3]`.
        specs: the circuit's inputs: one, of `S * S` floats.

    Raises:
        DataError: the picture has another form, or the input is no square of floats.
    """
    sides = [math.isqrt(spec.size) for spec in specs]
    if len(specs) != 1 or sides[0] ** 2 != specs[0].size or not specs[0].dtype.startswith("float"):
        names = ", ".join(f"{spec.name!r} of {spec.size} {spec.dtype}" for spec in specs)
        raise DataError(f"A picture is no input of this model, which takes {names}.", "Give .npz, .json or .csv.")
    [spec], [side] = specs, sides
    levels = shrink(rgb, side).astype(np.float64)
    values = levels if spec.scale == 0 else levels / _LEVELS
    return {spec.name: values.reshape(spec.shape).astype(spec.dtype)}
