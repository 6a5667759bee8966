"""Sign analysis: values that cannot be negative. Imported in the child only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.frontend.graph import Facts, attributes
from zkinfer.circuits.frontend.operators import words

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx

    Nodes = list[onnx.NodeProto]
    Rule = Callable[[onnx.NodeProto, Facts], Nodes | None]


_NOT_NEGATIVE = words("Abs Exp HardSigmoid ReduceL1 ReduceL2 ReduceSumSquare Relu Sigmoid Softmax Softplus Sqrt")


# Results are not negative if the first input (for Concat, every input) is not.
_KEEP_SIGN = words(
    """
    AveragePool Concat Flatten GlobalAveragePool GlobalMaxPool MaxPool Reshape Squeeze Transpose Unsqueeze
    """
)


def padded(given: dict[str, Any]) -> bool:
    """Whether these attributes of a pooling operator pad its input."""
    return given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or any(given.get("pads", []))


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


def _clipped(node: onnx.NodeProto, facts: Facts) -> bool:
    if node.op_type != "Clip":
        return False
    least = facts.array(node.input[1]) if len(node.input) > 1 else attributes(node).get("min")
    return least is not None and bool(np.all(np.asarray(least) >= 0))
