"""Reject unsupported models before anything is computed from them, and read classical ones as plain tensor models.

Imported in the child only.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from zkinfer.circuits.errors import ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend import operators
from zkinfer.circuits.frontend.graph import (
    DTYPES,
    FLOATS,
    Facts,
    attributes,
    copy,
    is_default,
    opset,
    replace_all,
    shape_of,
    type_name,
)
from zkinfer.circuits.frontend.load import MAX_NAME
from zkinfer.circuits.tensors import MAX_RANK

if TYPE_CHECKING:
    from collections.abc import Iterator

DOMAIN = "ai.onnx.ml"
MIN_OPSET = 7
MAX_OPSET = 26
MAX_PORTS = 256
_OPSET = 17  # for models that use no operator of the default domain and declare no version of it
_NUMBERS = "Train on integer labels (scikit-learn's LabelEncoder converts strings) and export again."
_EXPORT = "Export the model again."
_WEIGHED = operators.words("Conv ConvTranspose GRU Gemm LSTM MatMul RNN")
_DIVERGED = "Check the training: weights that grow without bounds are not those of a useful model."
_FINITE = (
    "Write a finite number just beyond the values that it is compared with or added to, such as -100; zkinfer itself "
    "replaces masks that nothing but a Softmax reads."
)


def refuse_problems(model: onnx.ModelProto) -> None:
    """Raise the first of `problems`, if any."""
    for problem in problems(model):
        raise problem


def problems(model: onnx.ModelProto) -> Iterator[ModelError]:
    """Reasons to reject the model that can be found without running it, in a fixed order."""
    yield from _parts(model)
    yield from _opset(model)
    yield from (problem for _, problem in refused_nodes(model.graph))
    yield from _names(model.graph)
    yield from _ports(model.graph)


def refused_nodes(graph: onnx.GraphProto) -> Iterator[tuple[onnx.NodeProto, ModelError]]:
    """Every node that no engine supports, and why."""
    for node in graph.node:
        refused = operators.refusal(node.op_type[:80], node.domain)
        if refused is not None:
            yield node, UnsupportedModelError(f"{refused[0]} (node {label(node)})", refused[1])
        elif any(entry.HasField("g") or entry.graphs for entry in node.attribute):
            yield node, UnsupportedModelError(f"Node {label(node)} holds a subgraph.", _EXPORT)
        elif any(entry.ref_attr_name for entry in node.attribute):
            yield node, ModelError(f"Node {label(node)} refers to a function's attribute outside of one.", _EXPORT)
        elif is_classical(node):
            yield from ((node, problem) for problem in classical_problems(node, label(node)))


def as_tensors(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with tensors as outputs and one version per operator domain; the model itself if nothing changes.

    A ZipMap converts scores to one map from class to score per row; its output becomes the scores themselves, in the
    order of the classes. Everything else is unchanged.
    """
    if not any(is_classical(node) for node in model.graph.node):
        return model
    result = copy(model)
    maps = {name for node in result.graph.node if _is_map(node) for name in node.output}
    for node in result.graph.node:
        if _is_map(node):
            node.CopyFrom(helper.make_node("Identity", node.input, node.output))
    for port in result.graph.output:
        if port.name in maps:
            port.CopyFrom(helper.make_tensor_value_info(port.name, onnx.TensorProto.FLOAT, None))
    _settle_versions(result)
    return result


def is_classical(node: onnx.NodeProto) -> bool:
    """Whether an operator belongs to ONNX's domain for classical machine learning."""
    return bool(node.domain == DOMAIN)


def label(node: onnx.NodeProto) -> str:
    """The name of a node in messages."""
    return repr((node.name or next(iter(node.output), ""))[:80])


def unheld(model: onnx.ModelProto, limit: float = np.inf) -> Iterator[tuple[onnx.NodeProto, UnsupportedModelError]]:
    """Every node with a constant that reaches a limit, by default infinity, and why it cannot stay."""
    facts = Facts(model)
    for node in model.graph.node:
        for name in node.input:
            array = facts.array(name)
            if array is None or facts.dtype(name) not in FLOATS or not (np.abs(array) >= limit).any():
                continue
            most = float(array.reshape(-1)[np.abs(array).argmax()])
            yield (
                node,
                UnsupportedModelError(
                    f"{node.op_type} {label(node)} takes the constant {name[:80]!r}, which holds {most:.7g}: no "
                    "circuit holds such a number.",
                    _DIVERGED if node.op_type in _WEIGHED else _FINITE,
                ),
            )


def _parts(model: onnx.ModelProto) -> Iterator[ModelError]:
    if model.training_info:
        yield UnsupportedModelError("The model holds training information.", "Export it for inference.")
    if model.functions:
        yield UnsupportedModelError(
            f"The model defines its own function {model.functions[0].name[:80]!r}.",
            "Inline functions before export (onnx.inliner, or torch's export with dynamo=False).",
        )
    if model.graph.quantization_annotation:
        yield UnsupportedModelError("The model is annotated as quantised.", "Export the float model.")
    if not model.graph.node:
        yield ModelError("The model's graph is empty: it computes nothing.", _EXPORT)


def _opset(model: onnx.ModelProto) -> Iterator[ModelError]:
    versions = [entry.version for entry in model.opset_import if is_default(entry.domain)]
    if len(versions) != 1:
        yield ModelError("The model does not declare exactly one version of the ONNX operators.", _EXPORT)
    elif not MIN_OPSET <= opset(model) <= MAX_OPSET:
        yield UnsupportedModelError(
            f"The model uses opset {versions[0]}; {MIN_OPSET} to {MAX_OPSET} are supported.",
            "Export it again with opset_version=17.",
        )


def classical_problems(node: onnx.NodeProto, label: str) -> Iterator[ModelError]:
    """Reasons to reject a classical operator that follow from its attributes alone."""
    given = attributes(node)
    if any(name.startswith("classlabels_strings") for name in given):
        yield UnsupportedModelError(f"{node.op_type} {label} returns string labels; circuits return numbers.", _NUMBERS)
    if node.op_type == "ZipMap":
        yield ModelError(f"ZipMap {label} must have one input and one output.", "Export the model again.")


def _names(graph: onnx.GraphProto) -> Iterator[ModelError]:
    inputs = [port.name for port in graph.input]
    outputs = [port.name for port in graph.output]
    constants = [tensor.name for tensor in graph.initializer]
    computed = [name for node in graph.node for name in node.output if name]
    for names in (outputs, [*computed, *constants], [*computed, *inputs]):
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            yield ModelError(f"The model uses one name for two values: {twice[0][:80]!r}.", _EXPORT)
    if set(outputs) & set(inputs):
        both = min(set(outputs) & set(inputs))
        yield UnsupportedModelError(f"Output {both[:80]!r} is an input, unchanged.", "Remove that output.")


def _ports(graph: onnx.GraphProto) -> Iterator[ModelError]:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [port for port in graph.input if port.name not in constants]
    if not inputs or not graph.output:
        yield ModelError(f"The model has no {'output' if inputs else 'input'}.", _EXPORT)
    if max(len(inputs), len(graph.output)) > MAX_PORTS:
        yield ModelTooLargeError(f"The model has more than {MAX_PORTS} inputs or outputs.", "Stack them.")
    for port in inputs:
        yield from _port(port)
        if shape_of(port) is None:
            yield UnsupportedModelError(f"Input {port.name[:80]!r} has no declared rank.", "Export with shapes.")
    for port in graph.output:
        yield from _port(port)


def _port(port: onnx.ValueInfoProto) -> Iterator[ModelError]:
    name = repr(port.name[:80])
    if not port.name or len(port.name) > MAX_NAME or not port.name.isprintable():
        yield ModelError(f"The port name {name} is empty, too long or not printable.", "Rename it.")
    kind = port.type.WhichOneof("value")
    declared = port.type.tensor_type.elem_type
    if kind not in (None, "tensor_type"):
        yield UnsupportedModelError(f"{name} is not a tensor of numbers.", "Use float32, integers or bool.")
    elif declared and declared not in DTYPES:
        yield UnsupportedModelError(
            f"{name} has elements of type {type_name(declared)}; inputs and outputs of a circuit cannot.",
            "Use float32, integers or bool; from another type, Cast inside the model.",
        )
    if len(shape_of(port) or ()) > MAX_RANK:
        yield UnsupportedModelError(f"{name} has more than {MAX_RANK} dimensions.", "Flatten some of them.")


def _is_map(node: onnx.NodeProto) -> bool:
    return is_classical(node) and node.op_type == "ZipMap" and len(node.input) == len(node.output) == 1


def _settle_versions(model: onnx.ModelProto) -> None:
    """Keep one version per domain: exporters repeat versions, or omit an unused default domain."""
    once = {("" if is_default(entry.domain) else entry.domain, entry.version): entry for entry in model.opset_import}
    replace_all(model.opset_import, list(once.values()))
    if not opset(model):
        model.opset_import.append(helper.make_opsetid("", _OPSET))
