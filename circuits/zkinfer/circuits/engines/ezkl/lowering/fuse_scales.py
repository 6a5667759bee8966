"""Merge multiplications by constants into the weights of a preceding or following linear operator.

Rescaling a product takes about thirty rows per element [measured]; a factor in the weights is free. For weights w and a
factor s, (x · w) · s = x · (w · s); a scalar factor may first be moved past operators that commute with it. If s is
small, the weights would lose digits in fixed point, so only s · 2^k is merged: multiplying by 2^-k is almost free.
Imported in the child only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes import fuse_linear
from zkinfer.circuits.frontend.passes.rewrite import (
    all_float32,
    depends_on,
    keeps_shape,
    node_key,
    split_constant,
    to_float32,
    to_float64,
    within_float32_range,
)

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Facts
    from zkinfer.circuits.frontend.passes.rewrite import Edit, Rule

    Array = NDArray[Any]

_MOVES = words("Flatten Reshape Slice Squeeze Transpose Unsqueeze")
_AVERAGES = words("AveragePool GlobalAveragePool ReduceMean ReduceSum")
# These commute with positive factors.
_PIECEWISE_LINEAR = words("Abs GlobalMaxPool LeakyRelu MaxPool PRelu ReduceMax ReduceMin Relu")
_MAX_STEPS, _MAX_READERS = 12, 16
# Smaller factors would cost the weights more than two or three bits, so a power of two is split off. It is free, except
# before an addition: to avoid that, producers may lose three bits.
_SMALL_FOR_READERS, _SMALL_FOR_PRODUCERS = 0.25, 0.125
_MIN_INPUT_FACTOR = 0.125  # on raw inputs; weights of a feature that is scaled down further would round to 0
_MAX_SHIFT = 4096.0  # a larger shift could exceed the range of the circuit


def merge(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Mul by a constant: merge it into the operator that produces the value, or into all readers of the product."""
    found = split_constant(node, facts)
    if (
        found is None
        or not within_float32_range(found[1])
        or not keeps_shape(found[1], facts.shape(found[0]))
        or is_free(found[1])
    ):
        return None
    value, scale = found[0], to_float64(found[1])
    rest, power = split(scale, _SMALL_FOR_PRODUCERS)
    edit = _into_producers(value, rest, facts)
    if edit is None and power == 1.0:
        edit = _shared(node, value, rest, facts)
    if edit is None:
        rest, power = split(scale, _SMALL_FOR_READERS)
        coarse = np.abs(rest).min() < _MIN_INPUT_FACTOR and _is_raw_input(value, facts)
        edit = None if coarse else _into_readers(node.output[0], rest, facts, _MAX_STEPS)
    return None if edit is None else edit | {node_key(node): [_remainder(node, value, power, facts)]}


def negate(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Neg: merge the factor -1."""
    value = node.input[0]
    if not all_float32(facts, value) or value in facts.constants:
        return None
    edit = _into_producers(value, _MINUS, facts) or _into_readers(node.output[0], _MINUS, facts, _MAX_STEPS)
    return None if edit is None else edit | {node_key(node): [helper.make_node("Identity", [value], node.output)]}


def subtract(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """c - x: if the producer of x can produce -x instead, replace the subtraction by an addition."""
    constant, value = node.input
    if not all_float32(facts, *node.input) or constant not in facts.constants or value in facts.constants:
        return None
    edit = _into_producers(value, _MINUS, facts)
    return None if edit is None else edit | {node_key(node): [helper.make_node("Add", [value, constant], node.output)]}


_MINUS = np.array(-1.0)


def _shared(node: onnx.NodeProto, value: str, scale: Array, facts: Facts) -> Edit | None:
    """If x has other readers, as in x · erf(x · s): scale x, and divide in the other readers."""
    others = [reader for reader in facts.consumers[value] if node_key(reader) != node_key(node)]
    if scale.size != 1 or not scale.all() or value in facts.outputs or not 0 < len(others) <= _MAX_READERS:
        return None
    edit = _into_producers(value, scale, facts, shared=True)
    for reader in others:
        more = _into_reader(reader, value, 1.0 / scale, facts, _MAX_STEPS) if edit is not None else None
        if edit is None or more is None or not edit.keys().isdisjoint(more) or node_key(node) in more:
            return None
        edit |= more
    return edit


def split(scale: NDArray[np.float64], least: float) -> tuple[NDArray[np.float64], float]:
    """Split off a power of two, exactly, if the largest magnitude is below `least`; else the power is 1."""
    largest = float(np.abs(scale).max())
    if largest >= least or largest == 0.0:
        return scale, 1.0
    exponent = math.frexp(largest)[1]
    return np.ldexp(scale, -exponent), math.ldexp(1.0, exponent)


def is_free(array: Array) -> bool:
    """Whether the engine multiplies by this constant for free: a scalar 2^-k."""
    return array.size == 1 and 0.0 < float(array.reshape(())) <= 1.0 and math.frexp(float(array.reshape(())))[0] == 0.5


def _remainder(node: onnx.NodeProto, value: str, power: float, facts: Facts) -> onnx.NodeProto:
    if power == 1.0:
        return helper.make_node("Identity", [value], node.output)
    return helper.make_node(
        "Mul", [value, facts.new_constant(node.output[0], np.array(power, np.float32))], node.output
    )


def _into_producers(value: str, scale: Array, facts: Facts, *, shared: bool = False) -> Edit | None:
    """The edit of the preceding nodes that scales this value, or None. With `shared`, other readers are allowed."""
    edit: Edit = {}
    for step in range(_MAX_STEPS):
        source = facts.producers.get(value)
        if source is None or (facts.only_reader(value) is None and not (shared and step == 0)):
            return None
        scaled = fuse_linear.scale_result(source, scale, facts)
        if scaled is not None:
            return edit | {node_key(source): [scaled]}
        shifted = _shifted(source, lambda shift: shift * scale, scale, facts)
        if not shifted and not _commutes(source, scale, facts):
            return None
        edit |= {node_key(source): [shifted]} if shifted else depends_on(source)
        value = next(name for name in source.input if name not in facts.constants)
    return None


def _into_readers(name: str, scale: Array, facts: Facts, steps: int) -> Edit | None:
    """The edit of the readers of a value that moves the factor into them; None if one of them cannot take it."""
    readers = facts.consumers.get(name, [])
    if name in facts.outputs or not 0 < len(readers) <= _MAX_READERS or not steps:
        return None
    edit: Edit = {}
    for reader in readers:
        more = _into_reader(reader, name, scale, facts, steps)
        if more is None or not edit.keys().isdisjoint(more):
            return None
        edit |= more
    return edit


def _into_reader(node: onnx.NodeProto, name: str, scale: Array, facts: Facts, steps: int) -> Edit | None:
    fed = fuse_linear.scale_operand(node, name, scale, facts)
    if fed is not None:
        return {node_key(node): [fed]}
    shifted = _shifted(node, lambda shift: shift / scale, scale, facts) if scale.all() else None
    if not shifted and not _commutes(node, scale, facts):
        return None
    rest = _into_readers(node.output[0], scale, facts, steps - 1)
    changed = {node_key(node): [shifted]} if shifted else depends_on(node)
    return None if rest is None or not rest.keys().isdisjoint(changed) else rest | changed


def _shifted(node: onnx.NodeProto, change: Any, scale: Array, facts: Facts) -> onnx.NodeProto | None:  # noqa: ANN401
    """An addition with a changed constant, if neither the constant nor the factor broadcasts the other operand."""
    found = split_constant(node, facts) if node.op_type == "Add" else None
    if found is None:
        return None
    shape = facts.shape(found[0])
    if not keeps_shape(found[1], shape) or not keeps_shape(scale, shape):
        return None
    shift = to_float32(change(to_float64(found[1])))
    if shift is None or np.abs(shift).max(initial=0.0) > _MAX_SHIFT:
        return None
    return helper.make_node("Add", [found[0], facts.new_constant(node.output[0], shift)], node.output)


def _commutes(node: onnx.NodeProto, scale: Array, facts: Facts) -> bool:
    if node.op_type == "Mul" and split_constant(node, facts) is not None:
        return True
    if scale.size != 1 or not all_float32(facts, node.input[0]) or any(node.output[1:]):
        return False
    computed = [name for name in node.input if name and name not in facts.constants]
    if node.op_type in ("MatMul", "Mul"):
        return len(computed) == 2
    moves = node.op_type in _MOVES | _AVERAGES or (node.op_type in _PIECEWISE_LINEAR and float(scale.reshape(())) > 0)
    return moves and computed == [node.input[0]]


def _is_raw_input(value: str, facts: Facts) -> bool:
    """Whether a value is an input of the model, apart from shifts and moves of data."""
    for _ in range(_MAX_STEPS):
        source = facts.producers.get(value)
        if source is None or source.op_type not in _MOVES | {"Add", "Sub", "Cast"}:
            break
        value = next((name for name in source.input if name not in facts.constants), "")
    return value in facts.inputs


RULES: dict[str, Rule] = {"Mul": merge, "Neg": negate, "Sub": subtract}
