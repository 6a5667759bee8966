"""The rules W1 to W9 of section 4.1 that a decoded key must meet before anything is computed from it.

`decode_key` has checked lengths, codes and reserved bytes; the points are decoded by the verifier.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from zkinfer.verifier.ashlar.errors import MalformedKeyError
from zkinfer.verifier.ashlar.program import (
    CELLS,
    CLAMP_S,
    CLAMP_U,
    EQ,
    FIX,
    MASK,
    NO_SOURCE,
    RANGE,
    STORED,
    WALK,
    WEIGHTS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zkinfer.verifier.ashlar.program import Axis, Dim, Header, Program, Range, Table, Term, Tile

MAX_BOX_BITS, MAX_DIMS, MAX_CUBE_BITS, MAX_LENGTH_BITS = 24, 8, 24, 28
MIN_CHUNK_BITS, MAX_CHUNK_BITS, MAX_SHIFT, MAX_TABLE_BITS = 4, 24, 16, 16
MAX_STRIDE_BITS, MAX_KERNEL_BITS, MAX_PADDING = 4, 7, 127


def require_well_formed(header: Header, program: Program) -> None:
    """Check every rule; raises MalformedKeyError, which names the first one that is broken."""
    _sizes(header)
    for dims, bits in [(program.blocks[0].dims, program.blocks[0].bits), *((x.dims, x.bits) for x in program.outputs)]:
        _dims(dims, bits)
    _tables(header, program)
    _lengths(header)
    for number, constraint in enumerate(program.constraints):
        _require(len(constraint.terms) > 0, "W9", f"constraint {number} has no terms.")
        # Hidden block l is block l + 1 and reads earlier ones; outputs, which come last, read all blocks.
        readable = program.blocks[: number + 1]
        for term in constraint.terms:
            _require(term.kind == WEIGHTS or term.source < len(readable), "W6", f"constraint {number} reads ahead.")
            _term(term, constraint.bits, 0 if term.kind == WEIGHTS else readable[term.source].bits)
    _places(header, program)


def _require(holds: bool, rule: str, cause: str) -> None:
    if not holds:
        raise MalformedKeyError(rule, cause)


def _sizes(header: Header) -> None:
    _require(1 <= header.n <= MAX_CUBE_BITS, "W1", f"n is {header.n}.")
    _require(1 <= header.nt <= MAX_CUBE_BITS, "W1", f"nT is {header.nt}.")
    _require(1 <= header.s <= MAX_SHIFT, "W1", f"S is {header.s}.")
    _require(MIN_CHUNK_BITS <= header.c <= MAX_CHUNK_BITS, "W1", f"c is {header.c}.")
    _require(header.c <= header.nb <= MAX_LENGTH_BITS, "W1", f"nB is {header.nb}.")
    _require(header.outputs >= 1, "W1", "there are no outputs.")


def _lengths(header: Header) -> None:
    cells, rows = 1 << header.n, 1 << header.nt
    # P is longer than H, and than X, which is as long as one block of cells.
    length = max(3 * cells + rows, header.chunks << header.c)
    least = max(header.c, (length - 1).bit_length())
    _require(header.nb == least, "W2", f"nB is {header.nb}, but the least that holds all vectors is {least}.")


def _dims(dims: Sequence[Dim], bits: int) -> None:
    _require(1 <= len(dims) <= MAX_DIMS, "W4", f"a tensor has {len(dims)} dimensions.")
    for dim in dims:
        _require(dim.size >= 1, "W4", "a dimension has the size 0.")
        _require(dim.bits == (dim.size - 1).bit_length(), "W4", f"the size {dim.size} has {dim.bits} bits.")
    _require(sum(dim.bits for dim in dims) == bits, "W4", "the bits of the dimensions are not those of the box.")
    _require(bits <= MAX_BOX_BITS, "W4", f"a box has {bits} bits.")


def _tables(header: Header, program: Program) -> None:
    tables = program.tables
    _require(len(tables) >= 2, "W5", "there are no tables 0 and 1.")
    _require(tables[0].kind == RANGE and tables[0].k == header.s, "W5", "table 0 is not the range table of S bits.")
    _require(all(table.kind != RANGE for table in tables[1:]), "W5", "there is a second range table.")
    _require(_is_clamp(tables[1]), "W5", "table 1 is no clamp.")
    for table in tables:
        _require(table.b < table.k <= MAX_TABLE_BITS, "W5", f"k is {table.k}, b is {table.b}.")
        _require(table.b == 0 or table.kind not in {RANGE, STORED}, "W9", "a table without a width has one.")
        _require(table.column == 0 or table.kind == STORED, "W9", "a computed table has a column.")
    used = {block.table for block in program.blocks}
    _require(0 not in used and max(used) < len(tables), "W5", "a block names table 0, or one that does not exist.")
    _require(_is_clamp(tables[program.blocks[0].table]), "W5", "the table of the input is no clamp.")
    _require(used == set(range(1, len(tables))), "W9", "a table is not used.")
    for block in program.blocks:
        _require(block.bits <= MAX_BOX_BITS, "W4", f"a box has {block.bits} bits.")
        _require(block.shift <= header.s, "W6", f"the shift {block.shift} is above S.")


def _is_clamp(table: Table) -> bool:
    return table.kind in {CLAMP_U, CLAMP_S}


def _term(term: Term, bits: int, source_bits: int) -> None:
    has_source, has_weights = term.kind != WEIGHTS, term.kind != CELLS
    _require(has_source or term.source == NO_SOURCE, "W9", "a term without cells names a source.")
    _require(term.coef != 0 if not has_weights else term.coef == 1, "W9", f"a coefficient is {term.coef}.")
    _disjoint_ranges([axis.o for axis in term.axes], bits)
    _disjoint_ranges([axis.i for axis in term.axes], source_bits)
    _require(sum(axis.i.bits for axis in term.axes) == source_bits, "W7", "the axes do not cover the source.")
    for axis in term.axes:
        _require(has_weights or axis.w == 0, "W7", "a term without weights has bits of w.")
        _axis(axis, term.kind)
    walks = [axis.kind == WALK for axis in term.axes]
    _require(walks == sorted(walks), "W8", "an axis follows a WALK axis.")
    if has_weights:
        _tiles(term.tiles, [axis for axis in term.axes if axis.w])


def _disjoint_ranges(ranges: Iterable[Range], bits: int) -> None:
    present = sorted((x.first, x.first + x.bits) for x in ranges if x.bits)
    _require(all(end <= start for (_, end), (start, _) in pairwise(present)), "W7", "ranges of bits overlap.")
    _require(all(end <= bits for _, end in present), "W7", "a range of bits leaves its box.")


def _axis(axis: Axis, kind: int) -> None:
    for x in (axis.o, axis.i):
        _require(x.bits > 0 or x.first == 0, "W9", "an absent range has a first bit.")
    _require(axis.kind == WALK or axis.k == 0, "W9", "an axis without a stride has one.")
    _require(axis.kind in {WALK, FIX} or axis.g == 0, "W9", "an axis without a constant has one.")
    _require(axis.kind in {WALK, MASK} or axis.bound == 0, "W9", "an axis without a bound has one.")
    if axis.kind == EQ:
        present = [bits for bits in (axis.o.bits, axis.i.bits, axis.w) if bits]
        _require(len(present) >= 2 and len(set(present)) == 1, "W7", "an EQ axis has no two or three equal ranges.")
    elif axis.kind == WALK:
        _walk(axis, kind)
    elif axis.kind == MASK:
        _require(axis.i.bits == axis.w == 0, "W7", "a MASK axis has more than a range of o.")
        _require(1 <= axis.bound < 1 << axis.o.bits, "W7", f"the bound of a MASK axis is {axis.bound}.")
    else:
        _require(axis.o.bits == axis.w == 0 < axis.i.bits, "W7", "a FREE or FIX axis has not a range of i alone.")
        _require(0 <= axis.g < 1 << axis.i.bits, "W7", f"the constant of a FIX axis is {axis.g}.")


def _walk(axis: Axis, kind: int) -> None:
    _require(kind != WEIGHTS, "W7", "a term without cells has a WALK axis.")
    _require(axis.k <= MAX_STRIDE_BITS, "W7", f"the stride of a WALK axis is 2^{axis.k}.")
    _require(abs(axis.g) <= MAX_PADDING, "W7", f"the offset of a WALK axis is {axis.g}.")
    _require(axis.w <= MAX_KERNEL_BITS, "W7", f"a WALK axis has {axis.w} bits of w.")
    _require(axis.g <= 0 or axis.w == 0, "W7", "a WALK axis with weights has a positive offset.")
    _require(1 <= axis.bound <= 1 << axis.o.bits, "W7", f"the bound of a WALK axis is {axis.bound}.")


def _tiles(tiles: Sequence[Tile], axes: Sequence[Axis]) -> None:
    _require(len(tiles) > 0, "W8", "a term with weights has no tiles.")
    for tile in tiles:
        for (start, bits), axis in zip(tile.spans, axes, strict=True):
            _require(bits <= axis.w, "W8", "a span has more bits than its axis.")
            _require(start % (1 << bits) == 0, "W8", "a span starts at no multiple of its size.")
            _require(start < 1 << axis.w, "W8", "a span leaves its axis.")
            _require(axis.kind != WALK or bits == axis.w, "W8", "a WALK axis is tiled.")
    # The spans are aligned, so that two tiles are apart where a bit that both fix differs.
    fixed = [_fixed_bits(tile, axes) for tile in tiles]
    apart = all((one ^ other) & mask & other_mask for (one, mask), (other, other_mask) in combinations(fixed, 2))
    _require(apart, "W8", "two tiles of a term share a place.")


def _fixed_bits(tile: Tile, axes: Sequence[Axis]) -> tuple[int, int]:
    """Where a tile starts, the indices of all axes as one number; and which bits of it are the same in the tile."""
    start, mask = 0, 0
    for (begin, bits), axis in zip(tile.spans, axes, strict=True):
        start = (start << axis.w) | begin
        mask = (mask << axis.w) | ((1 << axis.w) - (1 << bits))
    return start, mask


def _places(header: Header, program: Program) -> None:
    """W3: everything is aligned, inside its vector and disjoint, but for tiles that two constraints share."""
    _disjoint([(block.offset, block.bits) for block in program.blocks], 1 << header.n, "blocks")
    _disjoint([(table.offset, table.k) for table in program.tables], 1 << header.nt, "tables")
    columns = [(table.column, table.k) for table in program.tables if table.kind == STORED]
    _disjoint([*columns, *_tile_places(program)], header.chunks << header.c, "tiles and stored columns")


def _disjoint(places: Iterable[tuple[int, int]], end: int, what: str) -> None:
    regions = sorted((offset, offset + (1 << bits)) for offset, bits in places)
    for start, stop in regions:
        _require(start % (stop - start) == 0, "W3", f"one of the {what} is not aligned.")
        _require(stop <= end, "W3", f"one of the {what} ends behind {end}.")
    _require(all(stop <= start for (_, stop), (start, _) in pairwise(regions)), "W3", f"two of the {what} overlap.")


def _tile_places(program: Program) -> list[tuple[int, int]]:
    """The places of all tiles. Terms of different constraints may have the same tiles, and then have no others."""
    owners: dict[tuple[int, int], tuple[int, object]] = {}
    for number, constraint in enumerate(program.constraints):
        for term in constraint.terms:
            reading = (term.kind, term.tiles)  # a tile has a span for each axis with weights
            places = {(tile.offset, tile.bits) for tile in term.tiles}
            _require(len(places) == len(term.tiles), "W3", "two tiles of a term have the same weights.")
            for place in places & owners.keys():
                other, shared = owners[place]
                _require(other != number, "W3", "two terms of a constraint have the same weights.")
                _require(shared == reading, "W3", "two terms have some of their weights in common, but not all.")
            owners |= dict.fromkeys(places, (number, reading))
    return list(owners)
