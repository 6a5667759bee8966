"""Keys that break one rule of section 4.1 each, as changes of the keys of vectors."""

from __future__ import annotations

from typing import NamedTuple

from zkinfer.verifier.ashlar.program import (
    CLAMP_U,
    EQ,
    FIX,
    FREE,
    MASK,
    NO_SOURCE,
    RANGE,
    STORED,
    WALK,
    Axis,
    Dim,
    Range,
    Tile,
)


class Broken(NamedTuple):
    """A rule, the vector whose key is changed, what is wrong, and the changes."""

    rule: str
    vector: str
    name: str
    changes: dict[str, object]


# cnn: the input 3x3; block 1 a convolution (EQ, WALK, WALK) with a bias (EQ, MASK, MASK); block 2 adds blocks 1 and 0;
# the output reads block 2 by six axes (EQ{o,w}, EQ{i,w} three times, FREE twice) in two tiles, and has a bias.
CONV, BIAS = "program.blocks.1.terms.0", "program.blocks.1.terms.1"
ADD, SKIP = "program.blocks.2.terms.0", "program.blocks.2.terms.1"
POOL, OUT_BIAS = "program.outputs.0.terms.0", "program.outputs.0.terms.1"
WALKS, MASKS = f"{CONV}.axes.2", f"{BIAS}.axes.2"
NONE = Range(0, 0)
COPY = Axis(EQ, Range(0, 4), Range(0, 4), 0, 0, 0, 0)


def _cnn(rule, name, changes):
    return Broken(rule, "cnn_public_1", name, changes)


def _limits(rule, path, *values):
    return [_cnn(rule, f"{path.rsplit('.', 1)[1]} is {value}", {path: value}) for value in values]


HEADER = [
    *_limits("W1", "header.n", 0, 25),
    *_limits("W1", "header.nt", 0, 25),
    *_limits("W1", "header.s", 0, 17),
    *_limits("W1", "header.c", 3, 25, 11),
    *_limits("W1", "header.nb", 6, 29),
    *_limits("W1", "header.chunks", 1, 3),
    *_limits("W1", "header.words", 14, 16),
    *_limits("W2", "header.profile", 0, 2, 3),
    *_limits("W2", "header.mode", 3),
    *_limits("W2", "header.nb", 9, 11),
    Broken("W2", "wide_public_1", "nB is not least", {"header.nb": 7}),
    Broken("W2", "mlp_public_1", "nB is c and too small", {"header.c": 6, "header.nb": 6}),
]

PLACES = [
    _cnn("W3", "block not aligned", {"program.blocks.1.offset": 16}),
    _cnn("W3", "blocks overlap", {"program.blocks.2.offset": 0}),
    _cnn("W3", "block inside a larger one", {"program.blocks.0.offset": 16}),
    _cnn("W3", "block behind the cells", {"program.blocks.2.offset": 128}),
    _cnn("W3", "table not aligned", {"program.tables.2.offset": 160}),
    _cnn("W3", "tables overlap", {"program.tables.2.offset": 64}),
    _cnn("W3", "table behind the rows", {"program.tables.2.offset": 256}),
    _cnn("W3", "column not aligned", {"program.tables.2.column": 96}),
    _cnn("W3", "column behind the weights", {"program.tables.2.column": 256}),
    _cnn("W3", "column on a tile", {"program.tables.2.column": 64}),
    _cnn("W3", "tile not aligned", {f"{CONV}.tiles.0.offset": 80}),
    _cnn("W3", "tile behind the weights", {f"{CONV}.tiles.0.offset": 256}),
    _cnn("W3", "tile inside another", {f"{BIAS}.tiles.0.offset": 64}),
    _cnn("W3", "tiles of one term at one place", {f"{POOL}.tiles.1.offset": 96}),
    _cnn(
        "W3",
        "tiles shared by terms of two kinds",
        {f"{OUT_BIAS}.tiles.0.offset": 132, f"{BIAS}.tiles.0.spans": ((0, 1),)},
    ),
    Broken(
        "W3",
        "mlp_public_1",
        "tiles shared by terms of other shapes",
        {
            "program.outputs.0.terms.1.axes": tuple(Axis(EQ, Range(bit, 1), NONE, 1, 0, 0, 0) for bit in (1, 0)),
            "program.outputs.0.terms.1.tiles": (Tile(48, ((0, 1), (0, 1))),),
        },
    ),
]

DIMS = [
    _cnn("W4", "no dimension", {"program.blocks.0.dims": ()}),
    _cnn("W4", "nine dimensions", {"program.blocks.0.dims": (Dim(3, 2), Dim(3, 2), *[Dim(1, 0)] * 7)}),
    _cnn("W4", "size 0", {"program.blocks.0.dims.0": Dim(0, 0)}),
    _cnn("W4", "size 0 with bits", {"program.blocks.0.dims.0": Dim(0, 2)}),
    _cnn("W4", "bits too many", {"program.blocks.0.dims": (Dim(3, 3), Dim(2, 1))}),
    _cnn("W4", "bits too few", {"program.blocks.0.dims": (Dim(5, 2), Dim(3, 2))}),
    _cnn("W4", "dimensions smaller than the box", {"program.blocks.0.dims": (Dim(3, 2), Dim(2, 1))}),
    _cnn("W4", "dimensions larger than the box", {"program.blocks.0.dims": (Dim(3, 2), Dim(5, 3))}),
    _cnn("W4", "output of a dimension more", {"program.outputs.0.dims": (Dim(3, 2), Dim(2, 1))}),
    _cnn("W4", "output of 25 bits", {"program.outputs.0.dims": (Dim(1 << 25, 25),), "program.outputs.0.bits": 25}),
    _cnn("W4", "box of 2^255", {"program.blocks.1.bits": 255}),
]

TABLES = [
    _cnn("W5", "table 0 a clamp", {"program.tables.0.kind": CLAMP_U, "program.tables.0.b": 1}),
    _cnn("W5", "table 0 of another k", {"program.tables.0.k": 2}),
    _cnn("W5", "second range table", {"program.tables.2.kind": RANGE}),
    _cnn("W5", "table 1 stored", {"program.tables.1.kind": STORED, "program.tables.1.b": 0}),
    _cnn("W5", "k is 0", {"program.tables.2.k": 0}),
    _cnn("W5", "k is 17", {"program.tables.1.k": 17}),
    _cnn("W5", "b is k", {"program.tables.1.b": 7}),
    _cnn("W5", "block without a table", {"program.blocks.1.table": 0}),
    _cnn("W5", "table that does not exist", {"program.blocks.1.table": 3}),
    _cnn("W5", "input with a stored table", {"program.blocks.0.table": 2}),
    _cnn("W5", "table kind 5", {"program.tables.2.kind": 5}),
    _cnn("W5", "one table", {"header.tables": 1, "program.tables": ()}),
    _cnn("W9", "table that nothing uses", {"program.blocks.2.table": 1}),
    _cnn("W9", "width of a stored table", {"program.tables.2.b": 1}),
    _cnn("W9", "width of the range table", {"program.tables.0.b": 1}),
    _cnn("W9", "column of a clamp", {"program.tables.1.column": 128}),
    _cnn("W6", "shift above S", {"program.blocks.1.shift": 4}),
    _cnn("W6", "block that reads itself", {f"{ADD}.source": 2}),
    _cnn("W6", "block that reads a later one", {f"{CONV}.source": 2}),
    _cnn("W6", "output that reads no block", {f"{POOL}.source": 3}),
    _cnn("W6", "cells without a source", {f"{ADD}.source": NO_SOURCE}),
]

TERMS = [
    _cnn("W7", "ranges of o overlap", {f"{BIAS}.axes.1.o.first": 1}),
    _cnn("W7", "ranges of i overlap", {f"{CONV}.axes.1.i.first": 1}),
    _cnn("W7", "range of o outside the box", {f"{CONV}.axes.0.o.first": 5}),
    _cnn("W7", "range of i outside the box", {f"{CONV}.axes.1.i.first": 3}),
    _cnn("W7", "bit of i without an axis", {f"{ADD}.axes.0": Axis(EQ, Range(0, 4), Range(0, 4), 0, 0, 0, 0)}),
    _cnn("W7", "bias with a range of i", {f"{BIAS}.axes.0.i": Range(0, 1)}),
    _cnn("W7", "sum of cells with bits of w", {f"{ADD}.axes.0.w": 5}),
    _cnn("W7", "EQ with one range", {f"{CONV}.axes.0.w": 0, f"{CONV}.tiles.0.spans": ((0, 2), (0, 2))}),
    _cnn("W7", "EQ of unequal ranges", {f"{CONV}.axes.0.w": 2}),
    _cnn("W7", "EQ of unequal ranges of i and w", {f"{POOL}.axes.4": Axis(EQ, NONE, Range(1, 1), 2, 0, 0, 0)}),
    _cnn("W7", "WALK with stride 2^5", {f"{WALKS}.k": 5}),
    _cnn("W7", "WALK with offset -128", {f"{WALKS}.g": -128}),
    _cnn("W7", "WALK with weights and offset 1", {f"{WALKS}.g": 1}),
    _cnn("W7", "WALK with 8 bits of w", {f"{WALKS}.w": 8}),
    _cnn("W7", "WALK without a bound", {f"{WALKS}.bound": 0}),
    _cnn("W7", "WALK with a bound above its size", {f"{WALKS}.bound": 5}),
    _cnn("W7", "WALK in a bias", {MASKS: Axis(WALK, Range(0, 2), NONE, 0, 0, 0, 3)}),
    _cnn(
        "W7", "WALK over cells with offset 128", {f"{ADD}.axes.0": Axis(WALK, Range(0, 5), Range(0, 5), 0, 0, 128, 32)}
    ),
    _cnn("W7", "MASK without a bound", {f"{MASKS}.bound": 0}),
    _cnn("W7", "MASK that holds always", {f"{MASKS}.bound": 4}),
    _cnn("W7", "MASK with bits of w", {f"{MASKS}.w": 2, f"{BIAS}.tiles.0.spans": ((0, 1), (0, 2))}),
    _cnn("W7", "MASK with a range of i", {f"{SKIP}.axes": (Axis(MASK, Range(0, 4), Range(0, 4), 0, 0, 0, 3),)}),
    _cnn("W7", "FREE with a range of o", {f"{SKIP}.axes": (Axis(FREE, Range(0, 4), Range(0, 4), 0, 0, 0, 0),)}),
    _cnn("W7", "FREE with bits of w", {f"{POOL}.axes.3.w": 1, f"{POOL}.axes.4.w": 0}),
    _cnn("W7", "FREE without a range", {f"{SKIP}.axes": (COPY, Axis(FREE, NONE, NONE, 0, 0, 0, 0))}),
    _cnn("W7", "FIX without a range", {f"{SKIP}.axes": (COPY, Axis(FIX, NONE, NONE, 0, 0, 0, 0))}),
    _cnn("W7", "EQ without ranges", {f"{SKIP}.axes": (COPY, Axis(EQ, NONE, NONE, 0, 0, 0, 0))}),
    _cnn("W7", "MASK without a range", {f"{SKIP}.axes": (COPY, Axis(MASK, NONE, NONE, 0, 0, 0, 1))}),
    _cnn("W7", "FIX with a range of o", {f"{SKIP}.axes": (Axis(FIX, Range(0, 4), Range(0, 4), 0, 0, 1, 0),)}),
    _cnn("W7", "FIX of a constant too large", {f"{POOL}.axes.3": Axis(FIX, NONE, Range(2, 1), 0, 0, 2, 0)}),
    _cnn("W7", "FIX of a negative constant", {f"{POOL}.axes.3": Axis(FIX, NONE, Range(2, 1), 0, 0, -1, 0)}),
    _cnn("W7", "axis kind 0", {f"{CONV}.axes.0.kind": 0}),
    _cnn("W7", "axis kind 6", {f"{CONV}.axes.0.kind": 6}),
]

TILES = [
    _cnn("W8", "term without tiles", {f"{CONV}.tiles": ()}),
    _cnn("W8", "bias without tiles", {f"{BIAS}.tiles": ()}),
    _cnn("W8", "span larger than its axis", {f"{CONV}.tiles.0.spans.0": (0, 2)}),
    _cnn("W8", "span behind its axis", {f"{POOL}.tiles.1.spans.0": (4, 1)}),
    _cnn("W8", "span not aligned", {f"{POOL}.tiles.1.spans.0": (1, 1)}),
    _cnn("W8", "WALK axis tiled", {f"{CONV}.tiles.0.spans.2": (0, 1)}),
    _cnn("W8", "tiles overlap", {f"{POOL}.tiles.1.spans.0": (0, 1)}),
    _cnn("W8", "tile inside another's span", {f"{POOL}.tiles.1.spans.0": (1, 0)}),
]

CANONICAL = [
    _cnn("W9", "hidden block without terms", {"program.blocks.1.terms": ()}),
    _cnn("W9", "output without terms", {"program.outputs.0.terms": ()}),
    _cnn("W9", "coefficient 0", {f"{ADD}.coef": 0}),
    _cnn("W9", "coefficient of a convolution", {f"{CONV}.coef": 2}),
    _cnn("W9", "coefficient of a bias", {f"{BIAS}.coef": -1}),
    _cnn("W9", "source of a bias", {f"{BIAS}.source": 0}),
    _cnn("W9", "first bit of an absent range of o", {f"{POOL}.axes.1.o.first": 1}),
    _cnn("W9", "first bit of an absent range of i", {f"{CONV}.axes.0.i.first": 1}),
    _cnn("W9", "stride of an EQ axis", {f"{CONV}.axes.0.k": 1}),
    _cnn("W9", "stride of a MASK axis", {f"{MASKS}.k": 1}),
    _cnn("W9", "stride of a FREE axis", {f"{POOL}.axes.3.k": 1}),
    _cnn("W9", "constant of an EQ axis", {f"{CONV}.axes.0.g": 1}),
    _cnn("W9", "constant of a MASK axis", {f"{MASKS}.g": -1}),
    _cnn("W9", "constant of a FREE axis", {f"{POOL}.axes.3.g": 1}),
    _cnn("W9", "bound of an EQ axis", {f"{CONV}.axes.0.bound": 1}),
    _cnn("W9", "bound of a FREE axis", {f"{POOL}.axes.3.bound": 1}),
    _cnn("W9", "bound of a FIX axis", {f"{POOL}.axes.3": Axis(FIX, NONE, Range(2, 1), 0, 0, 1, 1)}),
    _cnn("W9", "term kind 0", {f"{ADD}.kind": 0}),
    _cnn("W9", "term kind 4", {f"{ADD}.kind": 4}),
]

BROKEN = (*HEADER, *PLACES, *DIMS, *TABLES, *TERMS, *TILES, *CANONICAL)
