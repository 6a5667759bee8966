"""Local graph rewriting: a rule looks at one node and its neighbours and returns the nodes that replace them.

An edit must name every node that it depends on. If two edits of one sweep name the same node, the later one is
dropped, and its rule sees the changed node in the next sweep. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from zkinfer.circuits.frontend.graph import FLOATS, Facts, attributes, replace_all
from zkinfer.circuits.frontend.operators import words

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx
    from numpy.typing import NDArray

    # Replacements by `node_key` of the replaced node; a node that stays unchanged replaces itself.
    Edit = dict[str, list[onnx.NodeProto]]
    Rule = Callable[[onnx.NodeProto, Facts], Edit | None]

FLOAT = int(TensorProto.FLOAT)
_LARGEST = 2.0**20
_SMALLEST = 2.0**-40
_NOT_NEGATIVE = words("Abs Exp HardSigmoid ReduceL1 ReduceL2 ReduceSumSquare Relu Sigmoid Softmax Softplus Sqrt")
# Results are not negative if the first input (for Concat, every input) is not.
_KEEP_SIGN = words(
    """
    AveragePool Concat Flatten GlobalAveragePool GlobalMaxPool MaxPool Reshape Squeeze Transpose Unsqueeze
    """
)
MOVES = words("Expand Flatten Gather Reshape Slice Squeeze Tile Transpose Unsqueeze")
"""Results consist of elements of the first input."""
_ROUND = words("Ceil Floor Round Sign")
_KEEP_WHOLE = MOVES | words("Abs Add Concat Max Min Mul Neg Sub Where")
_MOST_STEPS = 64


def apply_rules(model: onnx.ModelProto, rules: dict[str, Rule]) -> bool:
    """Apply the rule of each node's operator once, in place; returns whether anything changed.

    The model must carry inferred shapes. New nodes have none until shapes are inferred again.
    """
    facts, edits = Facts(model), dict[str, "list[onnx.NodeProto]"]()
    for node in model.graph.node:
        rule = rules.get(node.op_type)
        edit = rule(node, facts) if rule is not None and node_key(node) not in edits else None
        if edit is not None and edits.keys().isdisjoint(edit):
            edits |= edit
    if not edits:
        return False
    replace_all(model.graph.node, [new for node in model.graph.node for new in edits.get(node_key(node), [node])])
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(tensor for tensor in facts.added if tensor.name in read)
    return True


def node_key(node: onnx.NodeProto) -> str:
    """The name of a node in an edit: that of its first output."""
    return next((name for name in node.output if name), "")


def depends_on(*nodes: onnx.NodeProto) -> Edit:
    """An edit that leaves these nodes unchanged but depends on them."""
    return {node_key(node): [node] for node in nodes}


def replace_by_value(node: onnx.NodeProto, value: str, facts: Facts) -> Edit | None:
    """Replace a node's result by an existing value; None if the model would then return one value as two outputs."""
    reader = facts.only_reader(value)
    if node.output[0] in facts.outputs and (reader is None or node_key(reader) != node_key(node)):
        return None
    return {node_key(node): [helper.make_node("Identity", [value], node.output[:1])]}


def split_constant(node: onnx.NodeProto, facts: Facts) -> tuple[str, NDArray[Any]] | None:
    """The computed and the constant operand of a binary float32 operation, in either order; None for other nodes."""
    if len(node.input) != 2 or not all_float32(facts, *node.input):
        return None
    for value, other in (node.input, reversed(node.input)):
        array = facts.array(other)
        if array is not None and value not in facts.constants:
            return value, array
    return None


def all_float32(facts: Facts, *names: str) -> bool:
    """Whether all values are float32: the passes leave other types unchanged, which round differently."""
    return all(facts.dtype(name) == FLOAT for name in names)


def keeps_shape(array: NDArray[Any], shape: tuple[int, ...] | None) -> bool:
    """Whether broadcasting with this constant keeps the other operand's shape."""
    if shape is None or array.ndim > len(shape):
        return False
    return all(mine in (1, theirs) for mine, theirs in zip(array.shape[::-1], shape[::-1], strict=False))


def not_negative(name: str, facts: Facts) -> bool:
    """Whether no element of this value can be below zero."""
    todo, seen = [name], {name}
    while todo:
        node = facts.producers.get(todo.pop())
        if node is None:
            return False
        if node.op_type in _KEEP_SIGN:
            sources = set(node.input if node.op_type == "Concat" else node.input[:1]) - seen
            todo.extend(sources)
            seen |= sources
        elif node.op_type not in _NOT_NEGATIVE and not _clipped(node, facts):
            return False
    return True


def is_integral(name: str, facts: Facts, steps: int = _MOST_STEPS) -> bool:
    """Whether a value is known to have no fractions: it was rounded, or computed from integers or booleans."""
    array, node = facts.array(name), facts.producers.get(name)
    if array is not None:
        return bool((array == np.floor(array)).all())
    if node is None or not steps:
        return facts.dtype(name) not in FLOATS | {0}
    if node.op_type == "Cast":
        return is_integral(node.input[0], facts, steps - 1)
    read = node.input[:1] if node.op_type in MOVES else node.input[1:] if node.op_type == "Where" else node.input
    kept = node.op_type in _KEEP_WHOLE and all(is_integral(one, facts, steps - 1) for one in read)
    return kept or node.op_type in _ROUND or facts.dtype(name) not in FLOATS | {0}


def padded(given: dict[str, Any]) -> bool:
    """Whether these attributes of a pooling operator pad its input."""
    return given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or any(given.get("pads", []))


def to_float32(array: NDArray[Any]) -> NDArray[np.float32] | None:
    """Convert float64 to float32; None if a result is not finite or far beyond the range of circuits.

    The operand must result from single IEEE operations, which round identically on every machine.
    """
    if not (np.abs(array) <= _LARGEST).all():
        return None
    return np.asarray(array, dtype=np.float32)


def to_float64(array: NDArray[Any]) -> NDArray[np.float64]:
    """Convert to float64, where the product of two float32 numbers is exact."""
    return np.asarray(array, dtype=np.float64)


def within_float32_range(array: NDArray[Any]) -> bool:
    """Whether every number is 0 or of a magnitude that neither overflows nor underflows float32 as a factor."""
    size = np.abs(to_float64(array))
    return bool(((size == 0) | ((size >= _SMALLEST) & (size <= _LARGEST))).all())


def _clipped(node: onnx.NodeProto, facts: Facts) -> bool:
    if node.op_type != "Clip":
        return False
    least = facts.array(node.input[1]) if len(node.input) > 1 else attributes(node).get("min")
    return least is not None and bool(np.all(np.asarray(least) >= 0))
