from dataclasses import replace

import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.draft import Axis, AxisKind, Factor, Span, Term
from zkinfer.circuits.engines.ashlar.layout import merged_axes, sorted_axes
from zkinfer.circuits.errors import UnsupportedModelError

MASK = AxisKind.MASK


def program(draft, chunk_bits=12):
    return assemble(draft, d.recipe(chunk_bits)).shape.program


def eq(o=None, i=None, weight=None):
    return Axis(d.EQ, o=Span(*o) if o else None, i=Span(*i) if i else None, weight=weight)


CANONICAL = [
    eq((6, 1), (5, 1), 0),
    eq((3, 2), None, 1),
    eq(None, (4, 1), 2),
    eq(None, (2, 2), 3),
    eq((5, 1), (9, 1)),
    eq((2, 1), (10, 1)),
    Axis(d.FREE, i=Span(8, 1)),
    Axis(d.FREE, i=Span(1, 1)),
    Axis(d.FIX, i=Span(7, 1)),
    Axis(MASK, o=Span(7, 1), bound=1),
    Axis(d.WALK, o=Span(1, 1), i=Span(0, 1)),
    Axis(d.WALK, o=Span(0, 1), i=Span(6, 1)),
]


def test_axes_are_sorted_by_class_and_then_by_bits():
    assert sorted_axes(CANONICAL[::-1]) == CANONICAL
    assert sorted_axes(CANONICAL[5:] + CANONICAL[:5]) == CANONICAL


def test_walks_without_bits_of_o_are_sorted_by_their_source():
    high, low = Axis(d.WALK, i=Span(3, 3), g=-1), Axis(d.WALK, i=Span(0, 3), g=-1)
    assert sorted_axes([low, high]) == [high, low]


def test_walks_without_bits_at_all_keep_their_order():
    axes = [Axis(d.WALK, weight=1, g=-1), Axis(d.WALK, weight=0, g=-1)]
    assert sorted_axes(axes) == axes


@pytest.mark.parametrize(
    ("axes", "merged"),
    [
        ([eq((4, 2), (6, 2)), eq((2, 2), (4, 2))], [eq((2, 4), (4, 4))]),
        ([eq((4, 2), (6, 2)), eq((3, 1), (5, 1)), eq((0, 3), (2, 3))], [eq((0, 6), (2, 6))]),
        ([Axis(d.FREE, i=Span(2, 2)), Axis(d.FREE, i=Span(0, 2))], [Axis(d.FREE, i=Span(0, 4))]),
        (
            [Axis(d.FIX, i=Span(2, 2), constant=2), Axis(d.FIX, i=Span(0, 2), constant=3)],
            [Axis(d.FIX, i=Span(0, 4), constant=11)],
        ),
    ],
)
def test_neighbours_of_one_kind_are_merged(axes, merged):
    assert merged_axes(axes) == merged


@pytest.mark.parametrize(
    "axes",
    [
        [eq((4, 2), (6, 2)), eq((1, 2), (4, 2))],  # apart in o
        [eq((4, 2), (6, 2)), eq((2, 2), (0, 2))],  # apart in i
        [eq(None, (4, 2), 0), eq(None, (2, 2), 1)],
        [eq((4, 2), None, 0), eq((2, 2), None, 1)],
        [Axis(d.FREE, i=Span(2, 1)), Axis(d.FIX, i=Span(1, 1))],
        [Axis(MASK, o=Span(2, 2), bound=3), Axis(MASK, o=Span(0, 2), bound=3)],
        [Axis(d.WALK, o=Span(2, 2), i=Span(2, 2), bound=3), Axis(d.WALK, o=Span(0, 2), i=Span(0, 2), bound=3)],
    ],
)
def test_other_neighbours_are_not(axes):
    assert merged_axes(axes) == axes


def test_blocks_lie_by_size_and_then_by_number():
    entry = d.entry(3)
    sizes = (2, 5, 8, 4, 9)
    of, blocks = entry.factors, []
    for number, size in enumerate(sizes):
        of, terms = d.dense(number, of, d.random(number, -2, 2, size, of[0].size))
        blocks.append((of, terms, 0, d.relu(4)))
    made = program(d.network(entry, blocks[:-1], [blocks[-1][:2]]))
    assert [made.input.offset, *(block.offset for block in made.blocks)] == [16, 24, 0, 8, 20]
    assert made.n == 5


def test_one_cell_takes_one_bit():
    entry = d.entry(1)
    made = program(d.network(entry, [], [(entry.factors, [d.copied(0, entry.factors)])]))
    assert (made.n, made.input.offset) == (1, 0)
    assert made.outputs[0].terms[0].axes == ()


def test_tables_are_range_then_clamps_then_stored_ones_in_the_order_of_use():
    entry = d.entry(4, bits=4)
    of, square = entry.factors, d.stored(d.square, width=5, name="square")
    tables = [square, d.relu(5), d.clamp(3), d.stored(d.plus_one, width=5, name="plus"), square, d.relu(5)]
    blocks = [(of, [d.copied(number, of)], 0, table) for number, table in enumerate(tables)]
    made = program(d.network(entry, blocks, [(of, [d.copied(6, of)])]))
    assert [(table.kind, table.width) for table in made.tables] == [(0, 0), (2, 3), (1, 5), (3, 0), (3, 0)]
    assert [block.table for block in made.blocks] == [3, 2, 1, 4, 3, 2]


def test_clamps_of_unlike_scales_are_one_table():
    entry = d.entry(4)
    of = entry.factors
    blocks = [(of, [d.copied(n, of)], 0, replace(d.relu(5), scale=n)) for n in range(2)]
    assert len(program(d.network(entry, blocks, [(of, [d.copied(2, of)])])).tables) == 3


def test_rows_and_columns_lie_by_size_and_the_largest_user_decides():
    entry = d.entry(4, bits=4)
    of, square = entry.factors, d.stored(d.square, width=5, name="square")
    first = (of, [d.copied(0, of)], 0, square)
    second = (of, [d.copied(1, of, 2)], 0, square)  # up to 62
    made = assemble(d.network(entry, [first, second], [d.dense(2, of, [[1] * 4])]), d.recipe())
    tables = made.shape.program.tables
    assert [(table.k, table.offset) for table in tables] == [(1, 144), (4, 128), (7, 0)]
    assert made.weights[tables[2].weights_offset :][:128].tolist() == [min(q * q, 31) for q in range(-64, 64)]
    assert tables[2].weights_offset == 0  # before the four weights, since it is longer


def test_range_table_has_the_bits_of_the_largest_shift():
    made = program(d.layers(4, 4, 4, bits=4, shift=3, width=4, weight=7))
    assert made.tables[0].k == 3


def test_weights_lie_in_the_order_of_the_bits_of_the_source():
    """After a transposition, the second factor of the weights indexes the higher bits of the source."""
    entry = d.entry(2, 4)
    weights = np.arange(1, 9).reshape(1, 4, 2)
    axes = (eq(None, (0, 2), 1), eq(None, (2, 1), 2), eq((0, 0), None, 0))
    made = assemble(d.network(entry, [], [(d.factors(1), [Term(0, axes, weights=weights)])]), d.recipe())
    assert made.weights.tolist() == weights[0].T.ravel().tolist()


def test_padding_of_weights_is_0():
    entry = d.entry(3)
    made = assemble(d.network(entry, [], [d.dense(0, entry.factors, [[1, 2, 3]] * 3)]), d.recipe())
    assert made.weights.tolist() == [1, 2, 3, 0] * 3 + [0] * 4


def spans(term):
    return [[(span.first, span.bits) for span in tile.spans] for tile in term.tiles]


def test_tiled_axis_is_cut_into_the_powers_of_two_of_its_size():
    entry = d.entry(11)
    weights = d.random(3, 1, 9, 3, 11)
    draft = d.network(entry, [], [d.dense(0, entry.factors, weights, tiled=(1,))])
    made = assemble(draft, d.recipe())
    term = made.shape.program.outputs[0].terms[0]
    assert spans(term) == [[(0, 2), (0, 3)], [(0, 2), (8, 1)], [(0, 2), (10, 0)]]
    assert [tile.offset for tile in term.tiles] == [0, 32, 40]
    assert made.weights[32:44].tolist() == [*weights[:, 8:10].ravel(), 0, 0, *weights[:, 10], 0]


def test_first_axis_of_tiles_is_outermost():
    entry = d.entry(3)
    draft = d.network(entry, [], [d.dense(0, entry.factors, d.random(3, 1, 9, 3, 3), tiled=(0, 1))])
    assert spans(program(draft).outputs[0].terms[0]) == [
        [(0, 1), (0, 1)],
        [(0, 1), (2, 0)],
        [(2, 0), (0, 1)],
        [(2, 0), (2, 0)],
    ]


def test_axis_of_a_power_of_two_stays_one_tile():
    entry = d.entry(4)
    draft = d.network(entry, [], [d.dense(0, entry.factors, d.random(3, 1, 9, 8, 4), tiled=(0, 1))])
    assert spans(program(draft).outputs[0].terms[0]) == [[(0, 3), (0, 2)]]


def test_groups_windows_and_biases_are_never_cut():
    entry = d.entry(3, 4, 4)
    of, terms = d.convolution(0, entry.factors, d.random(1, 1, 9, 6, 1, 3, 3), d.random(2, 1, 9, 3), groups=3)
    everything = frozenset(range(4))
    terms = [Term(t.source, t.axes, weights=t.weights, tiled=everything) for t in terms]
    made = program(d.network(entry, [], [(of, terms)]))
    assert [spans(term) for term in made.outputs[0].terms] == [[[(0, 2), (0, 1), (0, 2), (0, 2)]], [[(0, 2)]]]


def test_pair_of_a_saturation_shares_its_weights():
    entry = d.entry(3)
    of, terms = d.dense(0, entry.factors, [[4000] * 3, [9000] * 3], [5, 1 << 16])
    draft = d.network(entry, [(of, terms, 1, d.relu(4), 2)], [(of, [d.copied(1, of)])])
    made = assemble(draft, d.recipe())
    first, second = made.shape.program.blocks
    assert second.terms[:-1] == first.terms
    assert made.weights.tolist() == [4000, 4000, 4000, 0, 9000, 9000, 9000, 0, 5, 1 << 16]


def test_term_of_coefficient_0_is_left_out_and_a_block_of_nothing_else_refused():
    entry = d.entry(2)
    of = entry.factors
    nothing = d.copied(0, of, 0)
    made = program(d.network(entry, [], [(of, [nothing, d.copied(0, of, 3)])]))
    assert [term.coefficient for term in made.outputs[0].terms] == [3]
    with pytest.raises(UnsupportedModelError, match=r"Nothing is left of 'out0'.*Raise the exponent"):
        program(d.network(entry, [], [(of, [nothing])]))


def test_cells_beyond_2_to_the_24_are_refused():
    entry = d.entry(1 << 23)
    of = entry.factors
    with pytest.raises(UnsupportedModelError, match=r"2\^25 cells"):
        program(d.network(entry, [(of, [d.copied(n, of)], 0, d.relu(4)) for n in range(3)], [(of, [d.copied(3, of)])]))


def test_box_beyond_2_to_the_24_is_refused():
    entry = d.entry(2)
    axes = (eq((24, 1), (0, 1)),)
    with pytest.raises(UnsupportedModelError, match=r"'out0' takes more than 2\^24 cells"):
        program(d.network(entry, [], [((Factor(2), Factor(1 << 24)), [Term(0, axes)])]))
