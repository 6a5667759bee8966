"""Convolutions keep their batch axis: without one the engine computes them wrongly, in silence, or panics [measured].

The engine's reader of ONNX takes an axis of size 1 out of every value that lies between operators which do without it,
such as Reshape and products of matrices, of which it makes 1x1 convolutions too. Convolutions in between follow, and
the engine then counts the places of their windows from the wrong axis. The reader changes no axes of what a Gather of
several places reads, and one of all places, in order, costs no row. Imported in the child only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import node_key

if TYPE_CHECKING:
    from zkinfer.circuits.frontend.graph import Facts
    from zkinfer.circuits.frontend.passes.rewrite import Edit, Rule

# The reader takes an axis out of both what they read and what they give, or out of neither.
_PASS_ON = words("AveragePool Conv ConvTranspose LeakyRelu MaxPool Relu Sigmoid Tanh")


def _held(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    result, shape = node.output[0], facts.shape(node.output[0])
    if not shape or shape[0] != 1 or _cannot_lose_axes(node, facts):
        return None
    axis = next((axis for axis, size in enumerate(shape) if size > 1), None)
    if axis is None:
        return None  # one place, which is the first on every axis
    places = facts.new_constant(result, np.arange(shape[axis], dtype=np.int64))
    loose = onnx.NodeProto()
    loose.CopyFrom(node)
    loose.output[0] = facts.fresh(result)
    return {node_key(node): [loose, helper.make_node("Gather", [loose.output[0], places], [result], axis=axis)]}


def _cannot_lose_axes(node: onnx.NodeProto, facts: Facts) -> bool:
    """Whether an input or an output of the model, or what a Gather reads, would lose the axis too."""
    if node.output[0] in facts.outputs or any(_gathers(one, facts) for one in facts.consumers.get(node.output[0], [])):
        return True
    before: onnx.NodeProto | None = node
    while before is not None and before.op_type in _PASS_ON and (before is node or not _pointwise(before, facts)):
        if before.input[0] in facts.inputs:
            return True
        before = facts.producers.get(before.input[0])
    return False


def _gathers(node: onnx.NodeProto, facts: Facts) -> bool:
    places = facts.array(node.input[1]) if node.op_type == "Gather" else None
    return places is not None and places.size > 1


def _pointwise(node: onnx.NodeProto, facts: Facts) -> bool:
    return node.op_type == "Conv" and math.prod((facts.shape(node.input[1]) or ())[2:]) == 1


RULES: dict[str, Rule] = {"Conv": _held}
