"""Tensors as raw bytes: little-endian, row-major, without padding; BYTES with a length before each element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.errors import DataError

if TYPE_CHECKING:
    from zkinfer.service.oip.datatypes import Array, Datatype

_LENGTH = 4


def from_raw(data: bytes, datatype: Datatype, count: int) -> Array:
    """The flat array of `count` elements in these bytes; nothing is allocated before their number is checked.

    Raises:
        DataError: other bytes than datatype and count need, or a BOOL other than 0 and 1.
    """
    if datatype.name == "BYTES":
        return _strings(data, count)
    wanted = count * datatype.width
    if len(data) != wanted:
        raise DataError(
            f"The raw content has {len(data):,} bytes; {count:,} elements of {datatype.name} are {wanted:,}.",
            "Send each element in its full width, little-endian.",
        )
    if datatype.name == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    if datatype.name == "BOOL" and data.strip(b"\0\1"):
        raise DataError("A BOOL is the byte 0 or 1.")
    return np.frombuffer(data, datatype.code)


def to_raw(array: Array, datatype: Datatype) -> bytes:
    """An array as raw bytes; BF16 rounds half to even, and NaN stays NaN."""
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
            raise DataError(f"Element {number:,} of BYTES goes beyond the end of the raw content.")
        found[number] = data[start:place]
    if place != len(data):
        raise DataError(f"{len(data) - place:,} bytes are left over after {count:,} elements of BYTES.")
    return found
