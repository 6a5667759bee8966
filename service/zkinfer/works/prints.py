"""Fingerprints from a circuit's outputs: the rule that the contract `Similarity` applies to a proven answer.

Bit `i` belongs to output `i` and is the `i`-th most significant, as in `iscc_core.soft_hash_image_v0`. In each block of
64 outputs, the 32 largest are set. A bit is *sure* if its output is farther than `print_model.margin` from the point
half-way between the smallest set and the largest unset one; the others may differ from the code that exact arithmetic
gives. Where the two middle outputs of a block are equal, no rule says which bits are set, and there is no print.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.errors import DataError
from zkinfer.works.print_model import BLOCK, PIXELS, coefficients, margin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zkinfer.works.print_model import Length

BLOCK_BITS: Final = BLOCK * BLOCK
HALF: Final = BLOCK_BITS // 2
OUTPUT_BOUND: Final = 1 << 60
LENGTHS: Final[tuple[Length, ...]] = (64, 256)
DISTANCE_LIMIT: Final = 24  # measured: docs/measurements/fingerprints.md
LEAST_COMPARED: Final = 224


@dataclass(frozen=True, slots=True)
class Print:
    """A fingerprint.

    Args:
        bits: the bits as one number, the first bit the most significant.
        sure: a one for each bit that rounding cannot have changed.
        length: 64 or 256.
    """

    bits: int
    sure: int
    length: Length

    @property
    def digest(self) -> bytes:
        """The body of the ISCC unit."""
        return self.bits.to_bytes(self.length // 8, "big")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The number of different bits among those that are sure in both prints, and how many these are."""

    distance: int
    compared: int

    @property
    def similar(self) -> bool:
        """Whether the contract accepts this as evidence of one picture: at most 24 of at least 224 bits."""
        return self.distance <= DISTANCE_LIMIT and self.compared >= LEAST_COMPARED


def read_print(outputs: Sequence[int]) -> Print:
    """The print of a proven answer.

    Args:
        outputs: the integers of a fingerprint circuit, 64 or 256.

    Raises:
        DataError: another number of outputs, one of 2^60 or more, or a block whose two middle outputs are equal.
    """
    if len(outputs) not in LENGTHS:
        raise DataError(f"A fingerprint has 64 or 256 outputs, not {len(outputs)}.", "Use a fingerprint circuit.")
    if any(abs(value) >= OUTPUT_BOUND for value in outputs):
        raise DataError("An output has a magnitude of 2^60 or more.", "Use the outputs of a fingerprint circuit.")
    length: Length = 64 if len(outputs) == BLOCK_BITS else 256
    bits = sure = 0
    for start in range(0, length, BLOCK_BITS):
        block_bits, block_sure = _block(outputs[start : start + BLOCK_BITS], start // BLOCK_BITS, margin(length))
        bits, sure = bits << BLOCK_BITS | block_bits, sure << BLOCK_BITS | block_sure
    return Print(bits, sure, length)


def print_of(pixels: NDArray[np.uint8], length: Length = 256) -> Print:
    """The print that a proof for these pixels will have.

    Args:
        pixels: `[32, 32]`, normalised.
        length: 64 or 256.

    Raises:
        InputError: not 32 x 32 pixels of 8 bits.
        DataError: the picture has no print, as it is flat or too regular.
    """
    return read_print(coefficients(pixels, length).tolist())


def pixels_commitment(pixels: NDArray[np.uint8]) -> bytes:
    """What a request for a print and a registered work name: keccak256 of the pixels, one byte each, in rows.

    Pixels are a proof's public inputs, so whoever sees the proof sees a grey thumbnail of 32 x 32.

    Raises:
        DataError: not 32 x 32 pixels of 8 bits.
    """
    if pixels.dtype != np.uint8 or pixels.size != PIXELS:
        raise DataError(f"There are {pixels.size} pixels of {pixels.dtype}.", "Give 32 x 32 of 8 bits.")
    return keccak256(pixels.tobytes()).value


def compare(one: Print, other: Print) -> Comparison:
    """Compare two prints by the bits that are sure in both.

    Raises:
        DataError: the prints have different lengths.
    """
    if one.length != other.length:
        raise DataError(f"Prints of {one.length} and {other.length} bits cannot be compared.", "Use one length.")
    common = one.sure & other.sure
    return Comparison(((one.bits ^ other.bits) & common).bit_count(), common.bit_count())


def _block(outputs: Sequence[int], number: int, tolerance: int) -> tuple[int, int]:
    ranked = sorted(outputs)
    low, high = ranked[HALF - 1], ranked[HALF]
    if low == high:
        raise DataError(
            f"Block {number} of the picture has no median: its middle coefficients are equal.",
            "A flat or perfectly regular picture has no fingerprint.",
        )
    bits = sure = 0
    for value in outputs:
        bits = bits << 1 | (value >= high)
        sure = sure << 1 | (abs(2 * value - low - high) > 2 * tolerance)
    return bits, sure
