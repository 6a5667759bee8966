"""Digests with their algorithm."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from zkinfer.circuits.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Algorithm = Literal["sha256", "keccak256"]
_CHUNK = 1 << 20
_TEXT = re.compile(r"(sha256|keccak256):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Digest:
    """A 32-byte digest and its algorithm, written `sha256:<64 lower-case hex digits>`."""

    algorithm: Algorithm
    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != 32:
            raise InputError(f"A {self.algorithm} digest has 32 bytes, not {len(self.value)}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the written form; raises InputError for anything else, upper-case digits included."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise InputError(f"{text[:80]!r} is not a digest.", "Write it as sha256:<64 lower-case hex digits>.")
        algorithm: Algorithm = "sha256" if match[1] == "sha256" else "keccak256"
        return cls(algorithm, bytes.fromhex(match[2]))

    @property
    def hex(self) -> str:
        """The 64 hex digits without the algorithm."""
        return self.value.hex()

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def sha256(data: bytes) -> Digest:
    """Hash bytes with SHA-256."""
    return Digest("sha256", hashlib.sha256(data).digest())


def sha256_file(path: Path, beat: Callable[[], object] = lambda: None) -> Digest:
    """Hash a file with SHA-256 in chunks; `beat` is called after each, many times a second."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
            beat()
    return Digest("sha256", state.digest())


def keccak256(data: bytes) -> Digest:
    """Hash bytes with Ethereum's Keccak-256 (not NIST SHA3-256)."""
    from Crypto.Hash import keccak  # noqa: PLC0415 - slow to load, and most children hash with SHA-256 only

    return Digest("keccak256", keccak.new(digest_bits=256, data=data).digest())
