"""Hashed inputs are compared with zero before anything reads them."""

import numpy as np
import pytest
from onnx import helper

from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.engines.ezkl.lowering.pipeline import with_guards
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.graph import copy
from zkinfer.circuits.frontend.runtime import difference
from zkinfer.circuits.tensors import TensorSpec

TWO = "float[1,4] x, float[1,4] z"


def guarded(model, *names, dtype="float32"):
    specs = [TensorSpec(name=name, dtype=dtype, shape=(1, 4)) for name in names]
    return with_guards(copy(model), specs)


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


def test_integer_input_gets_no_guard(model):
    whole = model("y = Add(x, x)", "int64[1,4] x", "int64[1,4] y")
    assert guarded(whole, "x", dtype="int64") == whole


@pytest.mark.parametrize("name", ["guarded", "guarded0", "guarded0_zero", "guarded_", "guarded_0"])
def test_guard_avoids_existing_names(model, name):
    hostile = model(f"{name} = Relu(x) y = Add(x, {name})")
    result = guarded(hostile, "x")
    runtime.check(result)
    made = [output for node in result.graph.node for output in node.output]
    made += [tensor.name for tensor in result.graph.initializer]
    assert len(set(made)) == len(made)


def test_context_is_the_first_input_and_unread(model):
    result = pipeline.with_context(model("y = Relu(x)"), output=False)
    assert [port.name for port in result.graph.input][1:] == ["x"]
    assert readers(result, result.graph.input[0].name) == []


def test_context_of_hidden_inputs_is_also_the_last_output(model):
    result = pipeline.with_context(model("y = Relu(x)"), output=True)
    assert [helper.printable_type(port.type) for port in result.graph.output][1:] == ["FLOAT, 1x5"]
    assert readers(result, result.graph.input[0].name) == ["Identity"]
