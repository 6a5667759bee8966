"""Remove parts of a model that do not affect its outputs, and serialise it canonically. Imported in the child only."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np
import onnx

from zkinfer.circuits.frontend.graph import Facts, is_default, opset, replace_all

if TYPE_CHECKING:
    from zkinfer.circuits.tensors import TensorSpec

_ADDED = re.compile(r"(\.zk\d+)+$")  # of `Facts.fresh`
IR_VERSION = 8  # of the highest opset in a normal form


def pruned(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove identities, unused nodes and unused constants, in place."""
    _remove_identities(model)
    _remove_unread(model.graph)
    return model


def _remove_identities(model: onnx.ModelProto) -> None:
    """Connect readers of a copy to its source; if the copy is an output, rename the source to it."""
    facts = Facts(model)
    renamed: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        replace_all(node.input, [renamed.get(name, name) for name in node.input])
        if node.op_type != "Identity" or not _removable(node, facts, renamed):
            kept.append(node)
        elif node.output[0] in facts.outputs:
            renamed[node.input[0]] = node.output[0]
        else:
            renamed[node.output[0]] = node.input[0]
    replace_all(model.graph.node, kept)
    _rename(model.graph, {old: new for old, new in renamed.items() if new in facts.outputs})


def _removable(node: onnx.NodeProto, facts: Facts, renamed: dict[str, str]) -> bool:
    source, copy = node.input[0], node.output[0]
    if copy not in facts.outputs:
        return True
    fixed = facts.inputs | facts.outputs | set(facts.constants) | set(renamed) | set(renamed.values())
    return source not in fixed


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        replace_all(node.input, [names.get(name, name) for name in node.input])
        replace_all(node.output, [names.get(name, name) for name in node.output])


def _remove_unread(graph: onnx.GraphProto) -> None:
    read = {port.name for port in graph.output}
    kept = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            kept.append(node)
            read.update(node.input)
    replace_all(graph.node, reversed(kept))
    replace_all(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])


def stripped(model: onnx.ModelProto, inputs: list[TensorSpec], outputs: list[TensorSpec]) -> onnx.ModelProto:
    """The model without documentation, metadata, tool names and intermediate shapes.

    Values other than inputs and outputs are numbered, so that the bytes depend neither on the exporter's names nor on
    the release of onnx's converter.
    """
    source = model.graph
    names = _numbered(source, {spec.name for spec in (*inputs, *outputs)})
    graph = onnx.GraphProto(name="model", node=[_bare(node, names) for node in source.node])
    weights = {names[one.name]: one for one in source.initializer}
    graph.initializer.extend(_plain(weights[name], name) for name in names.values() if name in weights)
    graph.input.extend(port(spec) for spec in inputs)
    graph.output.extend(port(spec) for spec in outputs)
    opsets = [onnx.OperatorSetIdProto(domain="", version=opset(model))]
    domains = {node.domain for node in source.node if not is_default(node.domain)}
    others = sorted((entry.domain, entry.version) for entry in model.opset_import if entry.domain in domains)
    opsets += [onnx.OperatorSetIdProto(domain=domain, version=version) for domain, version in others]
    return onnx.ModelProto(ir_version=IR_VERSION, opset_import=opsets, graph=graph)


def origins(model: onnx.ModelProto, inputs: list[TensorSpec], outputs: list[TensorSpec]) -> dict[str, str]:
    """What the owner's file calls the nodes of `stripped`, by the name of their first output there.

    A node that a pass made is called as the value that it, or the node in its place, computed.
    """
    names = _numbered(model.graph, {spec.name for spec in (*inputs, *outputs)})
    first = ((node, next(name for name in node.output if name)) for node in model.graph.node)
    return {names[value]: (node.name or _ADDED.sub("", value))[:80] for node, value in first}


def _numbered(graph: onnx.GraphProto, kept: set[str]) -> dict[str, str]:
    """New names by old names, numbered in the order in which nodes mention them."""
    prefix = "v"
    while any(name.startswith(prefix) for name in kept):
        prefix += "_"
    mentioned = [name for node in graph.node for name in (*node.input, *node.output)]
    names = dict.fromkeys([*mentioned, *(port.name for port in graph.output)])
    return {old: old if old in kept or not old else f"{prefix}{number}" for number, old in enumerate(names)}


def _bare(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    attributes = sorted(node.attribute, key=lambda entry: entry.name)
    for entry in attributes:
        entry.ClearField("doc_string")
    inputs, outputs = ([names[name] for name in part] for part in (node.input, node.output))
    result = onnx.NodeProto(op_type=node.op_type, input=inputs, output=outputs, attribute=attributes)
    if not is_default(node.domain):
        result.domain = node.domain  # an empty one would be written too
    return result


def _plain(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    array = onnx.numpy_helper.to_array(tensor)
    return onnx.numpy_helper.from_array(array, name)


def port(spec: TensorSpec) -> onnx.ValueInfoProto:
    """The declaration of an input or output."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    return onnx.helper.make_tensor_value_info(spec.name, kind, spec.shape)


def serialised(model: onnx.ModelProto) -> bytes:
    """The bytes of a model in deterministic serialisation."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def seed(data: bytes) -> int:
    """A seed derived from the bytes, for reproducible samples."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8])
