"""What is folded into weights and biases, and in which arithmetic (D3, D7, passes 1, 2 and 4)."""

from fractions import Fraction

import numpy as np
import pytest
from onnx import TensorProto
from tests.unit.circuits.engines.ashlar.lowering.networks import assert_exact, integers, model, recipe, whole

from zkinfer.circuits.engines.ashlar.lowering.drafts import draft
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.errors import UnsupportedModelError

LINEAR = {"w": whole(1, 4, 3)}


def drafted(graph, *, listed=False, **given):
    planned = plan(graph, listed=listed)
    return draft(planned, recipe(planned, **given))


def test_constants_along_the_features_are_folded_behind():
    nodes = [("MatMul", "x w", "a"), ("Mul", "a f", "m"), ("Add", "m b", "s"), ("Sub", "s c", "d"), ("Relu", "d", "y")]
    graph = model([2, 4], "y", *nodes, f=whole(2, 3), b=whole(3, 1, 3), c=whole(4), **LINEAR)
    assert [block.name for block in plan(graph).blocks] == ["y"]
    assert plan(graph).weights == ("d",)
    assert_exact(graph)


@pytest.mark.parametrize("inputs", ["a f", "f a"])
def test_factors_behind_a_convolution_are_those_of_its_channels(inputs):
    nodes = [("Conv", "x w b", "a"), ("Mul", inputs, "m"), ("Add", "m t", "y")]
    graph = model(
        [1, 2, 3, 3], "y", *nodes, w=whole(1, 3, 2, 2, 2), b=whole(2, 3), f=whole(3, 3, 1, 1), t=whole(4, 1, 3, 1, 1)
    )
    assert len(plan(graph).outputs[0].parts) == 1
    assert_exact(graph)


def test_division_behind_rounds_once():
    nodes = [("MatMul", "x w", "a"), ("Div", "a f", "y")]
    graph = model([1, 4], "y", *nodes, f=np.float32([3, 7, 0.1]), **LINEAR)
    [term] = drafted(graph, exponent=20).outputs[0].terms
    wanted = np.rint(np.ldexp(LINEAR["w"].astype(np.float64) / np.float32([3, 7, 0.1]).astype(np.float64), 20))
    np.testing.assert_array_equal(term.weights, wanted.T)


@pytest.mark.parametrize(
    "reader",
    [
        ("Sub", "k a", "m"),
        ("Mul", "a place", "m"),
        ("Add", "a wide", "m"),
    ],
)
def test_constants_that_are_no_features_are_terms_or_blocks(reader):
    nodes = [("MatMul", "x w", "a"), reader, ("Relu", "m", "y")]
    constants = {"k": whole(2, 3), "place": np.float32([[2], [3]]), "wide": whole(3, 2, 2, 3)}
    used = {name: value for name, value in constants.items() if name in reader[1].split()}
    graph = model([2, 4], "y", *nodes, **used, **LINEAR)
    assert plan(graph).weights != ("m",)
    assert_exact(graph)


def test_missing_bias_stays_missing_behind_a_factor():
    nodes = [("MatMul", "x w", "a"), ("Mul", "a f", "y")]
    assert [term.kind for term in drafted(model([1, 4], "y", *nodes, f=whole(2, 3), **LINEAR)).outputs[0].terms] == [1]


def test_value_with_two_readers_folds_nothing():
    nodes = [("MatMul", "x w", "a"), ("Mul", "a f", "y"), ("Relu", "a", "z")]
    graph = model([1, 4], "y z", *nodes, f=whole(2, 3), **LINEAR)
    assert [block.name for block in plan(graph).blocks] == ["a", "z"]
    assert_exact(graph)


def test_batch_normalisation_is_folded_operation_by_operation():
    rng = np.random.default_rng(3)
    parts = {name: rng.normal(size=3).astype(np.float32) for name in ("gamma", "beta", "mean")}
    variance = rng.uniform(0.1, 2, 3).astype(np.float32)
    weights, bias = (rng.normal(size=shape).astype(np.float32) for shape in [(3, 2, 2, 2), (3,)])
    nodes = [("Conv", "x w b", "a"), ("BatchNormalization", "a gamma beta mean variance", "y", {"epsilon": 0.001})]
    graph = model([1, 2, 3, 3], "y", *nodes, w=weights, b=bias, variance=variance, **parts)
    [conv, added] = drafted(graph, scale=3, exponent=20).outputs[0].terms
    gamma, beta, mean = (parts[name].astype(np.float64) for name in ("gamma", "beta", "mean"))
    factor = gamma / np.sqrt(variance.astype(np.float64) + float(np.float32(0.001)))
    np.testing.assert_array_equal(
        conv.weights, np.rint(np.ldexp(weights.astype(np.float64) * factor[:, None, None, None], 20))
    )
    np.testing.assert_array_equal(
        added.weights, np.rint(np.ldexp((bias.astype(np.float64) - mean) * factor + beta, 23))
    )


def test_batch_normalisation_of_anything_else_is_refused():
    nodes = [("Relu", "x", "a"), ("BatchNormalization", "a c c c c", "y")]
    with pytest.raises(UnsupportedModelError, match=r"BatchNormalization 'y'.*Normalise the model first|not supported"):
        plan(model([1, 2, 3, 3], "y", *nodes, c=np.float32([1, 2])))


def scaler(*steps, features=4, **more):
    names = ["x", *(f"s{number}" for number in range(len(steps)))]
    nodes = [
        (op, f"{before} {constant}", after)
        for (op, constant), before, after in zip(steps, names, names[1:], strict=False)
    ]
    return model(
        [1, features],
        "y",
        *nodes,
        ("Gemm", f"{names[len(steps)]} w b", "y"),
        w=whole(1, features, 3),
        b=whole(2, 3),
        **more,
    )


@pytest.mark.parametrize(
    "steps",
    [
        [("Sub", "m")],
        [("Add", "m"), ("Mul", "f")],
        [("Mul", "f"), ("Add", "m")],
        [("Mul", "f"), ("Sub", "m"), ("Mul", "g"), ("Add", "f")],
        [("Add", "one")],
    ],
)
def test_scaler_costs_no_block(steps):
    values = {"m": whole(3, 4), "f": [1, -2, 4, 2], "g": [2, 2, 1, -1], "one": np.float32(3)}
    used = {name: value for name, value in values.items() if (name in dict.fromkeys(c for _, c in steps))}
    graph = scaler(*steps, **used)
    assert plan(graph).blocks == ()
    assert plan(graph).input.listed
    assert_exact(graph)


def test_offset_is_rounded_once_from_an_exact_sum():
    mean, factor = np.float32([0.3, 1000.7, -5.123, 0.001]), np.float32([3, 0.001, 7, 1 / 3])
    weights, bias = np.float32([[0.11, -2.3, 0.77, 1.9]]).T, np.float32([0.123])
    nodes = [("Mul", "x f", "m"), ("Sub", "m mean", "s"), ("Gemm", "s w b", "y")]
    graph = model([1, 4], "y", *nodes, f=factor, mean=mean, w=weights, b=bias)
    [term, added] = drafted(graph, scale=5, exponent=12).outputs[0].terms
    folded = np.rint(np.ldexp(weights.astype(np.float64) * factor.astype(np.float64)[:, None], 12)).astype(int).ravel()
    np.testing.assert_array_equal(term.weights.ravel(), folded)
    exact = Fraction(float(bias[0])) * 2**17
    for weight, offset, by in zip(folded.tolist(), mean.tolist(), factor.tolist(), strict=True):
        exact -= weight * Fraction(offset) / Fraction(by) * 2**5
    assert added.weights.tolist() == round(exact)


def test_offset_uses_the_scale_of_each_feature():
    graph = scaler(("Sub", "m"), m=np.float32([100, 0.25, -3, 7]))
    scales = [0, 6, 2, 3]
    inputs = np.array([[100, 16, -3, 5], [90, 20, 1, 3]])
    numbers = np.ldexp(inputs.astype(np.float64), -np.array(scales))
    wanted = (numbers - [100, 0.25, -3, 7]) @ whole(1, 4, 3).astype(np.float64) + whole(2, 3)
    [answer] = integers(graph, inputs, listed=True, scale=scales, bits=8, exponent=0)
    np.testing.assert_array_equal(answer, wanted)


def test_factor_of_zero_is_not_folded():
    graph = scaler(("Mul", "f"), f=np.float32([1, 0, 2, 3]))
    assert [block.name for block in plan(graph).blocks] == ["s0"]
    assert_exact(graph)


def test_scaler_that_something_else_reads_is_not_folded():
    nodes = [("Mul", "x f", "m"), ("MatMul", "m w", "y"), ("Relu", "m", "z")]
    graph = model([1, 4], "y z", *nodes, f=[1, 2, 3, 4], **LINEAR)
    assert not plan(graph).input.listed
    assert_exact(graph)


def test_scaler_of_two_gemms_is_folded_into_both():
    nodes = [("Mul", "x f", "m"), ("MatMul", "m w", "a"), ("MatMul", "m v", "b"), ("Add", "a b", "y")]
    graph = model([1, 4], "y", *nodes, f=[1, 2, 3, 4], v=whole(2, 4, 3), **LINEAR)
    assert plan(graph).blocks == ()
    assert_exact(graph)


@pytest.mark.parametrize(("operator", "blocks"), [("Mul", []), ("Div", []), ("Add", ["m"]), ("Sub", ["m"])])
def test_before_a_convolution_factors_are_folded_and_addends_are_not(operator, blocks):
    nodes = [(operator, "x f", "m"), ("Conv", "m w", "y", {"pads": [1, 1, 1, 1]})]
    graph = model([1, 2, 3, 3], "y", *nodes, f=np.float32([[[2]], [[-4]]]), w=4 * whole(1, 2, 2, 3, 3))
    assert [block.name for block in plan(graph).blocks] == blocks
    assert_exact(graph)


def test_factor_before_an_addend_before_a_convolution_stays():
    nodes = [("Mul", "x f", "m"), ("Add", "m t", "s"), ("Conv", "s w", "y")]
    graph = model([1, 2, 3, 3], "y", *nodes, f=np.float32([[[2]], [[3]]]), t=np.float32(1), w=whole(1, 2, 2, 2, 2))
    assert [block.name for block in plan(graph).blocks] == ["m", "s"]
    assert_exact(graph)


def test_factor_before_a_grouped_convolution_stays():
    nodes = [("Mul", "x f", "m"), ("Conv", "m w", "y", {"group": 2})]
    graph = model([1, 2, 3, 3], "y", *nodes, f=np.float32([[[2]], [[3]]]), w=whole(1, 2, 1, 2, 2))
    assert [block.name for block in plan(graph).blocks] == ["m"]
    assert_exact(graph)


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.UINT8, TensorProto.BOOL])
def test_integers_enter_as_they_are(kind):
    graph = model([1, 4], "y", ("Cast", "x", "f", {"to": 1}), ("MatMul", "f w", "y"), kind=kind, **LINEAR)
    assert plan(graph).input.integers
    assert_exact(graph, low=0, high=1 if kind == TensorProto.BOOL else 7)


def test_cast_that_cuts_fractions_off_is_refused():
    nodes = [("Cast", "x", "i", {"to": 7}), ("Cast", "i", "y", {"to": 1})]
    with pytest.raises(UnsupportedModelError, match="Cast 'i' rounds a computed value to an integer"):
        plan(model([1, 4], "y", *nodes))
