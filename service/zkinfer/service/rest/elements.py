"""The elements of a tensor as JSON writes them: flat or nested lists of numbers, truth values or texts."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import in_field
from zkinfer.service.oip.tensors import to_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.service.oip.tensors import Array, Datatype


def raw_of(data: list[Any], shape: Sequence[int], datatype: Datatype) -> bytes:
    """The raw content of elements in JSON, little-endian and in row-major order.

    Args:
        data: flat, or nested as the shape.
        shape: of the tensor.
        datatype: of the elements.

    Raises:
        DataError: an element does not fit the datatype, or the nesting differs from the shape.
    """
    flat = _flat(data, shape)
    kinds = set(map(type, flat))
    with in_field("data"):
        if datatype.name == "BYTES":
            _require(kinds, {str}, datatype)
            return to_raw(np.array([text.encode() for text in flat], dtype=object), datatype)
        if datatype.name == "BOOL":
            _require(kinds, {bool}, datatype)
            return to_raw(np.array(flat, dtype="?"), datatype)
        is_float = datatype.code[1] == "f"
        _require(kinds, {int, float} if is_float else {int}, datatype)
        return to_raw(_floats(flat, datatype) if is_float else _integers(flat, datatype), datatype)


def _flat(data: list[Any], shape: Sequence[int]) -> list[Any]:
    """The elements of a flat or nested list; raises DataError if its nesting differs from the shape."""
    extents: list[int] = []
    while data and isinstance(data[0], list):
        extents.append(len(data))
        if len({len(row) if isinstance(row, list) else -1 for row in data}) > 1:
            raise DataError("The rows of data differ in length.", "Nest it as the shape, or send it flat.")
        data = list(chain.from_iterable(data))
    if extents:
        sizes = [*extents, len(data)]  # of every level, all rows together
        nested = [sizes[0], *(below // above for above, below in pairwise(sizes))]
        if nested != list(shape):
            raise DataError(f"data is nested as {nested}, unlike the shape.", "Nest it as the shape, or send it flat.")
    return data


def _require(kinds: set[type], allowed: set[type], datatype: Datatype) -> None:
    if wrong := sorted(kind.__name__ for kind in kinds - allowed):
        raise DataError(f"{datatype.name} has no elements of type {wrong[0]}.", "Send numbers, or true and false.")


def _integers(flat: list[Any], datatype: Datatype) -> Array:
    try:
        return np.array(flat, dtype=datatype.code)
    except OverflowError as err:
        raise DataError(f"A value does not fit {datatype.name}.") from err


def _floats(flat: list[Any], datatype: Datatype) -> Array:
    try:
        with np.errstate(over="ignore"):
            found = np.array(flat, dtype="<f8").astype(datatype.code)
    except OverflowError as err:  # an integer beyond the largest float
        raise DataError(f"A value does not fit {datatype.name}.") from err
    if not np.isfinite(found).all():
        raise DataError(f"A value does not fit {datatype.name}.")
    return found
