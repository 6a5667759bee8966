"""Quantised tensors of one inference: the stored inputs of a job, and the digest that identifies an answer.

The encoding is canonical JSON of one list per tensor, row-major, in the program's order.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.errors import OUT_OF_RANGE, DataError, JsonError, RangeError
from zkinfer.circuits.tensor_files import conform
from zkinfer.circuits.tensors import describe_all, quantise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.base import Program
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


def refuse_out_of_range(integers: Sequence[Sequence[int]], program: Program) -> None:
    """Raise RangeError for the first input that the circuit cannot hold; it names element, value and limits."""
    limit = program.integer_limit
    for spec, tensor in zip(program.inputs, integers, strict=False):
        if tensor and not -limit < min(tensor) <= max(tensor) < limit:
            place = next(place for place, integer in enumerate(tensor) if abs(integer) >= limit)
            most = spec.number(limit - 1, place)
            raise RangeError(
                f"{_element(tensor, place, spec)}, which does not fit the range that the circuit was compiled for: "
                f"{-most:.6g} to {most:.6g}.",
                OUT_OF_RANGE[1],
            )


@contextmanager
def naming_largest_input(integers: Sequence[Sequence[int]], specs: Sequence[TensorSpec]) -> Iterator[None]:
    """Add the largest input to a RangeError about a value that the engine does not name."""
    try:
        yield
    except RangeError as err:
        if err.cause != OUT_OF_RANGE[0]:
            raise
        raise RangeError(f"{err.cause} The largest value given: {_largest(integers, specs)}.", err.cure) from err


def _largest(integers: Sequence[Sequence[int]], specs: Sequence[TensorSpec]) -> str:
    sizes = [
        [abs(spec.number(integer, place)) for place, integer in enumerate(tensor)]
        for spec, tensor in zip(specs, integers, strict=True)
    ]
    number = max(range(len(sizes)), key=lambda one: max(sizes[one]))
    return _element(integers[number], sizes[number].index(max(sizes[number])), specs[number])


def _element(tensor: Sequence[int], place: int, spec: TensorSpec) -> str:
    """An element for messages: `Input 'image' is 1e+09 at element [0, 3]`."""
    at = [int(one) for one in np.unravel_index(place, spec.shape)] if spec.shape else []
    value = f"{spec.number(tensor[place], place):.9g}" if spec.is_float or spec.scale else f"{tensor[place]}"
    return f"Input {spec.name!r} is {value} at element {at}"


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
