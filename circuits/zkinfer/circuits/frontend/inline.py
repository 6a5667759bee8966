"""Operators that every engine wants gone: composite ones, casts by example, dropout. Imported in the child only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import defs, helper

from zkinfer.circuits.frontend import runtime, shapes
from zkinfer.circuits.frontend.graph import Facts, attributes, copy, opset, replace_all
from zkinfer.circuits.frontend.operators import COMPOSITE

if TYPE_CHECKING:
    from zkinfer.circuits.frontend.graph import Rule


def with_plain_operators(model: onnx.ModelProto) -> onnx.ModelProto:
    """Expand composite operators (GELU and the like) into those that the standard defines them with."""
    present = sorted({node.op_type for node in model.graph.node} & COMPOSITE)
    return runtime.inline(shapes.inferred(_explicit(model)), present) if present else model


def _explicit(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that spells out what inlining cannot guess: types of constants and defaults of composite operators."""
    result = copy(model)
    make = helper.make_tensor_value_info
    result.graph.value_info.extend(make(one.name, one.data_type, one.dims) for one in result.graph.initializer)
    for node in result.graph.node:
        if node.op_type in COMPOSITE:
            given = attributes(node)
            schema = defs.get_schema(node.op_type, opset(model), "")
            missing = [entry.default_value for name, entry in schema.attributes.items() if name not in given]
            node.attribute.extend(value for value in missing if value.type != onnx.AttributeProto.UNDEFINED)
    return result


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Apply `RULES` in place, once to every node; the model carries inferred shapes."""
    facts, nodes = Facts(model), []
    for node in model.graph.node:
        rule = RULES.get(node.op_type)
        result = rule(node, facts) if rule is not None else None
        nodes += [node] if result is None else result
    replace_all(model.graph.node, nodes)
    model.graph.initializer.extend(facts.added)
    return model


def _cast_like(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    target = facts.dtype(node.input[1])
    return [helper.make_node("Cast", [node.input[0]], node.output, to=target)] if target else None


def _dropout(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    training = facts.array(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros((), dtype=bool)
    mask_used = len(node.output) > 1 and node.output[1] in facts.used
    if mask_used or training is None or training.any():
        return None
    return [helper.make_node("Identity", [node.input[0]], [node.output[0]])]


RULES: dict[str, Rule] = {"CastLike": _cast_like, "Dropout": _dropout}
