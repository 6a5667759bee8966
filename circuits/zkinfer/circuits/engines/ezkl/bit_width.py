"""The fewest bits that hold every integer of some samples.

The engine does not report them, but refuses what does not fit. So the first sample is tried with several widths, by
halving, and every further one is given another bit where it needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from zkinfer.circuits.errors import RangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Sample = TypeVar("_Sample")
_Answer = TypeVar("_Answer")

OUT_OF_RANGE = (
    "A value of this inference does not fit the range that the circuit was compiled for.",
    "Check the input's magnitude, or compile again with calibration data that covers it.",
)
MOST_BITS = 60


def narrowest(
    samples: Sequence[_Sample], fitting: Callable[[int, Sequence[_Sample]], list[_Answer]], likely: int
) -> tuple[int, list[_Answer]]:
    """The fewest bits for all samples, and an answer for each.

    Args:
        samples: at least one.
        fitting: gives the answers to those of some samples, from the first on, that fit so many bits.
        likely: a guess; a good one saves time, and a bad one changes nothing.

    Raises:
        RangeError: a sample does not fit the most bits that can be held.
    """
    bits = _least(lambda bits: len(fitting(bits, samples[:1])) == 1, likely)
    answers = fitting(bits, samples)
    while len(answers) < len(samples):
        bits += 1
        if bits > MOST_BITS:
            raise RangeError(*OUT_OF_RANGE)
        answers += fitting(bits, samples[len(answers) :])
    return bits, answers


def _least(holds: Callable[[int], bool], likely: int) -> int:
    """The least number of bits for which something holds that then holds for all larger ones; the most if for none."""
    low, high = 1, MOST_BITS
    while low < high:
        guesses = (guess for guess in (likely, likely - 1, likely + 1, likely - 2) if low <= guess < high)
        middle = next(guesses, (low + high) // 2)
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
