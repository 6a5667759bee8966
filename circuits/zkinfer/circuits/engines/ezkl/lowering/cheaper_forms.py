"""Rewrite operators into equal ones that take fewer rows: by Relu and plain arithmetic, or on fewer elements.

Rows per element [measured]: Relu 10, addition of a constant half a row; Clip 28, Min or Max with a constant 18,
LeakyRelu 44 (rewritten 41), Elu 17 (rewritten 12). The parts of a rewritten operator can also merge with their
neighbours. The rewritten forms hold in float32 too: constants are so small that adding and subtracting them loses no
significant digit. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from zkinfer.circuits.frontend.graph import attributes, elements
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import (
    all_float32,
    keeps_shape,
    node_key,
    not_negative,
    padded,
    replace_by_value,
    split_constant,
)

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Facts
    from zkinfer.circuits.frontend.passes.rewrite import Edit, Rule


_LARGEST_BOUND = 16.0
_NO_BOUND = 3e38  # about the largest float32, which exporters write for "no bound"


class _Chain:
    """A chain of nodes that replaces one node; the last takes over its output."""

    def __init__(self, node: onnx.NodeProto, facts: Facts) -> None:
        self._node, self._facts = node, facts
        self._nodes: list[onnx.NodeProto] = []

    def add(self, operator: str, *inputs: str | float, **given: Any) -> str:  # noqa: ANN401 - attributes
        """Append a node; numbers become constants. Returns the name of its result."""
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        result = self._facts.fresh(self._node.output[0])
        self._nodes.append(helper.make_node(operator, names, [result], **given))
        return result

    def _constant(self, value: float) -> str:
        return self._facts.new_constant(self._node.output[0], np.array(value, np.float32))

    def edit(self, result: str) -> Edit | None:
        """The edit that replaces the node by the chain."""
        if not self._nodes:
            return replace_by_value(self._node, result, self._facts)
        self._nodes.append(helper.make_node("Identity", [result], self._node.output[:1]))
        return {node_key(self._node): self._nodes}


def _clip(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """With z = relu(x - low) the result is high - relu(high - low - z)."""
    low, high = _bounds(node, facts)
    value = node.input[0]
    if not all_float32(facts, value) or not all(bound is None or abs(bound) <= _LARGEST_BOUND for bound in (low, high)):
        return None
    chain, under = _Chain(node, facts), low or 0.0
    if low is not None and not (low == 0.0 and not_negative(value, facts)):
        value = chain.add("Relu", chain.add("Add", value, -low) if low else value)
    if high is not None:
        room = float(np.float32(high) - np.float32(under))
        return chain.edit(chain.add("Sub", high, chain.add("Relu", chain.add("Sub", room, value))))
    return chain.edit(chain.add("Add", value, under) if under else value)


def _bounds(node: onnx.NodeProto, facts: Facts) -> tuple[float | None, float | None]:
    """The constant bounds: None for no bound, NaN for a computed one."""
    given = attributes(node)
    found = []
    for index, name in enumerate(("min", "max"), start=1):
        bound = given.get(name)
        if len(node.input) > index and node.input[index]:
            array = facts.array(node.input[index])
            bound = float("nan") if array is None or array.size != 1 else float(array.reshape(()))
        found.append(bound)
    low, high = found
    return (
        None if low is not None and low <= -_NO_BOUND else low,
        None if high is not None and high >= _NO_BOUND else high,
    )


def _max_or_min(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """max(x, c) = relu(x - c) + c and min(x, c) = c - relu(c - x)."""
    found = split_constant(node, facts)
    if found is None or not fits_relu(node, facts):
        return None
    value, array = found
    chain, bound = _Chain(node, facts), next(name for name in node.input if name in facts.constants)
    if node.op_type == "Min":
        return chain.edit(chain.add("Sub", bound, chain.add("Relu", chain.add("Sub", bound, value))))
    if not array.any():
        return chain.edit(chain.add("Relu", value))
    return chain.edit(chain.add("Add", chain.add("Relu", chain.add("Sub", value, bound)), bound))


def fits_relu(node: onnx.NodeProto, facts: Facts) -> bool:
    """Whether a Max or Min has a constant operand that allows rewriting it with Relu."""
    found = split_constant(node, facts)
    small = found is not None and bool((np.abs(found[1]) <= _LARGEST_BOUND).all())
    return small and found is not None and keeps_shape(found[1], facts.shape(found[0]))


def _leaky_relu(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """With r = relu(x) the result is r + slope · (x - r)."""
    value = node.input[0]
    if not all_float32(facts, value):
        return None
    slope: str | float = attributes(node).get("alpha", 0.01) if node.op_type == "LeakyRelu" else node.input[1]
    if isinstance(slope, str):
        array = facts.array(slope)
        if array is None or not keeps_shape(array, facts.shape(value)) or not all_float32(facts, slope):
            return None
    chain = _Chain(node, facts)
    above = chain.add("Relu", value)
    if slope == 0.0:
        return chain.edit(above)
    return chain.edit(chain.add("Add", above, chain.add("Mul", chain.add("Sub", value, above), slope)))


def _elu_or_selu(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Elu and Selu: with r = relu(x) the result is gamma · (r + alpha · (exp(x - r) - 1))."""
    value, given = node.input[0], attributes(node)
    if not all_float32(facts, value):
        return None
    scaled = node.op_type == "Selu"
    alpha, gamma = given.get("alpha", _SELU[0] if scaled else 1.0), given.get("gamma", _SELU[1]) if scaled else 1.0
    chain = _Chain(node, facts)
    above = chain.add("Relu", value)
    below = chain.add("Add", chain.add("Exp", chain.add("Sub", value, above)), -1.0)
    total = chain.add("Add", above, below if alpha == 1.0 else chain.add("Mul", below, alpha))
    return chain.edit(total if gamma == 1.0 else chain.add("Mul", total, gamma))


_SELU = (1.6732632423543772, 1.0507009873554805)  # alpha and gamma of the ONNX standard


def _hard_sigmoid(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """clip(alpha · x + beta, 0, 1): its factor can be merged."""
    value, given = node.input[0], attributes(node)
    if not all_float32(facts, value):
        return None
    chain = _Chain(node, facts)
    line = chain.add("Add", chain.add("Mul", value, given.get("alpha", 0.2)), given.get("beta", 0.5))
    return chain.edit(chain.add("Sub", 1.0, chain.add("Relu", chain.add("Sub", 1.0, chain.add("Relu", line)))))


def _layer_normalisation(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """The definition in the ONNX standard: the same number of rows, but its factor can be merged."""
    given, shape = attributes(node), facts.shape(node.input[0])
    if not all_float32(facts, *node.input) or shape is None or any(node.output[1:]) or given.get("stash_type", 1) != 1:
        return None
    axes = list(range(given.get("axis", -1) % len(shape), len(shape)))
    chain = _Chain(node, facts)
    product = chain.add("Mul", _normalised(chain, node, axes, facts), node.input[1])
    return chain.edit(chain.add("Add", product, node.input[2]) if len(node.input) > 2 and node.input[2] else product)


def _instance_normalisation(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """The definition in the ONNX standard: the engine takes one mean over all samples of a batch."""
    shape, arrays = facts.shape(node.input[0]), [facts.array(name) for name in node.input[1:]]
    if not shape or shape[0] == 1 or not all_float32(facts, *node.input):
        return None
    scale, shift = (None if array is None else array.reshape(-1, *[1] * (len(shape) - 2)) for array in arrays)
    if scale is None or shift is None:
        return None
    chain, base = _Chain(node, facts), node.output[0]
    normal = _normalised(chain, node, list(range(2, len(shape))), facts)
    product = chain.add("Mul", normal, facts.new_constant(base, scale))
    return chain.edit(chain.add("Add", product, facts.new_constant(base, shift)))


def _normalised(chain: _Chain, node: onnx.NodeProto, axes: list[int], facts: Facts) -> str:
    """(x - mean) / sqrt(variance + epsilon) over these axes."""
    value = node.input[0]
    centred = chain.add("Sub", value, _mean(chain, value, axes, facts))
    variance = _mean(chain, chain.add("Mul", centred, centred), axes, facts)
    deviation = chain.add("Sqrt", chain.add("Add", variance, attributes(node).get("epsilon", 1e-5)))
    return chain.add("Div", centred, deviation)


def _mean(chain: _Chain, value: str, axes: list[int], facts: Facts) -> str:
    if facts.opset < 18:
        return chain.add("ReduceMean", value, axes=axes)
    return chain.add("ReduceMean", value, facts.new_constant(value, np.array(axes, dtype=np.int64)))


# Applied together with the merging of factors, since these operators contain factors that can be merged.
COMPOUND: dict[str, Rule] = {
    "HardSigmoid": _hard_sigmoid,
    "InstanceNormalization": _instance_normalisation,
    "LayerNormalization": _layer_normalisation,
    "Selu": _elu_or_selu,
}
# Applied when nothing is left to merge: factors commute with LeakyRelu, but not with its replacement.
PIECEWISE_LINEAR: dict[str, Rule] = {
    "Clip": _clip,
    "Elu": _elu_or_selu,
    "LeakyRelu": _leaky_relu,
    "Max": _max_or_min,
    "Min": _max_or_min,
    "PRelu": _leaky_relu,
}


# Monotonically increasing in their first input, so that they commute with a maximum.
_INCREASING = words(
    """
    Atan Ceil Clip Elu Exp Floor HardSigmoid LeakyRelu Relu Selu Sigmoid Softplus Softsign Tanh ThresholdedRelu
    """
)
_SLOPED = words("Elu HardSigmoid LeakyRelu Selu ThresholdedRelu")
_MAX_ADDITIONS = 4


def _after_maximum(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """max(f(x)) = f(max(x)) for an increasing function, computed once per maximum instead of per element."""
    value, result = node.input[0], node.output[0]
    source = facts.producers.get(value)
    if source is None or facts.only_reader(value) is None or not _is_increasing(source, facts) or any(node.output[1:]):
        return None
    before, after = facts.shape(value), facts.shape(result)
    if before is None or after is None or elements(after) >= elements(before) or padded(attributes(node)):
        return None
    maximum = facts.fresh(result)
    first = helper.make_node(node.op_type, [source.input[0], *node.input[1:]], [maximum], **attributes(node))
    then = helper.make_node(source.op_type, [maximum, *source.input[1:]], [result], **attributes(source))
    return {node_key(source): [], node_key(node): [first, then]}


def _is_increasing(node: onnx.NodeProto, facts: Facts) -> bool:
    computed = [name for name in node.input if name and name not in facts.constants]
    decreasing = node.op_type in _SLOPED and (min(attributes(node).get(name, 1.0) for name in ("alpha", "gamma")) < 0)
    increasing = node.op_type in _INCREASING and not decreasing
    return increasing and computed == [node.input[0]] and all_float32(facts, node.input[0])


def _cheaper_product(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Select by masks of 0 and 1, and add for small integer factors: neither needs rescaling."""
    found = split_constant(node, facts)
    if found is None or not keeps_shape(found[1], facts.shape(found[0])):
        return None
    value, array = found
    if array.size > 1 and np.isin(array, (0.0, 1.0)).all():
        return _selected(node, value, array, facts)
    return _added(node, value, float(array.reshape(())), facts) if array.size == 1 else None


def _selected(node: onnx.NodeProto, value: str, mask: NDArray[np.float32], facts: Facts) -> Edit:
    chosen, base = mask.astype(bool), node.output[0]
    names = [facts.new_constant(base, chosen), value, facts.new_constant(base, np.zeros((), np.float32))]
    return {node_key(node): [helper.make_node("Where", names, node.output)]}


def _added(node: onnx.NodeProto, value: str, by: float, facts: Facts) -> Edit | None:
    """Multiply by doubling and adding, from the highest bit down."""
    size = abs(by)
    if not size.is_integer() or not 0 < size <= 1 << _MAX_ADDITIONS or by == 1.0:
        return None
    bits = bin(int(size))[3:]
    if len(bits) + bits.count("1") > _MAX_ADDITIONS:
        return None
    nodes: list[onnx.NodeProto] = []
    total = value
    for bit in bits:
        total = _appended(nodes, "Add", [total, total], node, facts)
        total = _appended(nodes, "Add", [total, value], node, facts) if bit == "1" else total
    nodes.append(helper.make_node("Neg" if by < 0 else "Identity", [total], node.output))
    return {node_key(node): nodes}


def _appended(nodes: list[onnx.NodeProto], operator: str, inputs: list[str], node: onnx.NodeProto, facts: Facts) -> str:
    result = facts.fresh(node.output[0])
    nodes.append(helper.make_node(operator, inputs, [result]))
    return result


MAXIMA: dict[str, Rule] = {"GlobalMaxPool": _after_maximum, "MaxPool": _after_maximum, "ReduceMax": _after_maximum}
PRODUCTS: dict[str, Rule] = {"Mul": _cheaper_product}
