"""Refusals name the node, its operator, a cure, and whether ezkl supports the operator."""

import onnx
import pytest
from onnx import TensorProto, helper, parser

from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.engines.ashlar.lowering.refusals import OF_EZKL, REFUSED, known_refusal
from zkinfer.circuits.engines.ezkl.lowering import operators
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend.operators import COMPOSITE


def refused(text, ports="(float[1,4] x) => (float[1,4] y)"):
    with pytest.raises(UnsupportedModelError) as caught:
        plan(parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> g {ports} {{ {text} }}'))
    return caught.value


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_softmax_is_refused_with_the_command_that_cuts_it_off(operator):
    problem = refused(f"y = {operator}(x)")
    assert operator in problem.cause
    assert "zkinfer scores" in problem.cure
    assert "ezkl supports it" in problem.cure


def test_operator_with_several_results_is_refused_by_its_name():
    weights = [helper.make_tensor(name, TensorProto.FLOAT, (1, 16, 4), [0.0] * 64) for name in ("w", "r")]
    node = helper.make_node("LSTM", ["x", "w", "r"], ["", "y", "z"], hidden_size=4)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 4)) for name in ("x", "y", "z")]
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    with pytest.raises(UnsupportedModelError, match=r"^LSTM .* is recurrent, which Ashlar does not support") as caught:
        plan(model)
    assert "ezkl supports it" in caught.value.cure


def test_operator_that_no_engine_supports_is_refused_without_a_promise():
    assert known_refusal("DeformConv")[1].endswith("The engine ezkl does not support it either.")


def test_split_is_refused_as_a_move_of_elements():
    ports = "(float[1,4] x) => (float[1,2] y, float[1,2] z)"
    assert "moves elements" in refused("y, z = Split<axis=1, num_outputs=2>(x)", ports).cause


def test_operators_said_to_be_of_ezkl_are_those_it_supports():
    supported = operators.SUPPORTED | operators.REWRITTEN | COMPOSITE
    assert {name for name in REFUSED if name in supported} == OF_EZKL


def test_second_input_is_refused_with_a_cure_that_is_accepted():
    ports = "(float[1,2] x, float[1,2] z) => (float[1,2] y)"
    assert "a MatMul by zeros and ones picks" in refused("y = Add(x, z)", ports).cure
    text = """<ir_version: 8, opset_import: ["": 18]> g (float[1,4] x) => (float[1,2] y)
    <float[4,2] a = {1, 0, 0, 1, 0, 0, 0, 0}, float[4,2] b = {0, 0, 0, 0, 1, 0, 0, 1}>
    { u = MatMul(x, a) v = MatMul(x, b) y = Add(u, v) }"""
    assert plan(parser.parse_model(text)).weights
