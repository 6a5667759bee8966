"""Read a summary off a parsed model. Imported in the child only."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.models import shapes
from zkinfer.circuits.models.graphs import DTYPES, Facts, attributes, elements, opset, shape_of
from zkinfer.circuits.models.screening import problems
from zkinfer.circuits.models.summary import ModelSummary, Port

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

    from zkinfer.circuits.digest import Digest

_MAX_PROBLEMS = 20


def describe(model: onnx.ModelProto, digest: Digest, size: int) -> ModelSummary:
    """The summary of a model as its file has it."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    return ModelSummary(
        sha256=digest,
        bytes=size,
        opset=opset(model),
        producer=f"{model.producer_name} {model.producer_version}".strip()[:200],
        inputs=_ports(port for port in graph.input if port.name not in constants),
        outputs=_ports(graph.output),
        operators=dict(sorted(Counter(node.op_type[:80] for node in graph.node).items())),
        nodes=len(graph.node),
        parameters=sum(elements(tensor.dims) for tensor in graph.initializer),
        macs=_macs_if_known(model),
        problems=tuple(str(problem) for problem in problems(model))[:_MAX_PROBLEMS],
    )


def _ports(ports: Iterable[onnx.ValueInfoProto]) -> tuple[Port, ...]:
    return tuple(_port(port) for port in ports)


def _port(port: onnx.ValueInfoProto) -> Port:
    dtype = DTYPES.get(port.type.tensor_type.elem_type, "unknown")
    return Port(name=port.name[:256], dtype=dtype, shape=tuple(shape_of(port) or ()))


def _macs_if_known(model: onnx.ModelProto) -> int:
    """0 for a model that has problems: it is not worth an inference that may fail."""
    if any(True for _ in problems(model)):
        return 0
    fixed = shapes.without_constant_inputs(model)
    for port in fixed.graph.input:
        for dim in port.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = 1
    try:
        return macs(shapes.inferred(shapes.with_fixed_shapes(fixed, {})))
    except ModelError:  # the summary is of use without an estimate, and normalising tells the reason
        return 0


def macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of Gemm, MatMul and Conv; nodes of unknown shape count nothing."""
    facts = Facts(model)
    return sum(_node_macs(node, facts) for node in model.graph.node)


def _node_macs(node: onnx.NodeProto, facts: Facts) -> int:
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return 0
    out, left = facts.shape(node.output[0]), facts.shape(node.input[0])
    right = facts.shape(node.input[1])
    if out is None or not left or not right:
        return 0
    if node.op_type == "Conv":
        return elements(out) * elements(right[1:])
    return elements(out) * left[0 if attributes(node).get("transA") else -1]
