"""The relations of a program by enumeration: axes, terms, tables and positions, as section 1 defines them."""

from __future__ import annotations

from itertools import product

from zkinfer.verifier.ashlar.program import CELLS, CLAMP_S, CLAMP_U, EQ, EXCESS, FIX, FREE, MASK, RANGE, STORED


def axis_places(axis):
    """All (o, i, w) that an axis relates, as indices in its own ranges."""
    sizes = [range(1 << bits) for bits in (axis.o.bits, axis.i.bits, axis.w)]
    for o, i, w in product(*sizes):
        if axis.kind == EQ:
            present = [v for v, size in zip((o, i, w), sizes, strict=True) if len(size) > 1]
            holds = len(set(present)) == 1
        elif axis.kind in {MASK, FREE}:
            holds = axis.kind == FREE or o < axis.bound
        elif axis.kind == FIX:
            holds = i == axis.g
        else:
            holds = i == (o << axis.k) + w + axis.g and o < axis.bound
        if holds:
            yield o, i, w


def relation(term, bits):
    """All (o, i, place of the weight in F) of a term; the place is None for a term without weights."""
    named = [axis.o for axis in term.axes if axis.o.bits]
    free = [b for b in range(bits) if not any(r.first <= b < r.first + r.bits for r in named)]
    for spread in range(1 << len(free)):
        start = sum((spread >> k & 1) << b for k, b in enumerate(free))
        for chosen in product(*(list(axis_places(axis)) for axis in term.axes)):
            o, i, index = start, 0, []
            for axis, (axis_o, axis_i, w) in zip(term.axes, chosen, strict=True):
                o |= axis_o << axis.o.first
                i |= axis_i << axis.i.first
                index += [w] if axis.w else []
            if term.kind == CELLS:
                yield o, i, None
            else:
                yield from ((o, i, place) for place in _weight_places(term.tiles, index))


def _weight_places(tiles, index):
    for tile in tiles:
        place = 0
        for w, (start, bits) in zip(index, tile.spans, strict=True):
            if not start <= w < start + (1 << bits):
                break
            place = (place << bits) + w - start
        else:
            yield tile.offset + place


def rows(table, weights):
    """The rows (q, y) of a table; those of the range table are (t, 0)."""
    for t in range(1 << table.k):
        q = t if table.kind == RANGE else t - (1 << (table.k - 1))
        low, high = (0 if table.kind == CLAMP_U else -(1 << table.b)), (1 << table.b) - 1
        clamped = min(max(q, low), high)
        kinds = {RANGE: 0, CLAMP_U: clamped, CLAMP_S: clamped, EXCESS: q - clamped}
        yield q, weights[table.column + t] if table.kind == STORED else kinds[table.kind]


def positions(dims):
    """The positions of the valid elements in their box, row-major."""
    for index in product(*(range(dim.size) for dim in dims)):
        position = 0
        for dim, i in zip(dims, index, strict=True):
            position = (position << dim.bits) + i
        yield position
