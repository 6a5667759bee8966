"""The cost that a search minimises, and the size of chunks that follows from it.

Each chunk of a committed vector is a multiplication on the curve in every verification, about 7,700 gas, which are
cents to dollars on a main network; the second of a core that larger chunks take costs a thousand times less. What
speaks against large chunks is that somebody waits for the proof. So gas decides alone up to a tenth of a second, and
from there on each doubling of the time must save gas: half of what a small verification costs, or a tenth of it if gas
is the objective. Time is predicted for the machine that section 11.3 names and never measured, so that the same samples
give the same recipe everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.engines.ashlar.cost import estimate
from zkinfer.circuits.engines.ashlar.key import MAX_KEY_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.cost import Objective
    from zkinfer.circuits.engines.ashlar.key import Shape

SMALLEST: Final = 10
LARGEST: Final = 18
"""The sizes to choose from, log2: the points of a larger setup are 64 MB, which each proof reads."""
DOUBLING: Final = {"latency": 160_000, "gas": 30_000}
"""The gas that a doubling of the time must save, by objective."""
PROMPT: Final = 0.1
"""Seconds of a proof up to which gas decides alone."""
_NOTABLE = 5_000  # gas


@dataclass(frozen=True, slots=True)
class Choice:
    """A size of chunks, log2, and the cost with it."""

    bits: int
    cost: float


def cost(shape: Shape, objective: Objective) -> float:
    """What is minimised: gas and what the wait counts for, or bytes. Infinite if no contract holds the key."""
    found = estimate(shape)
    if shape.key_words > MAX_KEY_WORDS:
        return math.inf
    if objective == "memory":
        return float(found.memory_bytes)
    return found.transaction + DOUBLING[objective] * max(0.0, math.log2(found.seconds / PROMPT))


def best(shape: Shape, sizes: Sequence[int], objective: Objective) -> Choice:
    """The size of least cost, the smallest of several."""
    costs = {bits: cost(replace(shape, chunk_bits=bits), objective) for bits in sizes}
    bits = min(costs, key=lambda bits: (costs[bits], bits))
    return Choice(bits, costs[bits])


def sizes(setup: int) -> range:
    """The sizes of chunks that a setup of this size, log2, serves."""
    largest = min(LARGEST, setup)
    return range(min(SMALLEST, largest), largest + 1)


def note_of_larger(shape: Shape, setup: int, objective: Objective) -> tuple[str, ...]:
    """A sentence on the larger setup that would save gas, if this program's chunks are as large as the setup allows.

    Args:
        shape: the program as it was chosen.
        setup: log2 of the size of the largest setup at hand.
        objective: as for the choice.
    """
    wanted = best(shape, sizes(LARGEST), objective)
    if wanted.bits <= setup:
        return ()
    saved = estimate(shape).transaction - estimate(replace(shape, chunk_bits=wanted.bits)).transaction
    if saved < _NOTABLE:
        return ()
    note = f"a trusted setup of 2^{wanted.bits} powers would save {saved:,} gas in each verification on a chain"
    return (f"{note}; the largest at hand has 2^{setup}, and `zkinfer setup fetch {wanted.bits}` gets a larger one",)
