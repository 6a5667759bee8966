"""One form for what can be written in several, and nothing where nothing is computed. Imported in the child only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from zkinfer.circuits.models.graphs import DTYPES, attributes
from zkinfer.circuits.models.repairs import not_negative
from zkinfer.circuits.models.rewriting import factor, fits, floating, kept, key, rounded, same, tame, wide

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.models.graphs import Facts
    from zkinfer.circuits.models.rewriting import Edit, Rule

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
