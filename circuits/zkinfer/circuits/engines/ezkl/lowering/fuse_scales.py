"""Merge multiplications by constants into the weights of a preceding or following linear operator.

Rescaling a product takes about thirty rows per element [measured]; a factor in the weights is free. For weights w and a
factor s, (x · w) · s = x · (w · s); a scalar factor may first be moved past operators that commute with it. If s is
small, the weights would lose digits in fixed point, so only s · 2^k is merged: multiplying by 2^-k is almost free.

A scaler of raw features has factors of very different sizes, 1 / 40000 for an income and 300 for a rate. There 2^-k is
that of the smallest factor, so that no weight loses digits; weights grow instead, which costs nothing but a wider sum.
Imported in the child only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper

from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.fold import folded
from zkinfer.circuits.frontend.graph import replace_all
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
from zkinfer.circuits.frontend.prune import pruned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Facts
    from zkinfer.circuits.frontend.passes.rewrite import Edit, Rule

    Array = NDArray[Any]

_MOVES = words("Flatten Reshape Slice Squeeze Transpose Unsqueeze")
_RAW = _MOVES | words("Add Cast Concat Gather Sub")
_AVERAGES = words("AveragePool GlobalAveragePool ReduceMean ReduceSum")
# These commute with positive factors.
_PIECEWISE_LINEAR = words("Abs GlobalMaxPool LeakyRelu MaxPool PRelu ReduceMax ReduceMin Relu")
_MAX_STEPS, _MAX_READERS = 12, 16
# Smaller factors would cost the weights more than two or three bits, so a power of two is split off. It is free, except
# before an addition: to avoid that, producers may lose three bits.
_SMALL_FOR_READERS, _SMALL_FOR_PRODUCERS = 0.25, 0.125
_MIN_INPUT_FACTOR = 0.125  # on raw inputs; weights of a feature that is scaled down further would lose digits
_MAX_LOST = 5  # bits of the smallest factor of a scaler, if the largest would make weights too large otherwise
_MAX_LOST_AT_WORST = 10  # if the factors differ too much for anything else
_SCALERS = words("BatchNormalization Div Mul")
_MIN_FINER, _MAX_FINER = 2, 16  # bits; one more bit of all scales costs as little as a scale of its own
_MAX_SHIFT = 4096.0  # a larger shift could exceed the range of the circuit


def merge(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Mul by a constant: merge it into the operator that produces the value, or into all readers of the product."""
    found = split_constant(node, facts)
    if found is None or not within_float32_range(found[1]) or not keeps_shape(found[1], facts.shape(found[0])):
        return None
    value, scale = found[0], to_float64(found[1])
    later = _after_reader(node, value, scale, facts)
    if later is not None or is_free(found[1]):
        return later
    rest, power = split(scale, _SMALL_FOR_PRODUCERS)
    edit = _into_producers(value, rest, facts)
    if edit is None and power == 1.0:
        edit = _shared(node, value, rest, facts)
    if edit is None:
        rest, power = split(scale, _SMALL_FOR_READERS)
        if np.abs(rest).min() < _MIN_INPUT_FACTOR and scale.any() and _is_raw_input(value, facts):
            return _split_concat(node, facts) or _merge_scaler(node, value, scale, facts)
        edit = _into_readers(node.output[0], rest, facts, _MAX_STEPS)
    return None if edit is None else edit | {node_key(node): [_remainder(node, value, power, facts)]}


def finer_inputs(model: onnx.ModelProto) -> dict[str, int]:
    """The bits by which single inputs should be finer: those by which a scaler multiplies their elements.

    An error of rounding grows by the factors of a scaler: a rate that varies by 0.003 is multiplied by 300. The engine
    has one scale for all inputs, which every value in the circuit shares; finer ones would widen all of its tables.
    """
    if not any(node.op_type in _SCALERS for node in model.graph.node):
        return {}
    factors = fuse_linear.largest_input_factors(shapes.inferred(pruned(folded(shapes.inferred(model)))))
    bits = {name: min(_MAX_FINER, math.floor(math.log2(factor))) for name, factor in factors.items() if factor > 1.0}
    return {name: bits[name] for name in sorted(bits) if bits[name] >= _MIN_FINER}


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


def _after_reader(node: onnx.NodeProto, value: str, scale: Array, facts: Facts) -> Edit | None:
    """Scale raw inputs after a shift or a move of data, if the factor is free or would lose digits.

    The engine rescales the result of every operator whose scale is too large, except that of a free multiplication:
    directly before a linear operator, which is rescaled anyway, these cost nothing.
    """
    reader = facts.only_reader(node.output[0])
    small = is_free(scale) or np.abs(scale).min() < _MIN_INPUT_FACTOR
    if reader is None or reader.output[0] in facts.outputs or not small or not _is_raw_input(value, facts):
        return None
    moved = _moved(reader, node.output[0], value, scale, facts)
    if moved is None:
        return None
    moved.output[0] = facts.fresh(reader.output[0])
    factor = next(name for name in node.input if name in facts.constants)
    then = helper.make_node("Mul", [moved.output[0], factor], reader.output)
    return {node_key(node): [], node_key(reader): [moved, then]}


def _moved(reader: onnx.NodeProto, name: str, value: str, scale: Array, facts: Facts) -> onnx.NodeProto | None:
    """The reader of `name` applied to `value` instead, which a product by `scale` makes `name`; None if it cannot."""
    result = onnx.NodeProto()
    result.CopyFrom(reader)
    if reader.op_type in _MOVES | {"Gather"}:
        result.input[0] = value
        return result if scale.size == 1 and list(reader.input).index(name) == 0 else None
    found = split_constant(reader, facts) if reader.op_type == "Add" and scale.all() else None
    if found is None or not all(keeps_shape(array, facts.shape(value)) for array in (found[1], scale)):
        return None
    shift = to_float32(to_float64(found[1]) / scale)
    replace_all(result.input, [value, "" if shift is None else facts.new_constant(reader.output[0], shift)])
    return None if shift is None else result


def _split_concat(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """If a scaler is one of several operands of a product with weights, [x, y] W = x V + y U, so that V can take it."""
    joined = facts.only_reader(node.output[0])
    product = facts.only_reader(joined.output[0]) if joined is not None and joined.op_type == "Concat" else None
    if joined is None or product is None or product.op_type not in ("Gemm", "MatMul"):
        return None
    parts = fuse_linear.split_product(product, joined, node.output[0], facts)
    return None if parts is None else {node_key(joined): [], node_key(product): parts} | depends_on(node)


def _merge_scaler(node: onnx.NodeProto, value: str, scale: Array, facts: Facts) -> Edit | None:
    """Merge factors of raw features into all readers; if they cannot be, multiply in two steps, which keeps digits.

    The power of two is that of the smallest factor, or a little larger if the weights would become too large otherwise.
    If even two steps cannot span the factors, losing more digits of the smallest one is better than losing all.
    """
    smallest = float(np.abs(scale[scale != 0]).min())
    exponent = math.frexp(smallest)[1] - 1

    def merged(lost: Iterable[int]) -> Edit | None:
        for power in (math.ldexp(1.0, exponent + bits) for bits in lost):
            edit = _into_readers(node.output[0], scale / power, facts, _MAX_STEPS)
            if edit is not None and power <= 1.0:
                return edit | {node_key(node): [_remainder(node, value, power, facts)]}
        return None

    return (
        merged(range(_MAX_LOST))
        or _in_two_steps(node, value, scale, exponent, facts)
        or merged(range(_MAX_LOST, _MAX_LOST_AT_WORST))
    )


def _in_two_steps(node: onnx.NodeProto, value: str, scale: Array, exponent: int, facts: Facts) -> Edit | None:
    """Multiply by 2^exponent and then by the rest of each factor; None if a factor would become too large."""
    factors, power = to_float32(np.ldexp(scale, -exponent)), math.ldexp(1.0, exponent)
    if factors is None or power > _MIN_INPUT_FACTOR:
        return None
    renamed = facts.fresh(node.output[0])
    small, large = (facts.new_constant(node.output[0], array) for array in (np.array(power, np.float32), factors))
    first, then = (
        helper.make_node("Mul", [value, small], [renamed]),
        helper.make_node("Mul", [renamed, large], node.output),
    )
    return {node_key(node): [first, then]}


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
        if _is_first_factor(source, facts):
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


def _is_first_factor(node: onnx.NodeProto, facts: Facts) -> bool:
    """Whether this is the multiplication that `_merge_scaler` puts first."""
    found = split_constant(node, facts) if node.op_type == "Mul" else None
    if found is None or not is_free(found[1]) or float(found[1].reshape(())) > _MIN_INPUT_FACTOR:
        return False
    return _is_raw_input(found[0], facts)


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


def _is_raw_input(value: str, facts: Facts, steps: int = _MAX_STEPS) -> bool:
    """Whether a value is an input of the model, or several, apart from shifts and moves of data."""
    if value in facts.inputs:
        return True
    source = facts.producers.get(value)
    if source is None or not steps or source.op_type not in _RAW:
        return False
    computed = {name for name in source.input if name not in facts.constants}
    return bool(computed) and all(_is_raw_input(name, facts, steps - 1) for name in computed)


RULES: dict[str, Rule] = {"Mul": merge, "Neg": negate, "Sub": subtract}
