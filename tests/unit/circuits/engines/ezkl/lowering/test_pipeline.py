"""Inputs that are finer than the others, and the context in a normal form."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.engines.ezkl.lowering.pipeline import with_finer_inputs
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.graph import copy
from zkinfer.circuits.tensors import TensorSpec

TWO = "float[1,4] x, float[1,4] z"


def readers(model, name):
    return [node.op_type for node in model.graph.node if name in node.input]


def test_context_is_the_first_input_and_unread(model):
    result = pipeline.with_context(model("y = Relu(x)"), output=False)
    assert [port.name for port in result.graph.input][1:] == ["x"]
    assert readers(result, result.graph.input[0].name) == []


def test_context_of_hidden_inputs_is_also_the_last_output(model):
    result = pipeline.with_context(model("y = Relu(x)"), output=True)
    assert [helper.printable_type(port.type) for port in result.graph.output][1:] == ["FLOAT, 1x5"]
    assert readers(result, result.graph.input[0].name) == ["Identity"]


# --- finer inputs


def finer(model, **bits):
    specs = [TensorSpec(name=name, dtype="float32", shape=(1, 4), scale=scale) for name, scale in bits.items()]
    return with_finer_inputs(copy(model), specs)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y = Relu(x)", ["Mul", "Relu"]),
        ("h = Add(x, b) y = Relu(h)", ["Add", "Mul", "Relu"]),
        ("h = Reshape(x, flat) i = Add(h, b) y = Tanh(i)", ["Reshape", "Add", "Mul", "Tanh"]),
        ("h = Less(x, nought) i = Where(h, x, x) y = Relu(i)", ["Less", "Where", "Mul", "Relu"]),
        ("h = Less(x, b) i = Where(h, x, x) y = Relu(i)", ["Mul", "Less", "Where", "Mul", "Relu"]),
        ("h = Concat<axis=1>(x, x) y = Relu(h)", ["Concat", "Mul", "Relu"]),
        ("h = Concat<axis=1>(x, b2) y = Relu(h)", ["Mul", "Concat", "Relu"]),
        ("h = Relu(x) i = Tanh(x) y = Add(h, i)", ["Mul", "Relu", "Tanh", "Add"]),
        ("y = Add(x, b)", ["Mul", "Add"]),
    ],
)
def test_finer_input_is_divided_after_its_shifts_and_moves(body, expected, model):
    constants = """<float[1,4] b = {1.0,-300.0,0.5,0.25}, float[1,4] b2 = {1.0,1.0,1.0,1.0}, float nought = {0.0},
        int64[2] flat = {1,4}>"""
    plain = model(body, outputs="float[1,N] y", constants=constants)
    result = finer(plain, x=5)
    runtime.check(result)
    assert [node.op_type for node in result.graph.node] == expected
    x = np.array([[-1.5, -0.0, 3.0, 300.0]], np.float32)
    [wanted], [found] = (
        list(runtime.Session(one).run({"x": by * x}).values()) for one, by in ((plain, 1), (result, 32))
    )
    assert np.array_equal(wanted, found)


def test_model_without_finer_inputs_is_left_alone(model):
    plain = model("y = Relu(x)")
    assert finer(plain, x=0) == plain


def test_finer_inputs_have_bits_of_their_own(model):
    result = finer(model("h = Mul(x, z) y = Relu(h)", TWO), x=5, z=2)
    powers = [float(numpy_helper.to_array(tensor)) for tensor in result.graph.initializer]
    assert powers == [2.0**-5, 2.0**-2]


@pytest.mark.parametrize("visibility", ["public", "hashed", "private"])
def test_lowered_scaler_tells_how_fine_its_input_is(visibility, model, saved, tmp_path):
    body = "h = Mul(x, scale) y = Gemm(h, w)"
    constants = "<float[4] scale = {0.001,300.0,1.0,2.0}, float[4,1] w = {1.0,2.0,3.0,4.0}>"
    path = saved(model(body, outputs="float[1,1] y", constants=constants))
    normal = EzklEngine().lower(path, tmp_path / "n.onnx", dimensions={}, input_visibility=visibility)
    assert [spec.scale for spec in normal.inputs] == [8]
