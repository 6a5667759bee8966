"""Fuse scales and shifts into linear operators with constant weights. Imported in the child only.

Weights are multiplied in float64, where products of two float32 numbers are exact, and rounded once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper

from zkinfer.circuits.frontend.graph import Facts, attributes
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import (
    all_float32,
    keeps_shape,
    node_key,
    split_constant,
    to_float32,
    to_float64,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.passes.rewrite import Edit, Rule

    Array = NDArray[Any]


_BIAS = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2}
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_MATRICES = frozenset({"Gemm", "MatMul"})
_LARGE = 64.0
_BEFORE_SCALERS = words("Add Cast Concat Flatten Gather Identity Reshape Slice Squeeze Sub Transpose Unsqueeze")
_MAX_SCALERS = 4  # one after another


def scale_result(node: onnx.NodeProto, scale: Array, facts: Facts) -> onnx.NodeProto | None:
    """The node with weights changed so that its result is multiplied by `scale`; None if that is impossible."""
    if node.op_type == "Mul":
        return _product(node, scale, facts)
    index, rank = _weights(node, facts), _rank(node.output[0], facts)
    if index is None or rank is None:
        return None
    vector = vector_along(scale, rank, 1 if node.op_type in _CONVOLUTIONS else rank - 1)
    shaped = None if vector is None else _result_factors(node, vector, index, facts)
    if vector is None or shaped is None:
        return None
    changes = {index: lambda array: array * shaped}
    if _has_bias(node):
        spread = vector if node.op_type == "Gemm" else vector.reshape(-1)
        changes[2] = lambda array: array * spread
    return _with_changed_weights(node, changes, facts)


def scale_operand(node: onnx.NodeProto, name: str, scale: Array, facts: Facts) -> onnx.NodeProto | None:
    """The node with weights changed so that its operand `name` is multiplied by `scale`; None if that is impossible."""
    index, rank = _weights(node, facts), _rank(name, facts)
    if index is None or rank is None or name not in node.input[:2] or attributes(node).get("transA"):
        return None
    vector = vector_along(scale, rank, 1 if node.op_type in _CONVOLUTIONS else rank - 1)
    shaped = None if vector is None else _operand_factors(node, vector, index, facts)
    return None if shaped is None else _with_changed_weights(node, {index: lambda array: array * shaped}, facts)


def shift_result(node: onnx.NodeProto, shift: Array, facts: Facts) -> onnx.NodeProto | None:
    """The node with a bias changed so that `shift` is added to its result; None if that is impossible."""
    rank = _rank(node.output[0], facts)
    if node.op_type not in _BIAS or _weights(node, facts) is None or rank is None:
        return None
    vector = to_float64(shift) if node.op_type == "Gemm" else vector_along(shift, rank, 1)
    if vector is None or not keeps_shape(vector if node.op_type == "Gemm" else shift, facts.shape(node.output[0])):
        return None
    bias = facts.array(node.input[2]) if _has_bias(node) else None
    total = _sum(bias, vector) if bias is not None else to_float32(_bias_shaped(node, vector, facts))
    if total is None:
        return None
    return _with_inputs(node, [*node.input[:2], facts.new_constant(node.output[0], total)])


def merge_shifts(node: onnx.NodeProto, shift: Array, facts: Facts) -> onnx.NodeProto | None:
    """The addition of a constant, with `shift` added to the constant."""
    found = split_constant(node, facts) if node.op_type == "Add" else None
    total = None if found is None or not keeps_shape(shift, facts.shape(node.output[0])) else _sum(found[1], shift)
    if found is None or total is None:
        return None
    return _with_inputs(node, [found[0], facts.new_constant(node.output[0], total)])


def merge_add(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Fuse the addition of a constant into the operator that computes the other operand, if nothing else reads it."""
    found = split_constant(node, facts)
    if found is None or facts.only_reader(found[0]) is None or not keeps_shape(found[1], facts.shape(found[0])):
        return None
    value, shift = found
    source = facts.producers.get(value)
    if source is None:
        return None
    merged = shift_result(source, shift, facts) or merge_shifts(source, shift, facts)
    if merged is None:
        return None
    return {node_key(source): [merged], node_key(node): [helper.make_node("Identity", [value], node.output)]}


RULES: dict[str, Rule] = {"Add": merge_add}


def split_product(node: onnx.NodeProto, joined: onnx.NodeProto, name: str, facts: Facts) -> list[onnx.NodeProto] | None:
    """The nodes that compute a product of a Concat with constant weights as a sum of two, one for the operand `name`.

    None unless the Concat joins features along the axis that the weights sum over.
    """
    given, weights = attributes(node), facts.array(node.input[1])
    shapes = [facts.shape(operand) for operand in joined.input]
    if _weights(node, facts) != 1 or weights is None or weights.ndim != 2 or given.get("transA"):
        return None
    known = [shape for shape in shapes if shape]
    if len(known) != len(shapes) or list(joined.input).count(name) != 1 or len(known) < 2:
        return None
    if attributes(joined)["axis"] % len(known[0]) != len(known[0]) - 1 or joined.output[0] != node.input[0]:
        return None
    rows = weights.T if given.get("transB") else weights
    place, ends = list(joined.input).index(name), np.cumsum([0, *(shape[-1] for shape in known)])
    own = np.arange(ends[place], ends[place + 1])
    base = node.output[0]
    first, second, rest = facts.fresh(base), facts.fresh(base), facts.fresh(base)
    others = [operand for operand in joined.input if operand != name]
    mine, theirs = (facts.new_constant(base, part) for part in (rows[own], np.delete(rows, own, axis=0)))
    return [
        helper.make_node("MatMul", [name, mine], [first]),
        helper.make_node("Concat", others, [rest], axis=attributes(joined)["axis"]),
        helper.make_node(node.op_type, [rest, theirs, *node.input[2:]], [second]),
        helper.make_node("Add", [first, second], node.output),
    ]


def largest_input_factors(model: onnx.ModelProto) -> dict[str, float]:
    """By what the scalers behind each float32 input multiply its elements at most; only inputs that have a scaler.

    A scaler is a product with constants, a quotient, or a batch normalisation, before any other arithmetic than the
    addition of constants. The model must carry inferred shapes, and constants must be folded.
    """
    facts, found = Facts(model), dict[str, float]()
    for port in model.graph.input:
        todo = [(port.name, 1.0, 0)] if all_float32(facts, port.name) else []
        while todo:
            name, factor, scalers = todo.pop()
            for reader in facts.consumers.get(name, []):
                by = _factor_of(reader, facts)
                if by is not None and scalers + (by != 1.0) <= _MAX_SCALERS:
                    todo.append((reader.output[0], factor * by, scalers + (by != 1.0)))
            if scalers:
                found[port.name] = max(found.get(port.name, 0.0), factor)
    return found


def _factor_of(node: onnx.NodeProto, facts: Facts) -> float | None:
    """The largest factor of this node if it is part of a scaler; None if it is anything else."""
    if node.op_type in _BEFORE_SCALERS:
        computed = [name for name in node.input if name and name not in facts.constants]
        return 1.0 if len(computed) == 1 or node.op_type == "Concat" else None
    if node.op_type in ("Mul", "Div"):
        found = split_constant(node, facts)
        if found is None or not found[1].size or (node.op_type == "Div" and found[0] != node.input[0]):
            return None
        sizes = np.abs(to_float64(found[1]))
        return float(sizes.max()) if node.op_type == "Mul" else 1.0 / float(sizes.min() or math.inf)
    arrays = [facts.array(name) for name in node.input[1:]] if node.op_type == "BatchNormalization" else []
    known = [to_float64(array) for array in arrays if array is not None]
    if not known or len(known) != len(arrays):
        return None
    spread = known[3] + float(attributes(node).get("epsilon", 1e-5))
    return float(np.abs(known[0] / np.sqrt(spread)).max()) if (spread > 0).all() else None


def vector_along(array: Array, rank: int, axis: int) -> NDArray[np.float64] | None:
    """A constant that varies along one axis only, as a vector; None if it varies along others."""
    if array.ndim > rank or any(
        size != 1 for index, size in enumerate(array.shape, start=rank - array.ndim) if index != axis
    ):
        return None
    return to_float64(array).reshape(-1)


def _product(node: onnx.NodeProto, scale: Array, facts: Facts) -> onnx.NodeProto | None:
    found = split_constant(node, facts)
    shape = facts.shape(node.output[0])
    if found is None or not keeps_shape(scale, shape):
        return None
    product = to_float32(to_float64(found[1]) * to_float64(scale))
    if product is None:
        return None
    return _with_inputs(node, [found[0], facts.new_constant(node.output[0], product)])


def _weights(node: onnx.NodeProto, facts: Facts) -> int | None:
    """The index of the constant weights among the inputs; None if there are none, or alpha or beta is not 1."""
    if node.op_type not in _CONVOLUTIONS | _MATRICES or not all_float32(facts, *node.input[:2]):
        return None
    held = [index for index, name in enumerate(node.input[:2]) if name in facts.constants]
    if len(held) != 1 or (held == [0] and node.op_type != "MatMul"):
        return None
    given = attributes(node)
    plain = given.get("alpha", 1.0) == 1.0 and given.get("beta", 1.0) == 1.0
    constant_bias = not _has_bias(node) or node.input[2] in facts.constants
    return held[0] if plain and constant_bias else None


def _has_bias(node: onnx.NodeProto) -> bool:
    return node.op_type in _BIAS and len(node.input) > 2 and bool(node.input[2])


def _rank(name: str, facts: Facts) -> int | None:
    shape = facts.shape(name)
    return None if shape is None else len(shape)


def _result_factors(node: onnx.NodeProto, vector: Array, index: int, facts: Facts) -> Array | None:
    """Factors of the results, reshaped to broadcast over the weights."""
    dims = facts.constants[node.input[index]].dims
    if vector.size == 1:
        return vector.reshape(())
    if node.op_type == "Conv":
        return vector.reshape(-1, *[1] * (len(dims) - 1))
    if node.op_type == "ConvTranspose":
        return None if attributes(node).get("group", 1) != 1 else vector.reshape(-1, *[1] * (len(dims) - 2))
    if index == 0 or len(dims) < 2:
        return None
    return vector[:, None] if attributes(node).get("transB") else vector


def _operand_factors(node: onnx.NodeProto, vector: Array, index: int, facts: Facts) -> Array | None:
    """Factors of the operands, reshaped to broadcast over the weights."""
    dims = facts.constants[node.input[index]].dims
    if vector.size == 1:
        return vector.reshape(())
    if node.op_type == "Conv":
        return None if attributes(node).get("group", 1) != 1 else vector.reshape(-1, *[1] * (len(dims) - 2))
    if node.op_type == "ConvTranspose":
        return vector.reshape(-1, *[1] * (len(dims) - 1))
    if index == 0:
        return None
    return vector if len(dims) == 1 or attributes(node).get("transB") else vector[:, None]


def _with_changed_weights(
    node: onnx.NodeProto, changes: dict[int, Callable[[Array], Array]], facts: Facts
) -> onnx.NodeProto | None:
    inputs = list(node.input)
    for index, change in changes.items():
        array = facts.array(inputs[index])
        result = None if array is None else to_float32(change(to_float64(array)))
        if result is None:
            return None
        inputs[index] = facts.new_constant(node.output[0], result)
    return _with_inputs(node, inputs)


def _with_inputs(node: onnx.NodeProto, inputs: list[str]) -> onnx.NodeProto:
    result = onnx.NodeProto()
    result.CopyFrom(node)
    del result.input[:]
    result.input.extend(inputs)
    return result


def _bias_shaped(node: onnx.NodeProto, vector: Array, facts: Facts) -> Array:
    """The shift as a bias: a convolution has one number per channel."""
    shape = facts.shape(node.output[0]) or ()
    return vector if node.op_type == "Gemm" else np.broadcast_to(vector, (shape[1],))


def _sum(first: Array, second: Array) -> NDArray[np.float32] | None:
    """The sum of two shifts; None if one is so large that merging would change the rounding to float32."""
    total, largest = to_float64(first) + to_float64(second), np.maximum(np.abs(first), np.abs(second))
    if ((largest > _LARGE) & (np.abs(total) < largest / _LARGE)).any():
        return None
    return to_float32(total)
