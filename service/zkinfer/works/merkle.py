"""Merkle trees in OpenZeppelin's standard form: leaves hashed twice and sorted, pairs sorted before they are hashed.

The contract `ContributorFund` verifies the proofs with OpenZeppelin's `MerkleProof`. See
https://github.com/OpenZeppelin/merkle-tree, "Standard Merkle Trees".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import DataError
from zkinfer.contracts.identifiers import keccak256

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Tree:
    """A tree over distinct leaves of 32 bytes; `nodes[0]` is the root, and the leaves come last, the largest first."""

    nodes: tuple[bytes, ...]

    @classmethod
    def of(cls, leaves: Iterable[bytes]) -> Tree:
        """The tree; raises DataError without leaves, or if one occurs twice, since it could be claimed twice."""
        ordered = sorted(leaves, reverse=True)
        if not ordered:
            raise DataError("A Merkle tree has at least one leaf.")
        if any(one == other for one, other in pairwise(ordered)):
            raise DataError("A leaf of the Merkle tree occurs twice.", "Name each account or asset once.")
        nodes = [b""] * (len(ordered) - 1) + ordered
        for place in reversed(range(len(ordered) - 1)):
            nodes[place] = _pair(nodes[2 * place + 1], nodes[2 * place + 2])
        return cls(tuple(nodes))

    @property
    def root(self) -> bytes:
        """The root."""
        return self.nodes[0]

    def proof(self, leaf: bytes) -> list[bytes]:
        """The hashes beside the way from a leaf to the root; raises DataError if there is no such leaf."""
        if leaf not in self._places:
            raise DataError("The leaf is not in the Merkle tree.")
        place, found = self._places[leaf], []
        while place:
            found.append(self.nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return found

    @cached_property
    def _places(self) -> dict[bytes, int]:
        first = len(self.nodes) // 2
        return {leaf: first + place for place, leaf in enumerate(self.nodes[first:])}


def root_of(leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that a proof leads to from a leaf."""
    for sibling in proof:
        leaf = _pair(leaf, sibling)
    return leaf


def _pair(one: bytes, other: bytes) -> bytes:
    return keccak256(min(one, other) + max(one, other))
