"""The datatypes of the Open Inference Protocol: width, raw encoding, and field of typed contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.generic]


_LENGTH = 4


def from_raw(data: bytes, datatype: Datatype, count: int) -> Array:
    """Decode `count` elements into a flat array; the length is checked before anything is allocated.

    Raises:
        DataError: the number of bytes does not match datatype and count, or a BOOL is neither 0 nor 1.
    """
    if datatype.name == "BYTES":
        return _strings(data, count)
    wanted = count * datatype.width
    if len(data) != wanted:
        raise DataError(
            f"The raw content has {len(data):,} bytes; {count:,} elements of {datatype.name} are {wanted:,}.",
            "Send each element at full width, little-endian.",
        )
    if datatype.name == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    if datatype.name == "BOOL" and data.strip(b"\0\1"):
        raise DataError("A BOOL must be the byte 0 or 1.")
    return np.frombuffer(data, datatype.code)


def to_raw(array: Array, datatype: Datatype) -> bytes:
    """Encode an array as raw bytes; BF16 rounds half to even, and NaN stays NaN."""
    if datatype.name == "BYTES":
        return b"".join(len(item).to_bytes(_LENGTH, "little") + item for item in array.ravel().tolist())
    flat = np.ascontiguousarray(array, datatype.code)
    if datatype.name == "BF16":
        bits = flat.view("<u4")
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        quiet = (bits >> 16) | 0x40
        return np.where(np.isnan(flat), quiet, rounded).astype("<u2").tobytes()
    return flat.tobytes()


def _strings(data: bytes, count: int) -> Array:
    if len(data) < count * _LENGTH:
        raise DataError(f"The raw content has {len(data):,} bytes, too few for {count:,} elements of BYTES.")
    found, place = np.empty(count, dtype=object), 0
    for number in range(count):
        length = int.from_bytes(data[place : place + _LENGTH], "little")
        start = place + _LENGTH
        place = start + length
        if start > len(data) or place > len(data):
            raise DataError(f"Element {number:,} of BYTES extends beyond the end of the raw content.")
        found[number] = data[start:place]
    if place != len(data):
        raise DataError(f"{len(data) - place:,} bytes are left over after {count:,} elements of BYTES.")
    return found


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype.

    Args:
        name: in the protocol.
        code: the numpy type of the decoded array, little-endian; `O` for bytes.
        width: bytes per element; 0 for length-prefixed elements.
        contents: the field of typed contents; empty if there is none.
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
    """The datatype of this name; raises DataError for an unknown name."""
    found = DATATYPES.get(name)
    if found is None:
        raise DataError(
            f"{name[:40]!r} is not a datatype of the protocol.", f"The datatypes are {', '.join(DATATYPES)}."
        )
    return found


def datatype_of(dtype: str) -> Datatype:
    """The datatype of a tensor, by the name of its numpy type."""
    return _OF_DTYPE[dtype]
