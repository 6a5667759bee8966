"""Quantised tensors of one inference: the stored inputs of a job, and the digest that identifies an answer.

The encoding is canonical JSON of one list per tensor, row-major, in the program's order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.errors import DataError, JsonError
from zkinfer.circuits.tensor_files import conform
from zkinfer.circuits.tensors import describe_all, quantise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Inputs = Mapping[str, NDArray[np.generic]]


MAX_BYTES = 1 << 28
_MAX_VALUES = 1 << 24


def integers_of(inputs: Inputs, specs: Sequence[TensorSpec]) -> list[list[int]]:
    """Quantise the inputs of one inference, in the order of the specs.

    Args:
        inputs: arrays by name; see `zkinfer.circuits.tensor_files.conform` for the accepted shapes.
        specs: the inputs of the circuit's program.

    Raises:
        DataError: a missing or unknown input, a wrong shape or dtype, NaN.
    """
    names = [spec.name for spec in specs]
    if missing := [name for name in names if name not in inputs]:
        raise DataError(f"The input {missing[0]!r} is missing.", f"The model takes {describe_all(specs)}.")
    if unknown := [name for name in inputs if name not in names]:
        raise DataError(f"The model has no input {unknown[0]!r:.80}.", f"It takes {describe_all(specs)}.")
    return [quantise(conform(inputs[spec.name], spec), spec) for spec in specs]


def integers_to_bytes(tensors: Sequence[Sequence[int]]) -> bytes:
    """The canonical encoding of integers."""
    return canonical.dump([list(tensor) for tensor in tensors])


def integers_digest(tensors: Sequence[Sequence[int]]) -> Digest:
    """SHA-256 of the encoding; equal digests of an answer and a proof mean that every value is equal."""
    return sha256(integers_to_bytes(tensors))


def integers_from_bytes(data: bytes) -> list[list[int]]:
    """Decode integers; raises DataError for any other encoding than that of `integers_to_bytes`."""
    try:
        tensors = canonical.load(data, max_bytes=MAX_BYTES, what="list of integers", max_values=_MAX_VALUES)
    except JsonError as err:
        raise DataError(err.cause, err.cure) from err
    if not isinstance(tensors, list) or not all(_is_tensor(tensor) for tensor in tensors):
        raise DataError("The document does not hold the integers of an inference.", "Submit the job again.")
    return tensors


def _is_tensor(value: object) -> bool:
    return isinstance(value, list) and all(type(element) is int for element in value)
