"""Where everything lies: cells, rows, weights, and the order of axes (rules L2 to L4 and L7).

Everything is sorted by size, largest first, and stably; so every part is aligned to its own size.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.constraints import Network, boxed, weight_bits, weights_of
from zkinfer.circuits.engines.ashlar.draft import Axis, AxisKind, Span, Table, TableKind, Term
from zkinfer.circuits.engines.ashlar.program import (
    AxisRecord,
    BlockRecord,
    InputRecord,
    OutputRecord,
    Program,
    TableRecord,
    TermRecord,
    TileRecord,
    box_bits,
)
from zkinfer.circuits.engines.ashlar.stored import stored_table
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.bounds import Bounds

MAX_CUBE_BITS = 24
_RANGE = 0
_MERGED = (AxisKind.EQ, AxisKind.FREE, AxisKind.FIX)


def lay_out(network: Network, bounds: Bounds) -> tuple[Program, NDArray[np.int64]]:
    """The program of a network with masks, and F: its weights and the columns of stored tables, in their places.

    Raises:
        UnsupportedModelError: the cells or the rows exceed 2^24.
    """
    factors = [network.input.factors, *(block.factors for block in network.blocks)]
    cells, n = _packed([box_bits(each) for each in factors])
    tables = _Tables(bounds, max([1, *(block.shift for block in network.blocks)]))
    weights = _Weights()
    terms = _all_terms(network, weights)
    for column in tables.columns():
        weights.add(column)
    offsets, end = _offsets([data.size for data in weights.segments])
    rows, n_t = _packed([k for _, k, _ in tables.rows])
    _refuse_large(n, n_t)
    placed = [tuple(term.placed(offsets) for term in each) for each in terms]
    columns = iter(offsets[weights.tiles :])
    blocks = tuple(
        BlockRecord(block.name, block.bits, tables.tags[number], block.shift, cells[number], placed[number - 1])
        for number, block in enumerate(network.blocks, 1)
    )
    records = tuple(
        TableRecord(kind, k, width, row, next(columns) if kind == TableKind.STORED.value else 0)
        for (kind, k, width), row in zip(tables.rows, rows, strict=True)
    )
    outputs = tuple(
        OutputRecord(output.name, output.factors, terms_of)
        for output, terms_of in zip(network.outputs, placed[len(blocks) :], strict=True)
    )
    entry = InputRecord(network.input.factors, tables.tags[0], cells[0])
    return Program(entry, records, blocks, outputs, n, n_t, end), weights.vector(offsets, end)


def sorted_axes(axes: Iterable[Axis]) -> list[Axis]:
    """The axes in their canonical order, before neighbours are merged.

    A range without bits counts as absent; axes that are equal by the rule keep the order of the draft.
    """
    return sorted(axes, key=_place)


def _place(axis: Axis) -> tuple[int, int, int]:
    o, i = (-1 if span is None or not span.bits else span.first for span in (axis.o, axis.i))
    if axis.kind is AxisKind.EQ:
        order = {(True, True): 0, (True, False): 1, (False, True): 2}
        kind = 3 if axis.weight is None else order[axis.o is not None, axis.i is not None]
    else:
        kind = {AxisKind.FREE: 4, AxisKind.FIX: 5, AxisKind.MASK: 6, AxisKind.WALK: 7}[axis.kind]
    return kind, -(o if o >= 0 else i), -i


def merged_axes(axes: Sequence[Axis]) -> list[Axis]:
    """The axes with neighbours of one kind joined where their ranges are adjacent; none that has weights."""
    done: list[Axis] = []
    for axis in axes:
        if done and _adjacent(done[-1], axis):
            above = done.pop()
            o, i = (_joined(above.o, axis.o), _joined(above.i, axis.i))
            constant = above.constant << axis.i.bits | axis.constant if axis.i else 0
            done.append(replace(axis, o=o, i=i, constant=constant))
        else:
            done.append(axis)
    return done


def _adjacent(above: Axis, below: Axis) -> bool:
    if (
        above.kind is not below.kind
        or below.kind not in _MERGED
        or above.weight is not None
        or below.weight is not None
    ):
        return False
    pairs = ((above.o, below.o), (above.i, below.i))
    return all((a is None) == (b is None) and (not a or not b or b.first + b.bits == a.first) for a, b in pairs)


def _joined(above: Span | None, below: Span | None) -> Span | None:
    return Span(below.first, above.bits + below.bits) if above and below else None


@dataclass(slots=True)
class _Weights:
    """Tiles and columns in the order in which they are made; `tiles` is the number of tiles."""

    segments: list[NDArray[np.int64]] = field(default_factory=list)
    tiles: int = 0

    def add(self, data: NDArray[np.int64]) -> int:
        """Append a segment and return its number."""
        self.segments.append(data.ravel())
        return len(self.segments) - 1

    def vector(self, offsets: Sequence[int], end: int) -> NDArray[np.int64]:
        """F."""
        vector = np.zeros(end, np.int64)
        for data, offset in zip(self.segments, offsets, strict=True):
            vector[offset : offset + data.size] = data
        return vector


@dataclass(frozen=True, slots=True)
class _Term:
    """A term whose tiles have no places yet: number of the segment, and spans."""

    source: int | None
    coefficient: int
    axes: tuple[AxisRecord, ...]
    tiles: tuple[tuple[int, tuple[Span, ...]], ...]

    def placed(self, offsets: Sequence[int]) -> TermRecord:
        tiles = tuple(TileRecord(offsets[segment], spans) for segment, spans in self.tiles)
        return TermRecord(self.source, self.coefficient, self.axes, tiles)


def _all_terms(network: Network, weights: _Weights) -> list[list[_Term]]:
    """The terms of all constraints; the second block of a pair names the tiles of the first."""
    made: list[list[_Term]] = []
    for constraint in (*network.blocks, *network.outputs):
        shared = made[-1] if constraint.excess is not None else []
        made.append([*shared, *(_term(term, weights) for term in constraint.terms[len(shared) :])])
    weights.tiles = len(weights.segments)
    return made


def _term(term: Term, weights: _Weights) -> _Term:
    axes = sorted_axes(term.axes)
    records = tuple(_record(term, axis) for axis in merged_axes(axes))
    tiles: list[tuple[int, tuple[Span, ...]]] = []
    if term.weights is not None:
        weighted = [axis for axis in axes if weight_bits(term, axis)]
        box = _box(term, weighted)
        for spans in _spans(term, weighted):
            part = box[tuple(slice(span.first, span.first + (1 << span.bits)) for span in spans)]
            tiles.append((weights.add(part), spans))
    return _Term(term.source, term.coefficient if term.kind == 2 else 1, records, tuple(tiles))


def _record(term: Term, axis: Axis) -> AxisRecord:
    o, i = (span if span and span.bits else None for span in (axis.o, axis.i))
    constant = axis.constant if axis.kind is AxisKind.FIX else axis.g
    return AxisRecord(axis.kind, o, i, weight_bits(term, axis), axis.k, constant, axis.bound or 0)


def _box(term: Term, weighted: Sequence[Axis]) -> NDArray[np.int64]:
    """The weights with their dimensions in the order of the axes, each padded to a power of two."""
    weights = weights_of(term)
    order = [axis.weight for axis in weighted if axis.weight is not None]
    rest = [dimension for dimension in range(weights.ndim) if dimension not in order]
    tensor = weights.transpose([*order, *rest]).reshape([weights.shape[dimension] for dimension in order])
    return boxed(tensor, [weight_bits(term, axis) for axis in weighted])


def _spans(term: Term, weighted: Sequence[Axis]) -> list[tuple[Span, ...]]:
    """The tiles of a tensor, the first axis outermost."""
    found: list[tuple[Span, ...]] = [()]
    for axis in weighted:
        choices = [Span(0, weight_bits(term, axis))]
        if (
            axis.weight in term.tiled
            and term.source is not None
            and axis.kind is AxisKind.EQ
            and not (axis.o and axis.i)
        ):
            choices = _powers(weights_of(term).shape[axis.weight or 0])
        found = [(*spans, choice) for spans in found for choice in choices]
    return found


def _powers(size: int) -> list[Span]:
    """An axis cut into the powers of two of its size, largest first."""
    spans, start = [], 0
    for bits in range(size.bit_length() - 1, -1, -1):
        if size >> bits & 1:
            spans.append(Span(start, bits))
            start += 1 << bits
    return spans


class _Tables:
    """The tables in their order: kind, k and width of each in `rows`, and in `tags` the table of each block."""

    def __init__(self, bounds: Bounds, largest_shift: int) -> None:
        clamps: dict[Table, int] = {}
        self._stored: dict[Table, int] = {}
        used = [_plain(bound.table) for bound in bounds.blocks if bound.table]
        for bound, table in zip(bounds.blocks, used, strict=True):
            found = self._stored if table.kind is TableKind.STORED else clamps
            found[table] = max(bound.k, found.get(table, 0))
        self.rows = [(_RANGE, largest_shift, 0)]
        self.rows += [(table.kind.value, k, table.width) for table, k in clamps.items()]
        self.rows += [(table.kind.value, k, 0) for table, k in self._stored.items()]
        order = [*clamps, *self._stored]
        self.tags = [1 + order.index(table) for table in used]

    def columns(self) -> list[NDArray[np.int64]]:
        """The y columns of the stored tables."""
        return [stored_table(table).column(k) for table, k in self._stored.items()]


def _plain(table: Table) -> Table:
    """A table without what does not tell it from others: clamps have no scales."""
    return table if table.kind is TableKind.STORED else Table(table.kind, table.width)


def _packed(bits: Sequence[int]) -> tuple[list[int], int]:
    """Offsets of power-of-two parts, and the least number of bits, at least 1, for all of them."""
    offsets, end = _offsets([1 << each for each in bits])
    return offsets, max(1, (end - 1).bit_length())


def _offsets(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Offsets of parts that lie one after the other, largest first, equal ones in the given order; and their end."""
    order = sorted(range(len(sizes)), key=lambda number: -sizes[number])
    ends = list(accumulate((sizes[number] for number in order), initial=0))
    offsets = [0] * len(sizes)
    for number, offset in zip(order, ends, strict=False):
        offsets[number] = offset
    return offsets, ends[-1]


def _refuse_large(n: int, n_t: int) -> None:
    for bits, what, cure in ((n, "cells", "Make the model smaller."), (n_t, "rows of tables", "Lower widths.")):
        if bits > MAX_CUBE_BITS:
            raise UnsupportedModelError(f"The model takes 2^{bits} {what}, more than 2^{MAX_CUBE_BITS}.", cure)
