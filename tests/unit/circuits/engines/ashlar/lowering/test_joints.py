"""Layout operators and Concat: what can be read through them, and what is refused."""

import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar.lowering.networks import assert_exact, model, whole

from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.errors import UnsupportedModelError

BRANCHES = [("MatMul", "x w1", "a"), ("Relu", "a", "u"), ("MatMul", "x w2", "b"), ("Relu", "b", "v")]
WEIGHTS = {"w1": whole(1, 3, 2), "w2": whole(2, 3, 5)}


@pytest.mark.parametrize("parts", ["u v", "v u", "u v x", "u u"])
def test_gemm_over_a_concat_has_a_term_for_each_part(parts):
    width = {"u": 2, "v": 5, "x": 3}
    total = sum(width[part] for part in parts.split())
    nodes = [*BRANCHES, ("Concat", parts, "c", {"axis": 1}), ("MatMul", "c w3", "y")]
    assert_exact(model([2, 3], "y", *nodes, w3=whole(3, total, 4), **WEIGHTS))


def test_parts_at_unlike_scales_are_brought_to_one():
    nodes = [*BRANCHES, ("Concat", "u v", "c", {"axis": 1}), ("Gemm", "c w3 k", "y")]
    graph = model([2, 3], "y", *nodes, w3=whole(3, 7, 4), k=whole(4, 4), **WEIGHTS)
    assert_exact(graph, own={"u": 3, "v": 1}, exponent=3)


def test_concat_of_concats():
    nodes = [
        *BRANCHES,
        ("Concat", "u v", "c", {"axis": 1}),
        ("Concat", "c u", "d", {"axis": 1}),
        ("MatMul", "d w3", "y"),
    ]
    assert_exact(model([2, 3], "y", *nodes, w3=whole(3, 9, 4), **WEIGHTS))


@pytest.mark.parametrize("operator", ["Add", "Mul"])
def test_constants_are_folded_behind_a_concat(operator):
    nodes = [*BRANCHES, ("Concat", "u v", "c", {"axis": 1}), (operator, "c k", "d"), ("MatMul", "d w3", "y")]
    assert_exact(model([2, 3], "y", *nodes, w3=whole(3, 7, 4), k=[1, -2, 3, 1, 2, -1, 3], **WEIGHTS))


MAPS = [("Conv", "x w1", "a"), ("Relu", "a", "u"), ("Conv", "x w2", "b"), ("Relu", "b", "v")]
KERNELS = {"w1": whole(1, 2, 1, 2, 2), "w2": whole(2, 3, 1, 2, 2)}


def test_convolution_over_concatenated_channels():
    nodes = [*MAPS, ("Concat", "u v", "c", {"axis": 1}), ("Conv", "c w3 k", "y", {"pads": [1, 1, 1, 1]})]
    assert_exact(model([1, 1, 4, 5], "y", *nodes, w3=whole(3, 2, 5, 3, 3), k=whole(4, 2), **KERNELS))


def test_gemm_over_flattened_concatenated_channels():
    nodes = [*MAPS, ("Concat", "u v", "c", {"axis": 1}), ("Flatten", "c", "f"), ("MatMul", "f w3", "y")]
    assert_exact(model([1, 1, 3, 4], "y", *nodes, w3=whole(3, 30, 2), **KERNELS))


def test_concat_seen_through_a_transpose():
    nodes = [
        *BRANCHES,
        ("Concat", "u v", "c", {"axis": 1}),
        ("Transpose", "c", "t", {"perm": [1, 0]}),
        ("MatMul", "w3 t", "y"),
    ]
    assert_exact(model([2, 3], "y", *nodes, w3=whole(3, 4, 7), **WEIGHTS))


@pytest.mark.parametrize(
    ("reader", "why"),
    [
        (("Relu", "c", "y"), r"Relu 'y' reads a Concat, which only Gemm, MatMul and Conv can.*Concatenate directly"),
        (("MatMul", "w3 c", "y"), "reads a Concat, but does not sum over its axis"),
        (("Identity", "c", "y"), "Output 'y' is a constant, or a Concat"),
    ],
)
def test_concat_that_something_else_reads_is_refused(reader, why):
    with pytest.raises(UnsupportedModelError, match=why):
        plan(model([2, 3], "y", *BRANCHES, ("Concat", "u v", "c", {"axis": 1}), reader, w3=whole(3, 4, 2), **WEIGHTS))


def test_concat_in_groups_is_refused():
    nodes = [*MAPS, ("Concat", "u v u", "c", {"axis": 1}), ("Conv", "c w3", "y", {"group": 7})]
    with pytest.raises(UnsupportedModelError, match="reads a Concat in groups"):
        plan(model([1, 1, 4, 5], "y", *nodes, w3=whole(3, 7, 1, 1, 1), **KERNELS))


def test_reshape_that_cuts_at_no_power_of_two_is_refused():
    nodes = [("Relu", "x", "u"), ("Reshape", "u s", "v"), ("Relu", "v", "y")]
    with pytest.raises(UnsupportedModelError, match=r"Reshape 'v' changes the layout from \[1, 12\] to \[4, 3\]"):
        plan(model([1, 12], "y", *nodes, s=np.array([4, 3])))


@pytest.mark.parametrize("shape", [[3, 4], [3, 2, 2], [1, 6, 2], [12]])
def test_reshape_between_activations(shape):
    nodes = [("Relu", "x", "u"), ("Reshape", "u s", "v"), ("Neg", "v", "n"), ("Relu", "n", "y")]
    assert_exact(model([1, 12], "y", *nodes, s=np.array(shape)))


@pytest.mark.parametrize(
    "reshapes",
    [
        [("Flatten", "x", "v")],
        [("Reshape", "x s", "v")],
        [("Unsqueeze", "x axes", "t"), ("Squeeze", "t axes", "v")],
    ],
)
def test_views_of_the_input_give_it_their_dimensions(reshapes):
    constants = {"s": np.array([1, -1]), "axes": np.array([1])}
    used = {name: value for name, value in constants.items() if any(name in node[1].split() for node in reshapes)}
    graph = model([1, 2, 3], "y", *reshapes, ("Relu", "v", "y"), **used)
    planned = plan(graph)
    assert [factor.size for factor in planned.input.factors] == ([1, 2, 3] if len(reshapes) > 1 else [1, 6])
    assert_exact(graph)


def test_view_of_an_input_with_other_readers_stays():
    nodes = [("Flatten", "x", "v"), ("MatMul", "v w", "a"), ("Relu", "x", "y")]
    graph = model([1, 2, 3], "y a", *nodes, w=whole(1, 6, 2))
    assert [factor.size for factor in plan(graph).input.factors] == [1, 2, 3]
    assert_exact(graph)


def test_view_in_front_of_an_output_vanishes():
    nodes = [("MatMul", "x w", "a"), ("Reshape", "a s", "y")]
    planned = plan(model([3, 4], "y", *nodes, w=whole(1, 4, 5), s=np.array([5, 3])))
    assert [(output.name, [factor.size for factor in output.factors]) for output in planned.outputs] == [("y", [3, 5])]


def test_convolution_through_a_dimension_that_is_no_range_is_refused():
    nodes = [("Relu", "x", "u"), ("Reshape", "u s", "v"), ("Conv", "v w", "y")]
    with pytest.raises(UnsupportedModelError, match=r"Conv 'y' cannot read its operand through the Reshape"):
        plan(model([1, 1, 3, 3], "y", *nodes, w=whole(1, 1, 1, 2), s=np.array([1, 1, 9])))


def test_convolution_through_a_dimension_of_full_inner_factors():
    nodes = [("Relu", "x", "u"), ("Reshape", "u s", "v"), ("MaxPool", "v", "p", {"kernel_shape": [2], "strides": [2]})]
    graph = model([1, 1, 3, 4], "y", *nodes, ("Relu", "p", "y"), s=np.array([1, 1, 12]))
    assert [factor.size for factor in plan(graph).blocks[-1].factors] == [1, 1, 6]
