"""Views: tensors that are not stored, but read from the bits of a block (sections 1.6 and 2.4, L8).

Layout operators change views only. What cannot be read through its view is refused, never copied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ashlar.draft import Factor, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Place:
    """A factor of a dimension: its size, and the range of bits of the block that indexes it.

    The range may be longer than the size needs, where a pool cut a remainder off.
    """

    size: int
    first: int
    bits: int

    @property
    def span(self) -> Span | None:
        """The range of bits; None if there are none."""
        return Span(self.first, self.bits) if self.bits else None


Dim = tuple[Place, ...]
"""The factors of a dimension, outermost first; none for a dimension of size 1."""


@dataclass(frozen=True, slots=True)
class View:
    """A tensor read from the block named `block`; `free` and `pooled` are of pools that are read as sums.

    `free` are the bits of the block that are summed over, and `pooled` the fraction bits that these sums add.
    """

    block: str
    dims: tuple[Dim, ...]
    free: tuple[Span, ...] = ()
    pooled: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the dimensions."""
        return tuple(size_of(dim) for dim in self.dims)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The dimensions of a box with this layout: every factor, and one of size 1 for a dimension without any."""
        return tuple(Factor(size) for dim in self.dims for size in ([place.size for place in dim] or [1]))

    def transposed(self, order: Sequence[int]) -> View:
        """The view with its dimensions in another order."""
        return replace(self, dims=tuple(self.dims[axis] for axis in order))

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """The view with its factors dealt out to new dimensions; None if one were to be cut at no power of two."""
        left = [place for dim in reversed(self.dims) for place in reversed(dim)]
        dims = []
        for size in shape:
            dim = _taken(left, size)
            if dim is None:
                return None
            dims.append(dim)
        return replace(self, dims=tuple(dims))


def natural(block: str, dims: Sequence[Sequence[int]]) -> View:
    """The view of a whole block, given the sizes of the factors of its dimensions: row-major."""
    first = sum(Factor(size).bits for dim in dims for size in dim)
    result = []
    for dim in dims:
        places = []
        for size in dim:
            bits = Factor(size).bits
            first -= bits
            if bits:
                places.append(Place(size, first, bits))
        result.append(tuple(places))
    return View(block, tuple(result))


def moved(dims: tuple[tuple[int, ...], ...], view: View, box: View) -> Iterator[Dim]:
    """The places in an output's box of each dimension of a maker that it shows through views."""
    pairs = [
        (theirs.first, mine)
        for theirs, mine in zip(
            (place for dim in view.dims for place in dim), (place for dim in box.dims for place in dim), strict=True
        )
    ]
    for dim in natural("", dims).dims:
        low, high = (dim[-1].first, dim[0].first + dim[0].bits) if dim else (0, 0)
        inside = sorted((first, place) for first, place in pairs if low <= first < high) if dim else []
        yield tuple(place for _, place in reversed(inside))


def sizes_of(dims: Sequence[Dim]) -> tuple[tuple[int, ...], ...]:
    """The sizes of the factors of each dimension."""
    return tuple(tuple(place.size for place in dim) for dim in dims)


def size_of(dim: Dim) -> int:
    """The number of elements along a dimension."""
    return math.prod(place.size for place in dim)


def halves(place: Place, inner: int) -> tuple[Place, Place] | None:
    """A factor cut into an outer part and an inner one of this size; None unless that is a power of two inside it."""
    bits = inner.bit_length() - 1
    if inner != 1 << bits or place.size % inner or bits > place.bits:
        return None
    return (
        Place(place.size // inner, place.first + bits, place.bits - bits),
        Place(inner, place.first, bits),
    )


def aligned(one: Dim, other: Dim) -> list[tuple[Place, Place]] | None:
    """Two dimensions of one size, both cut into factors of equal sizes, outermost first; None if they cannot be."""
    left, right, pairs = list(one), list(other), list[tuple[Place, Place]]()
    while left and right:
        mine, theirs = left.pop(), right.pop()
        size = min(mine.size, theirs.size)
        for side, place in ((left, mine), (right, theirs)):
            if place.size != size:
                cut = halves(place, size)
                if cut is None:
                    return None
                side.append(cut[0])
                if side is left:
                    mine = cut[1]
                else:
                    theirs = cut[1]
        pairs.append((mine, theirs))
    return None if left or right else pairs[::-1]


def refined(dims: Sequence[Dim]) -> tuple[int, ...] | None:
    """The coarsest factors into which all these dimensions of one size can be cut; None if there are none."""
    first, *rest = dims
    for dim in rest:
        pairs = aligned(first, dim)
        if pairs is None:
            return None
        first = tuple(mine for mine, _ in pairs)
    return tuple(place.size for place in first)


def joined(dim: Dim) -> Place | None:
    """A dimension as one factor: adjacent ones, of which the inner ones are full powers of two; None if it is none."""
    if not dim:
        return Place(1, 0, 0)
    result = dim[0]
    for inner in dim[1:]:
        if inner.size != 1 << inner.bits or inner.first + inner.bits != result.first:
            return None
        result = Place(result.size * inner.size, inner.first, result.bits + inner.bits)
    return result


def split(dim: Dim, sizes: Sequence[int]) -> list[Dim] | None:
    """A dimension cut into parts of these sizes, outermost first, as `View.reshaped` cuts; None if it cannot be."""
    left = list(reversed(dim))
    parts = [_taken(left, size) for size in sizes]
    known = [part for part in parts if part is not None]
    return known if len(known) == len(parts) else None


def _taken(left: list[Place], size: int) -> Dim | None:
    """Remove factors of this size in all from the end of a reversed list."""
    dim = tuple(_taking(left, size))
    return dim if size_of(dim) == size else None


def _taking(left: list[Place], size: int) -> Iterator[Place]:
    while left and (size > 1 or left[-1].size == 1):  # a factor of size 1 may have bits, see `Place`
        place = left.pop()
        if size % place.size:
            cut = halves(place, place.size // size) if place.size % size == 0 else None
            if cut is None:
                return
            place, inner = cut
            left.append(inner)
        size //= place.size
        yield place
