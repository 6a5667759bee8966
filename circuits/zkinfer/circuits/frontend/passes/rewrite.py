"""How a pass changes a graph: rules look at one node and its neighbours, and say which nodes take whose place.

A rule must name every node that its reasoning rests on. Of two edits in one sweep that name the same node the later
one is dropped; its rule finds the node again, as it is by then, in the next sweep. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from zkinfer.circuits.frontend.graph import Facts, replace_all

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx
    from numpy.typing import NDArray

    # The nodes that replace a node, by the name of its first output; a node that stays as it is replaces itself.
    Edit = dict[str, list[onnx.NodeProto]]
    Rule = Callable[[onnx.NodeProto, Facts], Edit | None]

FLOAT = int(TensorProto.FLOAT)
_LARGEST, _SMALLEST = 2.0**20, 2.0**-40


def key(node: onnx.NodeProto) -> str:
    """What names a node in an edit."""
    return next((name for name in node.output if name), "")


def kept(*nodes: onnx.NodeProto) -> Edit:
    """An edit that changes nothing, but rests on these nodes."""
    return {key(node): [node] for node in nodes}


def same(node: onnx.NodeProto, value: str, facts: Facts) -> Edit | None:
    """Let a value stand for a node's result; None where the model would then give one value as two outputs."""
    reader = facts.only_reader(value)
    if node.output[0] in facts.outputs and (reader is None or key(reader) != key(node)):
        return None
    return {key(node): [helper.make_node("Identity", [value], node.output[:1])]}


def swept(model: onnx.ModelProto, rules: dict[str, Rule]) -> bool:
    """Apply the rules, by operator, in place and once to every node; whether anything changed.

    The model carries inferred shapes. New nodes have none until they are inferred again.
    """
    facts, edits = Facts(model), dict[str, "list[onnx.NodeProto]"]()
    for node in model.graph.node:
        rule = rules.get(node.op_type)
        edit = rule(node, facts) if rule is not None and key(node) not in edits else None
        if edit is not None and edits.keys().isdisjoint(edit):
            edits |= edit
    if not edits:
        return False
    replace_all(model.graph.node, [new for node in model.graph.node for new in edits.get(key(node), [node])])
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(tensor for tensor in facts.added if tensor.name in read)
    return True


def floating(facts: Facts, *names: str) -> bool:
    """Whether all of these are float32: the passes leave other types alone, since they round in other places."""
    return all(facts.dtype(name) == FLOAT for name in names)


def factor(node: onnx.NodeProto, facts: Facts) -> tuple[str, NDArray[Any]] | None:
    """The computed and the constant operand of an operation on two float32 values, in either order."""
    if len(node.input) != 2 or not floating(facts, *node.input):
        return None
    for value, other in (node.input, reversed(node.input)):
        array = facts.array(other)
        if array is not None and value not in facts.constants:
            return value, array
    return None


def rounded(array: NDArray[Any]) -> NDArray[np.float32] | None:
    """From float64 to float32; None where a result is not finite or far beyond what a circuit holds.

    The operand is made by single IEEE operations: those round alike on every machine.
    """
    if not (np.abs(array) <= _LARGEST).all():
        return None
    return np.asarray(array, dtype=np.float32)


def tame(array: NDArray[Any]) -> bool:
    """Whether dividing and multiplying by these numbers, unless they are 0, keeps clear of float32's limits."""
    size = np.abs(wide(array))
    return bool(((size == 0) | ((size >= _SMALLEST) & (size <= _LARGEST))).all())


def wide(array: NDArray[Any]) -> NDArray[np.float64]:
    """To float64, in which the product of two float32 numbers is exact."""
    return np.asarray(array, dtype=np.float64)


def fits(array: NDArray[Any], shape: tuple[int, ...] | None) -> bool:
    """Whether an operation with this constant keeps the other operand's shape."""
    if shape is None or array.ndim > len(shape):
        return False
    return all(mine in (1, theirs) for mine, theirs in zip(array.shape[::-1], shape[::-1], strict=False))
