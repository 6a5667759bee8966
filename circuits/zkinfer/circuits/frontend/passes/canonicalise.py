"""One form for what can be written in several, and nothing where nothing is computed. Imported in the child only."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from zkinfer.circuits.frontend.graph import DTYPES, attributes, replace_all
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import factor, fits, floating, kept, key, rounded, same, tame, wide
from zkinfer.circuits.frontend.passes.sign_analysis import not_negative

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Facts
    from zkinfer.circuits.frontend.passes.rewrite import Edit, Rule


_EITHER_WAY = words("Add And Equal Mul Or Xor")
# Their further outputs may be left out.
_OPTIONAL = words("BatchNormalization Dropout GRU LSTM LayerNormalization MaxPool RNN")


def shared(model: onnx.ModelProto) -> bool:
    """Let, in place, the readers of equal constants and equal results read the first of them; whether any did.

    The model has no random operators; results that are outputs of the model keep nodes of their own.
    """
    outputs = {port.name for port in model.graph.output}
    names: dict[str, str] = {}
    _share_constants(model.graph, outputs, names)
    kept, seen = [], dict[bytes, onnx.NodeProto]()
    for node in model.graph.node:
        replace_all(node.input, [names.get(name, name) for name in node.input])
        first = seen.setdefault(_meaning(node), node)
        if first is node or outputs.intersection(node.output):
            kept.append(node)
        else:
            names.update(zip(node.output, first.output, strict=True))
    replace_all(model.graph.node, kept)
    return bool(names)


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


def _meaning(node: onnx.NodeProto) -> bytes:
    """Equal for nodes that compute the same: operator, operands, attributes, and which outputs there are."""
    inputs = sorted(node.input) if node.op_type in _EITHER_WAY else list(node.input)
    given = sorted(node.attribute, key=lambda entry: entry.name)
    outputs = ["." if name else "" for name in node.output]
    plain = onnx.NodeProto(op_type=node.op_type, input=inputs, output=outputs, attribute=given)
    meaning: bytes = plain.SerializeToString(deterministic=True)
    return meaning


def without_unread_outputs(model: onnx.ModelProto) -> bool:
    """Drop, in place, optional outputs at the end of a node that nothing reads; whether there were any."""
    read = {name for node in model.graph.node for name in node.input} | {port.name for port in model.graph.output}
    dropped = False
    for node in model.graph.node:
        while node.op_type in _OPTIONAL and len(node.output) > 1 and node.output[-1] not in read - {""}:
            node.output.pop()
            dropped = True
    return dropped


_RESHAPES = words("Flatten Reshape Squeeze Unsqueeze")


def _transposed(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    order = _order(node, facts)
    if order is None:
        return None
    if order == sorted(order):
        return same(node, node.input[0], facts)
    source = facts.producers.get(node.input[0])
    first = _order(source, facts) if source is not None and source.op_type == "Transpose" else None
    if source is None or first is None:
        return None
    both = [first[axis] for axis in order]
    return kept(source) | {key(node): [helper.make_node("Transpose", source.input, node.output, perm=both)]}


def _order(node: onnx.NodeProto, facts: Facts) -> list[int] | None:
    shape = facts.shape(node.input[0])
    return None if shape is None else list(attributes(node).get("perm", range(len(shape))[::-1]))


def _reshaped(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    before, after = facts.shape(node.input[0]), facts.shape(node.output[0])
    if before is None or after is None or 0 in after:
        return None
    if before == after:
        return same(node, node.input[0], facts)
    source = facts.producers.get(node.input[0])
    if source is None or source.op_type not in _RESHAPES:
        return None
    sizes = facts.new_constant(node.output[0], np.array(after, dtype=np.int64))
    merged = helper.make_node("Reshape", [source.input[0], sizes], node.output)
    return kept(source) | {key(node): [merged]}


def _joined(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    return same(node, node.input[0], facts) if len(node.input) == 1 else None


LAYOUT_RULES: dict[str, Rule] = {
    "Concat": _joined,
    "Transpose": _transposed,
    **dict.fromkeys(sorted(_RESHAPES), _reshaped),
}


_LARGEST_SCALE = 65536.0  # of a batch normalisation: beyond it the variance is as good as zero


def _made(node: onnx.NodeProto, operator: str, *inputs: str, **given: Any) -> Edit:  # noqa: ANN401 - attributes
    return {key(node): [helper.make_node(operator, inputs, node.output, **given)]}


def _neutral(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """x · 1 and x + 0 are x; a constant of equal numbers is one number."""
    found = factor(node, facts)
    if found is None or not found[1].size or not fits(found[1], facts.shape(found[0])):
        return None
    value, array = found
    first = array.reshape(-1)[0]
    if (array != first).any():
        return None
    if first == (1.0 if node.op_type == "Mul" else 0.0):
        return same(node, value, facts)
    if array.ndim:
        return _made(node, node.op_type, value, facts.new_constant(node.output[0], np.array(first)))
    return None


def _quotient(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """x / c = x · (1 / c)."""
    array = _right(node, facts)
    if array is None or not array.all() or not tame(array):
        return None
    inverse = rounded(1.0 / wide(array))
    return None if inverse is None else _made(node, "Mul", node.input[0], facts.new_constant(node.output[0], inverse))


def _difference(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """x - c = x + (-c)."""
    array = _right(node, facts)
    return None if array is None else _made(node, "Add", node.input[0], facts.new_constant(node.output[0], -array))


def _right(node: onnx.NodeProto, facts: Facts) -> NDArray[Any] | None:
    found = factor(node, facts)
    return found[1] if found is not None and found[0] == node.input[0] else None


def _power(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """x^1 is x, and x^2 is x · x."""
    found = factor(node, facts)
    if found is None or found[0] != node.input[0] or found[1].size != 1 or not fits(found[1], facts.shape(found[0])):
        return None
    value, exponent = found[0], float(found[1].reshape(()))
    if exponent == 1.0:
        return same(node, value, facts)
    return _made(node, "Mul", value, value) if exponent == 2.0 else None


def _twice(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """-(-x) and not(not x) are x."""
    source = facts.producers.get(node.input[0])
    if source is None or source.op_type != node.op_type:
        return None
    edit = same(node, source.input[0], facts)
    return None if edit is None else edit | kept(source)


def _already(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Relu and Abs of what is never below zero."""
    return same(node, node.input[0], facts) if not_negative(node.input[0], facts) else None


def _plain_gemm(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """alpha and beta go into constant weights."""
    given = attributes(node)
    alpha, beta = given.pop("alpha", 1.0), given.pop("beta", 1.0)
    arrays = [facts.array(name) for name in node.input[1:]]
    if alpha == beta == 1.0 or any(array is None for array in arrays) or not floating(facts, *node.input):
        return None
    changed = [rounded(wide(array) * by) for array, by in zip(arrays, (alpha, beta), strict=False) if array is not None]
    names = [facts.new_constant(node.output[0], array) for array in changed if array is not None]
    return _made(node, "Gemm", node.input[0], *names, **given) if len(names) == len(arrays) else None


def _batch_normalisation(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """gamma · (x - mean) / sqrt(var + eps) + beta as one multiplication and one addition; see the ONNX standard."""
    given, shape = attributes(node), facts.shape(node.input[0])
    arrays = [facts.array(name) for name in node.input[1:]]
    if any(array is None for array in arrays) or not shape or not floating(facts, *node.input) or any(node.output[1:]):
        return None
    gamma, beta, mean, variance = (wide(array) for array in arrays if array is not None)
    spread = variance + float(given.get("epsilon", 1e-5))
    if given.get("training_mode") or (spread <= 0).any():
        return None
    scale = gamma / np.sqrt(spread)
    shift = rounded(beta - mean * scale)
    if shift is None or (np.abs(scale) > _LARGEST_SCALE).any():
        return None
    dims = (-1, *[1] * (len(shape) - 2))
    scaled, base = facts.fresh(node.output[0]), node.output[0]
    by = facts.new_constant(base, np.asarray(scale, np.float32).reshape(dims))
    to = facts.new_constant(base, shift.reshape(dims))
    product = helper.make_node("Mul", [node.input[0], by], [scaled])
    return {key(node): [product, helper.make_node("Add", [scaled, to], node.output)]}


def _cast(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """A detour through a type that holds every value of the first."""
    source = facts.producers.get(node.input[0])
    if source is None or source.op_type != "Cast":
        return None
    kinds = [DTYPES.get(facts.dtype(name)) for name in (source.input[0], source.output[0])]
    if None in kinds or not np.can_cast(str(kinds[0]), str(kinds[1]), "safe"):
        return None
    return _made(node, "Cast", source.input[0], to=attributes(node)["to"]) | kept(source)


RULES: dict[str, Rule] = {
    "Abs": _already,
    "Add": _neutral,
    "BatchNormalization": _batch_normalisation,
    "Cast": _cast,
    "Div": _quotient,
    "Gemm": _plain_gemm,
    "Mul": _neutral,
    "Neg": _twice,
    "Not": _twice,
    "Pow": _power,
    "Relu": _already,
    "Sub": _difference,
}
