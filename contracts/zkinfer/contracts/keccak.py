"""Keccak-256 and ABI words, from which the identifiers on a chain are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from Crypto.Hash import keccak

if TYPE_CHECKING:
    from collections.abc import Iterable

WORD_LIMIT: Final = 1 << 256


def keccak256(data: bytes) -> bytes:
    """Hash with Ethereum's Keccak-256 (not NIST SHA3-256)."""
    return keccak.new(digest_bits=256, data=data).digest()


def words(values: Iterable[int | bytes | str]) -> bytes:
    """The ABI encoding of static values: numbers, or bytes or hex of an address or a word, each 32 bytes long.

    Raises ValueError for a value that does not fit.
    """
    return b"".join(_word(value) for value in values)


def _word(value: int | bytes | str) -> bytes:
    if isinstance(value, str):
        value = bytes.fromhex(value.removeprefix("0x"))
    number = value if isinstance(value, int) else int.from_bytes(value, "big")
    if isinstance(value, bytes) and len(value) not in (20, 32):
        raise ValueError("an address has 20 bytes and a word 32")
    if not 0 <= number < WORD_LIMIT:
        raise ValueError(f"{number} does not fit a word")
    return number.to_bytes(32, "big")
