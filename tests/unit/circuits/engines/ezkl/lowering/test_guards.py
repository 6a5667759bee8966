"""Guards of operands and inputs: where they are, what they refuse, and that they change no answer."""

import numpy as np
import onnx
import pytest
from onnx import helper

from zkinfer.circuits.engines.ezkl.lowering.guards import with_domains, with_guards, with_range_checks, with_types
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.graph import copy
from zkinfer.circuits.frontend.runtime import difference
from zkinfer.circuits.tensors import TensorSpec

TWO = "float[1,4] x, float[1,4] z"


def guarded(model, *names, dtype="float32"):
    specs = [TensorSpec(name=name, dtype=dtype, shape=(1, 4)) for name in names]
    return with_range_checks(copy(model), specs)


def readers(model, name):
    return [node.op_type for node in model.graph.node if name in node.input]


def test_guarded_input_is_read_by_its_guard_alone(model):
    result = guarded(model("a = Relu(x) b = Neg(x) y = Add(a, b)"), "x")
    assert readers(result, "x") == ["Less", "Where"]
    assert [node.op_type for node in result.graph.node] == ["Less", "Where", "Relu", "Neg", "Add"]


def test_every_hashed_input_has_its_own_guard(model):
    result = guarded(model("y = Add(x, z)", TWO), "x", "z")
    assert [readers(result, name) for name in ("x", "z")] == [["Less", "Where"]] * 2


def test_guard_does_not_change_the_outputs(model):
    plain = model("a = Relu(x) y = Sub(a, z)", TWO)
    result = guarded(plain, "x", "z")
    runtime.check(result)
    feeds = [{name: np.array([[-1.5, -0.0, 0.0, 3.0]], np.float32) * sign for name, sign in (("x", 1), ("z", -1))}]
    assert difference(plain, result, feeds) is None


def test_unread_input_gets_no_guard(model):
    assert len(guarded(model("y = Relu(x)", TWO), "z").graph.node) == 1


def test_hashed_integers_of_64_bits_are_compared_too(model):
    whole = model("y = Add(x, x)", "int64[1,4] x", "int64[1,4] y")
    assert readers(guarded(whole, "x", dtype="int64"), "x") == ["Less", "Where"]


@pytest.mark.parametrize("name", ["guarded", "guarded0", "guarded0_zero", "guarded_", "guarded_0"])
def test_guard_avoids_existing_names(model, name):
    hostile = model(f"{name} = Relu(x) y = Add(x, {name})")
    result = guarded(hostile, "x")
    runtime.check(result)
    made = [output for node in result.graph.node for output in node.output]
    made += [tensor.name for tensor in result.graph.initializer]
    assert len(set(made)) == len(made)


# --- operands of partial functions

HALF, LATER = "<float half = {0.5}, float power = {-1.5}, float one = {1}, float least = {-1}>", 11
PARTIAL = {
    "Acos": ("y = Acos(x)", [-1.0, 1.0], [-1.25, 1.25]),
    "Acosh": ("y = Acosh(x)", [1.0, 9.0], [0.75, -2.0]),
    "Asin": ("y = Asin(x)", [-1.0, 1.0], [-1.25, 1.25]),
    "Atanh": ("y = Atanh(x)", [-0.75, 0.75], [-1.0, 1.0]),
    "Div": ("y = Div(one, x)", [-0.5, 0.5], [0.0]),
    "Log": ("y = Log(x)", [0.25, 2.0], [0.0, -0.25]),
    "Pow": ("y = Pow(x, half)", [0.0, 2.0], [-0.25]),
    "Pow with a negative exponent": ("y = Pow(x, power)", [0.25, 2.0], [0.0, -0.25]),
    "Reciprocal": ("y = Reciprocal(x)", [-0.5, 0.5], [0.0]),
    "Sqrt": ("y = Sqrt(x)", [0.0, 2.0], [-0.25]),
}


def refusals(model, **inputs):
    """The factors by which guards refuse an inference: 0 if they pass, and 2^64."""
    shown = copy(model)
    relus = {node.input[0] for node in model.graph.node if node.op_type == "Relu"}
    names = [node.output[0] for node in model.graph.node if node.op_type == "Neg" and node.output[0] in relus]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    found = runtime.Session(shown).run(inputs)
    runtime.check(model)
    return [-float(found[name]) for name in names]


@pytest.mark.parametrize("opset", [LATER, 17])
@pytest.mark.parametrize(("body", "valid", "invalid"), PARTIAL.values(), ids=PARTIAL)
def test_operand_outside_its_domain_is_refused_and_any_other_is_not(model, body, valid, invalid, opset):
    made = with_domains(model(body, constants=HALF, opset=opset))
    assert [refusals(made, x=np.full((1, 4), value, np.float32)) for value in valid] == [[0.0]] * len(valid)
    for value in invalid:
        one_bad = np.full((1, 4), valid[-1], np.float32)
        one_bad[0, 2] = value
        assert refusals(made, x=one_bad) == [2.0**64]


@pytest.mark.parametrize(("body", "valid", "invalid"), PARTIAL.values(), ids=PARTIAL)
def test_guard_of_an_operand_changes_no_answer(model, body, valid, invalid):
    plain = model(body, constants=HALF)
    feeds = [{"x": np.full((1, 4), value, np.float32)} for value in (*valid, *invalid)]
    assert difference(plain, with_domains(copy(plain)), feeds) is None


@pytest.mark.parametrize(
    "body",
    [
        "s = Softmax(x) y = Log(s)",
        "q = ReduceSumSquare<axes=[1]>(x) e = Add(q, half) r = Sqrt(e) y = Add(x, r)",
        "q = Mul(x, x) y = Sqrt(q)",
        "e = Exp(x) t = ReduceSum(e) y = Div(e, t)",
        "a = Abs(x) b = Add(a, one) y = Div(x, b)",
        "a = Max(x, half) y = Reciprocal(a)",
        "t = Tanh(x) y = Acos(t)",
        "c = Clip(x, half, one) y = Log(c)",
        "y = Div(x, half)",
        "y = Pow(x, x2)",
        "y = Relu(x)",
    ],
)
def test_operand_that_cannot_leave_its_domain_has_no_guard(model, body):
    plain = model(body, constants=HALF.replace(">", ", float x2 = {3}>"), opset=13)
    assert with_domains(copy(plain)) == plain


def test_result_that_only_selections_read_is_guarded_where_it_is_selected(model):
    body = "c = Greater(x, least) l = Log(x) m = Mul(l, l) y = Where(c, m, x)"
    made = with_domains(model(body, constants=HALF))
    assert refusals(made, x=np.float32([[-2.0, 3.0, 1.0, -1.0]])) == [0.0]
    assert refusals(made, x=np.float32([[-2.0, 3.0, 1.0, -0.5]])) == [2.0**64]


def test_result_that_is_the_other_branch_is_guarded_where_it_is_selected(model):
    made = with_domains(model("c = Less(x, half) l = Log(x) y = Where(c, x, l)", constants=HALF))
    assert refusals(made, x=np.float32([[-2.0, 3.0, 1.0, 0.0]])) == [0.0]


@pytest.mark.parametrize(
    "body",
    [
        "c = Greater(x, half) l = Log(x) a = Where(c, l, x) y = Add(a, l)",  # also read as it is
        "c = Greater(x, half) l = Log(x) s = ReduceSum(l) y = Where(c, s, x)",  # elements are mixed
        "l = Log(x) c = Greater(l, half) y = Where(c, x, half)",  # it is the condition
        "l = Log(x) y = Where(always, x, l)",  # the condition is constant
    ],
)
def test_result_that_is_also_read_otherwise_is_guarded_at_once(model, body):
    constants = HALF.replace(">", ", bool[1,4] always = {1, 1, 1, 1}>")
    made = with_domains(model(body, constants=constants))
    assert refusals(made, x=np.float32([[1.0, 3.0, 1.0, -2.0]])) == [2.0**64]


def test_every_partial_function_has_a_guard_of_its_own(model):
    made = with_domains(model("l = Log(x) y = Sqrt(l)"))
    assert refusals(made, x=np.float32([[1.0, 2.0, 3.0, 4.0]])) == [0.0, 0.0]
    assert refusals(made, x=np.float32([[1.0, 2.0, 3.0, 0.5]])) == [0.0, 2.0**64]


# --- types of inputs


def typed(model, *dtypes, hashed=False):
    shape, names = (1, 4), "xz"
    specs = [TensorSpec(name=name, dtype=dtype, shape=shape) for name, dtype in zip(names, dtypes, strict=False)]
    return with_types(copy(model), specs, hashed=hashed)


@pytest.mark.parametrize(
    ("dtype", "ends"),
    [
        ("uint8", (0, 255)),
        ("int8", (-128, 127)),
        ("uint16", (0, 65535)),
        ("int16", (-32768, 32767)),
        ("uint32", (0, 9)),
    ],
)
@pytest.mark.parametrize("hashed", [False, True])
def test_ends_of_a_type_are_not_refused(model, dtype, ends, hashed):
    made = typed(model("y = Cast<to=1>(x)", f"{dtype}[1,4] x"), dtype, hashed=hashed)
    assert refusals(made, x=np.array([[*ends, 1, 0]], dtype)) == [0.0]


@pytest.mark.parametrize(
    ("dtype", "beyond"),
    [
        ("uint8", (-1, 256)),
        ("int8", (-129, 128)),
        ("uint16", (-1, 65536)),
        ("int16", (-32769, 32768)),
        ("uint32", (-1,)),
    ],
)
@pytest.mark.parametrize("hashed", [False, True])
def test_integer_beyond_its_type_is_refused(model, dtype, beyond, hashed):
    """As a circuit would compute it, which has no types: the declared one is widened."""
    made = typed(model("y = Cast<to=1>(x)", f"{dtype}[1,4] x"), dtype, hashed=hashed)
    made.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    for node in made.graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == helper.np_dtype_to_tensor_dtype(np.dtype(dtype)):
            node.attribute[0].i = onnx.TensorProto.INT64
    assert [refusals(made, x=np.array([[1, 0, 0, value]])) for value in beyond] == [[2.0**64]] * len(beyond)


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float"])
def test_input_that_the_engine_holds_to_its_type_has_no_guard(model, dtype):
    plain = model("y = Cast<to=1>(x)", f"{dtype}[1,4] x")
    assert typed(plain, dtype.replace("float", "float32")) == plain


def test_hashed_bools_are_held_by_a_logical_operator(model):
    made = typed(model("y = Cast<to=1>(x)", "bool[1,4] x"), "bool", hashed=True)
    assert readers(made, "x") == ["And"]


@pytest.mark.parametrize(("other", "body"), [("float", "y = Neg(z)"), ("int64", "y = Neg(z)"), ("bool", "y = Not(z)")])
def test_input_that_nothing_reads_is_guarded_through_another(model, other, body):
    made = typed(
        model(body, f"uint8[1,4] x, {other}[1,4] z", f"{other}[1,4] y"), "uint8", other.replace("float", "float32")
    )
    dtype = np.dtype(other.replace("float", "float32"))
    feeds = {"x": np.array([[0, 255, 1, 2]], np.uint8), "z": np.array([[0, 1, 1, 0]], dtype)}
    assert refusals(made, **feeds) == [0.0]
    assert "x" in {name for node in made.graph.node for name in node.input}


def test_graph_that_needs_no_guard_keeps_its_bytes(model):
    plain = model("h = Relu(x) y = Softmax(h)")
    specs = [TensorSpec(name="x", dtype="float32", shape=(1, 4))]
    assert with_guards(copy(plain), specs).SerializeToString() == plain.SerializeToString()
