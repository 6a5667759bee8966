"""Add, Sub, Sum, Neg, and products with constants, compared with onnxruntime on whole numbers."""

import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar.lowering.networks import assert_exact, model, whole

from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.errors import UnsupportedModelError


def two_branches(operator, *extra):
    nodes = [("MatMul", "x w1", "a"), ("Relu", "a", "u"), ("MatMul", "x w2", "b"), ("Relu", "b", "v")]
    return model([2, 3], "y", *nodes, (operator, "u v", "s"), *extra, w1=whole(1, 3, 5), w2=whole(2, 3, 5))


@pytest.mark.parametrize("operator", ["Add", "Sub", "Sum"])
def test_sum_of_two_computed_tensors(operator):
    assert_exact(two_branches(operator, ("Identity", "s", "y")))


def test_sum_with_its_activation_is_one_block():
    graph = two_branches("Sub", ("Relu", "s", "y"))
    assert [block.name for block in plan(graph).blocks] == ["u", "v", "y"]
    assert_exact(graph)


@pytest.mark.parametrize("inputs", ["u x", "x u", "u x x"])
def test_sum_brings_its_terms_to_one_scale(inputs):
    nodes = [("MatMul", "x w", "a"), ("Relu", "a", "u"), ("Sum", inputs, "y")]
    assert_exact(model([1, 4], "y", *nodes, w=whole(1, 4, 4)), a=3, scale=2, bits=7, exponent=1)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 1), (2, 5), (1, 2, 5)])
@pytest.mark.parametrize("inputs", ["u c", "c u"])
@pytest.mark.parametrize("operator", ["Add", "Sub"])
def test_sum_with_a_constant(shape, inputs, operator):
    nodes = [("MatMul", "x w", "a"), ("Relu", "a", "u"), (operator, inputs, "y")]
    assert_exact(model([2, 3], "y", *nodes, w=whole(1, 3, 5), c=whole(2, *shape)), count=2)


def test_constant_widens_the_result():
    nodes = [("Relu", "x", "u"), ("Add", "u c", "y")]
    assert_exact(model([1, 3], "y", *nodes, c=whole(2, 4, 1)))


def test_computed_tensors_are_broadcast():
    nodes = [("Relu", "x", "u"), ("GlobalAveragePool", "u", "g"), ("Add", "g u", "y")]
    assert_exact(model([1, 3, 2, 2], "y", *nodes), own={"g": 2})


@pytest.mark.parametrize("operator", ["Add", "Sub", "Sum"])
@pytest.mark.parametrize("inputs", ["u c", "c u"])
def test_convolution_becomes_a_term_of_the_sum_that_alone_reads_it(operator, inputs):
    nodes = [
        ("Relu", "x", "u"),
        ("Conv", "u w b", "c", {"pads": [1, 1, 1, 1]}),
        (operator, inputs, "s"),
        ("Relu", "s", "y"),
    ]
    graph = model([1, 3, 3, 4], "y", *nodes, w=whole(1, 3, 3, 3, 3), b=whole(2, 3))
    assert [block.name for block in plan(graph).blocks] == ["u", "y"]
    assert_exact(graph)


def test_two_convolutions_become_terms_of_one_sum():
    nodes = [("Conv", "x w1 b", "c", {}), ("Conv", "x w2", "d", {}), ("Sub", "c d", "s"), ("Relu", "s", "y")]
    graph = model([1, 3, 3, 3], "y", *nodes, w1=whole(1, 2, 3, 2, 2), w2=whole(3, 2, 3, 2, 2), b=whole(2, 2))
    assert [block.name for block in plan(graph).blocks] == ["y"]
    assert_exact(graph)


def test_merged_weights_are_lifted_to_the_scale_of_the_sum():
    nodes = [("Gemm", "x w b", "c"), ("Sub", "x c", "y")]
    assert_exact(model([1, 3], "y", *nodes, w=whole(1, 3, 3), b=whole(2, 3)), scale=3, bits=7, exponent=0)


def test_convolution_with_two_readers_keeps_its_block():
    nodes = [("MatMul", "x w", "c"), ("Add", "c x", "s"), ("Relu", "c", "t"), ("Add", "s t", "y")]
    graph = model([1, 3], "y", *nodes, w=whole(1, 3, 3))
    assert [block.name for block in plan(graph).blocks] == ["c", "s", "t"]
    assert_exact(graph)


def test_sum_behind_unlike_views_splits_its_factors():
    nodes = [
        ("Reshape", "x s", "r"),
        ("Relu", "r", "u"),
        ("Reshape", "u t", "v"),
        ("MatMul", "x w", "a"),
        ("Add", "a v", "y"),
    ]
    shapes = {"s": np.array([3, 4]), "t": np.array([1, 12])}
    assert_exact(model([1, 12], "y", *nodes, w=whole(1, 12, 12), **shapes))


def test_negation():
    assert_exact(
        model(
            [1, 5],
            "y",
            ("Relu", "x", "u"),
            ("Neg", "u", "n"),
            ("Relu", "n", "r"),
            ("Neg", "u", "m"),
            ("Sub", "r m", "y"),
        )
    )


@pytest.mark.parametrize("shape", [(), (5,), (2, 1), (2, 5)])
@pytest.mark.parametrize("inputs", ["u c", "c u"])
def test_product_with_a_constant(shape, inputs):
    nodes = [("Relu", "x", "u"), ("Mul", inputs, "y")]
    assert_exact(model([2, 5], "y", *nodes, c=whole(2, *shape)))


@pytest.mark.parametrize("values", [4.0, [1, 2, 4, -8, 0.5]])
def test_quotient_by_a_constant(values):
    nodes = [("Relu", "x", "u"), ("Div", "u c", "y")]
    assert_exact(model([2, 5], "y", *nodes, c=np.float32(values)), exponent=3)


def test_product_spreads_a_column():
    nodes = [("Relu", "x", "u"), ("Mul", "u c", "y")]
    assert_exact(model([3, 1], "y", *nodes, c=whole(2, 5)))


def test_factor_is_rounded_half_to_even():
    nodes = [("Relu", "x", "u"), ("Mul", "u c", "y")]
    graph = model([1, 2], "y", *nodes, c=np.float32(2.5))
    with pytest.raises(AssertionError):
        assert_exact(graph, exponent=0)
    assert_exact(graph, exponent=1)


@pytest.mark.parametrize("operator", ["Mul", "Div"])
def test_product_of_computed_tensors_outside_a_chain_is_refused(operator):
    nodes = [("MatMul", "x w", "u"), (operator, "u x", "y")]
    with pytest.raises(UnsupportedModelError, match=rf"{operator} 'y' multiplies or divides computed tensors"):
        plan(model([1, 3], "y", *nodes, w=whole(1, 3, 3)))


def test_division_of_a_vector_by_a_value_is_refused():
    with pytest.raises(UnsupportedModelError, match="multiplies or divides computed tensors"):
        plan(model([1, 3], "y", ("Div", "c x", "y"), c=whole(1, 3)))


def test_division_by_zero_is_refused():
    with pytest.raises(UnsupportedModelError, match="divides by 0"):
        plan(model([1, 3], "y", ("Relu", "x", "u"), ("Div", "u c", "y"), c=np.float32([1, 0, 2])))
