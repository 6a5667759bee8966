"""Models in float16, bfloat16 and float64 are lowered in float32; operands of a wrong type are refused by type."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.frontend import runtime, shapes, worker
from zkinfer.circuits.frontend.element_types import in_float32, other_floats
from zkinfer.circuits.frontend.prune import serialised

WEIGHTS = helper.make_tensor("w", TensorProto.BFLOAT16, [4, 4], np.linspace(-1, 1, 16))
TO = {"float16": 10, "double": 11, "bfloat16": 16}
LARGEST, SMALLEST = np.finfo(np.float32).max, np.finfo(np.float32).tiny


def types_of(model):
    ports = (*model.graph.input, *model.graph.output)
    return [helper.printable_type(port.type).split(",")[0] for port in ports]


def constants_of(model):
    return [numpy_helper.to_array(one) for one in model.graph.initializer]


@pytest.fixture
def lowered(model):
    return lambda *text: pipeline.normal_form(model(*text), {}, 7)


@pytest.mark.parametrize("kind", ["float16", "double"])
@pytest.mark.parametrize(
    "body",
    [
        "y = Gemm<transB=1>(x, w, x)",
        "y = LayerNormalization(x, x)",
        "h = MatMul(x, w) y = Add(h, x)",
        "a = Relu(x) b = Cast<to=1>(a) y = CastLike(b, x)",
        "y = Identity(x)",
    ],
)
def test_other_float_is_computed_in_float32_between_casts(kind, body, lowered):
    form = lowered(body, f"{kind}[4,4] x", f"{kind}[4,4] y", f"<{kind}[4,4] w = {{{'0,' * 15}0}}>")
    *_, notes, _ = form
    assert types_of(form.model) == [kind.upper()] * 2
    assert [node.op_type for node in form.model.graph.node[:: len(form.model.graph.node) - 1 or 1]] in (
        ["Cast", "Cast"],
        ["Identity"],
    )
    assert all(array.dtype != np.dtype(kind) for array in constants_of(form.model))
    assert notes == (f"the model computes in {form.inputs[0].dtype}; the circuit is compiled from its float32 form",)


def test_model_in_float32_has_no_other_floats_and_no_notes(dense, normal):
    assert other_floats(dense) == []
    assert in_float32(dense) is dense
    assert pipeline.normal_form(dense, {}, 7).notes == ()


@pytest.mark.parametrize("kind", ["float16", "double", "bfloat16"])
def test_other_float_within_a_model_leaves_no_trace(kind, model, normal, kinds):
    result = normal(model(f"a = Cast<to={TO[kind]}>(x) b = Relu(a) c = Add(b, a) y = Cast<to=1>(c)"))
    assert kinds(result) == {"Add": 1, "Relu": 1}


def test_bfloat16_that_onnxruntime_cannot_compute_has_a_reference_in_float32(model, tmp_path):
    original = model("a = Cast<to=16>(x) b = MatMul(a, w) y = Cast<to=1>(b)")
    original.graph.initializer.append(WEIGHTS)
    form = pipeline.normal_form(original, {}, 7)
    assert form.notes[0].startswith("the model computes in bfloat16")
    assert form.notes[1].startswith("onnxruntime cannot run the model's element types")
    path = tmp_path / "model.onnx"
    path.write_bytes(original.SerializeToString())
    np.savez(tmp_path / "in.npz", x=np.eye(4, dtype=np.float32)[:, None])
    digest = worker.sha256(path.read_bytes())
    worker.evaluate(str(path), str(digest), str(tmp_path / "in.npz"), str(tmp_path / "out.npz"))
    found = np.load(tmp_path / "out.npz")["y"][:, 0]
    assert np.array_equal(found, numpy_helper.to_array(WEIGHTS).astype(np.float32))


def test_answer_that_is_also_read_keeps_its_type(lowered):
    form = lowered("y = Relu(x) z = Neg(y)", "float16[1,4] x", "float16[1,4] y, float16[1,4] z")
    assert types_of(form.model) == ["FLOAT16"] * 3


def test_constant_that_is_an_output_keeps_its_type(lowered):
    form = lowered("y = Relu(x) z = Add(c, c)", "double[1,4] x", "double[1,4] y, double[2] z", "<double[2] c = {1,2}>")
    assert types_of(form.model) == ["DOUBLE"] * 3


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(-1.797e308, -LARGEST), (1e-300, SMALLEST), (-1e-300, -SMALLEST), (0.1, np.float32(0.1)), (0.0, 0.0)],
)
def test_number_beyond_float32_becomes_its_last(value, wanted, model):
    wide = model("y = Add(x, c)", "double[1,4] x", "double[1,4] y")
    wide.graph.initializer.append(numpy_helper.from_array(np.array(value), "c"))
    [found] = constants_of(in_float32(shapes.inferred(wide)))
    assert found.dtype == np.float32
    assert found == wanted


def test_model_whose_answers_need_float64_is_refused(model):
    body = "a = Add(x, c) y = Sub(a, c)"
    with pytest.raises(UnsupportedModelError, match=r"needs float64: its output 'y'.*Scale"):
        pipeline.normal_form(model(body, "double[1,4] x", "double[1,4] y", "<double c = {1e9}>"), {}, 7)


def test_normal_form_in_float32_is_the_same_every_time(lowered):
    text = ("y = Gemm(x, w)", "double[1,2] x", "double[1,2] y", "<double[2,2] w = {0.1,0.2,0.3,0.4}>")
    assert serialised(lowered(*text).model) == serialised(lowered(*text).model)


# --- operands of a wrong type


@pytest.mark.parametrize(
    ("body", "inputs", "opset", "cause", "cure"),
    [
        (
            "y = Equal(x, x)",
            "float[1,4] x",
            10,
            "Equal 'y' reads 'x', which is float32; in opset 10",
            "from opset 11 on",
        ),
        (
            "y = Relu(x)",
            "int64[1,4] x",
            13,
            "which is int64; in opset 13 it accepts float32, float16",
            "from opset 14 on",
        ),
        ("y = Celu(x)", "float16[1,4] x", 17, "which is float16; in opset 17 it accepts float32 only", "model.float()"),
        ("y = Sigmoid(x)", "int64[1,4] x", 17, "Sigmoid 'y' reads 'x', which is int64", "Cast it"),
        (
            "y = Gather(x, x)",
            "float[1,4] x",
            17,
            "which is float32; in opset 17 it accepts int32, int64 only",
            "Cast it",
        ),
        ("y = Where(x, x, x)", "float[1,4] x", 17, "it accepts bool only", "Cast it"),
        (
            "y = Add(x, z)",
            "float16[1,4] x, float[1,4] z",
            17,
            "reads float16 and float32, but accepts one",
            "Cast one of",
        ),
        ("y = Concat<axis=0>(x, z)", "float[1,4] x, int64[1,4] z", 17, "reads float32 and int64", "Cast one of"),
        ("a = Cast<to=16>(x) y = Add(a, x)", "float[1,4] x", 17, "reads bfloat16 and float32", "Cast one of"),
    ],
)
def test_operand_of_a_wrong_type_is_told_by_type_and_opset(body, inputs, opset, cause, cure, model):
    untyped = model(body, inputs, "float[1,4] y", opset=opset)
    untyped.graph.output[0].type.Clear()
    with pytest.raises(ModelError) as refusal:
        shapes.inferred(untyped)
    assert cause in refusal.value.cause
    assert cure in refusal.value.cure
    assert "shape" not in str(refusal.value)


def test_output_declared_as_another_type_is_told_by_both(model):
    with pytest.raises(ModelError, match="Output 'y' is declared as int64, but it is float32"):
        shapes.inferred(model("y = Relu(x)", outputs="int64[1,4] y"))


@pytest.mark.parametrize("body", ["y = Add(x, z)", "y = Relu(x, x)"])
def test_other_contradiction_is_not_told_as_a_type(body, model):
    with pytest.raises(ModelError, match="shapes do not fit together"):
        shapes.inferred(model(body, "float[1,4] x, float[1,3] z"))


def test_operator_without_operands_that_has_one_is_refused(model):
    odd = model("c = Constant<value_float=1.0>() y = Sigmoid(i)", "int64[1,4] i")
    odd.graph.node[0].input.append("i")
    with pytest.raises(ModelError):
        shapes.inferred(odd)


def test_kernels_that_onnxruntime_lacks_are_noticed(model):
    weights = "<double[1,1,2,2] k = {1,2,3,4}>"
    assert not runtime.can_run(model("y = Conv(x, k)", "double[1,1,4,4] x", "double[1,1,3,3] y", weights))
    assert runtime.can_run(model("y = Relu(x)", "double[1,4] x", "double[1,4] y"))


def test_model_that_onnxruntime_rejects_otherwise_counts_as_run(model):
    odd = model("y = Relu(x)")
    odd.graph.node[0].op_type = "Nonsense"
    assert runtime.can_run(odd)
    assert isinstance(odd, onnx.ModelProto)
