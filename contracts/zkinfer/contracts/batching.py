"""How many answers fit into one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_GAS: Final = 1 << 24
"""The most that one transaction may take, by EIP-7825."""
MOST_BYTES: Final = 120_000
"""Nodes take transactions of 128 kB; some of that is not calldata."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Weight:
    """What an answer adds to a transaction, rather more than less."""

    gas: int
    size: int


def packed(weighed: Iterable[tuple[Item, Weight]], gas: int = MOST_GAS, size: int = MOST_BYTES) -> list[list[Item]]:
    """Batches in order, each within the limits; what alone is beyond them is a batch of its own, for a node to refuse.

    Args:
        weighed: items, and what each adds.
        gas: the most of a batch.
        size: the most bytes of a batch.
    """
    batches: list[list[Item]] = []
    gas_left = size_left = 0
    for item, weight in weighed:
        if not batches or weight.gas > gas_left or weight.size > size_left:
            batches.append([])
            gas_left, size_left = gas, size
        batches[-1].append(item)
        gas_left, size_left = gas_left - weight.gas, size_left - weight.size
    return batches
