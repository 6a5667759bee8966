"""Count what a model computes. Imported in the child only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.models.graphs import Facts, attributes, elements
from zkinfer.circuits.models.workload import Layer, Workload

if TYPE_CHECKING:
    import onnx

_HEAVIEST = 8
_MOVES = frozenset({"Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose"})
_MOVES |= {"Cast", "Expand", "Unsqueeze"}


def workload(model: onnx.ModelProto) -> Workload:
    """Of a model with inferred shapes; nodes of unknown shape count nothing, nor do those that only move values."""
    facts = Facts(model)
    layers = [_layer(node, facts) for node in model.graph.node if node.op_type not in _MOVES]
    return Workload(
        multiplications=sum(layer.multiplications for layer in layers),
        elements=sum(layer.elements for layer in layers),
        heaviest=tuple(sorted(layers, key=lambda layer: -layer.weight)[:_HEAVIEST]),
    )


def _layer(node: onnx.NodeProto, facts: Facts) -> Layer:
    shape = facts.shape(node.output[0])
    return Layer(
        name=(node.name or node.output[0])[:80],
        operator=node.op_type[:80],
        multiplications=multiplications(node, facts),
        elements=0 if shape is None else elements(shape),
    )


def multiplications(node: onnx.NodeProto, facts: Facts) -> int:
    """Multiply-accumulates of Conv, ConvTranspose, Gemm and MatMul; 0 for the others and for unknown shapes."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    out, left, right = (facts.shape(name) for name in (node.output[0], node.input[0], node.input[1]))
    if out is None or not left or not right:
        return 0
    if node.op_type == "Conv":
        return elements(out) * elements(right[1:])
    if node.op_type == "ConvTranspose":
        return elements(left) * elements(right[1:])
    return elements(out) * left[0 if attributes(node).get("transA") else -1]
