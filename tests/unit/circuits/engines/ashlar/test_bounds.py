from itertools import product

import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar import drafts as d
from tests.unit.circuits.engines.ashlar.interpreter import Interpreter

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.bounds import clamped, rounded
from zkinfer.circuits.engines.ashlar.draft import EXACT, Axis, Span, Table, TableKind, Term
from zkinfer.circuits.errors import UnsupportedModelError


def assembled(draft):
    return assemble(draft, d.recipe(12))


def bound(entry, *block):
    """The bound of one block whose output is a copy."""
    of = block[0]
    return assembled(d.network(entry, [block], [(of, [d.copied(1, of)])])).bounds.blocks[-1]


def one_layer(weights, bias=None, *, shift=0, table=None, bits=3):
    weights = np.asarray(weights)
    entry = d.entry(weights.shape[1], bits=bits)
    of, terms = d.dense(0, entry.factors, weights, bias)
    return bound(entry, of, terms, shift, table or d.relu(2))


def test_bound_of_a_row_takes_the_sign_of_each_weight():
    made = one_layer([[3, -2]])  # cells from -4 to 3
    assert made.z == (-4 * 3 - 3 * 2, 3 * 3 + 4 * 2)


def test_bound_is_the_largest_over_rows_with_their_own_bias():
    made = one_layer([[3], [1]], [-5, 2])
    assert made.z == (-17, 5)


def test_padding_counts():
    made = one_layer([[1], [1], [1]], [10, 10, 10])
    assert made.z[0] == 0  # the fourth row has neither weight nor bias


def test_bound_of_a_row_that_only_adds_its_bias():
    assert one_layer([[0], [0]], [7, 9]).z == (7, 9)


@pytest.mark.parametrize(
    ("z", "shift", "q"), [((-3, 3), 1, (-1, 2)), ((-4, 4), 3, (0, 1)), ((-5, 3), 3, (-1, 0)), ((-7, 7), 0, (-7, 7))]
)
def test_rounding_is_half_up(z, shift, q):
    assert rounded(z, shift) == q


@pytest.mark.parametrize(("largest", "k"), [(7, 4), (8, 5), (15, 5), (16, 6)])
def test_table_holds_all_q(largest, k):
    assert one_layer([[0]], [largest], table=d.relu(0)).k == k


@pytest.mark.parametrize(("least", "k"), [(-8, 4), (-9, 5)])
def test_table_holds_the_least_q(least, k):
    assert one_layer([[0]], [least], table=d.relu(0)).k == k


def test_table_of_a_clamp_has_more_rows_than_values():
    assert one_layer([[0]], [1], table=d.relu(6)).k == 7
    assert one_layer([[0]], [1], table=d.clamp(6)).k == 7


@pytest.mark.parametrize("kind", [TableKind.CLAMP_U, TableKind.CLAMP_S])
def test_exact_clamp_takes_nothing_away(kind):
    made = one_layer([[3, -2]], table=Table(kind, EXACT))
    assert (made.k, made.table) == (6, Table(kind, 5))
    assert made.y == ((0, 17) if kind is TableKind.CLAMP_U else (-18, 17))


@pytest.mark.parametrize(
    ("bias", "table"), [([5, 9], Table(TableKind.CLAMP_U, 4)), ([-5, 9], Table(TableKind.CLAMP_S, 4))]
)
def test_clamp_of_another_image_is_the_least_that_holds_it(bias, table):
    entry = d.entry(1)
    of, terms = d.dense(0, entry.factors, [[0], [0]], bias)
    first = (of, terms, 0, d.stored(lambda x: x, width=6, name="identity"))
    second = (of, [d.copied(1, of)], 0, Table(TableKind.CLAMP_S, EXACT, image_of=1))
    made = assembled(d.network(entry, [first, second], [(of, [d.copied(2, of)])]))
    assert made.bounds.blocks[2].table == table


def test_every_bound_of_a_small_net_is_met_and_kept():
    entry = d.entry(3, bits=2)
    of, terms = d.dense(0, entry.factors, [[3, -2, 1], [-1, 0, 5]], [4, -3])
    out, last = d.dense(1, of, [[2, -7]], [1])
    made = assembled(d.network(entry, [(of, terms, 1, d.clamp(3))], [(out, last)]))
    machine = Interpreter(made.code, made.weights)
    runs = [machine.forward(x)[0][0] for x in product(range(-2, 2), repeat=3)]
    for at, interval in ((0, made.bounds.blocks[1].z), (1, made.bounds.blocks[1].q), (3, made.bounds.blocks[1].y)):
        values = [value for run in runs for value in run[at]]
        assert (min(values), max(values)) == interval


def test_border_of_a_convolution_does_not_raise_the_least_value_above_0():
    entry = d.entry(1, 4, 4, bits=2, signed=False)
    first, terms = d.convolution(0, entry.factors, np.zeros((1, 1, 1, 1), int), [5])
    second, more = d.convolution(1, first, np.full((1, 1, 3, 3), 2), pads=(1, 1), ends=(1, 1))
    blocks = [(first, terms, 0, d.relu(3)), (second, more, 0, d.relu(4))]
    made = assembled(d.network(entry, blocks, [(second, [d.copied(2, second)])]))
    assert made.bounds.blocks[1].y == (5, 5)
    assert made.bounds.blocks[2].z == (0, 90)


@pytest.mark.parametrize(("pads", "ends", "least"), [(0, 0, 40), (1, 0, 0), (0, 1, 0), (1, 1, 0)])
def test_window_that_leaves_its_source_counts_0(pads, ends, least):
    entry = d.entry(1, 4, 4, bits=2, signed=False)
    first, terms = d.convolution(0, entry.factors, np.zeros((1, 1, 1, 1), int), [5])
    behind = d.convolution(1, first, np.full((1, 1, 2, 2), 2), pads=(pads, pads), ends=(ends, ends))
    onto = behind[0] if pads + ends else d.factors(1, 2, 2)
    if not pads + ends:  # places that all see whole windows, in a box without padding
        behind = d.convolution(1, first, np.full((1, 1, 2, 2), 2), stride_bits=1)
    made = assembled(
        d.network(
            entry,
            [(first, terms, 0, d.relu(3)), (onto, behind[1], 0, d.relu(4))],
            [d.dense(2, onto, np.ones((1, *(f.size for f in onto))))],
        )
    )
    assert made.bounds.blocks[2].z == (least, 40)


def test_mask_leaves_0_in_padding():
    entry = d.entry(1)
    of = d.factors(3)
    bias = Term(None, (), weights=np.array(7))
    made = assembled(d.network(entry, [(of, [bias], 0, d.relu(3))], [(of, [d.copied(1, of)])]))
    assert made.bounds.blocks[1].z == (0, 7)


def test_pool_counts_all_cells_of_its_window():
    entry = d.entry(1, 4, 4, bits=2, signed=False)
    of, terms = d.summed_windows(0, entry.factors)
    assert bound(entry, of, terms, 0, d.relu(4)).z == (0, 12)


def test_shift_of_17_bits_is_refused_and_16_accepted():
    assert one_layer([[1]], shift=16).q == (0, 0)
    with pytest.raises(UnsupportedModelError, match=r"'h1' is shifted by 17 bits.*Lower the exponent"):
        one_layer([[1]], shift=17)


def test_negative_shift_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"'h1' has fewer fraction bits.*Raise the exponent"):
        one_layer([[1]], shift=-1)


def test_table_of_17_bits_is_refused_and_16_accepted():
    assert one_layer([[0]], [(1 << 15) - 1]).k == 16
    with pytest.raises(UnsupportedModelError, match=r"'h1' needs 2\^17 rows.*saturate"):
        one_layer([[0]], [1 << 15])


def test_stored_table_of_17_bits_is_refused_before_it_is_computed():
    calls = []
    table = d.stored(lambda x: calls.append(x) or 0, width=4, name="counted")
    with pytest.raises(UnsupportedModelError, match=r"2\^36 rows"):
        one_layer([[0]], [1 << 34], table=table)
    assert calls == [0]  # for T(0) alone


@pytest.mark.parametrize("limit", [(1 << 60) - 1, 1 - (1 << 60)])
def test_sum_below_2_to_the_60_is_accepted_and_that_of_one_more_refused(limit):
    entry = d.entry(1, bits=1, signed=False)
    of = d.factors(1)
    term = lambda value: [Term(None, (), weights=np.array([value])), d.copied(0, of)]  # noqa: E731
    inside = limit - 1 if limit > 0 else limit
    assembled(d.network(entry, [], [(of, term(inside))]))
    with pytest.raises(UnsupportedModelError, match=r"'out0' may reach 2\^60"):
        assembled(d.network(entry, [], [(of, term(inside + (1 if limit > 0 else -1)))]))


def test_partial_sums_beyond_64_bits_are_bounded_exactly():
    entry = d.entry(1, bits=1, signed=False)
    of = d.factors(1)
    terms = [Term(None, (), weights=np.array([v])) for v in (1 << 62, 1 << 62, -(1 << 62), -(1 << 62), 7)]
    made = assembled(d.network(entry, [], [(of, [d.copied(0, of), *terms])]))
    assert made.bounds.outputs[0].z == (7, 8)


def saturated(d_, *, shift=2, width=4, bias=1 << 18, kind=d.relu):
    entry = d.entry(2)
    of, terms = d.dense(0, entry.factors, [[1, -1]], [bias])
    return assembled(d.network(entry, [(of, terms, shift, kind(width), d_)], [(of, [d.copied(1, of)])]))


def test_pair_has_the_shifts_and_tables_of_the_lemma():
    made = saturated(3)
    first, second = made.shape.program.blocks
    kinds = [made.shape.program.tables[block.table] for block in (first, second)]
    assert (first.shift, second.shift) == (5, 2)
    assert [(table.kind, table.width) for table in kinds] == [(TableKind.EXCESS.value, 2), (TableKind.CLAMP_U.value, 4)]
    assert made.bounds.blocks[2].k == 7
    assert made.bounds.blocks[2].q == (-36, 36)
    assert made.bounds.blocks[2].z == (-256, 256)
    assert second.terms[-1].coefficient == -(1 << 5)
    assert second.terms[:-1] == first.terms


@pytest.mark.parametrize("kind", [d.relu, d.clamp])
@pytest.mark.parametrize(("width", "excess"), [(2, 1), (4, 1), (4, 3), (5, 2)])
def test_both_blocks_clamp_every_z_around_all_edges(kind, width, excess):
    """The lemma of section 1.5, for sums that move over all edges."""
    table, shift = kind(width), 1
    edges = [sign << (width + n) + shift for n in range(-1, 4) for sign in (1, -1)]
    w = width - excess + 1
    for z in {edge + step for edge in edges for step in range(-12, 13)}:
        q_first = rounded((z, z), shift + excess)[0]
        rest = clamped(Table(TableKind.EXCESS, w), q_first) << (shift + excess)
        q_second = rounded((z - rest, z - rest), shift)[0]
        assert clamped(table, q_second) == clamped(table, rounded((z, z), shift)[0])
        assert abs(q_second) <= (1 << (width + 1)) + (1 << (excess - 1))


def test_pair_of_a_width_that_leaves_no_room_is_refused():
    assert saturated(4, shift=0, width=13, bias=1 << 16).bounds.blocks[2].k == 16
    with pytest.raises(UnsupportedModelError, match=r"needs 2\^17 rows.*for each bit\.$"):
        saturated(4, shift=0, width=14, bias=1 << 16)


def test_pair_that_is_not_needed_is_refused():
    with pytest.raises(UnsupportedModelError, match="'h1' needs no second block"):
        saturated(2, bias=100)


@pytest.mark.parametrize("d_", [0, 4, -1])
def test_d_out_of_range_is_refused(d_):
    with pytest.raises(UnsupportedModelError, match="Choose d from 1 to 3"):
        saturated(d_)


def test_d_beyond_the_largest_shift_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"with d = 3.*from 1 to 2"):
        saturated(3, shift=14)


def test_stored_table_cannot_be_saturated():
    entry = d.entry(2)
    of, terms = d.dense(0, entry.factors, [[1, -1]], [1 << 21])
    table = d.stored(d.square, width=4, name="square")
    with pytest.raises(UnsupportedModelError, match="no clamp of the recipe"):
        assembled(d.network(entry, [(of, terms, 2, table, 2)], [(of, [d.copied(1, of)])]))


def test_first_block_that_is_still_too_large_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"needs 2\^30 rows.*Raise its d"):
        saturated(1, bias=1 << 31)


def test_tree_level_masks_its_bit_in_the_bounds():
    entry = d.entry(4, bits=1, signed=False)
    mask = Axis(d.AxisKind.MASK, o=Span(1, 1), bound=1)
    fix = Axis(d.FIX, i=Span(0, 2), constant=1)
    terms = [Term(0, (fix,)), Term(0, (fix, mask), coefficient=-2)]
    assert bound(entry, d.factors(4), terms, 0, d.relu(1)).z == (-2, 1)
