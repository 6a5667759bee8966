"""Remove local paths and metadata from torch's file, and name nodes after their modules.

torch annotates every node with the module's path, a stack trace with local paths, and numbers that change from run to
run. They are read here for error messages and then removed, so that equal modules give equal bytes.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.export.torch_backend import BATCH, load_torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx
    import torch

_SCOPES, _TRACE = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.stack_trace"
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in')


@dataclass(frozen=True, slots=True)
class Origin:
    """The torch code that a node comes from; `line` has the form `net.py:12`, or is empty if unknown."""

    path: str
    kind: str
    line: str

    def __str__(self) -> str:
        kind = f" ({self.kind})" if self.kind else ""
        return f"{self.path or 'the module itself'}{kind}{', ' + self.line if self.line else ''}"


def sanitised(
    raw: onnx.ModelProto, module: torch.nn.Module, inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[bytes, dict[str, Origin]]:
    """The bytes to write, and the origin of each node by name.

    Raises:
        ModelError: torch omitted or added an input or output.
    """
    model = type(raw)()
    model.CopyFrom(raw)
    origins = _name_nodes(model.graph, module)
    _name_ports(model.graph, inputs, outputs)
    _strip(model)
    return model.SerializeToString(deterministic=True), origins


def _name_nodes(graph: onnx.GraphProto, module: torch.nn.Module) -> dict[str, Origin]:
    """Name every node and its values by module, operator and number: `/encoder.norm/Mul_0`."""
    count: Counter[str] = Counter()
    names: dict[str, str] = {}
    origins = {}
    for node in graph.node:
        origin = _origin(node, module)
        stem = f"/{origin.path}/{node.op_type}" if origin.path else f"/{node.op_type}"
        node.name = f"{stem}_{count[stem]}"
        count[stem] += 1
        _name_constant(node)
        origins[node.name] = origin
        names |= {old: node.name + (f".{index}" if index else "") for index, old in enumerate(node.output) if old}
    _rename(graph, names)
    return origins


def _name_constant(node: onnx.NodeProto) -> None:
    """Give constants the node's name, since error messages name rejected constants."""
    for entry in node.attribute:
        if entry.HasField("t"):
            entry.t.name = node.name


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    everything: list[onnx.ValueInfoProto | onnx.TensorProto] = [*graph.input, *graph.output, *graph.initializer]
    for named in everything:
        named.name = names.get(named.name, named.name)


def _name_ports(graph: onnx.GraphProto, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Name the inputs and outputs; other values with one of these names are renamed."""
    constants = {tensor.name for tensor in graph.initializer}
    ports = [port for port in graph.input if port.name not in constants]
    if len(ports) != len(inputs) or len(graph.output) != len(outputs):
        raise ModelError(
            f"torch exported {len(ports)} inputs and {len(graph.output)} outputs instead of {len(inputs)} and "
            f"{len(outputs)}.",
            "Let forward read every input, and return every tensor once.",
        )
    wanted = {port.name: name for port, name in zip(ports, inputs, strict=True)}
    wanted |= {port.name: name for port, name in zip(graph.output, outputs, strict=True) if port.name not in wanted}
    if len(wanted) != len(inputs) + len(outputs):
        raise ModelError("An output is an unchanged input, or returned twice.", "Return every tensor once.")
    taken = set(wanted.values())
    _rename(graph, {name: f"/{name}" for name in constants & taken} | wanted)
    for port in (*graph.input, *graph.output):
        _name_batch(port)


def _name_batch(port: onnx.ValueInfoProto) -> None:
    axes = port.type.tensor_type.shape.dim
    if axes and not axes[0].HasField("dim_value"):
        axes[0].dim_param = BATCH


def _strip(model: onnx.ModelProto) -> None:
    """Remove documentation, metadata and intermediate shapes, which readers can infer."""
    graph = model.graph
    del graph.value_info[:]
    graph.name = "torch"
    model.producer_version = model.producer_version.partition("+")[0]  # without torch's build variant, such as +cpu
    parts: list[Any] = [model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer]
    for part in parts:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _origin(node: onnx.NodeProto, module: torch.nn.Module) -> Origin:
    notes = {entry.key: entry.value for entry in node.metadata_props}
    path = _scope(notes[_SCOPES]) if _SCOPES in notes else ".".join(node.name.split("/")[1:-1])
    return Origin(path, _kind(module, path), _line(notes.get(_TRACE, "")))


def _scope(text: str) -> str:
    """The path of the innermost module: torch lists the modules from the outermost inwards, then the step itself."""
    scopes: list[str] = ast.literal_eval(text)
    return scopes[-2] if len(scopes) > 1 else ""


def _kind(module: torch.nn.Module, path: str) -> str:
    part = dict(module.named_modules(remove_duplicate=False)).get(path)
    return "" if part is None else type(part).__name__


def _line(trace: str) -> str:
    """The innermost line outside torch."""
    library = Path(str(load_torch().__file__)).parent
    frames = [(Path(file), line) for file, line in _FRAME.findall(trace)]
    own = [f"{file.name}:{line}" for file, line in frames if library not in file.parents]
    return own[-1] if own else ""
