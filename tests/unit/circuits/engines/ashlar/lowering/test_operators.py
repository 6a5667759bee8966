"""Gemm, MatMul and Conv, compared with onnxruntime on whole numbers: to the last bit, and cell by cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.circuits.engines.ashlar.lowering.networks import assert_exact, model, whole

from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.errors import UnsupportedModelError


@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_gemm_with_transposed_operands(transposed):
    a, b = transposed
    shape, weights = ([4, 3] if a else [3, 4]), (whole(1, 5, 4) if b else whole(1, 4, 5))
    given_ = {"transA": a, "transB": b, "alpha": 2.0, "beta": 3.0}
    assert_exact(model(shape, "y", ("Gemm", "x w c", "y", given_), w=weights, c=whole(2, 5)))


@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_gemm_with_a_constant_on_the_left(transposed):
    a, b = transposed
    shape, weights = ([3, 4] if b else [4, 3]), (whole(1, 4, 5) if a else whole(1, 5, 4))
    assert_exact(model(shape, "y", ("Gemm", "w x", "y", {"transA": a, "transB": b}), w=weights))


@pytest.mark.parametrize("bias", [(1, 5), (3, 1), (3, 5), (1, 1), (5,), ()])
def test_gemm_with_a_bias_of_any_shape(bias):
    assert_exact(model([3, 4], "y", ("Gemm", "x w c", "y"), w=whole(1, 4, 5), c=whole(2, *bias)))


@pytest.mark.parametrize(
    ("shape", "left", "right"),
    [
        ([3, 4], "x", (4, 5)),
        ([2, 3, 4], "x", (4, 5)),
        ([2, 3, 4], "x", (1, 4, 5)),
        ([4], "x", (4, 5)),
        ([4], "x", (4,)),
        ([2, 3, 4], "x", (4,)),
        ([4, 3], "w", (5, 4)),
        ([2, 4, 3], "w", (5, 4)),
        ([4], "w", (5, 4)),
        ([2, 4, 3], "w", (4,)),
        ([1, 1], "x", (1, 1)),
    ],
)
def test_matmul_by_a_constant(shape, left, right):
    inputs = "x w" if left == "x" else "w x"
    assert_exact(model(shape, "y", ("MatMul", inputs, "y"), w=whole(1, *right)))


def test_matmul_on_the_left_feeds_a_block_that_is_read_transposed():
    nodes = [("MatMul", "w x", "u"), ("Relu", "u", "v"), ("MatMul", "v m", "y")]
    assert_exact(model([4, 3], "y", *nodes, w=whole(1, 5, 4), m=whole(2, 3, 2)))


def test_matmul_by_matrices_for_each_item_is_refused():
    with pytest.raises(UnsupportedModelError, match="a matrix for each item of a batch"):
        plan(model([2, 3, 4], "y", ("MatMul", "x w", "y"), w=whole(1, 2, 4, 5)))


def test_product_of_computed_matrices_is_refused():
    with pytest.raises(
        UnsupportedModelError, match=r"MatMul 'y' multiplies two computed tensors.*Use constant weights"
    ):
        plan(model([3, 3], "y", ("MatMul", "x x", "y")))


def test_gemm_with_a_computed_bias_is_refused():
    nodes = [("Relu", "x", "c"), ("Gemm", "x w c", "y")]
    with pytest.raises(UnsupportedModelError, match="write a computed bias as an Add"):
        plan(model([3, 3], "y", *nodes, w=whole(1, 3, 3)))


def conv(shape, weights, *, bias=True, opset=17, **given_):
    constants = {"w": weights} | ({"b": whole(2, len(weights))} if bias else {})
    inputs = "x w b" if bias else "x w"
    return model(shape, "y", ("Conv", inputs, "y", given_), opset=opset, **constants)


@given(
    sides=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2])),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    seed=st.integers(0, 999),
)
@settings(max_examples=40, deadline=None)
def test_convolutions_of_any_geometry(sides, kernel, strides, pads, channels, seed):
    padded = [sides[0] + pads[0] + pads[2], sides[1] + pads[1] + pads[3]]
    kernel = [min(side, size) for side, size in zip(kernel, padded, strict=True)]
    weights = whole(seed, channels[1], channels[0], *kernel)
    given_ = {"strides": list(strides), "pads": list(pads)}
    assert_exact(conv([1, channels[0], *sides], weights, **given_), count=2)


def test_convolution_along_one_axis():
    assert_exact(conv([1, 3, 9], whole(1, 4, 3, 3), strides=[2], pads=[1, 0]))


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_convolution_with_automatic_padding(mode):
    assert_exact(conv([1, 2, 6, 5], whole(1, 3, 2, 2, 3), auto_pad=mode, strides=[2, 1]))


@pytest.mark.parametrize(
    ("groups", "inside", "out"), [(3, 1, 3), (3, 1, 6), (2, 2, 6), (3, 2, 3), (6, 1, 6), (5, 1, 15), (2, 4, 2)]
)
def test_grouped_convolution(groups, inside, out):
    given_ = {"group": groups, "pads": [1, 1, 1, 1]}
    assert_exact(conv([1, groups * inside, 4, 3], whole(1, out, inside, 3, 3), **given_))


def test_grouped_convolutions_one_after_the_other():
    nodes = [
        ("Conv", "x w1", "u", {"group": 3}),
        ("Relu", "u", "v"),
        ("Conv", "v w2", "y", {"group": 6}),
    ]
    assert_exact(
        model([1, 3, 4, 4], "y", *nodes, w1=whole(1, 6, 1, 2, 2), w2=whole(2, 6, 1, 1, 2)), bits=3, low=-3, high=3
    )


def test_groups_of_a_block_stay_apart_in_the_next_grouped_convolution():
    nodes = [("Conv", "x w1", "u", {"group": 2}), ("Conv", "u w2", "y", {"group": 2})]
    assert_exact(model([1, 2, 3, 3], "y", *nodes, w1=whole(1, 6, 1, 2, 2), w2=whole(2, 4, 3, 1, 1)))


def test_groups_that_no_range_of_bits_holds_are_refused():
    with pytest.raises(UnsupportedModelError, match=r"has 2 groups, but its operand's channels cannot be cut"):
        plan(conv([1, 6, 3, 3], whole(1, 2, 3, 1, 1), group=2))


@pytest.mark.parametrize(
    ("given_", "shape", "why"),
    [
        ({"dilations": [2, 2]}, (1, 1, 2, 2), "is dilated"),
        ({"strides": [3, 1]}, (1, 1, 2, 2), r"has strides \[3, 1\].*powers of two"),
        ({"strides": [32, 1]}, (1, 1, 2, 2), r"has strides"),
    ],
)
def test_convolution_beyond_what_axes_express_is_refused(given_, shape, why):
    with pytest.raises(UnsupportedModelError, match=why):
        plan(conv([1, 1, 40, 8], whole(1, *shape), **given_))


def test_kernel_of_more_than_127_places_is_refused():
    with pytest.raises(UnsupportedModelError, match="kernel of 128 places"):
        plan(conv([1, 1, 200], whole(1, 1, 1, 128)))


def test_volumes_are_refused():
    with pytest.raises(UnsupportedModelError, match="3 spatial dimensions"):
        plan(conv([1, 1, 4, 4, 4], whole(1, 1, 1, 2, 2, 2)))


@pytest.mark.parametrize("shape", [[1, 12], [1, 3, 4], [2, 6], [1, 2, 2, 3]])
def test_gemm_reads_flattened_dimensions(shape):
    elements = int(np.prod(shape[1:]))
    nodes = [("Relu", "x", "v"), ("Flatten", "v", "f"), ("Gemm", "f w", "y")]
    assert_exact(model(shape, "y", *nodes, w=whole(1, elements, 3)))


def test_gemm_reads_transposed_maps():
    nodes = [
        ("Relu", "x", "v"),
        ("Transpose", "v", "t", {"perm": [0, 2, 3, 1]}),
        ("Flatten", "t", "f"),
        ("Gemm", "f w", "y"),
    ]
    assert_exact(model([1, 3, 2, 5], "y", *nodes, w=whole(1, 30, 4)))


def test_outputs_seen_through_views_keep_the_terms_of_the_node():
    nodes = [("MatMul", "x w", "u"), ("Transpose", "u", "t", {"perm": [1, 0]}), ("Reshape", "t s", "y")]
    graph = model([3, 4], "y", *nodes, w=whole(1, 4, 8), s=np.array([2, 4, 3]))
    assert plan(graph).blocks == ()
    assert_exact(graph)


def test_convolution_shown_through_a_transpose():
    nodes = [("Conv", "x w b", "u", {"pads": [1, 1, 0, 0]}), ("Transpose", "u", "y", {"perm": [0, 2, 3, 1]})]
    assert_exact(model([1, 2, 3, 5], "y", *nodes, w=whole(1, 3, 2, 2, 2), b=whole(2, 3)))
