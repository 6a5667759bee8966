"""Quantised weights become the numbers that they represent; what quantises values of the input is refused."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.errors import ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend import quantised, runtime
from zkinfer.circuits.frontend.prune import serialised
from zkinfer.circuits.frontend.quantised import with_plain_constants

CODES = np.arange(-12, 12).reshape(6, 4)
COLUMNS = np.array([0.01, 0.02, 0.03, 0.04], np.float32)
TWO_BLOCKS = np.arange(1, 9, dtype=np.float32).reshape(2, 4) / 64


def tensor(name, kind, array):
    return helper.make_tensor(name, kind, np.shape(array), np.ravel(array).tolist())


def weights_only(constants, opset=21, nodes=(), **attributes):
    """y = x W, with W from DequantizeLinear of the first constants, in order."""
    names = [one.name for one in constants]
    dequantised = helper.make_node("DequantizeLinear", names[:3], ["W"], **attributes)
    graph = helper.make_graph(
        [*nodes, dequantised, helper.make_node("MatMul", ["x", "W"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def weights_of(model):
    plain = with_plain_constants(model)
    assert [node.op_type for node in plain.graph.node] == ["MatMul"]
    [found] = plain.graph.initializer
    return numpy_helper.to_array(found)


@pytest.mark.parametrize(
    ("kind", "opset"),
    [
        (TensorProto.INT8, 10), (TensorProto.INT8, 13), (TensorProto.INT32, 13), (TensorProto.INT16, 21),
        (TensorProto.INT8, 25),
    ],
)  # fmt: skip
def test_one_scale_serves_all_weights(kind, opset):
    scale = numpy_helper.from_array(np.float32(0.25), "s")
    assert np.array_equal(weights_of(weights_only([tensor("q", kind, CODES), scale], opset)), CODES * np.float32(0.25))


def test_zero_point_is_subtracted_before_scaling():
    constants = [tensor("q", TensorProto.UINT8, CODES + 128), numpy_helper.from_array(np.float32(0.3), "s")]
    found = weights_of(weights_only([*constants, tensor("z", TensorProto.UINT8, np.int64(128))], 13))
    assert np.array_equal(found, CODES.astype(np.float32) * np.float32(0.3))


@pytest.mark.parametrize(("axis", "scales"), [(1, COLUMNS), (-1, COLUMNS), (0, np.arange(1, 7, dtype=np.float32))])
def test_each_row_or_column_has_its_scale(axis, scales):
    constants = [tensor("q", TensorProto.INT8, CODES), numpy_helper.from_array(scales, "s")]
    wanted = CODES.astype(np.float32) * (scales if axis else scales[:, None])
    assert np.array_equal(weights_of(weights_only(constants, 13, axis=axis)), wanted)


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.INT8])
def test_each_block_has_its_scale_and_zero_point(kind):
    codes, zeros = CODES % 16 - 8, np.array([[1, 0, -1, 2], [0, 0, 3, 1]])
    constants = [tensor("q", kind, codes), numpy_helper.from_array(TWO_BLOCKS, "s"), tensor("z", kind, zeros)]
    wanted = (codes - np.repeat(zeros, 3, 0)).astype(np.float32) * np.repeat(TWO_BLOCKS, 3, 0)
    assert np.array_equal(weights_of(weights_only(constants, axis=0, block_size=3)), wanted)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2])
def test_weights_of_eight_bit_floats_are_scaled(kind):
    constants = [tensor("q", kind, CODES / 4), numpy_helper.from_array(np.float32(0.5), "s")]
    held = numpy_helper.to_array(constants[0]).astype(np.float32)
    assert np.array_equal(weights_of(weights_only(constants)), held * np.float32(0.5))


@pytest.mark.parametrize(("kind", "least", "largest"), [(TensorProto.INT8, -128, 127), (TensorProto.INT4, -8, 7)])
def test_weights_are_rounded_to_even_and_held_to_the_range(kind, least, largest):
    weights = np.linspace(-3, 3, 24, dtype=np.float32).reshape(6, 4)
    weights[0, 0], weights[0, 1] = 0.025, -1e6
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.float32(0.01), "s")]
    constants.append(tensor("z", kind, np.int64(1)))
    both = weights_only([*constants[1:]], 21)
    both.graph.initializer.append(constants[0])
    both.graph.node[0].input[:] = ["q", "s", "z"]
    both.graph.node.insert(0, helper.make_node("QuantizeLinear", ["w", "s", "z"], ["q"]))
    steps = np.clip(np.rint(weights / np.float32(0.01)).astype(np.float64) + 1, least, largest) - 1
    assert np.array_equal(weights_of(both), (steps.astype(np.float32) * np.float32(0.01)))


def test_weights_that_are_moved_first_are_found():
    constants = [tensor("q", TensorProto.INT4, CODES.T % 16 - 8), numpy_helper.from_array(COLUMNS, "s")]
    moved = weights_only(constants, nodes=[helper.make_node("Transpose", ["q"], ["t"])], axis=1)
    moved.graph.node[1].input[0] = "t"
    assert np.array_equal(weights_of(moved), (CODES % 16 - 8).astype(np.float32) * COLUMNS)


def test_normal_form_answers_like_the_quantised_model(normal, kinds):
    constants = [tensor("q", TensorProto.INT4, CODES % 16 - 8), numpy_helper.from_array(TWO_BLOCKS, "s")]
    model = weights_only(constants, axis=0, block_size=3)
    form = pipeline.normal_form(model, {}, 7)
    assert kinds(form.model) == {"MatMul": 1}
    assert form.notes == ("quantised weights are replaced by the numbers that they represent",)
    assert serialised(form.model) == serialised(normal(model))


@pytest.mark.parametrize("scale", [np.float32(0.125), np.array([0.125], np.float32)])
def test_table_is_dequantised_before_its_rows_are_gathered(scale, model, normal, kinds):
    text = "e = Gather(table, i) h = DequantizeLinear(e, s) y = MatMul(h, w)"
    gathered = model(text, "int64[1] i", "float[1,2] y", "<float[4,2] w = {1,2,3,4,5,6,7,8}>")
    gathered.graph.initializer.extend([tensor("table", TensorProto.INT8, CODES), numpy_helper.from_array(scale, "s")])
    assert kinds(normal(gathered)) == {"Gather": 1, "MatMul": 1}


@pytest.mark.parametrize(
    "body",
    [
        "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)",
        "i = Cast<to=3>(x) y = DequantizeLinear(i, s, z)",
        "c = QuantizeLinear(w, t, z) d = DequantizeLinear(c, t, z) y = Add(x, d)",
    ],
)
def test_what_depends_on_the_input_is_refused(body, model, normal):
    constants = "<float s = {0.1}, int8 z = {0}, float[1,4] w = {1,2,3,4}>"
    free = model(body, "float[1,4] x, float t", "float[1,4] y", constants)
    with pytest.raises(UnsupportedModelError, match=r"QuantizeLinear|DequantizeLinear.*on constants it is fine"):
        normal(free)


@pytest.mark.parametrize(
    ("scales", "attributes"),
    [(np.ones(5, np.float32), {}), (np.ones((4, 4), np.float32), {"axis": 0, "block_size": 3}), (COLUMNS, {"axis": 7})],
)
def test_scales_that_fit_no_weight_are_refused(scales, attributes, normal):
    constants = [tensor("q", TensorProto.INT8, CODES), numpy_helper.from_array(scales, "s")]
    with pytest.raises(UnsupportedModelError, match="DequantizeLinear"):
        normal(weights_only(constants, **attributes))


def test_scale_of_zero_is_not_divided_by(model, normal):
    zero = model("q = QuantizeLinear(w, s, z) d = DequantizeLinear(q, s, z) y = Add(x, d)")
    zero.graph.initializer.extend(
        [numpy_helper.from_array(COLUMNS, "w"), tensor("s", TensorProto.FLOAT, np.float32(0))]
    )
    zero.graph.initializer.append(tensor("z", TensorProto.INT8, np.int64(0)))
    with pytest.raises(UnsupportedModelError, match="QuantizeLinear"):
        normal(zero)


def test_too_many_numbers_are_refused(monkeypatch):
    monkeypatch.setattr(quantised, "MAX_TOTAL_FOLDED", 23)
    constants = [tensor("q", TensorProto.INT8, CODES), numpy_helper.from_array(np.float32(1), "s")]
    with pytest.raises(ModelTooLargeError, match="more than 23 numbers"):
        with_plain_constants(weights_only(constants))


def test_model_without_quantised_weights_is_itself(dense):
    assert with_plain_constants(dense) is dense


def test_inconsistent_model_is_left_to_later_checks(model):
    odd = model("y = Relu(x)")
    odd.graph.node.append(helper.make_node("DequantizeLinear", [], []))
    assert with_plain_constants(odd) is odd


def test_types_that_onnxruntime_lacks_have_a_reference():
    constants = [tensor("q", TensorProto.FLOAT4E2M1, CODES % 4), numpy_helper.from_array(COLUMNS, "s")]
    model = weights_only(constants, opset=25, axis=1)
    model.ir_version = 13
    assert not runtime.can_run(model)
    assert pipeline.normal_form(model, {}, 7).notes[1].startswith("onnxruntime cannot run the model's element types")
