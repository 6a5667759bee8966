"""Canonical forms: merge duplicates, drop operations without effect, unify equivalent ones. In the child only."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from zkinfer.circuits.frontend.graph import DTYPES, attributes, replace_all
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import (
    all_float32,
    depends_on,
    keeps_shape,
    node_key,
    not_negative,
    replace_by_value,
    split_constant,
    to_float32,
    to_float64,
    within_float32_range,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Facts
    from zkinfer.circuits.frontend.passes.rewrite import Edit, Rule


_COMMUTATIVE = words("Add And Equal Mul Or Xor")
# Operators whose outputs after the first are optional.
_OPTIONAL_OUTPUTS = words("BatchNormalization Dropout GRU LSTM LayerNormalization MaxPool RNN")
_RESHAPES = words("Flatten Reshape Squeeze Unsqueeze")
_LARGEST_SCALE = 65536.0  # of a batch normalisation: beyond it the variance is effectively zero


def merge_duplicates(model: onnx.ModelProto) -> bool:
    """Merge equal constants and nodes with equal results, in place; returns whether anything changed.

    Random operators were rejected before. Outputs of the model keep their own nodes.
    """
    outputs = {port.name for port in model.graph.output}
    names: dict[str, str] = {}
    _share_constants(model.graph, outputs, names)
    kept, seen = [], dict[bytes, onnx.NodeProto]()
    for node in model.graph.node:
        replace_all(node.input, [names.get(name, name) for name in node.input])
        first = seen.setdefault(_fingerprint(node), node)
        if first is node or outputs.intersection(node.output):
            kept.append(node)
        else:
            names.update(zip(node.output, first.output, strict=True))
    replace_all(model.graph.node, kept)
    return bool(names)


def without_unread_outputs(model: onnx.ModelProto) -> bool:
    """Drop unused trailing optional outputs of nodes, in place; returns whether there were any."""
    read = {name for node in model.graph.node for name in node.input} | {port.name for port in model.graph.output}
    dropped = False
    for node in model.graph.node:
        while node.op_type in _OPTIONAL_OUTPUTS and len(node.output) > 1 and node.output[-1] not in read - {""}:
            node.output.pop()
            dropped = True
    return dropped


def _share_constants(graph: onnx.GraphProto, outputs: set[str], names: dict[str, str]) -> None:
    seen: dict[object, str] = {}
    kept = []
    for tensor in graph.initializer:
        data = hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).digest()
        first = seen.setdefault((tensor.data_type, tuple(tensor.dims), data), tensor.name)
        if first == tensor.name or tensor.name in outputs:
            kept.append(tensor)
        else:
            names[tensor.name] = first
    replace_all(graph.initializer, kept)


def _fingerprint(node: onnx.NodeProto) -> bytes:
    """Bytes that are equal for nodes with equal results: operator, operands, attributes, and which outputs exist."""
    inputs = sorted(node.input) if node.op_type in _COMMUTATIVE else list(node.input)
    given = sorted(node.attribute, key=lambda entry: entry.name)
    outputs = ["." if name else "" for name in node.output]
    plain = onnx.NodeProto(op_type=node.op_type, input=inputs, output=outputs, attribute=given)
    meaning: bytes = plain.SerializeToString(deterministic=True)
    return meaning


def _merge_transposes(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    order = _order(node, facts)
    if order is None:
        return None
    if order == sorted(order):
        return replace_by_value(node, node.input[0], facts)
    source = facts.producers.get(node.input[0])
    first = _order(source, facts) if source is not None and source.op_type == "Transpose" else None
    if source is None or first is None:
        return None
    both = [first[axis] for axis in order]
    return depends_on(source) | {node_key(node): [helper.make_node("Transpose", source.input, node.output, perm=both)]}


def _order(node: onnx.NodeProto, facts: Facts) -> list[int] | None:
    shape = facts.shape(node.input[0])
    return None if shape is None else list(attributes(node).get("perm", range(len(shape))[::-1]))


def _merge_reshapes(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    before, after = facts.shape(node.input[0]), facts.shape(node.output[0])
    if before is None or after is None or 0 in after:
        return None
    if before == after:
        return replace_by_value(node, node.input[0], facts)
    source = facts.producers.get(node.input[0])
    if source is None or source.op_type not in _RESHAPES:
        return None
    sizes = facts.new_constant(node.output[0], np.array(after, dtype=np.int64))
    merged = helper.make_node("Reshape", [source.input[0], sizes], node.output)
    return depends_on(source) | {node_key(node): [merged]}


def _drop_single_concat(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    return replace_by_value(node, node.input[0], facts) if len(node.input) == 1 else None


LAYOUT_RULES: dict[str, Rule] = {
    "Concat": _drop_single_concat,
    "Transpose": _merge_transposes,
    **dict.fromkeys(sorted(_RESHAPES), _merge_reshapes),
}


def _replacement(node: onnx.NodeProto, operator: str, *inputs: str, **given: Any) -> Edit:  # noqa: ANN401 - attributes
    return {node_key(node): [helper.make_node(operator, inputs, node.output, **given)]}


def _drop_neutral_element(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """x · 1 and x + 0 become x; a constant of equal numbers becomes a scalar."""
    found = split_constant(node, facts)
    if found is None or not found[1].size or not keeps_shape(found[1], facts.shape(found[0])):
        return None
    value, array = found
    first = array.reshape(-1)[0]
    if (array != first).any():
        return None
    if first == (1.0 if node.op_type == "Mul" else 0.0):
        return replace_by_value(node, value, facts)
    if array.ndim:
        return _replacement(node, node.op_type, value, facts.new_constant(node.output[0], np.array(first)))
    return None


def _division_to_product(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """x / c = x · (1 / c)."""
    array = _right_constant(node, facts)
    if array is None or not array.all() or not within_float32_range(array):
        return None
    inverse = to_float32(1.0 / to_float64(array))
    return (
        None
        if inverse is None
        else _replacement(node, "Mul", node.input[0], facts.new_constant(node.output[0], inverse))
    )


def _subtraction_to_sum(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """x - c = x + (-c)."""
    array = _right_constant(node, facts)
    return (
        None if array is None else _replacement(node, "Add", node.input[0], facts.new_constant(node.output[0], -array))
    )


def _right_constant(node: onnx.NodeProto, facts: Facts) -> NDArray[Any] | None:
    found = split_constant(node, facts)
    return found[1] if found is not None and found[0] == node.input[0] else None


def _expand_power(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """x^1 is x, and x^2 is x · x."""
    found = split_constant(node, facts)
    if (
        found is None
        or found[0] != node.input[0]
        or found[1].size != 1
        or not keeps_shape(found[1], facts.shape(found[0]))
    ):
        return None
    value, exponent = found[0], float(found[1].reshape(()))
    if exponent == 1.0:
        return replace_by_value(node, value, facts)
    return _replacement(node, "Mul", value, value) if exponent == 2.0 else None


def _drop_double_negation(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """-(-x) and not(not x) become x."""
    source = facts.producers.get(node.input[0])
    if source is None or source.op_type != node.op_type:
        return None
    edit = replace_by_value(node, source.input[0], facts)
    return None if edit is None else edit | depends_on(source)


def _drop_redundant(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Relu and Abs of a value that is never negative become the value."""
    return replace_by_value(node, node.input[0], facts) if not_negative(node.input[0], facts) else None


def _fold_gemm_factors(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Fold alpha and beta of a Gemm into its constant weights."""
    given = attributes(node)
    alpha, beta = given.pop("alpha", 1.0), given.pop("beta", 1.0)
    arrays = [facts.array(name) for name in node.input[1:]]
    if alpha == beta == 1.0 or any(array is None for array in arrays) or not all_float32(facts, *node.input):
        return None
    changed = [
        to_float32(to_float64(array) * by)
        for array, by in zip(arrays, (alpha, beta), strict=False)
        if array is not None
    ]
    names = [facts.new_constant(node.output[0], array) for array in changed if array is not None]
    return _replacement(node, "Gemm", node.input[0], *names, **given) if len(names) == len(arrays) else None


def _batch_normalisation(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """gamma · (x - mean) / sqrt(var + eps) + beta as one multiplication and one addition; see the ONNX standard."""
    given, shape = attributes(node), facts.shape(node.input[0])
    arrays = [facts.array(name) for name in node.input[1:]]
    if (
        any(array is None for array in arrays)
        or not shape
        or not all_float32(facts, *node.input)
        or any(node.output[1:])
    ):
        return None
    gamma, beta, mean, variance = (to_float64(array) for array in arrays if array is not None)
    spread = variance + float(given.get("epsilon", 1e-5))
    if given.get("training_mode") or (spread <= 0).any():
        return None
    scale = gamma / np.sqrt(spread)
    shift = to_float32(beta - mean * scale)
    if shift is None or (np.abs(scale) > _LARGEST_SCALE).any():
        return None
    dims = (-1, *[1] * (len(shape) - 2))
    scaled, base = facts.fresh(node.output[0]), node.output[0]
    by = facts.new_constant(base, np.asarray(scale, np.float32).reshape(dims))
    to = facts.new_constant(base, shift.reshape(dims))
    product = helper.make_node("Mul", [node.input[0], by], [scaled])
    return {node_key(node): [product, helper.make_node("Add", [scaled, to], node.output)]}


def _drop_intermediate_cast(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Drop a cast to an intermediate type that represents every value of the original type."""
    source = facts.producers.get(node.input[0])
    if source is None or source.op_type != "Cast":
        return None
    kinds = [DTYPES.get(facts.dtype(name)) for name in (source.input[0], source.output[0])]
    if None in kinds or not np.can_cast(str(kinds[0]), str(kinds[1]), "safe"):
        return None
    return _replacement(node, "Cast", source.input[0], to=attributes(node)["to"]) | depends_on(source)


RULES: dict[str, Rule] = {
    "Abs": _drop_redundant,
    "Add": _drop_neutral_element,
    "BatchNormalization": _batch_normalisation,
    "Cast": _drop_intermediate_cast,
    "Div": _division_to_product,
    "Gemm": _fold_gemm_factors,
    "Mul": _drop_neutral_element,
    "Neg": _drop_double_negation,
    "Not": _drop_double_negation,
    "Pow": _expand_power,
    "Relu": _drop_redundant,
    "Sub": _subtraction_to_sum,
}
