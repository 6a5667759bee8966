"""Composites of exponentials take a form in which no exponential grows, and compute the same."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from zkinfer.circuits.frontend import runtime

CONSTANTS = """<float one = {1.0}, float[1] single = {1.0}, float two = {2.0}, float zero = {0.0}, float minus = {-1.0},
    int64[1] last = {1}, int64[2] column = {-1, 1}>"""
ROW, TOTAL = "float[1,4] y", "float[1,1] y"
SIGMOID = "n = Neg(x) e = Exp(n) d = Add(one, e)"


@pytest.fixture
def made(model, normal):
    """The original model, and its normal form."""

    def make(body, outputs=ROW, opset=17, inputs="float[1,4] x"):
        original = model(body, inputs, outputs, CONSTANTS, opset)
        return original, normal(original)

    return make


def exponents(form):
    """What each Exp of a model gets, for an input of large numbers."""
    names = [node.input[0] for node in form.graph.node if node.op_type == "Exp"]
    probe = type(form)()
    probe.CopyFrom(form)
    del probe.graph.output[:]
    probe.graph.output.extend(type(form.graph.output[0])(name=name) for name in names)
    feed = {port.name: np.array([[-70, 80, 3, 75]], np.float32) for port in form.graph.input}
    return list(runtime.Session(probe).run(feed).values())


GROWING = [
    ("y = Softplus(x)", ROW, 17),
    ("y = Mish(x)", ROW, 18),
    ("e = Exp(x) d = Add(e, one) y = Log(d)", ROW, 17),
    ("e = Exp(x) d = Add(single, e) l = Log(d) t = Tanh(l) y = Mul(x, t)", ROW, 17),
    ("y = ReduceLogSumExp<axes=[1]>(x)", TOTAL, 17),
    ("y = ReduceLogSumExp<keepdims=0>(x, last)", "float[1] y", 18),
    ("y = ReduceLogSumExp(x)", TOTAL, 17),
    ("y = ReduceLogSumExp<axes=[-1], keepdims=0>(x)", "float[1] y", 11),
    ("e = Exp(x) y = ReduceLogSum<axes=[1]>(e)", TOTAL, 17),
    ("e = Exp(x) s = ReduceSum(e, last) y = Log(s)", TOTAL, 17),
    ("e = Exp(x) s = ReduceMean<axes=[1]>(e) y = Log(s)", TOTAL, 17),
    ("z = Mul(x, two) a = Exp(x) b = Exp(z) s = Add(a, b) y = Log(s)", ROW, 17),
    ("e = Exp(x) s = ReduceSum(e, last) y = Div(e, s)", ROW, 17),
    ("e = Exp(x) s = ReduceSum(e, last) p = Div(e, s) y = Log(p)", ROW, 17),
    ("t = ReduceLogSumExp<axes=[1], keepdims=0>(x) r = Reshape(t, column) d = Sub(x, r) y = Exp(d)", ROW, 17),
    ("e = Exp(x) s = ReduceSum(e, last) t = Log(s) d = Sub(x, t) y = Exp(d)", ROW, 17),
    ("l = LogSoftmax(x) y = Exp(l)", ROW, 17),
    ("s = Sigmoid(x) y = Log(s)", ROW, 17),
    ("s = Sigmoid(x) r = Sub(one, s) y = Log(r)", ROW, 17),
    (f"{SIGMOID} s = Div(one, d) y = Log(s)", ROW, 17),
]
LOOKED_UP = [
    (f"{SIGMOID} y = Div(one, d)", "Sigmoid"),
    (f"{SIGMOID} y = Reciprocal(d)", "Sigmoid"),
    (f"{SIGMOID} y = Pow(d, minus)", "Sigmoid"),
    (f"{SIGMOID} y = Div(x, d)", "Sigmoid"),
    ("e = Exp(x) d = Add(e, one) y = Div(e, d)", "Sigmoid"),
    ("n = Neg(x) e = Exp(n) p = Exp(x) a = Sub(p, e) b = Add(e, p) y = Div(a, b)", "Tanh"),
    ("z = Mul(x, two) e = Exp(z) a = Sub(e, one) b = Add(e, one) y = Div(a, b)", "Tanh"),
    ("z = Mul(x, two) n = Neg(z) e = Exp(n) a = Sub(one, e) b = Add(one, e) y = Div(a, b)", "Tanh"),
]


@pytest.mark.parametrize(("body", "outputs", "opset"), GROWING)
def test_exponent_is_never_positive_nor_far_below(body, outputs, opset, made):
    _, form = made(body, outputs, opset)
    assert all((found <= 0).all() and (found >= -20).all() for found in exponents(form))


@pytest.mark.parametrize(("body", "outputs", "opset"), [*GROWING[:13], *GROWING[14:17]])
def test_large_inputs_give_the_float_answer(body, outputs, opset, made):
    original, form = made(body, outputs, opset)
    feeds = [{"x": np.array([row], np.float32)} for row in ([-40, -25, -31, -38], [30, -20, 5, 28], [0, 0, 0, 0])]
    assert runtime.difference(original, form, feeds) is None


@pytest.mark.parametrize(("body", "operator"), LOOKED_UP)
def test_quotient_becomes_one_function(body, operator, made, kinds):
    original, form = made(body)
    assert kinds(form)[operator] == 1
    assert not {"Div", "Exp", "Reciprocal"} & set(kinds(form))
    assert runtime.difference(original, form, [{"x": np.array([[-20, -1, 2, 20]], np.float32)}]) is None


def test_naive_bayes_as_its_exporter_writes_it_is_a_softmax_of_the_likelihoods(made, kinds):
    body = (
        """s = Mul(x, x) r = ReduceLogSumExp<axes=[1], keepdims=0>(s) c = Reshape(r, column) l = Sub(s, c) y = Exp(l)"""
    )
    assert kinds(made(body)[1])["Exp"] == 1


def test_sum_over_several_axes_is_shifted_by_the_largest_of_all(made):
    body = "y = ReduceLogSumExp<axes=[1,2], keepdims=0>(x)"
    original, form = made(body, "float[2] y", inputs="float[2,2,3] x")
    feed = {"x": np.arange(12, dtype=np.float32).reshape(2, 2, 3) * 7 - 40}
    assert runtime.difference(original, form, [feed]) is None


@pytest.mark.parametrize(
    "body",
    [
        "t = ReduceMax<axes=[1]>(x) d = Sub(x, t) e = Exp(d) s = ReduceSum(e, last) y = Div(e, s)",
        "t = ReduceMax<axes=[1]>(x) d = Sub(x, t) e = Exp(d) s = ReduceSum(e, last) l = Log(s) y = Sub(d, l)",
        "a = Abs(x) n = Neg(a) e = Exp(n) s = Add(e, one) l = Log(s) r = Relu(x) y = Add(l, r)",
    ],
)
def test_form_that_was_shifted_by_hand_is_left(body, made, kinds):
    original, form = made(body)
    assert kinds(form) == kinds(original)


@pytest.mark.parametrize(
    "body",
    [
        "y = Exp(x)",
        "e = Exp(x) y = Mul(e, x)",
        "e = Exp(x) s = Add(e, two) y = Div(x, s)",
        "p = Relu(x) y = Softmax(p)",
    ],
)
def test_other_exponentials_are_left(body, made, kinds):
    assert kinds(made(body)[1]).keys() <= {"Exp", "Mul", "Add", "Div", "Relu", "Softmax"}


@pytest.mark.parametrize(
    "body",
    [
        "e = Exp(x) d = Sub(e, one) g = Greater(x, zero) y = Where(g, x, d)",
        "e = Exp(x) d = Sub(e, one) a = Mul(d, two) g = LessOrEqual(x, zero) y = Where(g, a, x)",
    ],
)
def test_branch_that_large_inputs_do_not_take_does_not_grow(body, made):
    original, form = made(body)
    assert all((found <= 0).all() for found in exponents(form))
    assert runtime.difference(original, form, [{"x": np.array([[-9, 0, 50, 1]], np.float32)}]) is None


def test_branch_that_large_inputs_take_is_left(made):
    assert exponents(made("e = Exp(x) g = Less(x, zero) y = Where(g, x, e)")[1])[0].max() == 80


def test_denominator_of_another_quotient_is_not_taken_for_its_own(made, kinds):
    body = "z = Mul(x, two) a = Exp(x) b = Exp(z) s = ReduceSum(b, last) y = Div(a, s)"
    assert kinds(made(body)[1])["Exp"] == 2


def test_class_that_went_through_floats_stays_an_integer(made, kinds):
    body = "a = ArgMax<axis=1>(x) f = Cast<to=1>(a) r = Reshape(f, last) y = Cast<to=7>(r)"
    assert not {"Floor", "Sign", "Abs"} & set(kinds(made(body, "int64[1] y")[1]))


def test_constants_of_a_form_are_single_numbers(made):
    arrays = [numpy_helper.to_array(one) for one in made("y = Softplus(x)")[1].graph.initializer]
    assert all(array.size == 1 for array in arrays)
