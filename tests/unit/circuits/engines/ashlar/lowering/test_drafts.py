"""Integers, shifts and scales under a recipe, and what is refused."""

import numpy as np
import pytest
from onnx import TensorProto
from tests.unit.circuits.engines.ashlar.lowering.networks import model, recipe, whole

from zkinfer.circuits.engines.ashlar.draft import TableKind
from zkinfer.circuits.engines.ashlar.lowering.drafts import draft
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.errors import EngineError, UnsupportedModelError


def perceptron(first=0.5, second=0.25):
    nodes = [("Gemm", "x w b", "g"), ("Relu", "g", "u"), ("Gemm", "u v", "y")]
    return model([1, 3], "y", *nodes, w=first * whole(1, 3, 4), b=whole(2, 4), v=second * whole(3, 4, 2))


def made(graph, *, listed=False, **given):
    planned = plan(graph, listed=listed)
    return draft(planned, recipe(planned, **given))


def test_shift_is_what_weights_and_sources_have_beyond_the_activation():
    drafted = made(perceptron(), scale=5, exponent=7, a=4, width=8)
    [block] = drafted.blocks
    assert (block.shift, block.table.kind, block.table.width) == (8, TableKind.CLAMP_U, 8)
    assert drafted.outputs[0].scale == 11


def test_weights_and_biases_are_rounded_half_to_even():
    graph = model(
        [1, 4], "y", ("Gemm", "x w b", "y"), w=np.float32([[0.25], [0.75], [1.25], [-0.25]]), b=np.float32([0.125])
    )
    [term, bias] = made(graph, scale=1, exponent=1).outputs[0].terms
    assert term.weights.ravel().tolist() == [0, 2, 2, 0]
    assert bias.weights.tolist() == 0


def test_each_feature_has_weights_at_its_own_scale():
    graph = model([1, 3], "y", ("Gemm", "x w b", "y"), w=np.float32([[1], [2], [3]]), b=np.float32([0.5]))
    drafted = made(graph, listed=True, scale=[0, 3, -2], exponent=1)
    [term, bias] = drafted.outputs[0].terms
    assert drafted.outputs[0].scale == 4
    assert term.weights.ravel().tolist() == [1 << 4, 2 << 1, 3 << 6]
    assert bias.weights.tolist() == 8


def test_negative_scales_of_outputs_are_allowed():
    graph = model([1, 3], "y", ("Gemm", "x w", "y"), w=np.float32([[4096], [8192], [12288]]))
    assert made(graph, scale=0, exponent=-12).outputs[0].scale == -12


def test_negative_shift_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"'u' has 7 fraction bits.*fewer than the 9.*Raise the exponent"):
        made(perceptron(), scale=3, exponent=4, a=9)


def test_weights_of_hidden_blocks_have_fifteen_bits_and_those_of_outputs_thirty_one():
    with pytest.raises(
        UnsupportedModelError, match=r"weight of 'g' becomes 49152, and less than 2\^15.*Lower its exponent"
    ):
        made(perceptron(), exponent=15)
    made(perceptron(first=2**-16), exponent=15)
    made(perceptron(first=2**-16, second=2.0**14), exponent=15)
    with pytest.raises(UnsupportedModelError, match=r"weight of 'y' becomes .*less than 2\^31"):
        made(perceptron(first=2**-16, second=2.0**15), exponent=15)


def test_weights_that_are_not_finite_are_refused():
    graph = model([1, 3], "y", ("Gemm", "x w", "y"), w=np.float32([[1], [np.inf], [2]]))
    with pytest.raises(UnsupportedModelError, match="'y' hold inf"):
        made(graph)


def test_large_bias_is_refused():
    graph = model([1, 3], "y", ("Gemm", "x w b", "y"), w=whole(1, 3, 1), b=np.float32([2.0**50]))
    with pytest.raises(UnsupportedModelError, match=r"less than 2\^60"):
        made(graph, exponent=10)


def test_factor_beyond_its_field_is_refused():
    graph = model([1, 3], "y", ("Relu", "x", "u"), ("Mul", "u c", "y"), c=np.float32(2.0**20))
    with pytest.raises(UnsupportedModelError, match=r"factor of 'y'.*above 2\^31"):
        made(graph, exponent=11)


def test_list_of_scales_needs_readers_that_sum_over_the_features():
    graph = model([1, 3], "y", ("Relu", "x", "y"))
    with pytest.raises(EngineError, match="has 3 scales for the input 'x', which takes one"):
        made(graph, listed=True, scale=[1, 2, 3])


def test_list_of_scales_has_one_for_each_feature():
    with pytest.raises(EngineError, match="has 2 scales for the input 'x', which takes one, or 3"):
        made(perceptron(), listed=True, scale=[1, 2])


def test_integers_have_no_scale():
    graph = model(
        [1, 3], "y", ("Cast", "x", "f", {"to": 1}), ("Gemm", "f w", "y"), kind=TensorProto.INT64, w=whole(1, 3, 2)
    )
    with pytest.raises(EngineError, match="holds integers"):
        made(graph, scale=1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"weights": {"g": 1}}, "weights has no entry for 'y'"),
        ({"weights": {"g": 1, "y": 1, "z": 1}}, "weights.'z' is used by no node"),
        ({"activations": {}}, "activations has no entry for 'u'"),
        ({"activations": {"u": [1, 2, 3]}}, r"must have the form \[a, b\]"),
        ({"saturate": {"g": 1}}, "saturate.'g' is used by no node"),
        ({"tiles": {"u": ["in"]}}, "tiles.'u' is used by no node"),
    ],
)
def test_names_of_the_recipe_are_those_of_the_plan(change, why):
    with pytest.raises(EngineError, match=why):
        made(perceptron(), **change)


def test_tiles_name_dimensions_of_weights():
    nodes = [("Relu", "x", "u"), ("Flatten", "u", "f"), ("Gemm", "f w", "y")]
    graph = model([1, 3, 5], "y", *nodes, w=whole(1, 15, 6))
    [term] = made(graph, tiles={"y": ["in", "out"]}).outputs[0].terms
    assert term.weights.shape == (6, 3, 5)
    assert term.tiled == {0, 1, 2}
    [term] = made(graph, tiles={"y": ["in"]}).outputs[0].terms
    assert term.tiled == {1, 2}


def test_groups_and_walks_are_never_cut():
    graph = model([1, 6, 4, 4], "y", ("Conv", "x w", "y", {"group": 3}), w=whole(1, 15, 2, 2, 2))
    [term] = made(graph, tiles={"y": ["in", "out"]}).outputs[0].terms
    assert term.weights.shape == (3, 5, 2, 2, 2)
    assert term.tiled == {1, 2}


def test_terms_with_sources_come_before_biases_and_these_before_constants():
    nodes = [("Relu", "x", "u"), ("Gemm", "u w b", "g"), ("Sum", "c g u", "y")]
    graph = model([1, 3], "y", *nodes, w=whole(1, 3, 3), b=whole(2, 3), c=whole(3, 3))
    terms = made(graph).outputs[0].terms
    assert [term.kind for term in terms] == [1, 2, 3, 3]
    assert terms[2].weights.tolist() == whole(2, 3).tolist()
    assert terms[3].weights.tolist() == whole(3, 3).tolist()
