"""Keys that break one rule of section 4.1 each, and keys at the limits of the rules, as changes of vectors' keys."""

from __future__ import annotations

from typing import NamedTuple

from zkinfer.verifier.ashlar.program import (
    CELLS,
    CLAMP_U,
    EQ,
    FIX,
    FREE,
    MASK,
    NO_SOURCE,
    RANGE,
    STORED,
    WALK,
    WEIGHTED_CELLS,
    WEIGHTS,
    Axis,
    Dim,
    Range,
    Table,
    Term,
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


WALK_FIRST = (
    Axis(WALK, Range(2, 2), Range(2, 2), 2, 0, -1, 3),
    Axis(EQ, Range(4, 1), NONE, 1, 0, 0, 0),
    Axis(WALK, Range(0, 2), Range(0, 2), 2, 0, -1, 3),
)
MASKED_CELLS = Term(WEIGHTED_CELLS, 0, 1, (Axis(MASK, Range(0, 4), Range(0, 4), 4, 0, 0, 3),), (Tile(0, ((0, 4),)),))
SAME_BIAS = Term(WEIGHTS, NO_SOURCE, 1, (Axis(EQ, Range(0, 2), NONE, 2, 0, 0, 0),), (Tile(128, ((0, 2),)),))


def _cnn(rule, name, changes):
    return Broken(rule, "cnn_public_1", name, changes)


def _limits(rule, path, *values):
    return [_cnn(rule, f"{path.rsplit('.', 1)[1]} is {value}", {path: value}) for value in values]


HEADER = [
    *_limits("W1", "header.n", 0, 25),
    *_limits("W1", "header.nt", 0, 25),
    *_limits("W1", "header.s", 0, 17),
    *_limits("W1", "header.c", 3, 11),
    _cnn("W1", "c is 25", {"header.c": 25, "header.nb": 26}),
    *_limits("W1", "header.nb", 6, 29),
    *_limits("W1", "header.chunks", 1, 3),
    *_limits("W1", "header.words", 14, 16),
    _cnn("W1", "no outputs", {"header.outputs": 0, "program.outputs": ()}),
    Broken("W1", "mlp_public_1", "769 words", {"header.nb": 15, "header.chunks": 378, "weights": bytes(378 * 64)}),
    *_limits("W2", "header.profile", 0, 2, 3),
    *_limits("W2", "header.mode", 3),
    *_limits("W2", "header.nb", 9, 11),
    Broken("W2", "wide_public_1", "nB is not least", {"header.nb": 7}),
    Broken("W2", "mlp_public_1", "nB is c and too small", {"header.c": 6, "header.nb": 6}),
]

PLACES = [
    _cnn("W3", "tiles shared by terms of one constraint", {POOL: SAME_BIAS}),
    _cnn("W3", "block not aligned", {"program.blocks.0.offset": 72}),
    _cnn("W3", "blocks overlap", {"program.blocks.2.offset": 0}),
    _cnn("W3", "block inside a larger one", {"program.blocks.0.offset": 16}),
    _cnn("W3", "block behind the cells", {"program.blocks.2.offset": 128}),
    _cnn("W3", "table not aligned", {"program.tables.0.offset": 196}),
    _cnn("W3", "tables overlap", {"program.tables.2.offset": 64}),
    _cnn("W3", "table behind the rows", {"program.tables.2.offset": 256}),
    _cnn("W3", "column not aligned", {"program.tables.2.column": 96}),
    _cnn("W3", "column behind the weights", {"program.tables.2.column": 256}),
    _cnn("W3", "column on a tile", {"program.tables.2.column": 64}),
    _cnn("W3", "tile not aligned", {f"{BIAS}.tiles.0.offset": 135}),
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
    Broken("W4", "wide_public_1", "no dimension of one cell", {"program.blocks.0.dims": ()}),
    _cnn("W4", "size 0 with one bit", {"program.blocks.0.dims": (Dim(0, 1), Dim(5, 3))}),
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
    _cnn("W5", "one table", {"header.tables": 1, "program.tables": (Table(RANGE, 3, 0, 192, 0),)}),
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
    _cnn("W7", "MASK with ranges of i and w", {SKIP: MASKED_CELLS}),
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
    _cnn("W8", "EQ behind WALK", {f"{CONV}.axes": WALK_FIRST, f"{CONV}.tiles.0.spans": ((0, 2), (0, 1), (0, 2))}),
    _cnn("W8", "one span, behind its axis", {f"{POOL}.tiles": (Tile(96, ((4, 1), (0, 1), (0, 1), (0, 1))),)}),
    _cnn("W8", "one span, not aligned", {f"{POOL}.tiles": (Tile(96, ((1, 1), (0, 1), (0, 1), (0, 1))),)}),
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
    _cnn("W7", "term kind 0", {f"{ADD}.kind": 0}),
    _cnn("W7", "term kind 4", {f"{ADD}.kind": 4}),
]

BROKEN = (*HEADER, *PLACES, *DIMS, *TABLES, *TERMS, *TILES, *CANONICAL)


def _at_limit(vector, name, changes):
    return Broken("", vector, name, changes)


WALK_CELLS = Axis(WALK, Range(0, 4), Range(0, 4), 0, 4, 127, 16)
LIMITS = (
    _at_limit("cnn_public_1", "n is 24", {"header.n": 24, "header.nb": 26}),
    _at_limit("cnn_public_1", "nT is 24", {"header.nt": 24, "header.nb": 25}),
    _at_limit(
        "cnn_public_1",
        "S and a shift are 16",
        {
            "header.s": 16,
            "header.nt": 17,
            "header.nb": 18,
            "program.tables.0": Table(RANGE, 16, 0, 1 << 16, 0),
            "program.blocks.1.shift": 16,
        },
    ),
    _at_limit("cnn_public_1", "c is 24", {"header.c": 24, "header.nb": 25}),
    _at_limit("wide_public_1", "c is 4", {"header.c": 4, "header.nb": 5, "header.chunks": 2, "weights": bytes(128)}),
    _at_limit(
        "cnn_public_1", "nB is 28", {"header.c": 24, "header.nb": 28, "header.chunks": 16, "weights": bytes(16 * 64)}
    ),
    _at_limit("mlp_public_1", "767 words", {"header.nb": 15, "header.chunks": 377, "weights": bytes(377 * 64)}),
    _at_limit("cnn_public_1", "eight dimensions", {"program.blocks.0.dims": (Dim(3, 2), Dim(3, 2), *[Dim(1, 0)] * 6)}),
    _at_limit(
        "cnn_public_1",
        "output of 24 bits",
        {"program.outputs.0.dims": (Dim(1 << 24, 24),), "program.outputs.0.bits": 24},
    ),
    _at_limit(
        "wide_public_1",
        "block of 24 bits",
        {
            "header.n": 24,
            "header.nb": 26,
            "program.blocks.0.bits": 24,
            "program.blocks.0.dims": (Dim(1 << 24, 24),),
            "program.outputs.0.terms.0.axes": (
                Axis(EQ, Range(0, 5), NONE, 5, 0, 0, 0),
                Axis(FREE, NONE, Range(0, 24), 0, 0, 0, 0),
            ),
        },
    ),
    _at_limit(
        "cnn_public_1",
        "table of 16 bits, b is 15",
        {
            "header.nt": 17,
            "header.nb": 18,
            "program.tables.0.offset": (1 << 16) + 64,
            "program.tables.1": Table(CLAMP_U, 16, 15, 0, 0),
            "program.tables.2.offset": 1 << 16,
        },
    ),
    _at_limit("cnn_public_1", "WALK with stride 2^4 and offset -127", {f"{WALKS}.k": 4, f"{WALKS}.g": -127}),
    _at_limit("cnn_public_1", "WALK with the bound of its size", {f"{WALKS}.bound": 4}),
    _at_limit("cnn_public_1", "WALK with the bound 1 and no offset", {f"{WALKS}.bound": 1, f"{WALKS}.g": 0}),
    _at_limit("cnn_public_1", "WALK with the offset 127", {f"{SKIP}.axes": (WALK_CELLS,)}),
    _at_limit(
        "cnn_public_1",
        "WALK with 7 bits of w",
        {
            "header.c": 11,
            "header.nb": 12,
            f"{WALKS}.w": 7,
            f"{CONV}.tiles.0": Tile(1024, ((0, 1), (0, 2), (0, 7))),
        },
    ),
    _at_limit("cnn_public_1", "MASK with the bound 1", {f"{MASKS}.bound": 1}),
    _at_limit(
        "wide_public_1",
        "no weights",
        {"header.chunks": 0, "weights": b"", "program.outputs.0.terms.0": Term(CELLS, 0, -(1 << 31), (), ())},
    ),
    _at_limit("cnn_public_1", "coefficient of 31 bits", {f"{ADD}.coef": (1 << 31) - 1}),
)
"""Well-formed keys; `rule` is empty."""
