"""Moves of data: two in a row are one, and one that moves nothing is none. They cost no rows, but they keep apart what
could be merged. Imported in the child only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import helper

from zkinfer.circuits.models.graphs import attributes
from zkinfer.circuits.models.operators import words
from zkinfer.circuits.models.rewriting import kept, key, same

if TYPE_CHECKING:
    import onnx

    from zkinfer.circuits.models.graphs import Facts
    from zkinfer.circuits.models.rewriting import Edit, Rule

_RESHAPES = words("Flatten Reshape Squeeze Unsqueeze")


def _transposed(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    order = _order(node, facts)
    if order is None:
        return None
    if order == sorted(order):
        return same(node, node.input[0], facts)
    source = facts.producers.get(node.input[0])
    first = _order(source, facts) if source is not None and source.op_type == "Transpose" else None
    if source is None or first is None:
        return None
    both = [first[axis] for axis in order]
    return kept(source) | {key(node): [helper.make_node("Transpose", source.input, node.output, perm=both)]}


def _order(node: onnx.NodeProto, facts: Facts) -> list[int] | None:
    shape = facts.shape(node.input[0])
    return None if shape is None else list(attributes(node).get("perm", range(len(shape))[::-1]))


def _reshaped(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    before, after = facts.shape(node.input[0]), facts.shape(node.output[0])
    if before is None or after is None or 0 in after:
        return None
    if before == after:
        return same(node, node.input[0], facts)
    source = facts.producers.get(node.input[0])
    if source is None or source.op_type not in _RESHAPES:
        return None
    sizes = facts.new_constant(node.output[0], np.array(after, dtype=np.int64))
    merged = helper.make_node("Reshape", [source.input[0], sizes], node.output)
    return kept(source) | {key(node): [merged]}


def _joined(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    return same(node, node.input[0], facts) if len(node.input) == 1 else None


RULES: dict[str, Rule] = {"Concat": _joined, "Transpose": _transposed, **dict.fromkeys(sorted(_RESHAPES), _reshaped)}
