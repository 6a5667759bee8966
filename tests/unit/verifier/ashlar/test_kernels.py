"""Each formula of part 3 against the sum over all corners, at random points of a small field."""

from itertools import product
from random import Random

import pytest
from tests.ashlar.programs import axis
from tests.ashlar.relations import axis_places, relation, rows

from zkinfer.verifier.ashlar import kernels
from zkinfer.verifier.ashlar.field import Element, bits_of, eq
from zkinfer.verifier.ashlar.program import (
    CELLS,
    CLAMP_S,
    CLAMP_U,
    EQ,
    EXCESS,
    FIX,
    FREE,
    MASK,
    NO_SOURCE,
    RANGE,
    STORED,
    WALK,
    WEIGHTED_CELLS,
    WEIGHTS,
    Block,
    Range,
    Table,
    Term,
    Tile,
)

P = (1 << 31) - 1
NONE = Range(0, 0)


def random_points(rng, *counts):
    return [[Element(rng.randrange(P), P) for _ in range(count)] for count in counts]


def at(index, point):
    return eq(bits_of(index, len(point)), point)


def by_corners(places, points):
    """The multilinear extension of a relation: the sum over its places of the weights of their corners."""
    total = Element(0, P)
    for place in places:
        weight = Element(1, P)
        for index, point in zip(place, points, strict=True):
            weight = weight * at(index, point)
        total = total + weight
    return total


def check_axis(one, seed):
    points = random_points(Random(seed), one.o.bits, one.i.bits, one.w)
    assert kernels.axis_value(one, *points) == by_corners(axis_places(one), points)


@pytest.mark.parametrize("bits", range(1, 5))
def test_eq_of_two_or_three_ranges_is_equality(bits):
    o, i = Range(0, bits), Range(0, bits)
    for one in (axis(EQ, o=o, i=i), axis(EQ, o=o, w=bits), axis(EQ, i=i, w=bits), axis(EQ, o=o, i=i, w=bits)):
        check_axis(one, bits)


@pytest.mark.parametrize("bits", range(1, 5))
def test_mask_fix_and_free_are_their_relations(bits):
    for value in range(1 << bits):
        check_axis(axis(MASK, o=Range(0, bits), bound=value), value)
        check_axis(axis(FIX, i=Range(0, bits), g=value), value)
    check_axis(axis(FREE, i=Range(0, bits)), bits)


@pytest.mark.parametrize("bits", range(5))
def test_less_and_power_are_their_sums_for_every_bound(bits):
    rng = Random(bits)
    [x], t = random_points(rng, bits), Element(rng.randrange(P), P)
    for bound in range((1 << bits) + 2):
        below = range(min(bound, 1 << bits))
        assert kernels.less(x, bound) == by_corners([(v,) for v in below], [x])
        assert kernels.power(x, t, bound) == sum((t**v * at(v, x) for v in below), Element(0, P))


SIZES = [sizes for sizes in product(range(4), range(4), range(3)) if sum(sizes) <= 7]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_walk_of_any_sizes_is_its_relation(sizes):
    o, i, w = sizes
    rng = Random(sum(sizes))
    for k, g in product(range(4), (-9, -4, -3, -1, 0, *(() if w else (1, 2, 5, 8)))):
        for bound in {1, rng.randint(1, 1 << o), 1 << o}:
            check_axis(axis(WALK, o=Range(0, o), i=Range(0, i), w=w, k=k, g=g, bound=bound), bound)


def test_walk_beyond_its_source_is_zero():
    points = random_points(Random(1), 2, 3, 1)
    assert kernels.walk(*points, k=0, g=-100, bound=4) == 0
    assert kernels.walk(*points[:2], (), k=0, g=100, bound=4) == 0


@pytest.mark.parametrize("k", range(1, 9))
def test_columns_of_tables_are_those_of_their_rows(k):
    [x] = random_points(Random(k), k)
    for kind, b in [(RANGE, 0), *product((CLAMP_U, CLAMP_S, EXCESS), range(k))]:
        table = Table(kind, k, b, 0, 0)
        columns = list(zip(*rows(table, ()), strict=True))
        found = [kernels.table_input(table, x), kernels.table_output(table, x)]
        assert found == [sum((v * at(t, x) for t, v in enumerate(column)), Element(0, P)) for column in columns]


def test_fingerprints_are_those_of_the_rows_and_zero_elsewhere():
    tables = (Table(RANGE, 2, 0, 16, 0), Table(CLAMP_S, 3, 2, 0, 0), Table(STORED, 3, 0, 8, 4))
    weights = [*range(50, 62)]
    [x], alpha = random_points(Random(3), 6), Element(12345, P)
    expected, stored = Element(0, P), Element(0, P)
    for tag, table in enumerate(tables):
        for t, (first, second) in enumerate(rows(table, weights)):
            expected = expected + at(table.offset + t, x) * (first + alpha * second + alpha * alpha * tag)
            stored = stored + (at(table.offset + t, x) * second if table.kind == STORED else 0)
    assert kernels.fingerprints(tables, x, alpha, stored) == expected


def test_tag_of_a_cell_is_its_table_and_one_elsewhere():
    blocks = [Block(2, 1, 4, 0, (), ()), Block(1, 3, 2, 0, (), ()), Block(0, 2, 9, 0, (), ())]
    tags = [1] * 16
    tags[2:4], tags[9] = [3, 3], 2
    [x] = random_points(Random(4), 4)
    assert kernels.tags(blocks, x) == sum((tag * at(cell, x) for cell, tag in enumerate(tags)), Element(0, P))


def check_term(term, o_bits, i_bits, weights_bits=6):
    tau, rho, sigma = random_points(Random(9), o_bits, i_bits, weights_bits)
    expected = Element(0, P)
    for o, i, place in relation(term, o_bits):
        here = at(o, tau) * at(i, rho)
        expected = expected + (here if place is None else here * at(place, sigma))
    found = Element(0, P)
    for tile in term.tiles or (Tile(0, ()),):
        selected = at(tile.offset >> tile.bits, sigma[tile.bits :]) if term.tiles else 1
        found = found + selected * kernels.kernel(term, tile, tau, rho, sigma)
    assert found == expected


def test_term_with_tiles_reads_the_weights_where_they_lie():
    axes = (
        axis(EQ, o=Range(1, 2), w=2),
        axis(EQ, i=Range(0, 2), w=2),
        axis(WALK, o=Range(0, 1), i=Range(2, 2), w=1, bound=2),
    )
    tiles = (Tile(0, ((0, 1), (0, 2), (0, 1))), Tile(40, ((3, 0), (2, 1), (0, 1))))
    check_term(Term(WEIGHTED_CELLS, 0, 1, axes, tiles), 3, 4)


def test_bits_of_o_without_an_axis_are_broadcast():
    check_term(Term(WEIGHTS, NO_SOURCE, 1, (axis(EQ, o=Range(2, 1), w=1),), (Tile(6, ((0, 1),)),)), 4, 0)
    check_term(Term(CELLS, 0, -2, (axis(FIX, i=Range(1, 2), g=2), axis(EQ, o=Range(3, 1), i=Range(0, 1))), ()), 4, 3)


def test_term_of_a_single_weight_reads_it():
    check_term(Term(WEIGHTS, NO_SOURCE, 1, (axis(MASK, o=Range(0, 2), bound=3),), (Tile(37, ()),)), 2, 0)
