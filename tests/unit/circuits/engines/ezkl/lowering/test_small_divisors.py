import numpy as np
import onnx
import pytest
from onnx import parser

from zkinfer.circuits.engines.ezkl.lowering.small_divisors import HELD, least, with_zero_quotients
from zkinfer.circuits.frontend import runtime, shapes
from zkinfer.circuits.frontend.graph import Facts

X = np.array([[0.5, -1.25, 2.0]], np.float32)


def model(body, opset=17):
    text = f'<ir_version: 8, opset_import: ["": {opset}]> g (float[1,3] x) => (float[1,3] y) {{ {body} }}'
    return parser.parse_model(text)


def with_constants(body, **constants):
    made = model(body)
    made.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()
    )
    return made


NORM = "n = ReduceL2 <axes = [1]> (x) "
DIVISORS = {
    "maximum": NORM + "d = Max(n, e)",
    "clip": NORM + "d = Clip(n, e)",
    "clip as Relu": NORM + "a = Sub(n, e) r = Relu(a) d = Add(r, e)",
    "sum": NORM + "d = Add(n, e)",
    "root of a variance": "s = Mul(x, x) m = ReduceMean <axes = [1]> (s) v = Add(m, e) d = Sqrt(v)",
    "square by Pow": "s = Pow(x, two) m = ReduceSum(s, last) d = Add(e, m)",
    "broadcast": NORM + "c = Max(n, e) d = Expand(c, shape)",
    "product": NORM + "c = Max(n, e) d = Mul(c, k)",
}


def quotient(divisor, value=1e-12):
    made = with_constants(f"{DIVISORS[divisor]} y = Div(x, d)", e=value, two=2.0, k=2.5)
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 3], np.int64), "shape"))
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), "last"))
    return made


def answers(made, x):
    return runtime.Session(made).run({"x": x})["y"]


@pytest.mark.parametrize("divisor", DIVISORS)
def test_quotient_by_a_tiny_positive_divisor_gives_the_same_answers_and_never_divides_by_zero(divisor):
    made = quotient(divisor)
    before = [answers(made, x) for x in (X, 0 * X, 1e-3 * X)]
    changed = with_zero_quotients(made)
    assert [node.op_type for node in changed.graph.node].count("Where") == 1
    for x, expected in zip((X, 0 * X, 1e-3 * X), before, strict=True):
        np.testing.assert_array_equal(answers(changed, x), expected)
    onnx.checker.check_model(changed, full_check=True)


@pytest.mark.parametrize("divisor", DIVISORS)
def test_quotient_whose_small_constant_became_zero_is_zero_for_a_zero(divisor):
    """As in a circuit: the constants are rounded to 0, and what divides is 0."""
    changed = with_zero_quotients(quotient(divisor))
    for tensor in changed.graph.initializer:
        if tensor.name == "e":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(0), "e"))
    np.testing.assert_array_equal(answers(changed, 0 * X), 0 * X)
    assert np.isfinite(answers(changed, X)).all()


def test_numerator_that_is_not_zero_over_a_lost_divisor_exceeds_every_range():
    changed = with_zero_quotients(with_constants("r = Relu(x) d = Max(r, e) n = Neg(x) y = Div(n, d)", e=1e-12))
    [relu] = [node for node in changed.graph.node if node.op_type == "Relu" and node.input[0] != "x"]
    for tensor in changed.graph.initializer:
        if tensor.name == "e":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(0), "e"))
    changed.graph.output.append(onnx.ValueInfoProto(name=relu.input[0]))
    read = runtime.Session(changed).run({"x": np.array([[1, 2, 0]], np.float32)})[relu.input[0]]
    assert read == 0
    factors = [node for node in changed.graph.node if node.op_type == "Mul"]
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in changed.graph.initializer}
    assert np.prod([float(arrays[node.input[1]]) for node in factors]) == 2.0**64


def test_factor_by_an_inverse_is_rewritten_like_a_quotient():
    made = with_constants(NORM + "d = Max(n, e) r = Reciprocal(d) y = Mul(x, r)", e=1e-8)
    before = answers(made, X)
    changed = with_zero_quotients(made)
    assert "Where" in [node.op_type for node in changed.graph.node]
    np.testing.assert_array_equal(answers(changed, X), before)


@pytest.mark.parametrize(
    "body",
    [
        NORM + "d = Max(n, held) y = Div(x, d)",
        "y = Div(x, k)",
        "d = Add(x, e) y = Div(x, d)",
        "d = Max(x, negative) y = Div(x, d)",
        NORM + "d = Max(n, e) r = Reciprocal(d) y = Expand(r, shape)",
        "r = Relu(x) y = Div(r, x)",
        "y = Relu(x)",
    ],
)
def test_other_quotients_are_left_as_they_are(body):
    made = with_constants(body, e=1e-12, k=1e-12, held=HELD, negative=-1.0)
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 3], np.int64), "shape"))
    before = made.SerializeToString(deterministic=True)
    assert with_zero_quotients(made).SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("body", "bound"),
    [
        ("d = Sigmoid(x)", 0),
        ("a = Relu(x) b = Add(a, e) d = Sqrt(b)", 0.5),
        ("a = Relu(x) b = Add(a, e) d = Mul(b, e)", 0.0625),
        ("d = Clip(x, e)", 0.25),
        ("d = Max(x, e)", 0.25),
        ("d = Neg(x)", -np.inf),
        ("d = Mul(x, e)", -np.inf),
        ("d = Add(x, e)", -np.inf),
    ],
)
def test_lower_bound_follows_from_constants_and_operators(body, bound):
    made = with_constants(f"{body} y = Relu(d)", e=0.25)
    assert least("d", Facts(shapes.inferred(made))) == bound
