"""Read and write setup files: `k: u32 LE | 2^k G1 monomial | 2^k G1 Lagrange | G2 | tau*G2`.

This is halo2's raw-bytes format. A coordinate has 32 bytes, little-endian, in Montgomery form; a G1 point is x, y; a
G2 point is x real, x imaginary, y real, y imaginary. Coordinates must be below the modulus, so the encoding is unique
and there is exactly one file per tau and k.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs.bn254 import FIELD, Point, generator_g2, on_curve, pack_g2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MIN_K, MAX_K = 1, 26
HEADER_BYTES, G1_BYTES, G2_BYTES = 4, 64, 128
BATCH = 1 << 13
"""Points per batch: enough to amortise inversions, few enough to fit in memory."""
DOWNLOAD_AGAIN = "The file is damaged or not a halo2 setup of BN254; download it again and compare its sha256."

_MONTGOMERY = (1 << 256) % FIELD
_MONTGOMERY_INVERSE = pow(_MONTGOMERY, -1, FIELD)


@dataclass(frozen=True, slots=True)
class Outline:
    """The header and trailer of a setup file: its k and its tau*G2 (in the encoding of `Ceremony.tau_g2`)."""

    k: int
    tau_g2: bytes


def file_size(k: int) -> int:
    """The exact size in bytes of a setup file of 2^k powers."""
    return HEADER_BYTES + 2 * G1_BYTES * (1 << k) + 2 * G2_BYTES


def require_k(k: int) -> None:
    """Raise SetupError for a k outside the range of the known ceremonies."""
    if not MIN_K <= k <= MAX_K:
        raise SetupError(
            f"There is no trusted setup of 2^{k} powers; k ranges from {MIN_K} to {MAX_K}.",
            "Give a k in that range; a model that needs a larger one is too large for this engine.",
        )


def read_outline(file: BinaryIO, name: str) -> Outline:
    """Read k and tau*G2 after checking the size, k and the G2 generator; the G1 points are not read.

    Raises:
        SetupError: the file is too short, k is out of range or does not match the size, or the G2 generator is wrong.
    """
    size = file.seek(0, os.SEEK_END)
    if size < file_size(MIN_K):
        raise SetupError(f"{name} has {size:,} bytes, too few for a trusted setup.", DOWNLOAD_AGAIN)
    file.seek(0)
    k = int.from_bytes(file.read(HEADER_BYTES), "little")
    if not MIN_K <= k <= MAX_K:
        raise SetupError(
            f"{name} is not a trusted setup: its header says k = {k:,}, outside {MIN_K} to {MAX_K}.",
            "Convert a .ptau file or another format to halo2's raw bytes first.",
        )
    _require_size(name, size, k)
    file.seek(size - 2 * G2_BYTES)
    return Outline(k, _tau_g2(file.read(2 * G2_BYTES), name))


def _require_size(name: str, size: int, k: int) -> None:
    missing = file_size(k) - size
    if missing > 0:
        raise SetupError(f"{name} is truncated: {missing:,} bytes are missing for k = {k}.", DOWNLOAD_AGAIN)
    if missing < 0:
        raise SetupError(f"{name} has {-missing:,} bytes too many for k = {k}.", DOWNLOAD_AGAIN)


def _tau_g2(tail: bytes, name: str) -> bytes:
    if decode_g2(tail[:G2_BYTES]) != generator_g2():
        raise SetupError(f"The G2 point of {name} is not the generator of BN254.", DOWNLOAD_AGAIN)
    return decode_g2(tail[G2_BYTES:])


def decode_g1(raw: bytes, part: str, first: int) -> list[Point]:
    """Decode the G1 points of one batch.

    Args:
        raw: 64 bytes per point.
        part: the name of the file's part, for error messages.
        first: the index of the first point in that part.

    Raises:
        SetupError: a coordinate is not below the modulus, or a point is infinity or not on the curve.
    """
    numbers = _numbers(raw)
    if max(numbers) >= FIELD:
        index = first + next(i for i, number in enumerate(numbers) if number >= FIELD) // 2
        raise SetupError(f"Point {index} of the {part} part has a coordinate outside the field.", DOWNLOAD_AGAIN)
    plain = [number * _MONTGOMERY_INVERSE % FIELD for number in numbers]
    points = list(zip(plain[::2], plain[1::2], strict=True))
    for index, point in enumerate(points, first):
        if not on_curve(point):  # infinity, written (0, 0), is not on the curve either
            raise SetupError(f"Point {index} of the {part} part is not on the curve.", DOWNLOAD_AGAIN)
    return points


def encode_g1(points: Sequence[Point | None]) -> bytes:
    """Encode G1 points; infinity, which valid setups do not contain, becomes zeros as in halo2."""
    return b"".join(_montgomery(number) for point in points for number in point or (0, 0))


def decode_g2(raw: bytes) -> bytes:
    """Convert 128 bytes of the file to the encoding of `Ceremony.tau_g2`; only checks for canonical coordinates."""
    numbers = _numbers(raw)
    if max(numbers) >= FIELD:
        raise SetupError("A G2 point of the setup has a coordinate outside the field.", DOWNLOAD_AGAIN)
    x0, x1, y0, y1 = (number * _MONTGOMERY_INVERSE % FIELD for number in numbers)
    return pack_g2((x0, x1), (y0, y1))


def encode_g2(packed: bytes) -> bytes:
    """The inverse of `decode_g2`."""
    x1, x0, y1, y0 = (int.from_bytes(packed[at : at + 32], "big") for at in range(0, G2_BYTES, 32))
    return b"".join(_montgomery(number) for number in (x0, x1, y0, y1))


def _numbers(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[at : at + 32], "little") for at in range(0, len(raw), 32)]


def _montgomery(number: int) -> bytes:
    return (number * _MONTGOMERY % FIELD).to_bytes(32, "little")


class PointStream:
    """Reads a setup file once, from start to end, and hashes exactly the bytes it returns."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._hash = hashlib.sha256()
        self.outline = read_outline(file, path.name)
        file.seek(0)
        self._take(HEADER_BYTES)

    def batches(self, part: str) -> Iterator[list[Point]]:
        """The next 2^k points in batches; `part` names them in error messages."""
        count = 1 << self.outline.k
        for first in range(0, count, BATCH):
            yield decode_g1(self._take(G1_BYTES * min(BATCH, count - first)), part, first)

    def finish(self) -> Digest:
        """Read the G2 points again, after everything before them, and return the file's digest."""
        tau_g2 = _tau_g2(self._take(2 * G2_BYTES), self._path.name)
        if tau_g2 != self.outline.tau_g2 or self._file.read(1):
            raise SetupError(f"{self._path.name} changed while it was read.", "Stop other writers and try again.")
        return Digest("sha256", self._hash.digest())

    def _take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise SetupError(f"{self._path.name} shrank while it was read.", "Stop other writers and try again.")
        self._hash.update(data)
        return data
