"""Static bounds: an interval for every cell, for every input in range, and the sizes of tables (section 1.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.engines.ashlar.constraints import MAX_SHIFT, boxed, weight_bits, weights_of
from zkinfer.circuits.engines.ashlar.draft import EXACT, AxisKind, Table, TableKind
from zkinfer.circuits.engines.ashlar.stored import stored_table
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.constraints import Constraint, Network
    from zkinfer.circuits.engines.ashlar.draft import Axis, InputBlock, Span, Term

LIMIT = 1 << 60
"""Every z is smaller in magnitude."""
MAX_TABLE_BITS = 16
_SAFE = 1 << 62

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Bound:
    """What every input in range keeps to: intervals of z, q and y, the table that follows, and its least k.

    Outputs have no table; of the input, z and q are y.
    """

    z: Interval
    q: Interval
    y: Interval
    k: int = 0
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of all blocks, the input first, and of the outputs."""

    blocks: tuple[Bound, ...]
    outputs: tuple[Bound, ...]


def bound_network(network: Network) -> Bounds:
    """The bounds of a network with its masks.

    Raises:
        UnsupportedModelError: a sum, a shift or a table exceeds the limits; the message names the node and the cure.
    """
    found = [_of_input(network.input)]
    for block in network.blocks:
        found.append(_of_block(block, _sized(block, found)))
    outputs = (_interval(output, found) for output in network.outputs)
    return Bounds(tuple(found), tuple(Bound(z, z, z) for z in outputs))


def first_too_tall(network: Network, stored_bits: int) -> tuple[str, int] | None:
    """The first block whose table has too many rows, and log2 of how many times too many; None if every one fits.

    A stored table may have 2^stored_bits; their rows are computed only up to that block.

    Raises:
        UnsupportedModelError: a sum or a shift exceeds its limit before that.
    """
    found = [_of_input(network.input)]
    for block in network.blocks:
        size = _sized(block, found)
        most = stored_bits if size.table.kind is TableKind.STORED else MAX_TABLE_BITS
        if size.k > most:
            return block.name, size.k - most
        found.append(_of_block(block, size))
    return None


def rounded(z: Interval, shift: int) -> Interval:
    """The interval of q: half up, towards plus infinity."""
    half = 1 << shift >> 1
    return (z[0] + half) >> shift, (z[1] + half) >> shift


def _of_input(block: InputBlock) -> Bound:
    image = clamp_image(block.table)
    return Bound(image, image, image, max(_bits_of(image), block.table.width + 1), block.table)


@dataclass(frozen=True, slots=True)
class _Size:
    """What a block's table has to hold: as `Bound`, without y. The interval `clamped` is that of q without excess."""

    z: Interval
    q: Interval
    k: int
    table: Table
    clamped: Interval


def _sized(block: Constraint, found: Sequence[Bound]) -> _Size:
    if block.excess is not None:
        return _sized_second(block, found[-1], block.excess)
    _refuse_shift(block)
    z = _interval(block, found)
    q = rounded(z, block.shift)
    k = _bits_of(q)
    table = _fitted(_table(block), found, k)
    return _Size(z, q, k if table.kind is TableKind.STORED else max(k, table.width + 1), table, q)


def _sized_second(block: Constraint, first: Bound, d: int) -> _Size:
    """The second block of a pair: what its clamp reads, by the lemma, which intervals of its terms cannot see."""
    table = _table(block)
    whole = rounded(first.z, block.shift)
    if max(_bits_of(whole), table.width + 1) <= MAX_TABLE_BITS:
        raise UnsupportedModelError(f"{block.name!r} needs no second block.", "Remove it from `saturate`.")
    most = (1 << (table.width + 1)) + (1 << (d - 1))
    largest = 1 << (block.shift + table.width + 2)
    return _Size((-largest, largest), (-most, most), table.width + 3, table, whole)


def _of_block(block: Constraint, size: _Size) -> Bound:
    _refuse_size(block, size.k)
    if size.table.kind is TableKind.STORED:
        image = stored_table(size.table).image(*size.q, block.name)
    else:
        image = clamped(size.table, size.clamped[0]), clamped(size.table, size.clamped[1])
    return Bound(size.z, size.q, image, size.k, size.table)


def clamped(table: Table, q: int) -> int:
    """The value of a table of kind 1, 2 or 4."""
    low = 0 if table.kind is TableKind.CLAMP_U else -(1 << table.width)
    y = min(max(q, low), (1 << table.width) - 1)
    return q - y if table.kind is TableKind.EXCESS else y


def clamp_image(table: Table) -> Interval:
    """The least and the largest value of a clamp."""
    return clamped(table, -(1 << table.width)), clamped(table, 1 << table.width)


def _table(block: Constraint) -> Table:
    if block.table is None:
        raise TypeError("an output has no table")
    return block.table


def _fitted(table: Table, found: Sequence[Bound], k: int) -> Table:
    """The table with its width and, where it follows another block's image, its kind."""
    if table.image_of is not None:
        low, high = found[table.image_of].y
        kind = TableKind.CLAMP_U if low >= 0 else TableKind.CLAMP_S
        width = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)
        return Table(kind, width)
    return replace(table, width=k - 1) if table.width == EXACT else table


def _bits_of(q: Interval) -> int:
    """The least k, at least 1, with -2^(k-1) <= q < 2^(k-1)."""
    return 1 + max((-q[0] - 1).bit_length() if q[0] < 0 else 0, q[1].bit_length() if q[1] > 0 else 0)


def _refuse_shift(block: Constraint) -> None:
    if block.shift > MAX_SHIFT:
        raise UnsupportedModelError(
            f"{block.name!r} is shifted by {block.shift} bits, more than {MAX_SHIFT}.",
            "Lower the exponent of its weights, or raise the scale of its activation.",
        )
    if block.shift < 0:
        raise UnsupportedModelError(
            f"{block.name!r} has fewer fraction bits before its activation than behind it.",
            "Raise the exponent of its weights, or lower the scale of its activation.",
        )


def _refuse_size(block: Constraint, k: int) -> None:
    if k <= MAX_TABLE_BITS:
        return
    cure = "Lower scale and width of the activation together, by one for each bit"
    if _table(block).kind is TableKind.EXCESS:
        cure = "Raise its d in `saturate`"
    elif block.excess is None:
        cure += ", or name the block in `saturate`"
    raise UnsupportedModelError(
        f"The table of {block.name!r} needs 2^{k} rows, more than 2^{MAX_TABLE_BITS}.", f"{cure}."
    )


def _interval(constraint: Constraint, found: Sequence[Bound]) -> Interval:
    """The interval of z over all places of the box, padding included."""
    cuts = _cuts(constraint)
    parts = [_Part(term, found, cuts) for term in constraint.terms]
    dtype = np.int64 if sum(part.largest for part in parts) < _SAFE else object
    low, high = (sum(part.side(side).astype(dtype) for part in parts) for side in (0, 1))
    z = int(np.min(low)), int(np.max(high))
    if max(-z[0], z[1]) >= LIMIT:
        raise UnsupportedModelError(
            f"Sums of {constraint.name!r} may reach 2^{max(-z[0], z[1]).bit_length() - 1}; the limit is 2^60.",
            "Lower the exponent of its weights, or the widths of the activations that it reads.",
        )
    return z


def _cuts(constraint: Constraint) -> list[int]:
    """The edges of all ranges of `o`: between two of them, bits belong together in every term."""
    spans = [axis.o for term in constraint.terms for axis in term.axes if axis.o]
    return sorted({0, constraint.bits, *(s.first for s in spans), *(s.first + s.bits for s in spans)})


class _Part:
    """What one term adds at each place, as far as it depends on the place: an array with one dimension between cuts.

    Sums run over all weights and cells that a place is related to; at an edge, WALK reads fewer, which the 0 in its
    source's interval covers.
    """

    def __init__(self, term: Term, found: Sequence[Bound], cuts: Sequence[int]) -> None:
        self._term, self._cuts = term, cuts
        low, high = found[term.source].y if term.source is not None else (1, 1)
        if any(_may_leave(term, axis) for axis in term.axes):
            low, high = min(low, 0), max(high, 0)
        self._y = low, high
        free = sum(axis.i.bits for axis in term.axes if axis.kind is AxisKind.FREE and axis.i)
        self._count = term.coefficient << free
        size = max(abs(low), abs(high)) * abs(self._count)
        if term.weights is not None:
            size *= max(abs(int(term.weights.max())), abs(int(term.weights.min()))) * term.weights.size
        self.largest = size
        self._dtype = np.int64 if size < _SAFE else object

    def side(self, side: int) -> NDArray[Any]:
        """The least (0) or the largest (1) value at each place."""
        positive, negative = self._y[side] * self._count, self._y[1 - side] * self._count
        if self._count < 0:
            positive, negative = negative, positive
        values = self._weighted(positive, negative)
        for axis in self._term.axes:
            if axis.o and axis.bound is not None and axis.bound < 1 << axis.o.bits:
                below = np.arange(1 << axis.o.bits) < axis.bound
                values = values * self._spread(below.astype(np.int64), [axis.o])
        return values

    def _weighted(self, positive: int, negative: int) -> NDArray[Any]:
        """Sums over the weights: those above 0 times `positive`, those below times `negative`."""
        term = self._term
        if term.weights is None:
            return np.full([1] * (len(self._cuts) - 1), positive, self._dtype)
        weights = term.weights.astype(self._dtype)
        values = np.maximum(weights, 0) * positive + np.minimum(weights, 0) * negative
        kept = [axis for axis in term.axes if axis.weight is not None and axis.o and axis.kind is AxisKind.EQ]
        order = [axis.weight for axis in kept if axis.weight is not None]
        values = values.sum(axis=tuple(d for d in range(weights.ndim) if d not in order))
        left = sorted(order)
        values = np.asarray(values).transpose([left.index(dimension) for dimension in order])
        box = boxed(values, [weight_bits(term, axis) for axis in kept])
        return self._spread(box, [axis.o for axis in kept if axis.o])

    def _spread(self, values: NDArray[Any], spans: Sequence[Span]) -> NDArray[Any]:
        """An array over these ranges as one over the bits between cuts, highest first; size 1 where it is constant."""
        pieces = list(pairwise(self._cuts))[::-1]
        inside = [[p for p in pieces if s.first <= p[0] and p[1] <= s.first + s.bits] for s in spans]
        flat = [piece for group in inside for piece in group]
        values = values.reshape([1 << (high - low) for low, high in flat])
        values = values.transpose([flat.index(piece) for piece in pieces if piece in flat])
        return values.reshape([1 << (high - low) if (low, high) in flat else 1 for low, high in pieces])


def _may_leave(term: Term, axis: Axis) -> bool:
    """Whether a WALK reads places outside its source's box."""
    if axis.kind is not AxisKind.WALK:
        return False
    kernel = weights_of(term).shape[axis.weight] if axis.weight is not None else 1
    last = (((axis.bound or 1) - 1) << axis.k) + kernel - 1 + axis.g
    return axis.g < 0 or last >= 1 << (axis.i.bits if axis.i else 0)
