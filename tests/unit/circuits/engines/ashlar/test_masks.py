import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.draft import Axis, AxisKind, Span, Term
from zkinfer.circuits.errors import EngineError, UnsupportedModelError

SIGMOID = d.stored(d.plus_one, width=4, name="plus one")  # not 0 at 0
SQUARE = d.stored(d.square, width=4, name="square")


def blocks(draft):
    return assemble(draft, d.recipe(10)).shape.program.blocks


def outputs(draft):
    return assemble(draft, d.recipe(10)).shape.program.outputs


def walks(record):
    """Bits of `o` and bound of each WALK; None for a bound that bounds nothing."""
    found = [axis for term in record.terms for axis in term.axes if axis.kind is AxisKind.WALK]
    return [None if axis.bound == 1 << (axis.o.bits if axis.o else 0) else axis.bound for axis in found]


def masks(record):
    return [axis.bound for term in record.terms for axis in term.axes if axis.kind is AxisKind.MASK]


def ones(*shape):
    return d.random(1, 1, 1, *shape)


def two_convolutions(size, pads, ends, kernel=3):
    """A 1x1 convolution with bias, then one of this kernel."""
    entry = d.entry(1, size, size)
    first, terms = d.convolution(0, entry.factors, ones(2, 1, 1, 1), [1, 2])
    second, more = d.convolution(1, first, ones(1, 2, kernel, kernel), pads=(pads, pads), ends=(ends, ends))
    return d.network(entry, [(first, terms, 0, d.relu(6))], [(second, more)])


def test_layer_before_a_padded_convolution_is_bounded():
    record = blocks(two_convolutions(14, pads=1, ends=1))[0]
    assert walks(record) == [14, 14]
    assert masks(record) == [14, 14]


def test_layer_before_a_convolution_without_padding_is_not():
    record = blocks(two_convolutions(14, pads=0, ends=0))[0]
    assert walks(record) == [None, None]
    assert masks(record) == []


def test_padding_at_the_end_reads_padding_cells():
    assert walks(blocks(two_convolutions(14, pads=0, ends=1))[0]) == [14, 14]


def test_padding_at_the_start_alone_bounds_too_since_g_is_not_0():
    assert walks(blocks(two_convolutions(14, pads=1, ends=0))[0]) == [14, 14]


def test_size_of_a_power_of_two_needs_no_bound():
    record = blocks(two_convolutions(16, pads=1, ends=1))[0]
    assert walks(record) == [None, None]
    assert masks(record) == []


def test_outputs_are_always_bounded():
    record = outputs(two_convolutions(14, pads=0, ends=0))[0]
    assert walks(record) == [12, 12]


def test_lenet_needs_no_bound_before_its_output():
    assert [walks(record) + masks(record) for record in blocks(d.lenet())] == [[None] * 2, [None] * 2, [], []]


@pytest.mark.parametrize("size", [6, 7])
def test_pool_over_whole_windows_spares_its_source(size):
    entry = d.entry(1, size, size)
    first, terms = d.convolution(0, entry.factors, ones(1, 1, 1, 1), [3])
    pooled, more = d.summed_windows(1, first)
    last, dense = d.dense(2, pooled, ones(2, 1, *(factor.size for factor in pooled[1:])))
    made = blocks(d.network(entry, [(first, terms, 0, d.relu(6)), (pooled, more, 0, d.relu(6))], [(last, dense)]))
    assert walks(made[0]) == [None, None]


def test_pool_that_is_public_does_not_spare_its_source():
    entry = d.entry(1, 6, 6)
    first, terms = d.convolution(0, entry.factors, ones(1, 1, 1, 1), [3])
    pooled, more = d.summed_windows(1, first)
    blocks_ = [(first, terms, 0, d.relu(6)), (pooled, more, 0, d.relu(6))]
    made = blocks(d.network(entry, blocks_, [(pooled, [d.copied(2, pooled)])]))
    assert [walks(record) for record in made] == [[6, 6], []]


@pytest.mark.parametrize(("ends", "bound"), [(0, None), (1, 5)])
def test_stride_counts_where_a_window_ends(ends, bound):
    entry = d.entry(1, 5, 5)
    first, terms = d.convolution(0, entry.factors, ones(1, 1, 1, 1), [3])
    behind = d.convolution(1, first, ones(1, 1, 2, 2), stride_bits=1, ends=(ends, ends))
    assert walks(blocks(d.network(entry, [(first, terms, 0, d.relu(6))], [behind]))[0]) == [bound, bound]


def test_one_reader_that_matters_is_enough():
    entry = d.entry(5)
    first, terms = d.dense(0, entry.factors, ones(5, 5), [1] * 5)
    constant = Term(None, (), weights=np.ones((), np.int64))
    block = (first, [*terms, constant], 0, d.relu(4))
    made = blocks(d.network(entry, [block], [d.dense(1, first, ones(3, 5)), (first, [d.copied(1, first)])]))
    assert masks(made[0]) == [5]


@pytest.mark.parametrize(("pad", "bound"), [(0, None), (1, 6)])
def test_pool_folded_into_a_convolution_spares_its_source_without_padding(pad, bound):
    entry = d.entry(1, 6, 6)
    first, terms = d.convolution(0, entry.factors, ones(1, 1, 1, 1), [3])
    onto = d.factors(1, 2 + pad, 2 + pad)
    axes = []
    for n in (1, 2):
        whole = d.span(first, n)
        axes += [Axis(d.WALK, o=d.span(onto, n), i=Span(1 + whole.first, 2), weight=n - 1, g=-pad)]
        axes += [Axis(d.FREE, i=Span(whole.first, 1))]
    made = blocks(
        d.network(entry, [(first, terms, 0, d.relu(6))], [(onto, [Term(1, tuple(axes), weights=ones(2, 2))])])
    )
    assert walks(made[0]) == [bound, bound]


def test_global_pool_reads_padding_and_a_pool_that_ends_beyond_too():
    entry = d.entry(2, 5, 5)
    first, terms = d.convolution(0, entry.factors, ones(2, 2, 1, 1), [3, 3])
    axes = (Axis(d.EQ, o=Span(0, 1), i=d.span(first, 0)), *(Axis(d.FREE, i=d.span(first, n)) for n in (1, 2)))
    made = blocks(d.network(entry, [(first, terms, 0, d.relu(6))], [(first[:1], [Term(1, axes)])]))
    assert walks(made[0]) == [5, 5]


def residual(table, size, *, spared):
    """A block, a sum that reads it, and behind it a dense layer or an output that copies."""
    entry = d.entry(size)
    first, terms = d.dense(0, entry.factors, ones(size, size), [1] * size)
    added = [d.copied(1, first), d.copied(0, first)]
    behind = d.dense(2, first, ones(3, size)) if spared else (first, [d.copied(2, first)])
    return d.network(entry, [(first, terms, 0, table), (first, added, 0, d.relu(6))], [behind])


def kinds(record):
    return [[axis.kind.name for axis in term.axes] for term in record.terms]


def test_copy_of_a_block_with_nonzero_padding_is_bounded():
    record = blocks(residual(SIGMOID, 5, spared=False))[1]
    assert kinds(record) == [["WALK"], ["EQ"]]
    assert walks(record) == [5]


@pytest.mark.parametrize(
    ("table", "size", "spared"), [(SQUARE, 5, False), (SIGMOID, 4, False), (SIGMOID, 5, True), (d.relu(4), 5, False)]
)
def test_copy_stays_a_copy_without_padding_that_matters(table, size, spared):
    assert kinds(blocks(residual(table, size, spared=spared))[1]) == [["EQ"], ["EQ"]]


@pytest.mark.parametrize(("size", "kind"), [(5, "WALK"), (4, "EQ")])
def test_output_that_copies_an_activation_with_nonzero_padding_is_bounded(size, kind):
    entry = d.entry(5)
    first, terms = d.dense(0, entry.factors, ones(size, 5))
    made = outputs(d.network(entry, [(first, terms, 0, SIGMOID)], [(first, [d.copied(1, first)])]))
    assert kinds(made[0]) == [[kind]]


def test_broadcast_operand_of_an_output_is_masked_on_each_dimension_without_axis():
    entry = d.entry(3, 5, 4)
    onto = entry.factors
    made = outputs(d.network(entry, [], [(onto, [d.copied(0, onto), d.bias_of(onto, 2, ones(4))])]))
    assert masks(made[0]) == [3, 5]


def test_weights_along_a_padded_dimension_need_no_mask():
    entry = d.entry(5)
    made = outputs(d.network(entry, [], [d.dense(0, entry.factors, ones(3, 5), [1, 2, 3])]))
    assert masks(made[0]) == []


@pytest.mark.parametrize(("size", "pads", "ends"), [(5, 1, 1), (5, 0, 1)])
def test_window_over_padding_of_a_sigmoid_is_refused(size, pads, ends):
    entry = d.entry(1, size, size)
    first, terms = d.convolution(0, entry.factors, ones(1, 1, 1, 1))
    second, more = d.convolution(1, first, ones(1, 1, 2, 2), pads=(pads, pads), ends=(ends, ends))
    with pytest.raises(UnsupportedModelError, match=r"'out0' reads beyond the edge of 'h1'.*power of two"):
        blocks(d.network(entry, [(first, terms, 0, SIGMOID)], [(second, more)]))


@pytest.mark.parametrize(("size", "pads", "ends"), [(4, 1, 1), (5, 0, 0), (5, 1, 0)])
def test_window_within_a_sigmoid_or_over_the_edge_of_its_box_is_accepted(size, pads, ends):
    entry = d.entry(1, size, size)
    first, terms = d.convolution(0, entry.factors, ones(1, 1, 1, 1))
    second, more = d.convolution(1, first, ones(1, 1, 2, 2), pads=(pads, pads), ends=(ends, ends))
    blocks(d.network(entry, [(first, terms, 0, SIGMOID)], [(second, more)]))


def test_pool_of_a_sigmoid_that_ends_beyond_it_is_refused():
    entry = d.entry(2)
    first, terms = d.dense(0, entry.factors, ones(5, 2))
    axes = (Axis(d.EQ, i=Span(1, 2), weight=0), Axis(d.FREE, i=Span(0, 1)), Axis(d.EQ, o=Span(0, 1), weight=1))
    with pytest.raises(UnsupportedModelError, match="'out0' reads beyond the edge of 'h1'"):
        blocks(d.network(entry, [(first, terms, 0, SIGMOID)], [(d.factors(2), [Term(1, axes, weights=ones(3, 2))])]))


def test_global_pool_of_a_sigmoid_of_odd_size_is_refused():
    entry = d.entry(5)
    first, terms = d.dense(0, entry.factors, ones(5, 5))
    with pytest.raises(UnsupportedModelError, match="beyond the edge"):
        blocks(d.network(entry, [(first, terms, 0, SIGMOID)], [((), [Term(1, (Axis(d.FREE, i=Span(0, 3)),))])]))


def test_pair_of_a_saturation_is_decided_as_one():
    weights = d.random(1, 2_000, 3_000, 5, 6)
    entry = d.entry(6)
    first, terms = d.dense(0, entry.factors, weights, [9] * 5)
    pair = (first, [*terms, Term(None, (), weights=np.ones((), np.int64))], 0, d.relu(4), 2)
    spared, bounded = (
        blocks(d.network(entry, [pair], [behind]))
        for behind in (d.dense(1, first, ones(3, 5)), (first, [d.copied(1, first)]))
    )
    assert [masks(record) for record in spared] == [[], []]
    assert [masks(record) for record in bounded] == [[5], [5]]


def test_copy_of_more_places_than_the_source_has_is_refused():
    entry = d.entry(5)
    onto = d.factors(6)
    axes = (Axis(d.EQ, o=Span(0, 3), i=Span(0, 3)),)
    with pytest.raises(EngineError, match="more places"):
        outputs(d.network(entry, [], [(onto, [Term(0, axes)])]))


@pytest.mark.parametrize(("behind", "kind"), [("dense", "EQ"), ("copy", "WALK")])
def test_copy_of_fewer_places_is_bounded_where_the_others_are_read(behind, kind):
    entry, onto = d.entry(7), d.factors(5)
    crop = [Term(0, (Axis(d.EQ, o=Span(0, 3), i=Span(0, 3)),))]
    end = d.dense(1, onto, ones(3, 5)) if behind == "dense" else (onto, [d.copied(1, onto)])
    assert kinds(blocks(d.network(entry, [(onto, crop, 0, d.relu(4))], [end]))[0]) == [[kind]]


def test_cut_that_is_no_edge_of_the_padding_is_refused():
    entry = d.entry(2)
    onto = d.factors(5)
    axes = (Axis(d.EQ, o=Span(0, 1), i=Span(0, 1)),)
    with pytest.raises(EngineError, match="no edge of its padding"):
        outputs(d.network(entry, [], [(onto, [Term(0, axes)])]))


def test_cut_within_the_padding_of_a_dimension_is_refused():
    """Five places as two bits and one: the last place of the third pair is padding."""
    entry = d.entry(3, 2)
    axes = (Axis(d.EQ, o=Span(1, 2), i=Span(1, 2)), Axis(d.EQ, o=Span(0, 1), i=Span(0, 1)))
    outputs(d.network(entry, [], [(d.factors(6), [Term(0, axes)])]))
    with pytest.raises(EngineError, match="no edge of its padding"):
        outputs(d.network(entry, [], [(d.factors(5), [Term(0, axes)])]))
