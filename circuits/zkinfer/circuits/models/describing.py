"""Read a summary off a parsed model. Imported in the child only."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.models import shapes
from zkinfer.circuits.models.counting import workload
from zkinfer.circuits.models.exports import as_tensors
from zkinfer.circuits.models.graphs import DTYPES, elements, opset, shape_of
from zkinfer.circuits.models.screening import problems
from zkinfer.circuits.models.summary import ModelSummary, Port
from zkinfer.circuits.models.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

    from zkinfer.circuits.digest import Digest

_MAX_PROBLEMS = 20
_NOTHING = Workload(multiplications=0, elements=0, heaviest=())


def describe(model: onnx.ModelProto, digest: Digest, size: int) -> ModelSummary:
    """The summary of a model as its file has it."""
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


def _ports(ports: Iterable[onnx.ValueInfoProto]) -> tuple[Port, ...]:
    return tuple(_port(port) for port in ports)


def _port(port: onnx.ValueInfoProto) -> Port:
    dtype = DTYPES.get(port.type.tensor_type.elem_type, "unknown")
    return Port(name=port.name[:256], dtype=dtype, shape=tuple(shape_of(port) or ()))


def _workload_if_known(model: onnx.ModelProto) -> Workload:
    """Nothing for a model that has problems: it is not worth an inference that may fail."""
    if any(True for _ in problems(model)):
        return _NOTHING
    fixed = shapes.without_constant_inputs(model)
    for port in fixed.graph.input:
        for dim in port.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = 1
    try:
        return workload(shapes.inferred(shapes.with_fixed_shapes(fixed, {})))
    except ModelError:  # the summary is of use without an estimate, and normalising tells the reason
        return _NOTHING
