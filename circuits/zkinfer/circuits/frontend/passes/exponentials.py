"""Functions of exponentials in forms where no exponential grows. Imported in the child only.

Float32 computes exp(60), and the quotient or logarithm that follows brings the result back to its range; no circuit
holds such a number. So the largest exponent is subtracted first, as every library does within LogSoftmax, and what is
below it by more than `NEGLIGIBLE` counts as that much: its exponential rounds to 0 at every scale, and a table of
exponentials then has the same width whatever the inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.frontend.graph import attributes

if TYPE_CHECKING:
    import onnx

    from zkinfer.circuits.frontend.graph import Draft, Facts

NEGLIGIBLE = 20.0  # exp(-20) is 2e-9: it rounds to 0 at scale 2^14, and thousands of them do not count


def softmax(draft: Draft, value: str, axes: list[int]) -> str:
    """exp(d) / sum(exp(d)) with d = x - max(x)."""
    raised, _ = shifted_exponential(draft, value, axes)
    return draft.add("Div", raised, reduced(draft, "ReduceSum", raised, axes))


def log_sum_exp(draft: Draft, value: str, axes: list[int], *, keep: int = 1, total: str = "ReduceSum") -> str:
    """max(x) + log(sum(exp(x - max(x)))); with the total ReduceMean, the logarithm of the mean."""
    raised, top = shifted_exponential(draft, value, axes)
    result = draft.add("Add", draft.add("Log", reduced(draft, total, raised, axes)), top)
    if keep:
        return result
    if draft.opset < 13:
        return draft.add("Squeeze", result, axes=axes)
    return draft.add("Squeeze", result, draft.constant(np.array(axes, np.int64)))


def softplus(draft: Draft, value: str) -> str:
    """relu(x) + log(1 + exp(-|x|)), where -|x| = x - 2 · relu(x)."""
    above = draft.add("Relu", value)
    raised = _cut_exponential(draft, draft.add("Sub", value, draft.add("Add", above, above)))
    return draft.add("Add", above, draft.add("Log", draft.add("Add", raised, number(draft, 1.0))))


def shifted_exponential(draft: Draft, value: str, axes: list[int]) -> tuple[str, str]:
    """exp(x - max(x)), and max(x) with its dimensions kept."""
    top = reduced(draft, "ReduceMax", value, axes)
    return _cut_exponential(draft, draft.add("Sub", value, top)), top


def reduced(draft: Draft, operator: str, value: str, axes: list[int]) -> str:
    """A reduction that keeps its dimensions; from some opset on, the axes are an input instead of an attribute."""
    if draft.opset < (13 if operator == "ReduceSum" else 18):
        return draft.add(operator, value, axes=axes, keepdims=1)
    return draft.add(operator, value, draft.constant(np.array(axes, np.int64)), keepdims=1)


def negative_part(draft: Draft, value: str) -> str:
    """exp(min(x, 0)), where min(x, 0) = x - relu(x)."""
    return draft.add("Exp", draft.add("Sub", value, draft.add("Relu", value)))


def is_chosen_below_zero(node: onnx.NodeProto, facts: Facts) -> bool:
    """Whether a function of x only counts where x is negative, as in Where(x > 0, x, exp(x) - 1)."""
    value = node.input[0]
    reader, name = facts.only_reader(node.output[0]), node.output[0]
    while reader is not None and reader.op_type in ("Add", "Mul", "Sub") and _has_constant(reader, facts):
        name = reader.output[0]
        reader = facts.only_reader(name)
    test = facts.producers.get(reader.input[0]) if reader is not None and reader.op_type == "Where" else None
    if reader is None or test is None or test.input[0] != value or not _is_zero(test.input[-1], facts):
        return False
    return test.op_type.startswith("Greater" if name == reader.input[2] else "Less")


def is_cut(name: str, facts: Facts) -> bool:
    """Whether this is an exponent that was shifted and cut."""
    node = facts.producers.get(name)
    array = facts.array(node.input[1]) if node is not None and node.op_type == "Sub" else None
    return array is not None and array.ndim == 0 and float(array) == NEGLIGIBLE


def number(draft: Draft, value: float) -> str:
    """A float32 constant of one number."""
    return draft.constant(np.array(value, np.float32))


def softmax_axes(node: onnx.NodeProto, facts: Facts) -> list[int] | None:
    """The axes that a Softmax or LogSoftmax normalises; None where the shape is unknown. Before opset 13 several."""
    shape = facts.shape(node.input[0])
    if not shape:
        return None
    first = attributes(node).get("axis", -1 if facts.opset >= 13 else 1) % len(shape)
    return [first] if facts.opset >= 13 else list(range(first, len(shape)))


def reduced_axes(node: onnx.NodeProto, facts: Facts) -> list[int] | None:
    """The axes of a reduction; None where they are unknown, or there are none."""
    shape, given = facts.shape(node.input[0]), attributes(node)
    computed = len(node.input) > 1 and bool(node.input[1])
    array = facts.array(node.input[1]) if computed else np.array(given.get("axes", []))
    if not shape or array is None or (not array.size and given.get("noop_with_empty_axes")):
        return None
    return sorted(int(axis) % len(shape) for axis in array) or list(range(len(shape)))


def _cut_exponential(draft: Draft, below: str) -> str:
    """exp(max(x, -NEGLIGIBLE)) of values that are at most 0; Relu is the cheapest maximum."""
    most = number(draft, NEGLIGIBLE)
    return draft.add("Exp", draft.add("Sub", draft.add("Relu", draft.add("Add", below, most)), most))


def _has_constant(node: onnx.NodeProto, facts: Facts) -> bool:
    return any(name in facts.constants for name in node.input)


def _is_zero(name: str, facts: Facts) -> bool:
    array = facts.array(name)
    return array is not None and not array.any()
