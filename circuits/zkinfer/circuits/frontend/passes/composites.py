"""Composites of exponentials, recognised by what they compute and put into forms that circuits hold.

An exponential whose quotient or logarithm follows may grow in floats, but not in a circuit; `exponentials` has the
forms in which it does not. Exporters write some composites as operators and some by their definition, and so do
authors. Values that were shifted by hand already are left as they are. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.frontend.graph import Draft, Facts, attributes, replace_all
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.exponentials import (
    is_chosen_below_zero,
    is_cut,
    log_sum_exp,
    negative_part,
    number,
    reduced_axes,
    softmax,
    softmax_axes,
    softplus,
)
from zkinfer.circuits.frontend.passes.rewrite import all_float32, not_negative

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx

    # The name of the value that takes a result's place; None to leave the result.
    Form = Callable[[onnx.NodeProto, Draft, Facts], str | None]

_KEEP_VALUES = words("Expand Flatten Reshape Squeeze Unsqueeze")


def shift_exponents(model: onnx.ModelProto) -> bool:
    """Rewrite every composite, in place; returns whether there was any.

    The model must carry inferred shapes, and its constants must be folded. What is written is not recognised again.
    """
    facts, nodes, changed = Facts(model), list["onnx.NodeProto"](), False
    for node in model.graph.node:
        result = _rewritten(node, facts)
        changed |= result is not None
        nodes += [node] if result is None else result
    replace_all(model.graph.node, nodes)
    model.graph.initializer.extend(facts.added)
    return changed


def _rewritten(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    form = _FORMS.get(node.op_type)
    if form is None or not all_float32(facts, node.input[0]):
        return None
    draft = Draft(facts, node.output[0])
    result = form(node, draft, facts)
    if result is None:
        return None
    draft.named(result, node.output[0])
    return draft.nodes


# --- logarithms


def _logarithm(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    value = node.input[0]
    source = facts.producers.get(value)
    if source is None:
        return None
    if source.op_type == "Exp":
        return source.input[0]
    if source.op_type in ("ReduceMean", "ReduceSum"):
        return _log_of_total(source, draft, facts)
    if source.op_type == "Add":
        return _log_of_two(source, draft, facts)
    return _log_of_softmax(source, draft, facts) or _log_of_sigmoid(source, draft, facts)


def _log_of_total(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    """log(sum(exp(x))), and log(mean(exp(x)))."""
    value, axes = _exponent(node.input[0], facts), reduced_axes(node, facts)
    if not value or axes is None or _is_shifted(value, facts):
        return None
    return log_sum_exp(draft, value, axes, keep=attributes(node).get("keepdims", 1), total=node.op_type)


def _log_of_two(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    """log(exp(x) + exp(y)) = x + softplus(y - x), where one of them may be 1."""
    exponents = _two_exponents(node.output[0], facts)
    if exponents is None:
        return None
    first, second = exponents
    if first and second:
        return draft.add("Add", first, softplus(draft, draft.add("Sub", second, first)))
    return None if _is_shifted(first or second, facts) else softplus(draft, first or second)


def _log_of_softmax(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    axes = softmax_axes(node, facts) if node.op_type == "Softmax" else None
    found = softmax_by_hand(node, facts) if axes is None else (node.input[0], axes)
    if found is None:
        return None
    value = unshifted(found[0], facts) or found[0]
    return draft.add("Sub", value, log_sum_exp(draft, value, found[1]))


def _log_of_sigmoid(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    """log(sigmoid(x)) = -softplus(-x), and log(1 - sigmoid(x)) = -softplus(x)."""
    if node.op_type == "Sub" and _is_one(node.input[0], facts):
        source = facts.producers.get(node.input[1])
        exponents = None if source is None else _sigmoid(source, facts)
        return None if exponents is None else draft.add("Neg", softplus(draft, _difference(draft, *exponents)))
    exponents = _sigmoid(node, facts)
    if exponents is None:
        return None
    return draft.add("Neg", softplus(draft, _difference(draft, exponents[1], exponents[0])))


def _log_sum_exp_operator(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    value = node.input[0] if node.op_type == "ReduceLogSumExp" else _exponent(node.input[0], facts)
    axes = reduced_axes(node, facts)
    if not value or axes is None:
        return None
    return log_sum_exp(draft, value, axes, keep=attributes(node).get("keepdims", 1))


# --- exponentials and quotients


def _exponential(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    """exp(x - log(sum(exp(x)))) and exp(LogSoftmax(x)) are the softmax of x; Elu by hand needs negative x only."""
    if is_chosen_below_zero(node, facts):
        return negative_part(draft, node.input[0])
    source = facts.producers.get(node.input[0])
    if source is None:
        return None
    axes = softmax_axes(source, facts) if source.op_type == "LogSoftmax" else _normalised_axes(source, facts)
    return None if axes is None else softmax(draft, source.input[0], axes)


def _normalised_axes(node: onnx.NodeProto, facts: Facts) -> list[int] | None:
    """The axes where this is x - log(sum(exp(x))), as an operator or by its definition."""
    total = facts.producers.get(before_reshapes(node.input[1], facts)) if node.op_type == "Sub" else None
    if total is not None and total.op_type == "ReduceLogSumExp":
        value: str | None = total.input[0]
    else:
        total = facts.producers.get(total.input[0]) if total is not None and total.op_type == "Log" else None
        value = _exponent(total.input[0], facts) if total is not None and total.op_type == "ReduceSum" else None
    if total is None or value != node.input[0]:
        return None
    return _aligned_axes(total, node.input[1], facts)


def _quotient(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    found = softmax_by_hand(node, facts)
    if found is not None:
        return None if _is_shifted(found[0], facts) else softmax(draft, *found)
    exponents = _sigmoid(node, facts)
    if exponents is not None:
        return draft.add("Sigmoid", _difference(draft, *exponents))
    return _tanh(node, draft, facts) or _weighted_sigmoid(node, draft, facts)


def _tanh(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    """(exp(x) - exp(y)) / (exp(x) + exp(y)) = tanh((x - y) / 2), where one of them may be 1."""
    above, below = facts.producers.get(node.input[0]), _two_exponents(node.input[1], facts)
    if above is None or below is None or above.op_type != "Sub":
        return None
    first, second = (_exponent(name, facts) for name in above.input)
    if first is None or second is None or {first, second} != set(below):
        return None
    return draft.add("Tanh", draft.add("Mul", _difference(draft, first, second), number(draft, 0.5)))


def _weighted_sigmoid(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    """z / (1 + exp(x)) = z · sigmoid(-x)."""
    exponents = _two_exponents(node.input[1], facts)
    if exponents is None or "" not in exponents:
        return None
    inner = draft.add("Neg", exponents[0] or exponents[1])
    return draft.add("Mul", node.input[0], draft.add("Sigmoid", inner))


def _inverse(node: onnx.NodeProto, draft: Draft, facts: Facts) -> str | None:
    exponents = _sigmoid(node, facts)
    return None if exponents is None else draft.add("Sigmoid", _difference(draft, *exponents))


_FORMS: dict[str, Form] = {
    "Div": _quotient,
    "Exp": _exponential,
    "Log": _logarithm,
    "Pow": _inverse,
    "Reciprocal": _inverse,
    "ReduceLogSum": _log_sum_exp_operator,
    "ReduceLogSumExp": _log_sum_exp_operator,
    "Softplus": lambda node, draft, _: softplus(draft, node.input[0]),
}


# --- what values are; an exponent is empty where the value is the constant 1


def softmax_by_hand(node: onnx.NodeProto, facts: Facts) -> tuple[str, list[int]] | None:
    """What a quotient exp(x) / sum(exp(x)) is the softmax of, and over which axes; None for other nodes."""
    if node.op_type != "Div":
        return None
    value, total = _exponent(node.input[0], facts), facts.producers.get(before_reshapes(node.input[1], facts))
    if not value or total is None or total.op_type != "ReduceSum" or _exponent(total.input[0], facts) != value:
        return None
    axes = _aligned_axes(total, node.input[1], facts)
    return None if axes is None else (value, axes)


def unshifted(name: str, facts: Facts) -> str | None:
    """The value x where this is x - max(x); None for other values."""
    node = facts.producers.get(name)
    if node is None or node.op_type != "Sub":
        return None
    largest = facts.producers.get(before_reshapes(node.input[1], facts))
    found = largest is not None and largest.op_type in ("Max", "ReduceMax") and node.input[0] in largest.input
    return node.input[0] if found else None


def before_reshapes(name: str, facts: Facts) -> str:
    """The value before steps that change nothing but its shape."""
    node = facts.producers.get(name)
    while node is not None and node.op_type in _KEEP_VALUES:
        name = node.input[0]
        node = facts.producers.get(name)
    return name


def _exponent(name: str, facts: Facts) -> str | None:
    """The value x where this is exp(x); None for other values."""
    if _is_one(name, facts):
        return ""
    node = facts.producers.get(name)
    return node.input[0] if node is not None and node.op_type == "Exp" else None


def _is_one(name: str, facts: Facts) -> bool:
    array = facts.array(name)
    return array is not None and array.size == 1 and array.ndim <= 1 and float(array.reshape(())) == 1.0


def _two_exponents(name: str, facts: Facts) -> tuple[str, str] | None:
    """The values x and y where this is exp(x) + exp(y), and not 1 + 1."""
    node = facts.producers.get(name)
    if node is None or node.op_type != "Add":
        return None
    first, second = (_exponent(one, facts) for one in node.input)
    return None if first is None or second is None or not (first or second) else (first, second)


def _sigmoid(node: onnx.NodeProto, facts: Facts) -> tuple[str, str] | None:
    """The values x and y where this is sigmoid(x - y) = exp(x) / (exp(x) + exp(y))."""
    if node.op_type == "Sigmoid":
        return node.input[0], ""
    above, below = _fraction(node, facts)
    exponents = _two_exponents(below, facts)
    if exponents is None or above not in exponents:
        return None
    return above, exponents[1] if above == exponents[0] else exponents[0]


def _fraction(node: onnx.NodeProto, facts: Facts) -> tuple[str | None, str]:
    """The exponent of the numerator, and the denominator."""
    if node.op_type == "Reciprocal":
        return "", node.input[0]
    if node.op_type == "Div":
        return _exponent(node.input[0], facts), node.input[1]
    power = facts.array(node.input[1]) if node.op_type == "Pow" else None
    inverse = power is not None and power.size == 1 and float(power.reshape(())) == -1.0
    return ("", node.input[0]) if inverse else (None, "")


def _is_shifted(name: str, facts: Facts) -> bool:
    """Whether someone saw to it already that a value is not positive."""
    node = facts.producers.get(name)
    if node is None:
        return False
    negative = node.op_type == "Neg" and not_negative(node.input[0], facts)
    return negative or node.op_type == "LogSoftmax" or unshifted(name, facts) is not None or is_cut(name, facts)


def _aligned_axes(total: onnx.NodeProto, name: str, facts: Facts) -> list[int] | None:
    """The axes of a reduction whose result reaches `name` as with kept dimensions, or repeated over them."""
    axes, whole, found = reduced_axes(total, facts), facts.shape(total.input[0]), facts.shape(name)
    if axes is None or whole is None:
        return None
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(whole))
    return axes if found in (kept, whole) else None


def _difference(draft: Draft, first: str, second: str) -> str:
    """x - y, where an empty name stands for 0."""
    if not first:
        return draft.add("Neg", second)
    return draft.add("Sub", first, second) if second else first
