from dataclasses import replace

import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar.constraints import expand, ranges, valid_size
from zkinfer.circuits.engines.ashlar.draft import EXACT, Axis, AxisKind, Span, Table, TableKind, Term
from zkinfer.circuits.errors import EngineError, UnsupportedModelError


def network_of(*terms, onto=(4,), entry=(4,)):
    return expand(d.network(d.entry(*entry), [], [(d.factors(*onto), list(terms))]))


def term(*axes, source=0, weights=None, **kwargs):
    return Term(source, axes, weights=None if weights is None else np.ones(weights, np.int64), **kwargs)


COPY = Axis(d.EQ, o=Span(0, 2), i=Span(0, 2))


def test_ranges_are_outermost_first():
    assert ranges(d.factors(3, 1, 5)) == [Span(3, 2), Span(3, 0), Span(0, 3)]


@pytest.mark.parametrize(
    ("span", "size"), [(Span(0, 3), 6), (Span(1, 2), 3), (Span(2, 1), 2), (Span(0, 1), 2), (Span(3, 2), 3), (None, 1)]
)
def test_valid_size_of_a_range_is_rounded_up_in_the_highest_bits(span, size):
    assert valid_size(d.factors(3, 6), span) == size


def test_axis_over_several_factors_is_cut_at_each():
    axis = Axis(d.EQ, o=Span(0, 4), i=Span(0, 4))
    made = network_of(term(axis), onto=(4, 4), entry=(2, 8))
    assert made.outputs[0].terms[0].axes == tuple(
        Axis(d.EQ, o=Span(first, bits), i=Span(first, bits)) for first, bits in ((3, 1), (2, 1), (0, 2))
    )


def test_constant_of_a_cut_axis_is_divided():
    made = network_of(term(Axis(d.FIX, i=Span(0, 4), constant=0b1101)), onto=(), entry=(4, 4))
    assert [axis.constant for axis in made.outputs[0].terms[0].axes] == [0b11, 0b01]


def test_axes_without_bits_are_left_out_but_for_a_walk_that_never_holds():
    empty = Span(0, 0)
    walks = [Axis(d.WALK, o=empty, i=empty, g=g) for g in (0, -1)]
    made = network_of(term(*walks), onto=(1,), entry=(1,))
    assert [axis.g for axis in made.outputs[0].terms[0].axes] == [-1]


def test_sources_are_numbered_behind_the_pairs_before_them():
    of = d.factors(4)
    blocks = [(of, [d.copied(0, of)], 0, d.relu(4), 2), (of, [d.copied(1, of)], 0, d.relu(4))]
    made = expand(d.network(d.entry(4), blocks, [(of, [d.copied(1, of), d.copied(2, of)])]))
    assert [t.source for t in made.blocks[1].terms] == [0, 1]
    assert made.blocks[2].terms[0].source == 2
    assert [t.source for t in made.outputs[0].terms] == [2, 3]


def test_block_whose_image_is_followed_is_renumbered_too():
    of = d.factors(4)
    follow = Table(TableKind.CLAMP_S, EXACT, image_of=1)
    blocks = [(of, [d.copied(0, of)], 0, d.relu(4), 2), (of, [d.copied(1, of)], 0, follow)]
    made = expand(d.network(d.entry(4), blocks, [(of, [d.copied(2, of)])]))
    assert made.blocks[2].table == replace(follow, image_of=2)


@pytest.mark.parametrize(
    ("message", "axes", "more"),
    [
        ("each bit of i once", [], {}),
        ("each bit of i once", [replace(COPY, o=Span(0, 1), i=Span(0, 1))], {}),
        ("each bit of o once", [COPY, Axis(AxisKind.MASK, o=Span(0, 2), bound=3)], {}),
        ("EQ with ranges", [Axis(d.EQ, o=Span(0, 2), i=Span(0, 1)), Axis(d.FREE, i=Span(1, 1))], {}),
        ("EQ with ranges", [Axis(d.EQ, i=Span(0, 2))], {}),
        ("FREE with ranges", [replace(COPY, kind=d.FREE)], {}),
        ("MASK with ranges", [Axis(AxisKind.MASK, i=Span(0, 2), bound=3)], {}),
        ("MASK with ranges", [Axis(AxisKind.MASK, o=Span(0, 2))], {}),
        ("no factor holds", [Axis(d.EQ, o=Span(1, 2), i=Span(0, 2), weight=0)], {"weights": (4,)}),
        ("more weights along an axis", [replace(COPY, weight=0)], {"weights": (5,)}),
        ("each dimension of its weights once", [COPY], {"weights": (4,)}),
        ("each dimension of its weights once", [replace(COPY, weight=0)], {"weights": (4, 2)}),
        ("none where it needs them", [replace(COPY, weight=0)], {}),
        ("a factor beside its weights", [replace(COPY, weight=0)], {"weights": (4,), "coefficient": 2}),
        ("does not precede it", [COPY], {"source": 1}),
        ("WALK with ranges", [Axis(d.WALK, o=Span(0, 2), weight=0)], {"source": None, "weights": (3,)}),
        ("forwards", [replace(COPY, kind=d.WALK, weight=0, g=1)], {"weights": (2,)}),
    ],
)
def test_draft_that_contradicts_itself_is_refused(message, axes, more):
    with pytest.raises(EngineError, match=message):
        network_of(term(*axes, **more))


@pytest.mark.parametrize("change", [{"k": 5}, {"g": -128}, {"g": 128}])
def test_window_beyond_the_limits_is_refused(change):
    walk = Axis(d.WALK, o=Span(0, 2), i=Span(0, 2))
    network_of(term(walk))
    with pytest.raises(UnsupportedModelError, match="stride above 16"):
        network_of(term(replace(walk, **change)))


def test_kernel_of_128_is_refused_and_127_accepted():
    walk = Axis(d.WALK, o=Span(0, 2), i=Span(0, 7), weight=0)
    network_of(term(walk, weights=(127,)), entry=(128,))
    with pytest.raises(UnsupportedModelError, match="kernel above 127"):
        network_of(term(walk, weights=(128,)), entry=(128,))
