"""Intervals of values: wide enough for everything a graph computes, narrow enough to leave out guards."""

import math

import numpy as np
import onnx
import pytest

from zkinfer.circuits.engines.ezkl.lowering.intervals import Interval, intervals
from zkinfer.circuits.frontend import runtime, shapes
from zkinfer.circuits.frontend.domains import NOT_NEGATIVE, NOT_ZERO, POSITIVE, Domain
from zkinfer.circuits.frontend.graph import Facts, copy

CONSTANTS = """<float[4] c = {0.5, 1, 2, 0.25}, float[4] mixed = {-1, 0.5, 2, 0}, float[4,4] w = {1,2,3,4,1,1,1,1,
    0.5,0.5,0.5,0.5,2,2,2,2}, float half = {0.5}, float zero = {0}, float three = {3}, float two = {2},
    int64[1] first = {0}, float power = {1.5}, float inverse = {-0.5}, int64[2] flat = {1, 4}>"""
IMAGE = "float[1,1,4,4] x"
BODIES = [
    "y = Abs(x)",
    "a = Exp(x) b = Sub(a, c) y = Neg(b)",
    "a = Sigmoid(x) b = Sub(c, a) y = Div(b, a)",
    "a = Mul(x, x) b = Add(a, c) y = Sqrt(b)",
    "a = Mul(x, mixed) b = Abs(a) y = Add(b, mixed)",
    "a = Clip(x, zero, three) y = Pow(a, power)",
    "a = Clip(x, half, three) y = Pow(a, inverse)",
    "y = Pow(x, three)",
    "y = Pow(x, two)",
    "a = Max(x, half) b = Reciprocal(a) y = Min(b, three)",
    "a = Min(x, c) b = Neg(a) y = Max(b, mixed, x)",
    "a = Abs(x) b = MatMul(a, w) y = Gemm(b, w, mixed)",
    "a = Concat<axis=1>(x, x) b = ReduceMean<axes=[1]>(a) y = Add(x, b)",
    "b = Greater(x, half) y = Where(b, x, c)",
    "a = Softmax(x) b = CumSum(a, first) y = Reciprocal(b)",
    "a = ReduceL1<axes=[1]>(x) b = ReduceL2<axes=[1]>(x) d = Sub(a, b) y = Add(x, d)",
    "a = Floor(x) b = Cast<to=7>(x) d = Cast<to=1>(b) y = Add(a, d)",
    "a = Cast<to=9>(x) b = Cast<to=1>(a) y = Sub(b, c)",
    "a = Gather<axis=1>(x, first) b = Reshape(x, flat) y = Mul(a, b)",
    "a = Acos(x) b = Atan(x) y = Add(a, b)",
    "a = Softplus(x) b = Cosh(x) d = Mul(a, b) y = Mean(d, x)",
    "a = Abs(x) b = Equal(a, zero) d = Cast<to=1>(b) y = Add(a, d)",
    "b = Equal(x, zero) y = Where(b, half, x)",
    "b = Greater(x, zero) y = Where(b, x, three)",
    "a = ReduceProd<axes=[1]>(x) b = Relu(a) y = Add(b, c)",
]
POOLS = [
    "a = Abs(x) y = AveragePool<kernel_shape=[2,2], pads=[1,1,1,1]>(a)",
    "a = Neg(x) b = Exp(a) y = MaxPool<kernel_shape=[2,2]>(b)",
    "a = Exp(x) y = GlobalAveragePool(a)",
]


def known(model):
    made = shapes.inferred(model)
    return intervals(made, Facts(made))


def all_values(model, feeds):
    shown = copy(model)
    named = {port.name for port in model.graph.output}
    computed = [name for node in model.graph.node for name in node.output if name not in named]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)
    return runtime.Session(shown).run(feeds)


@pytest.mark.parametrize("body", BODIES + POOLS)
def test_every_value_lies_in_its_interval(model, body):
    inputs = IMAGE if body in POOLS else "float[1,4] x"
    graph = model(body, inputs, "float y" if body in POOLS else "float[1,4] y", CONSTANTS, opset=13)
    graph.graph.output[0].type.tensor_type.ClearField("shape")
    found, rng = known(graph), np.random.default_rng(3)
    shape = (1, 1, 4, 4) if body in POOLS else (1, 4)
    for scale in (0.5, 1, 4):
        for array in (rng.normal(0, scale, shape), rng.integers(-2, 3, shape)):
            for name, value in all_values(graph, {"x": array.astype(np.float32)}).items():
                real = value[np.isfinite(value)] if value.dtype.kind == "f" else value
                assert (real >= found[name].low - 1e-5).all(), name
                assert (real <= found[name].high + 1e-5).all(), name
                assert not found[name].nonzero or real.all(), name


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y = Exp(x)", Interval(0.0, nonzero=True)),
        ("y = Mul(x, x)", Interval(0.0)),
        ("a = Mul(x, x) y = Add(a, half)", Interval(0.5, nonzero=True)),
        ("a = Abs(x) b = Add(a, half) y = Reciprocal(b)", Interval(0.0, 2.0, nonzero=True)),
        ("a = Exp(x) b = Neg(a) y = Sub(b, half)", Interval(high=-0.5, nonzero=True)),
        ("y = LeakyRelu(x)", Interval()),
        ("a = Relu(x) b = Greater(a, zero) n = Not(b) d = Cast<to=1>(n) y = Add(a, d)", Interval(0.0, nonzero=True)),
        ("a = Relu(x) b = Greater(a, zero) d = Cast<to=1>(b) y = Add(a, d)", Interval(0.0)),
        ("b = Equal(x, zero) d = Cast<to=1>(b) y = Add(x, d)", Interval()),
        ("b = Equal(x, zero) y = Where(b, half, x)", Interval(nonzero=True)),
        ("b = Equal(x, zero) y = Where(b, x, half)", Interval()),
        ("b = Greater(x, zero) y = Where(b, x, half)", Interval(nonzero=True)),
        ("b = Less(x, half) y = Where(b, x, half)", Interval()),
        ("y = Mul(x, c)", Interval()),
        ("a = Relu(x) y = MatMul(a, w)", Interval(0.0)),
        ("a = Relu(x) y = Gemm<alpha=2.0>(a, w)", Interval()),
    ],
)
def test_interval_is_as_narrow_as_the_operators_say(model, body, expected):
    assert known(model(body, constants=CONSTANTS))["y"] == expected


@pytest.mark.parametrize(("dtype", "expected"), [("uint8", Interval(0, 255)), ("int8", Interval(-128, 127))])
def test_integers_lie_in_the_range_of_their_type(model, dtype, expected):
    assert known(model("y = Cast<to=1>(x)", f"{dtype}[1,4] x"))["y"] == expected


def test_bools_are_0_or_1(model):
    assert known(model("y = Cast<to=1>(x)", "bool[1,4] x"))["y"] == Interval(0.0, 1.0)


def test_bias_of_unknown_sign_leaves_no_bound(model):
    found = known(model("a = Relu(x) y = Gemm(a, w, x)", constants=CONSTANTS))
    assert found["y"] == Interval()


def test_second_output_has_no_interval(model):
    body = "a = Exp(x) v, i = TopK<axis=1>(a, k) y = Identity(v)"
    found = known(model(body, outputs="float[1,1] y", constants="<int64[1] k = {1}>"))
    assert found["v"] == Interval(0.0, nonzero=True)
    assert found["i"] == Interval()


OPEN = Domain("", (("LessOrEqual", -1.0), ("GreaterOrEqual", 1.0)))


@pytest.mark.parametrize(
    ("interval", "domain", "inside"),
    [
        (Interval(0.0), NOT_NEGATIVE, True),
        (Interval(-0.1), NOT_NEGATIVE, False),
        (Interval(0.0), POSITIVE, False),
        (Interval(0.0, nonzero=True), POSITIVE, True),
        (Interval(0.1), NOT_ZERO, True),
        (Interval(-1.0, 1.0), NOT_ZERO, False),
        (Interval(-1.0, 1.0, nonzero=True), NOT_ZERO, True),
        (Interval(high=-0.1), NOT_ZERO, True),
        (Interval(-1.0, 1.0), OPEN, False),
        (Interval(-0.9, 0.9), OPEN, True),
        (Interval(math.nan, math.nan), NOT_ZERO, True),
    ],
)
def test_interval_is_within_a_domain_or_not(interval, domain, inside):
    assert interval.within(domain) is inside
