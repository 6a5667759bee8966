"""The multilinear formulas of part 3: axes, terms, tables and tags at points.

The formulas are those that define the relations, not the shorter forms that cost less gas. Arguments are points, least
significant bit first; `tau` belongs to the index `o` of a constraint, `rho` to cells and rows, `sigma` to weights.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product as choices
from typing import TYPE_CHECKING

from zkinfer.verifier.ashlar.field import at_index, bits_of, in_block, product
from zkinfer.verifier.ashlar.program import CLAMP_S, CLAMP_U, EQ, EXCESS, FIX, FREE, MASK, RANGE, STORED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zkinfer.verifier.ashlar.field import Scalar
    from zkinfer.verifier.ashlar.program import Axis, Block, Table, Term, Tile

    Point = Sequence[Scalar]


def all_equal(points: Sequence[Point]) -> Scalar:
    """EQ: two or three indices of as many bits are equal."""
    return product(product(x) + product(1 - v for v in x) for x in zip(*points, strict=True))


def less(x: Point, bound: int) -> Scalar:
    """MASK: the index is below the bound."""
    if bound >> len(x):
        return 1
    result: Scalar = 0
    for v, bit in zip(x, bits_of(bound, len(x)), strict=True):
        # With a smaller bit the index is below, whatever came before; with an equal one, if it was below so far.
        result = (1 - v) + v * result if bit else (1 - v) * result
    return result


def power(x: Point, t: Scalar, bound: int) -> Scalar:
    """POW: t to the power of the index where that is below the bound, else 0."""
    full: Scalar = 1
    below: Scalar = 0
    for v, bit in zip(x, bits_of(bound, len(x)), strict=True):
        below = (1 - v) * full + v * t * below if bit else (1 - v) * below
        full = full * (1 - v + v * t)
        t = t * t
    return full if bound >> len(x) else below


def walk(o: Point, i: Point, d: Point, *, k: int, g: int, bound: int) -> Scalar:
    """WALK: i = 2^k o + d + g, and o is below the bound; d is 0 where it has no bits.

    The sum is done bit by bit; a state is the carry, and whether the bits of o so far are a number below the bound.
    """
    unbounded = bound >> len(o) > 0
    states: dict[tuple[int, bool], Scalar] = {(0, unbounded): 1}
    for j in range(max(len(i), len(d), k + len(o), abs(g).bit_length())):
        following: defaultdict[tuple[int, bool], Scalar] = defaultdict(int)
        for ((carry, flag), weight), bit_d, bit_o in choices(states.items(), (0, 1), (0, 1)):
            total = bit_d + bit_o + _signed_bit(g, j) + carry
            chosen = product((_bit(d, j, bit_d), _bit(o, j - k, bit_o), _bit(i, j, total % 2)))
            if isinstance(chosen, int) and chosen == 0:
                continue
            below = flag
            if not unbounded and j >= k and bit_o != bound >> (j - k) & 1:
                below = bit_o == 0  # of two bits that differ, the smaller one
            following[total // 2, below] += weight * chosen
        states = following
    return states.get((0, True), 0)


def _bit(x: Point, j: int, bit: int) -> Scalar:
    """The weight of bit j being this one; bits that the index does not have are 0."""
    if not 0 <= j < len(x):
        return 1 - bit
    return x[j] if bit else 1 - x[j]


def _signed_bit(g: int, j: int) -> int:
    bit = abs(g) >> j & 1
    return bit if g >= 0 else -bit


def kernel(term: Term, tile: Tile, tau: Point, rho: Point, sigma: Point) -> Scalar:
    """The relation of a term, as far as its weights lie in the tile; without weights in a tile of no axes."""
    weights = _weight_indices(term, tile, sigma)
    return product(axis_value(axis, tau, rho, next(weights) if axis.w else ()) for axis in term.axes)


def axis_value(axis: Axis, tau: Point, rho: Point, w: Point) -> Scalar:
    """The relation of one axis; `w` is the index of the weights along it."""
    o, i = tau[axis.o.places], rho[axis.i.places]
    if axis.kind == EQ:
        return all_equal([x for x in (o, i, w) if len(x)])
    if axis.kind == MASK:
        return less(o, axis.bound)
    if axis.kind == FIX:
        return at_index(axis.g, i)
    return 1 if axis.kind == FREE else walk(o, i, w, k=axis.k, g=axis.g, bound=axis.bound)


def _weight_indices(term: Term, tile: Tile, sigma: Point) -> Iterator[Point]:
    """The index along each axis with weights: coordinates inside the tile, then the bits of where the tile starts."""
    axes = [axis for axis in term.axes if axis.w]
    first = tile.bits
    for axis, (start, bits) in zip(axes, tile.spans, strict=True):
        first -= bits  # the last axis has the lowest coordinates
        yield (*sigma[first : first + bits], *bits_of(start >> bits, axis.w - bits))


def table_input(table: Table, x: Point) -> Scalar:
    """The first column of a row: t itself in the range table, else q = t - 2^(k-1)."""
    return _low(x, table.k) - (0 if table.kind == RANGE else 1 << (table.k - 1))


def table_output(table: Table, x: Point) -> Scalar:
    """The second column, y, of a computed table; 0 for the range table and for stored tables."""
    if table.kind in {RANGE, STORED}:
        return 0
    if table.kind == EXCESS:
        return table_input(table, x) - _clamp(CLAMP_S, table.b, x)
    return _clamp(table.kind, table.b, x)


def _clamp(kind: int, b: int, x: Point) -> Scalar:
    *middle, sign = x[b:]
    low, most = _low(x, b), (1 << b) - 1
    top = sign * (most + product(1 - v for v in middle) * (low - most))
    if kind == CLAMP_U:
        return top
    return top + (1 - sign) * (product(middle) * low - (1 << b))


def _low(x: Point, bits: int) -> Scalar:
    """The number that the lowest bits are."""
    result: Scalar = 0
    for j in range(bits):
        result = result + (1 << j) * x[j]
    return result


def fingerprints(tables: Sequence[Table], rho: Point, alpha: Scalar, stored: Scalar) -> Scalar:
    """T: the fingerprint of a row; `stored` is the sum of the stored columns, each in its table's rows."""
    result = alpha * stored
    for tag, table in enumerate(tables):
        x = rho[: table.k]
        row = table_input(table, x) + alpha * table_output(table, x) + alpha * alpha * tag
        result = result + in_block(table.offset, table.k, rho) * row
    return result


def tags(blocks: Sequence[Block], rho: Point) -> Scalar:
    """The tag of a cell: its block's table, and 1 in cells of no block."""
    result: Scalar = 1
    for block in blocks:
        result = result + in_block(block.offset, block.bits, rho) * (block.table - 1)
    return result
