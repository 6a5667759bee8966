"""Hashed inputs are compared with zero once: the engine range-checks what it compares, and no input that it hashes.

Cells of a hashed input are assigned by the hash, and the engine's own check of inputs passes over them. So a prover
could choose any field element for which the arithmetic wraps around to what it likes. `Where(x < 0, x, x)` is `x`
itself, and neither the engine nor its reader of ONNX takes the comparison out. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import helper, numpy_helper

from zkinfer.circuits.frontend.graph import replace_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

    from zkinfer.circuits.tensors import TensorSpec


def with_guards(model: onnx.ModelProto, inputs: Iterable[TensorSpec]) -> onnx.ModelProto:
    """Put a guard, in place, in front of everything that reads one of these float inputs."""
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    guarded = [spec for spec in inputs if spec.is_float and spec.name in read]
    prefix = _unused(graph)
    names = {spec.name: f"{prefix}{number}" for number, spec in enumerate(guarded)}
    for node in graph.node:
        replace_all(node.input, [names.get(name, name) for name in node.input])
    nodes = [guard for name, new in names.items() for guard in _guard(name, new)]
    replace_all(graph.node, [*nodes, *graph.node])
    zeros = ((np.zeros((), spec.dtype), f"{names[spec.name]}_zero") for spec in guarded)
    graph.initializer.extend(numpy_helper.from_array(zero, name) for zero, name in zeros)
    return model


def _guard(name: str, guarded: str) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    negative = f"{guarded}_negative"
    return (
        helper.make_node("Less", [name, f"{guarded}_zero"], [negative]),
        helper.make_node("Where", [negative, name, name], [guarded]),
    )


def _unused(graph: onnx.GraphProto) -> str:
    """A prefix that no name of the graph has."""
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    names += [port.name for port in (*graph.input, *graph.output)] + [tensor.name for tensor in graph.initializer]
    prefix = "guarded"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    return prefix
