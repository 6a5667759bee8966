"""The datatypes of the Open Inference Protocol: how wide they are, and where their typed contents stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype.

    Args:
        name: the protocol's.
        code: numpy's, little-endian, of the array that it becomes; `O` for bytes.
        width: bytes of an element; 0 where each says its own.
        contents: the field of typed contents that holds it; empty where there is none.
    """

    name: str
    code: str
    width: int
    contents: str = ""


_ALL = (
    Datatype("BOOL", "?", 1, "bool_contents"),
    Datatype("INT8", "<i1", 1, "int_contents"),
    Datatype("INT16", "<i2", 2, "int_contents"),
    Datatype("INT32", "<i4", 4, "int_contents"),
    Datatype("INT64", "<i8", 8, "int64_contents"),
    Datatype("UINT8", "<u1", 1, "uint_contents"),
    Datatype("UINT16", "<u2", 2, "uint_contents"),
    Datatype("UINT32", "<u4", 4, "uint_contents"),
    Datatype("UINT64", "<u8", 8, "uint64_contents"),
    Datatype("FP16", "<f2", 2),
    Datatype("BF16", "<f4", 2),
    Datatype("FP32", "<f4", 4, "fp32_contents"),
    Datatype("FP64", "<f8", 8, "fp64_contents"),
    Datatype("BYTES", "O", 0, "bytes_contents"),
)
DATATYPES = {datatype.name: datatype for datatype in _ALL}
_OF_DTYPE = {np.dtype(one.code).name: one for one in _ALL if one.name != "BF16"}


def datatype_named(name: str) -> Datatype:
    """A datatype by the protocol's name; raises DataError for any other."""
    found = DATATYPES.get(name)
    if found is None:
        raise DataError(f"{name[:40]!r} is no datatype of the protocol.", f"Known are {', '.join(DATATYPES)}.")
    return found


def datatype_of(dtype: str) -> Datatype:
    """What a tensor of a model has, by numpy's name."""
    return _OF_DTYPE[dtype]
