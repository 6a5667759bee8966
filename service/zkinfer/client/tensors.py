"""Arrays as messages of zkinfer.v1: name, datatype, shape and little-endian bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensors import MAX_ELEMENTS, MAX_RANK
from zkinfer.v1 import values_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.generic]

DTYPES = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


def datatype_of(dtype: str) -> str:
    """The protocol's name of a numpy type; raises DataError if it is not supported."""
    found = _NAMES.get(np.dtype(dtype))
    if found is None:
        raise DataError(f"Arrays of {dtype} cannot be sent.", f"The datatypes are {', '.join(DTYPES)}.")
    return found


def array_of(tensor: values_pb2.Tensor) -> Array:
    """The read-only array of a tensor.

    Raises:
        DataError: unknown datatype, shape out of range, or wrong number of bytes.
    """
    code = DTYPES.get(tensor.datatype)
    if code is None:
        raise DataError(f"{tensor.datatype!r:.40} is not a datatype.", f"The datatypes are {', '.join(DTYPES)}.")
    if len(tensor.shape) > MAX_RANK or any(not 0 <= extent <= MAX_ELEMENTS for extent in tensor.shape):
        raise DataError("The shape is out of range.", f"Use up to {MAX_RANK} dimensions and {MAX_ELEMENTS:,} elements.")
    wanted = math.prod(tensor.shape) * np.dtype(code).itemsize
    if len(tensor.data) != wanted:
        raise DataError(f"There are {len(tensor.data):,} bytes; shape and datatype need {wanted:,}.")
    if code == "?" and tensor.data.strip(b"\0\1"):
        raise DataError("A BOOL must be the byte 0 or 1.")
    return np.frombuffer(tensor.data, dtype=code).reshape(tuple(tensor.shape))


def messages_of(arrays: Mapping[str, Array]) -> list[values_pb2.Tensor]:
    """The messages of arrays by name; raises DataError if an array cannot be sent."""
    return [_message(name, array) for name, array in arrays.items()]


def _message(name: str, array: Array) -> values_pb2.Tensor:
    datatype = datatype_of(array.dtype.name)
    data = np.ascontiguousarray(array, dtype=DTYPES[datatype]).tobytes()
    return values_pb2.Tensor(name=name, datatype=datatype, shape=array.shape, data=data)
