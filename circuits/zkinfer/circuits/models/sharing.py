"""What is computed twice is computed once. Imported in the child only."""

from __future__ import annotations

import hashlib

import onnx
from onnx import numpy_helper

from zkinfer.circuits.models.graphs import replace_all
from zkinfer.circuits.models.operators import words

_EITHER_WAY = words("Add And Equal Mul Or Xor")
# Their further outputs may be left out.
_OPTIONAL = words("BatchNormalization Dropout GRU LSTM LayerNormalization MaxPool RNN")


def shared(model: onnx.ModelProto) -> bool:
    """Let, in place, the readers of equal constants and equal results read the first of them; whether any did.

    The model has no random operators; results that are outputs of the model keep nodes of their own.
    """
    outputs = {port.name for port in model.graph.output}
    names: dict[str, str] = {}
    _share_constants(model.graph, outputs, names)
    kept, seen = [], dict[bytes, onnx.NodeProto]()
    for node in model.graph.node:
        replace_all(node.input, [names.get(name, name) for name in node.input])
        first = seen.setdefault(_meaning(node), node)
        if first is node or outputs.intersection(node.output):
            kept.append(node)
        else:
            names.update(zip(node.output, first.output, strict=True))
    replace_all(model.graph.node, kept)
    return bool(names)


def _share_constants(graph: onnx.GraphProto, outputs: set[str], names: dict[str, str]) -> None:
    seen: dict[object, str] = {}
    kept = []
    for tensor in graph.initializer:
        data = hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).digest()
        first = seen.setdefault((tensor.data_type, tuple(tensor.dims), data), tensor.name)
        if first == tensor.name or tensor.name in outputs:
            kept.append(tensor)
        else:
            names[tensor.name] = first
    replace_all(graph.initializer, kept)


def _meaning(node: onnx.NodeProto) -> bytes:
    """Equal for nodes that compute the same: operator, operands, attributes, and which outputs there are."""
    inputs = sorted(node.input) if node.op_type in _EITHER_WAY else list(node.input)
    given = sorted(node.attribute, key=lambda entry: entry.name)
    outputs = ["." if name else "" for name in node.output]
    plain = onnx.NodeProto(op_type=node.op_type, input=inputs, output=outputs, attribute=given)
    meaning: bytes = plain.SerializeToString(deterministic=True)
    return meaning


def without_unread_outputs(model: onnx.ModelProto) -> bool:
    """Drop, in place, optional outputs at the end of a node that nothing reads; whether there were any."""
    read = {name for node in model.graph.node for name in node.input} | {port.name for port in model.graph.output}
    dropped = False
    for node in model.graph.node:
        while node.op_type in _OPTIONAL and len(node.output) > 1 and node.output[-1] not in read - {""}:
            node.output.pop()
            dropped = True
    return dropped
