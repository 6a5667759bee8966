"""From the arrays of a caller to the integers that a circuit takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.data import conform
from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensors import described, quantise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Inputs = Mapping[str, NDArray[np.generic]]


def integers_of(inputs: Inputs, specs: Sequence[TensorSpec]) -> list[list[int]]:
    """The integers of one inference, in the order of the specs.

    Args:
        inputs: arrays by name; see `zkinfer.circuits.data.conform` for the shapes that are taken.
        specs: the inputs of the circuit's program.

    Raises:
        DataError: a missing or unknown input, a wrong shape or dtype, NaN.
    """
    names = [spec.name for spec in specs]
    if missing := [name for name in names if name not in inputs]:
        raise DataError(f"The input {missing[0]!r} is missing.", f"The model takes {described(specs)}.")
    if unknown := [name for name in inputs if name not in names]:
        raise DataError(f"The model has no input {unknown[0]!r:.80}.", f"It takes {described(specs)}.")
    return [quantise(conform(inputs[spec.name], spec), spec) for spec in specs]
