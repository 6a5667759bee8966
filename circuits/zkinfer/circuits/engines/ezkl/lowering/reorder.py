"""Reorder operators to compute them on fewer elements, or replace them by cheaper ones. Imported in the child only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import helper

from zkinfer.circuits.frontend.graph import attributes, elements
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import all_float32, keeps_shape, node_key, padded, split_constant

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Facts
    from zkinfer.circuits.frontend.passes.rewrite import Edit, Rule

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
