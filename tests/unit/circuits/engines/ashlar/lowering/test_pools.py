"""Averages over windows and maps, compared with onnxruntime: as views, as blocks, and as convolutions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.circuits.engines.ashlar.lowering.networks import assert_exact, model, whole

from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.errors import UnsupportedModelError


def pool(operator, shape, *after, **given_):
    weights = given_.pop("constants", {})
    return model(shape, "y", ("Relu", "x", "u"), (operator, "u", "p", given_), *after, **weights)


@pytest.mark.parametrize("side", [2, 3, 4, 5, 6, 7])
def test_average_is_read_through_by_a_gemm(side):
    width = side // 2
    after = [("Flatten", "p", "f"), ("MatMul", "f w", "y")]
    graph = pool(
        "AveragePool",
        [1, 3, side, 4],
        *after,
        kernel_shape=[2, 2],
        strides=[2, 2],
        constants={"w": whole(1, 6 * width, 2)},
    )
    assert [block.name for block in plan(graph).blocks] == ["u"]
    assert_exact(graph)


@pytest.mark.parametrize(("side", "blocks"), [(4, ["u"]), (5, ["u", "p"])])
def test_average_is_read_through_by_a_convolution_over_whole_windows(side, blocks):
    after = [("Conv", "p w", "y", {"pads": [1, 1, 1, 1]})]
    graph = pool(
        "AveragePool",
        [1, 2, side, 4],
        *after,
        kernel_shape=[2, 2],
        strides=[2, 2],
        constants={"w": whole(1, 3, 2, 2, 2)},
    )
    assert [block.name for block in plan(graph).blocks] == blocks
    assert_exact(graph, own={"p": 2})


def test_average_that_something_else_reads_is_a_block():
    after = [("Relu", "p", "r"), ("Flatten", "p", "f"), ("MatMul", "f w", "y"), ("Relu", "r", "z")]
    graph = pool(
        "AveragePool", [1, 2, 4, 4], *after, kernel_shape=[2, 2], strides=[2, 2], constants={"w": whole(1, 8, 2)}
    )
    assert [block.name for block in plan(graph).blocks] == ["u", "p", "r", "z"]
    assert_exact(graph, own={"p": 2, "r": 2, "z": 2})


@given(
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    logs=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
@settings(max_examples=25, deadline=None)
def test_average_over_windows_of_a_power_of_two_as_an_output(sides, logs):
    windows = [min(1 << log, 1 << side.bit_length() - 1) for log, side in zip(logs, sides, strict=True)]
    assert_exact(
        pool("AveragePool", [1, 2, *sides], ("Identity", "p", "y"), kernel_shape=windows, strides=windows), count=2
    )


def test_average_over_windows_of_a_power_of_two_as_a_block():
    after = [("Relu", "p", "y")]
    assert_exact(pool("AveragePool", [1, 3, 5, 6], *after, kernel_shape=[2, 4], strides=[2, 4]), own={"y": 3})


@pytest.mark.parametrize(
    "given_",
    [
        {"kernel_shape": [2, 2], "strides": [1, 1]},
        {"kernel_shape": [4, 2], "strides": [2, 2]},
        {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        {"kernel_shape": [2, 2]},
    ],
)
def test_other_averages_are_convolutions_with_one_weight(given_):
    assert_exact(pool("AveragePool", [1, 3, 5, 6], ("Identity", "p", "y"), **given_), exponent=3)


def test_weight_of_an_average_is_rounded_from_the_exact_quotient():
    graph = pool("AveragePool", [1, 1, 3, 3], ("Identity", "p", "y"), kernel_shape=[3, 3], strides=[1, 1])
    with pytest.raises(AssertionError):
        assert_exact(graph, exponent=4)


@pytest.mark.parametrize(("shape", "a"), [([1, 3, 4, 2], 3), ([1, 3, 1, 1], 0), ([1, 2, 8], 3)])
def test_global_average_over_a_power_of_two_needs_no_factor(shape, a):
    graph = pool("GlobalAveragePool", shape, ("Relu", "p", "y"))
    assert plan(graph).weights == ()
    assert_exact(graph, own={"y": a})


@pytest.mark.parametrize(
    "after",
    [
        [("Flatten", "p", "f"), ("MatMul", "f w", "y")],
        [("Conv", "p k", "y")],
    ],
)
def test_global_average_is_a_block_for_linear_readers_too(after):
    weights = {"w": whole(1, 3, 2)} if len(after) > 1 else {"k": whole(1, 2, 3, 1, 1)}
    graph = pool("GlobalAveragePool", [1, 3, 4, 2], *after, constants=weights)
    assert [block.name for block in plan(graph).blocks] == ["u", "p"]
    assert_exact(graph, own={"p": 3})


def test_global_average_over_other_maps_has_an_exponent():
    graph = pool("GlobalAveragePool", [1, 2, 3, 2], ("Identity", "p", "y"))
    assert plan(graph).weights == ("p",)
    with pytest.raises(AssertionError):
        assert_exact(graph, exponent=6)


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ({"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 1, 1, 1]}, "windows of unlike size"),
        ({"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, "cut off, by ceil_mode"),
        ({"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, "windows of unlike size"),
        ({"kernel_shape": [3, 3], "strides": [3, 3]}, r"strides \[3, 3\]"),
    ],
)
def test_average_over_windows_of_unlike_size_or_place_is_refused(given_, why):
    with pytest.raises(UnsupportedModelError, match=why):
        plan(pool("AveragePool", [1, 1, 5, 5], ("Identity", "p", "y"), **given_))


def test_rounding_up_without_a_rest_changes_nothing():
    given_ = {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}
    assert_exact(pool("AveragePool", [1, 2, 4, 6], ("Identity", "p", "y"), **given_))


def test_average_behind_an_average():
    nodes = [
        ("AveragePool", "x", "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("AveragePool", "p", "q", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", "q", "f"),
        ("MatMul", "f w", "y"),
    ]
    graph = model([1, 2, 8, 8], "y", *nodes, w=whole(1, 8, 3))
    assert [block.name for block in plan(graph).blocks] == ["p"]
    assert_exact(graph, own={"p": 2})


def test_global_maximum_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"GlobalMaxPool 'p'.*Use GlobalAveragePool, or MaxPool"):
        plan(pool("GlobalMaxPool", [1, 1, 4, 4], ("Identity", "p", "y")))


def test_remainder_of_one_place_keeps_its_bits():
    after = [("Flatten", "p", "f"), ("MatMul", "f w", "y")]
    given_ = {"kernel_shape": [2, 2], "strides": [2, 2], "constants": {"w": whole(1, 2, 3)}}
    assert_exact(pool("AveragePool", [1, 2, 3, 3], *after, **given_))


def test_gemm_over_another_axis_does_not_read_an_average():
    after = [("MatMul", "p w", "y")]
    given_ = {"kernel_shape": [2, 2], "strides": [2, 2], "constants": {"w": whole(1, 2, 3)}}
    graph = pool("AveragePool", [1, 2, 4, 4], *after, **given_)
    assert [block.name for block in plan(graph).blocks] == ["u", "p"]
    assert_exact(graph, own={"p": 2})
    assert np.prod([factor.size for factor in plan(graph).blocks[1].factors]) == 8
