"""The context in a normal form."""

from onnx import helper

from zkinfer.circuits.engines.ezkl.lowering import pipeline


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
