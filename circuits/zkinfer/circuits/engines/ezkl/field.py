"""The scalar field of BN254, and the signed integers that circuits keep in it.

An instance (public value) of a proof is a field element. Circuits compute on signed integers; a negative integer
-n is stored as r - n. We decode it ourselves, because engines are known to truncate or to accept several
encodings of one value.
"""

from __future__ import annotations

import re

from zkinfer.circuits.errors import InputError

MODULUS = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
_HALF = 1 << 127
_WORD = re.compile(r"0x[0-9a-f]{64}")


def encode(value: int) -> int:
    """Field element of a signed integer with |value| < 2^127; raises InputError beyond."""
    if not -_HALF < value < _HALF:
        raise InputError(f"{value} does not fit the 127 bits of a circuit integer.")
    return value % MODULUS


def decode(element: int) -> int:
    """Signed integer of a canonical field element; raises InputError where |value| would reach 2^127."""
    if not 0 <= element < MODULUS:
        raise InputError(f"0x{element:x} is not a canonical field element: it is not below the modulus.")
    value = element if element < _HALF else element - MODULUS
    if value <= -_HALF:
        raise InputError(f"0x{element:x} is no circuit integer: its magnitude reaches 2^127.")
    return value


def to_word(element: int) -> str:
    """Write a field element as an EVM word: 0x and 64 lower-case hex digits, big-endian."""
    return f"0x{element:064x}"


def from_word(word: str) -> int:
    """Read what `to_word` writes; raises InputError for any other spelling or a value not below the modulus."""
    if _WORD.fullmatch(word) is None:
        raise InputError(f"{word[:80]!r} is not a 32-byte word (0x and 64 lower-case hex digits).")
    element = int(word, 16)
    if element >= MODULUS:
        raise InputError(f"{word} is not canonical: it is not below the field modulus.")
    return element
