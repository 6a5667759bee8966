"""Describe a model file and estimate the work it computes. Imported in the child only."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.graph import Facts, attributes, elements, opset, shape_of, type_name
from zkinfer.circuits.frontend.summary import Layer, ModelSummary, Port, Workload
from zkinfer.circuits.frontend.validate import as_tensors, problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import onnx

    from zkinfer.circuits.digest import Digest


_MAX_PROBLEMS = 20
_NO_WORK = Workload(multiplications=0, elements=0, heaviest=())
_HEAVIEST = 8
_UNCOUNTED = frozenset({"Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose"})
_UNCOUNTED |= {"BatchNormalization", "Cast", "CastLike", "DepthToSpace", "Dropout", "Expand", "Pad", "Resize", "Shape"}
_UNCOUNTED |= {"SpaceToDepth", "Tile", "Unsqueeze"}
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
_REDUCTIONS = frozenset({"ArgMax", "ArgMin", "GlobalAveragePool", "GlobalMaxPool"})


def describe(model: onnx.ModelProto, digest: Digest, size: int) -> ModelSummary:
    """Summarise a model as the file declares it."""
    graph, readable = model.graph, as_tensors(model)
    constants = {tensor.name for tensor in graph.initializer}
    return ModelSummary(
        sha256=digest,
        bytes=size,
        opset=opset(readable),
        producer=f"{model.producer_name} {model.producer_version}".strip()[:200],
        inputs=_ports(port for port in graph.input if port.name not in constants),
        outputs=_ports(readable.graph.output),
        operators=dict(sorted(Counter(node.op_type[:80] for node in graph.node).items())),
        nodes=len(graph.node),
        parameters=sum(elements(tensor.dims) for tensor in graph.initializer),
        workload=_workload_if_known(readable),
        problems=tuple(str(problem) for problem in problems(readable))[:_MAX_PROBLEMS],
    )


def workload(model: onnx.ModelProto, names: Mapping[str, str] | None = None) -> Workload:
    """A lower bound of the work of a model with inferred shapes; `names` are of its nodes, by their first output.

    Not counted: nodes of unknown shape, nodes that only move values or may be folded into others, nodes that depend on
    no input, and nodes whose results are unused. Every circuit of the model therefore computes at least this much.
    """
    facts = Facts(model)
    layers = [_layer(node, facts, names or {}) for node in _live_nodes(model.graph) if node.op_type not in _UNCOUNTED]
    return Workload(
        multiplications=sum(layer.multiplications for layer in layers),
        elements=sum(layer.elements for layer in layers),
        heaviest=tuple(sorted(layers, key=lambda layer: -layer.weight)[:_HEAVIEST]),
    )


def multiplications(node: onnx.NodeProto, facts: Facts) -> int:
    """Multiply-accumulates of a convolution, matrix product or recurrence; 0 for others and for unknown shapes."""
    if node.op_type in _RECURRENT:
        return _recurrent(node, facts)
    if node.op_type == "Einsum":
        return _einsum(node, facts)
    return _product(node, facts) if node.op_type in _PRODUCTS else 0


def _ports(ports: Iterable[onnx.ValueInfoProto]) -> tuple[Port, ...]:
    return tuple(_port(port) for port in ports)


def _port(port: onnx.ValueInfoProto) -> Port:
    dtype = type_name(port.type.tensor_type.elem_type)
    return Port(name=port.name[:256], dtype=dtype, shape=tuple(shape_of(port) or ()))


def _workload_if_known(model: onnx.ModelProto) -> Workload:
    """The workload, or an empty one for a model with problems: shape inference may fail on it."""
    if any(True for _ in problems(model)):
        return _NO_WORK
    fixed = shapes.without_constant_inputs(model)
    for port in fixed.graph.input:
        for dim in port.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = 1
    try:
        return workload(shapes.inferred(shapes.with_fixed_shapes(fixed, {})))
    except ModelError:  # the summary is useful without an estimate, and normalising reports the reason
        return _NO_WORK


def _live_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes on a path from an input to an output."""
    constants = {tensor.name for tensor in graph.initializer}
    varying = {port.name for port in graph.input} - constants
    for node in graph.node:
        if varying.intersection(node.input):
            varying.update(name for name in node.output if name)
    wanted = {port.name for port in graph.output}
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(name for name in node.input if name)
    return (node for node in graph.node if all(known.intersection(node.output) for known in (varying, wanted)))


def _layer(node: onnx.NodeProto, facts: Facts, names: Mapping[str, str]) -> Layer:
    reduced = node.op_type.startswith("Reduce") or node.op_type in _REDUCTIONS
    shapes = [facts.shape(name) for name in ([*node.output, node.input[0]] if reduced else node.output) if name]
    first = next(name for name in node.output if name)
    return Layer(
        name=(node.name or names.get(first, first))[:80],
        operator=node.op_type[:80],
        multiplications=multiplications(node, facts),
        elements=max((elements(shape) for shape in shapes if shape is not None), default=0),
    )


def _product(node: onnx.NodeProto, facts: Facts) -> int:
    out, left, right = (facts.shape(name) for name in (node.output[0], node.input[0], node.input[1]))
    if out is None or not left or not right:
        return 0
    if node.op_type == "Conv":
        return elements(out) * elements(right[1:])
    if node.op_type == "ConvTranspose":
        return elements(left) * elements(right[1:])
    return elements(out) * left[0 if attributes(node).get("transA") else -1]


def _recurrent(node: onnx.NodeProto, facts: Facts) -> int:
    """Each time step multiplies the input and the state by all of their weights."""
    values, *weights = (facts.shape(name) for name in node.input[:3])
    if values is None or len(values) != 3 or any(shape is None for shape in weights):
        return 0
    return elements(values[:2]) * sum(elements(shape) for shape in weights if shape is not None)


def _einsum(node: onnx.NodeProto, facts: Facts) -> int:
    """One per combination of all indices; 0 unless there are two operands, since more may be contracted in pairs."""
    equation = attributes(node).get("equation", b"").decode(errors="replace").replace(" ", "")
    terms, shapes = equation.partition("->")[0].split(","), [facts.shape(name) for name in node.input]
    if len(terms) != 2 or len(shapes) != 2 or "." in equation:
        return 0
    if any(shape is None or len(term) != len(shape) for term, shape in zip(terms, shapes, strict=True)):
        return 0
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for index, size in zip(term, shape or (), strict=True):
            sizes[index] = max(size, sizes.get(index, 0))
    return math.prod(sizes.values())
