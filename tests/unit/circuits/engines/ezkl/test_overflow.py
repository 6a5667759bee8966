"""Bounds on witnesses that a prover may choose, compared with integers in the same graph."""

import math
from unittest import mock

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper, parser

from zkinfer.circuits.engines.ezkl import overflow
from zkinfer.circuits.engines.ezkl.bounds import Step
from zkinfer.circuits.engines.ezkl.overflow import FIELD_BITS, refuse_overflow
from zkinfer.circuits.engines.ezkl.overflow_rules import Rules
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import UnsupportedModelError

VALUES = "<float[4,4] w = {0.5, 1, -2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0.25}, float[4] b = {0.5, 1, 2, 3}, "
VALUES += "float one = {1}, float[1] huge = {1e38}, float three = {3}, float[2] powers = {0.5, 5}, float half = {0.5}, "
VALUES += "float tiny = {5.421011e-20}, float small = {1e-37}, "
VALUES += "int64 large = {1048576}, float floats = {1048576}, "
VALUES += "int64[2] rows = {1, 4}, int64[1] axis = {1}, float[4] ones = {1, 1, 1, 1}>"


def arguments(bits=20, multiplier=1, scale=7):
    """Run arguments with a range of 2^(4 * bits // 4)."""
    base, legs = (1 << bits // 4, 4) if bits < 60 else (1 << bits // 7, 7)
    return EzklArguments(
        input_scale=scale,
        param_scale=scale,
        scale_rebase_multiplier=multiplier,
        decomp_base=base,
        decomp_legs=legs,
        lookup_range=(0, 0),
        logrows=17,
    )


@pytest.fixture
def check(tmp_path):
    """Check a graph given as text, on inputs x and z of four floats and integers n."""

    def call(body, *, inputs="float[1,4] x, float[1,4] z, int64[1,4] n", outputs="float[1,4] y", **changes):
        text = f'<ir_version: 8, opset_import: ["": 17]> g ({inputs}) => ({outputs}) {VALUES} {{ {body} }}'
        onnx.save(parser.parse_model(text), tmp_path / "network.onnx")
        refuse_overflow(tmp_path / "network.onnx", arguments(**changes))

    return call


def refused(check, body, **changes):
    with pytest.raises(UnsupportedModelError, match=r"could grow to 2\^\S+ before it is range-checked"):
        check(body, **changes)


def chain(links, between="h{} = Identity(p{})"):
    """Products x z, x z z and so on, with `between` after each."""
    steps = " ".join(f"p{at} = Mul(h{at}, n) {between.format(at + 1, at)}" for at in range(links))
    return f"h0 = Identity(x) {steps} y = Identity(h{links})"


# --- chains of products


@pytest.mark.parametrize("links", [12, 20, 500])
def test_integer_products_that_reach_the_field_are_refused(check, links):
    """Integers have scale 0, so the engine never rescales their products."""
    refused(check, chain(links))


@pytest.mark.parametrize("between", ["h{} = Relu(p{})", "h{} = Abs(p{})", "h{} = Sigmoid(p{})", "h{} = Sqrt(p{})"])
def test_products_with_range_checks_in_between_are_accepted(check, between):
    check(chain(500, between))


def test_float_products_are_range_checked_when_their_scale_grows(check):
    check(chain(500).replace(", n)", ", z)"))


@pytest.mark.parametrize("between", ["h{} = Neg(p{})", "h{} = Max(p{}, x)", "h{} = Add(p{}, x)", "h{} = Sum(p{}, x)"])
def test_moving_or_adding_is_not_a_range_check(check, between):
    refused(check, chain(12, between))


def test_refusal_names_operator_result_and_cure(check):
    with pytest.raises(UnsupportedModelError, match=r"The result of Mul 'p11' could grow to 2\^260") as refusal:
        check(chain(12))
    assert "Put an activation between" in refusal.value.cure


def test_refusal_truncates_long_names(check):
    with pytest.raises(UnsupportedModelError, match="could grow") as refusal:
        check(chain(13).replace("p11", "p" * 5000))
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(("bits", "links"), [(20, 11), (40, 5), (60, 3)])
def test_longest_accepted_chain_depends_on_the_range(check, bits, links):
    exact = 7 * (bits // 7) if bits == 60 else bits
    assert (links + 1) * exact <= FIELD_BITS < (links + 2) * exact
    check(chain(links), bits=bits)
    refused(check, chain(links + 1), bits=bits)


# --- products with late rescaling


@pytest.mark.parametrize(("multiplier", "bits"), [(1, 60), (2, 60), (3, 60), (3, 40)])
def test_float_products_in_range_are_accepted(check, multiplier, bits):
    check("a = Mul(x, z) y = Mul(a, x)", multiplier=multiplier, bits=bits)


def test_wide_range_is_refused_with_late_and_accepted_with_early_rescaling(check):
    body = "a = Mul(x, z) c = Mul(a, x) d = Mul(c, z) y = Mul(d, x)"
    check(body, multiplier=1, bits=60)
    check(body, multiplier=3, bits=48)
    refused(check, body.replace("Mul(c, z)", "Mul(c, c)"), multiplier=3, bits=60)


@pytest.mark.parametrize("node", ["Softplus(x)", "Mish(x)"])
def test_operator_of_several_products_is_accepted_with_a_narrow_range(check, node):
    check(f"y = {node}", multiplier=1, bits=60)
    check(f"y = {node}", multiplier=3, bits=36)
    refused(check, f"y = {node}", multiplier=3, bits=44)


@pytest.mark.parametrize("node", ["Softmax(x)", "Div(x, z)", "Reciprocal(x)", "Sqrt(x)"])
@pytest.mark.parametrize(("multiplier", "bits"), [(1, 60), (3, 32)])
def test_operator_that_checks_its_witness_is_accepted(check, node, multiplier, bits):
    check(f"y = {node}", multiplier=multiplier, bits=bits)


def test_recurrence_is_accepted_with_a_narrow_range(check):
    inputs = "float[3,1,4] s, float[1,8,4] v, float[1,8,2] r"
    body = "y = LSTM<hidden_size=2>(s, v, r)"
    given = {"inputs": inputs, "outputs": "float[3,1,1,2] y"}
    check(body, multiplier=1, bits=60, **given)
    refused(check, body, multiplier=3, bits=44, **given)


# --- operators with large results


@pytest.mark.parametrize("exponent", ["half", "one", "three"])
def test_power_of_a_narrow_value_is_accepted(check, exponent):
    check(f"y = Pow(x, {exponent})")


def test_power_that_reaches_the_field_is_refused(check):
    body = "s = Pow(n, three) y = Mul(s, s)"
    check(body, bits=40)
    refused(check, body, bits=44)


def test_power_is_bounded_by_its_largest_exponent(check):
    inputs = "float[1,2] x"
    check("y = Pow(x, powers)", inputs=inputs, outputs="float[1,2] y", bits=48)
    refused(check, "y = Pow(x, powers)", inputs=inputs, outputs="float[1,2] y", bits=52)


def test_power_with_a_computed_exponent_is_bounded(check):
    check("y = Pow(x, z)", bits=40)
    refused(check, "s = Pow(x, z) y = Mul(s, s)", bits=40)


def test_product_of_all_elements_counts_every_factor(check):
    inputs = "float[1,16] x"
    check("y = ReduceProd<keepdims=1>(x)", outputs="float[1,1] y", bits=48)
    refused(check, "y = ReduceProd<keepdims=1>(x)", inputs=inputs, outputs="float[1,1] y", bits=20)


def test_integer_weights_never_trigger_rescaling(check):
    """A product with a constant of scale 0 keeps its scale, whatever the constant's size."""
    steps = " ".join(f"h{at + 1} = Mul(h{at}, three)" for at in range(200))
    refused(check, f"h0 = Identity(x) {steps} y = Identity(h200)")
    taken = steps.split(" h21 =")[0].replace("three", "half")
    check(f"h0 = Identity(x) {taken} y = Identity(h20)")


def test_constant_beyond_the_field_is_refused(check):
    refused(check, "a = Mul(x, huge) y = Mul(a, huge)")


def test_bias_beyond_the_field_is_refused(check):
    refused(check, "a = Mul(huge, huge) y = Gemm(x, w, a)")


def test_computed_bias_is_bounded_like_the_product(check):
    body = f"{chain(11).replace('y =', 'c =')} y = Gemm(z, w, c)"
    refused(check, body, scale=14)
    check(body.replace("Gemm(z, w, c)", "Gemm(z, w, b)"), scale=14)


def test_sum_of_many_operands_counts_them(check):
    many = ", ".join(["x"] * 64)
    steps = " ".join(f"h{at + 1} = Sum({many.replace('x', f'h{at}')})" for at in range(40))
    refused(check, f"h0 = Identity(x) {steps} y = Identity(h40)")


def test_einsum_counts_the_terms_of_all_operands(check):
    inputs = "float[1024] u, float[1024] v"
    body = 'a = Einsum<equation="i,j->">(u, v) y = Mul(a, a)'
    check(body, inputs=inputs, outputs="float y", bits=48, multiplier=3)
    refused(check, body, inputs=inputs, outputs="float y", bits=56, multiplier=3)


def test_non_finite_weights_are_refused(tmp_path):
    weights = numpy_helper.from_array(np.array([np.nan, 1.0], np.float32), "w")
    save(tmp_path / "network.onnx", [helper.make_node("Mul", ["x0", "w"], ["y"])], "y", [weights])
    with pytest.raises(UnsupportedModelError, match=r"Mul 'y' could grow to 2\^inf"):
        refuse_overflow(tmp_path / "network.onnx", arguments())


def test_refusal_names_the_node_as_the_owner_does(tmp_path):
    weights = numpy_helper.from_array(np.array([np.nan, 1.0], np.float32), "w")
    save(tmp_path / "network.onnx", [helper.make_node("Mul", ["x0", "w"], ["y"])], "y", [weights])
    with pytest.raises(UnsupportedModelError, match="The result of Mul 'scaled' could grow"):
        refuse_overflow(tmp_path / "network.onnx", arguments(), {"y": "scaled"})


@pytest.mark.parametrize("shape", [None, ["N", 2], ["", 2], [-1, 2]])
def test_tensor_without_a_fixed_shape_is_refused(tmp_path, shape):
    """The number of terms of a sum is then unknown."""
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    ports.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    node = helper.make_node("ReduceSum", ["x"], ["y"])
    graph = helper.make_graph([node], "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "network.onnx")
    with pytest.raises(UnsupportedModelError, match="ReduceSum 'y' reads 'x', whose shape does not follow"):
        refuse_overflow(tmp_path / "network.onnx", arguments())


def test_shape_that_depends_on_values_is_refused(check):
    body = "found = NonZero(x) rows = Transpose(found) some = GatherND(x, rows) y = ReduceSum<keepdims=0>(some)"
    with pytest.raises(UnsupportedModelError, match="whose shape does not follow from the graph") as refusal:
        check(body, outputs="float y")
    assert "every shape is fixed" in refusal.value.cure


# --- what the engine does beyond plain arithmetic


def test_bias_is_rescaled_to_the_scale_of_the_products(check):
    body = f"{chain(10).replace('y =', 'c =')} y = Gemm(z, w, c)"
    check(body, bits=20, scale=4)
    refused(check, body, bits=20, scale=20)


@pytest.mark.parametrize("then", ["Mul(p, huge)", "Div(p, small)"])
@pytest.mark.parametrize("between", ["", "r = Reshape(q, rows)"])
def test_range_check_between_a_product_and_a_constant_is_ignored(check, then, between):
    """The engine's reader merges both into one product."""
    source = "r" if between else "q"
    body = f"q = Mul(x, z) {between} y = {then.replace('p', source)}"
    check(body, bits=28)
    refused(check, body, bits=60)
    check(f"q = Mul(x, z) a = Relu(q) y = {then.replace('p', 'a')}", bits=60)


def test_normalisation_by_channel_merges_with_the_product_before_it(check):
    body = "q = Mul(x, z) y = BatchNormalization(q, b, b, b, ones)"
    check(body, bits=40)
    with mock.patch.object(overflow, "FIELD_BITS", 85.0):
        refused(check, body, bits=40)


@pytest.mark.parametrize("scale", [4, 20])
def test_integers_are_multiplied_without_a_scale(check, scale):
    """As guards do; a float constant has the scale of weights."""
    body = "b = Greater(x, z) f = Cast<to=7>(b) g = Mul(f, large) h = Mul(g, large) i = Mul(h, large) "
    body += "k = Cast<to=1>(i) l = Add(k, k) y = Relu(l)"
    check(body, scale=scale)
    with mock.patch.object(overflow, "FIELD_BITS", 70.0):
        check(body, scale=scale)
        refused(check, body.replace("large", "floats").replace("to=7", "to=1"), scale=scale)


@pytest.mark.parametrize("node", ["ReduceMean<axes=[1]>(s)", "ReduceSum(s, axis)"])
def test_mean_of_squares_is_one_operator_without_intermediate_range_checks(check, node):
    body = f"s = Mul(x, x) y = {node}"
    check(body, outputs="float[1,1] y", bits=52)
    with mock.patch.object(overflow, "FIELD_BITS", 105.0):
        refused(check, body, outputs="float[1,1] y", bits=52)


def test_factor_of_a_power_of_two_changes_the_scale_and_so_scales_the_addend(check):
    check("s = Mul(x, half) y = Add(s, z)", bits=20)
    with mock.patch.object(overflow, "FIELD_BITS", 27.9):
        refused(check, "s = Mul(x, half) y = Add(s, z)", bits=20)


@pytest.mark.parametrize("node", ["Add(s, z)", "Concat<axis=1>(s, z)", "Where(g, s, z)", "Max(s, z)", "Less(s, z)"])
def test_operands_with_scales_too_far_apart_are_refused(check, node):
    """The engine would multiply by 2^64, which wraps to 0."""
    body = f"g = Less(x, z) s = Mul(x, tiny) y = {node}"
    with pytest.raises(UnsupportedModelError, match="more than 63 bits apart"):
        check(body)
    check(body.replace("tiny", "half"))


@pytest.mark.parametrize("name", ["Exp", "Log", "Sinh", "Cosh", "Tan", "Atanh", "Acosh"])
def test_result_of_a_steep_lookup_is_bounded_by_the_table(check, name):
    check(f"e = {name}(x) y = Mul(e, z)", bits=40)
    refused(check, f"e = {name}(x) y = Mul(e, e)", bits=20)


@pytest.mark.parametrize("name", ["Sigmoid", "Tanh", "Erf", "Sin", "Cos", "Asin", "Acos", "Atan"])
def test_result_of_a_flat_lookup_is_narrow(check, name):
    with mock.patch.object(overflow, "FIELD_BITS", 60.0):
        check(f"e = {name}(x) y = Mul(e, e)", bits=60)


@pytest.mark.parametrize("node", ["Floor", "Ceil", "Round", "Cast<to=7>"])
def test_rounding_is_not_a_range_check(check, node):
    refused(check, chain(12, "h{} = " + node + "(p{})"))


def test_square_root_multiplies_by_the_scale(check):
    check(f"{chain(10).replace('y =', 'q =')} y = Sqrt(q)", scale=7)
    refused(check, f"{chain(10).replace('y =', 'q =')} y = Sqrt(q)", scale=20)


# --- sums of squares and their roots


@pytest.mark.parametrize(("multiplier", "bits"), [(1, 60), (2, 48), (3, 32)])
def test_norm_is_accepted_for_any_range(check, multiplier, bits):
    check("s = ReduceL2<axes=[1]>(x) y = Div(x, s)", multiplier=multiplier, bits=bits)


def test_norm_of_unchecked_values_is_refused(check):
    body = f"{chain(5).replace('y =', 'c =')} y = ReduceL2<axes=[1]>(c)"
    check(body, outputs="float[1,1] y", bits=16)
    refused(check, body, outputs="float[1,1] y", bits=20)


@pytest.mark.parametrize(("multiplier", "reached"), [(1, 2 * (20 + 2)), (2, 2 * (2 * 20 + 2))])
def test_sum_of_squares_exceeds_its_checked_operands(check, multiplier, reached):
    """Four squares, range-checked or not, then the square of their sum."""
    body, changes = "s = ReduceSumSquare<axes=[1]>(x) y = Mul(s, s)", {"multiplier": multiplier, "bits": 20}
    with mock.patch.object(overflow, "FIELD_BITS", reached - 0.01):
        refused(check, body, outputs="float[1,1] y", **changes)
    with mock.patch.object(overflow, "FIELD_BITS", reached + 1.0):
        check(body, outputs="float[1,1] y", **changes)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(multiplier=st.integers(1, 3), bits=st.sampled_from([8, 20, 32]), scale=st.integers(1, 20))
def test_norm_is_bounded_like_its_decomposition(multiplier, bits, scale):
    given = arguments(bits=bits, multiplier=multiplier, scale=scale)
    rules, port = Rules(given), helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    operand = rules.input(port)

    def applied(kind, operand):
        return rules.apply(Step(helper.make_node(kind, ["x"], ["y"]), (operand,), (None,), 2.0))

    squared, squares = applied("ReduceSumSquare", operand)
    rooted, root = applied("Sqrt", squares)
    assert applied("ReduceL2", operand) == (max(squared, rooted), root)


# --- integers in random graphs


def save(path, nodes, last, constants):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x0", "x1", last)]
    graph = helper.make_graph(nodes, "g", ports[:2], ports[2:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


class Integers:
    """Integer values of the circuit with their scales; `widest` is the largest before any range check."""

    def __init__(self, arguments):
        self.limit, self.scale = arguments.integer_limit, arguments.param_scale
        self.largest, self.widest = arguments.scale_rebase_multiplier * self.scale, 0

    def constant(self, array):
        whole = not np.mod(array, 1).any()
        scale = 0 if whole else self.scale
        return [[round(float(value) * 2**scale) for value in row] for row in array], scale

    def seen(self, rows, scale):
        self.widest = max(self.widest, *(abs(value) for row in rows for value in row))
        return rows, scale

    def checked(self, rows):
        return [[max(1 - self.limit, min(self.limit - 1, value)) for value in row] for row in rows]

    def after_product(self, rows, scale):
        self.seen(rows, scale)
        if scale <= self.largest:
            return rows, scale
        return self.checked([[value >> (scale - self.largest) for value in row] for row in rows]), self.largest

    def mul(self, left, right):
        rows = [[a * b for a, b in zip(*pair, strict=True)] for pair in zip(left[0], right[0], strict=True)]
        return self.after_product(rows, left[1] + right[1])

    def gemm(self, left, weights, bias):
        scale = left[1] + weights[1]
        bias = [value << (scale - bias[1]) if scale >= bias[1] else value for value in bias[0][0]]
        columns = [list(column) for column in zip(*weights[0], strict=True)]
        rows = [[sum(a * b for a, b in zip(left[0][0], column, strict=True)) for column in columns]]
        return self.after_product([[value + shift for value, shift in zip(rows[0], bias, strict=True)]], scale)

    def add(self, left, right):
        scale = max(left[1], right[1])
        aligned = [[value << (scale - own) for value in rows[0]] for rows, own in (left, right)]
        return self.seen([[a + b for a, b in zip(*aligned, strict=True)]], scale)

    def relu(self, operand):
        self.seen(*operand)
        return [[max(0, value) for value in row] for row in self.checked(operand[0])], operand[1]


numbers = st.sampled_from([0.5, -0.75, 1.0, -2.0, 3.0, 100.0, 1000.5])


@st.composite
def graphs(draw):
    """Nodes over two inputs, a constant matrix and a constant row; each may use any earlier result."""
    names, nodes = ["x0", "x1", "row"], []
    for at in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["Mul", "Add", "Gemm", "Relu"]))
        first, second = (draw(st.sampled_from(names)) for _ in range(2))
        operands = {"Gemm": [first, "matrix", second], "Relu": [first]}.get(kind, [first, second])
        nodes.append((kind, operands, f"h{at}"))
        names.append(f"h{at}")
    matrix, row = draw(st.lists(numbers, min_size=4, max_size=4)), draw(st.lists(numbers, min_size=2, max_size=2))
    signs = draw(st.lists(st.sampled_from([1, -1]), min_size=4, max_size=4))
    return nodes, np.array(matrix).reshape(2, 2), np.array(row).reshape(1, 2), signs


def widest_of(graph, given):
    nodes, matrix, row, signs = graph
    integers, edge = Integers(given), given.integer_limit - 1
    known = {"x0": ([[signs[0] * edge, signs[1] * edge]], given.input_scale)}
    known |= {"x1": ([[signs[2] * edge, signs[3] * edge]], given.input_scale)}
    known |= {"matrix": integers.constant(matrix), "row": integers.constant(row)}
    for kind, operands, name in nodes:
        known[name] = getattr(integers, kind.lower())(*(known[operand] for operand in operands))
    return integers.widest


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=graphs(), multiplier=st.integers(1, 3), bits=st.sampled_from([8, 20, 40]))
def test_no_integer_grows_beyond_its_bound(tmp_path, graph, multiplier, bits):
    """The graph is refused in a field just too small for inputs at the edge of their range."""
    given = arguments(bits=bits, multiplier=multiplier)
    nodes = [helper.make_node(kind, operands, [name]) for kind, operands, name in graph[0]]
    constants = {"matrix": graph[1], "row": graph[2]}
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()]
    save(tmp_path / "network.onnx", nodes, graph[0][-1][2], constants)
    reached = math.log2(max(2, widest_of(graph, given)))
    with (
        mock.patch.object(overflow, "FIELD_BITS", reached - 1e-6),
        pytest.raises(UnsupportedModelError, match="beyond the field"),
    ):
        refuse_overflow(tmp_path / "network.onnx", given)
