"""Rewrite uses of operators that the engine silently computes wrongly, or panics on [all measured].

`decompose` applies `RULES`; `BATCH_AXIS_RULES` form a separate pass. Imported in the child only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper

from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, Facts, attributes, replace_all
from zkinfer.circuits.frontend.indices import lookups
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import node_key, not_negative, padded

if TYPE_CHECKING:
    from zkinfer.circuits.frontend.graph import Nodes, Rule
    from zkinfer.circuits.frontend.indices import Lookup
    from zkinfer.circuits.frontend.passes.rewrite import Edit
    from zkinfer.circuits.frontend.passes.rewrite import Rule as EditRule


# These read the result of Equal correctly; every other reader takes its 1 for 2^-scale.
_READERS_OF_EQUAL = words("And Not Or Where Xor")
MAX_PADDING = 1 << 20


def max_pool(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine pads MaxPool with 0: repeat the edge instead, which every window on the padding contains anyway."""
    given, shape = attributes(node), facts.shape(node.input[0])
    if not padded(given) or shape is None or not_negative(node.input[0], facts):
        return None
    if given.get("ceil_mode") or _dilated(given) or any(name in facts.used for name in node.output[1:]):
        return None
    given.setdefault("strides", [1] * (len(shape) - 2))
    value, result = node.input[0], []
    for axis, size in enumerate(shape[2:], start=2):
        before, after = _padding(given, axis - 2, len(shape) - 2, size)
        if max(before, after) >= min(given["kernel_shape"][axis - 2], MAX_PADDING):
            return None  # a window would cover only padding
        if before or after:
            indices = np.clip(np.arange(-before, size + after), 0, size - 1)
            index, wider = facts.new_constant(node.output[0], indices), facts.fresh(node.output[0])
            result.append(helper.make_node("Gather", [value, index], [wider], axis=axis))
            value = wider
    plain = {name: given[name] for name in ("kernel_shape", "strides")}
    return [*result, helper.make_node("MaxPool", [value], [node.output[0]], **plain)]


def _dilated(given: dict[str, Any]) -> bool:
    return any(step != 1 for step in given.get("dilations", []))


def _padding(given: dict[str, Any], axis: int, rank: int, size: int) -> tuple[int, int]:
    """The padding of a pooling operator before and after one spatial axis."""
    mode = given.get("auto_pad", b"NOTSET")
    if mode == b"NOTSET":
        return given["pads"][axis], given["pads"][rank + axis]
    step, kernel = max(given["strides"][axis], 1), given["kernel_shape"][axis]
    total = max((-(-size // step) - 1) * step + kernel - size, 0)
    less = total // 2
    return (less, total - less) if mode == b"SAME_UPPER" else (total - less, less)


def nonnegative_indices(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine reads negative indices as 0: add the size of the axis to constant ones."""
    indices, shape = facts.array(node.input[1]), facts.shape(node.input[0])
    if indices is None or not shape or not (indices < 0).any():
        return None
    given = attributes(node)
    if node.op_type == "GatherND":
        first = given.get("batch_dims", 0)
        sizes = np.array(shape[first : first + indices.shape[-1]])
    else:
        sizes = np.array(shape[given.get("axis", 0)])
    whole = np.where(indices < 0, indices + sizes, indices).astype(indices.dtype)
    replace_all(node.input, [node.input[0], facts.new_constant(node.output[0], whole)])
    return [node]


def equal(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine gives the result of Equal, 0 or 1, the scale of its inputs; applying Not twice sets scale 0."""
    name = node.output[0]
    if name not in facts.outputs and facts.readers.get(name, set()) <= _READERS_OF_EQUAL:
        return None
    same, other = facts.fresh(name), facts.fresh(name)
    return [
        helper.make_node("Equal", node.input, [same]),
        helper.make_node("Not", [same], [other]),
        helper.make_node("Not", [other], [name]),
    ]


def power(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine ignores negative integer exponents: use Reciprocal."""
    exponent = facts.array(node.input[1])
    if exponent is None or exponent.size != 1 or facts.dtype(node.input[0]) not in FLOATS:
        return None
    value, wanted = node.input[0], float(exponent.reshape(()))
    if wanted not in (-1.0, -2.0) or exponent.ndim > len(facts.shape(value) or ()):
        return None
    if wanted == -1.0:
        return [helper.make_node("Reciprocal", [value], node.output)]
    square = facts.fresh(node.output[0])
    return [
        helper.make_node("Mul", [value, value], [square]),
        helper.make_node("Reciprocal", [square], node.output),
    ]


def celu(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine forgets to multiply by alpha: celu(x) = alpha · elu(x / alpha)."""
    alpha, dtype = attributes(node).get("alpha", 1.0), facts.dtype(node.input[0])
    if alpha in (0.0, 1.0) or dtype not in FLOATS:
        return None
    down, up = (facts.new_constant("alpha", np.array(value, dtype=DTYPES[dtype])) for value in (1 / alpha, alpha))
    small, curved = facts.fresh(node.output[0]), facts.fresh(node.output[0])
    return [
        helper.make_node("Mul", [node.input[0], down], [small]),
        helper.make_node("Elu", [small], [curved]),
        helper.make_node("Mul", [curved, up], node.output),
    ]


def softmax(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """Before opset 13 Softmax normalises over all axes from the given one on; the engine panics on several."""
    shape = facts.shape(node.input[0])
    if facts.opset >= 13 or not shape:
        return None
    axis = attributes(node).get("axis", 1) % len(shape)
    if axis == len(shape) - 1:
        return None
    flat, soft = facts.fresh(node.output[0]), facts.fresh(node.output[0])
    sizes = facts.new_constant(node.output[0], np.array(shape, dtype=np.int64))
    return [
        helper.make_node("Flatten", [node.input[0]], [flat], axis=axis),
        helper.make_node(node.op_type, [flat], [soft], axis=1),
        helper.make_node("Reshape", [soft, sizes], node.output),
    ]


def log_softmax(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine takes logarithms of values rounded to 0: with d = x - max(x), compute d - log(sum(exp(d)))."""
    flattened = softmax(node, facts)
    if flattened is not None:
        return flattened
    axis = attributes(node).get("axis", -1 if facts.opset >= 13 else 1)
    value, (top, below, power_of, total, log) = node.input[0], (facts.fresh(node.output[0]) for _ in range(5))
    return [
        _reduction("ReduceMax", value, top, axis, facts),
        helper.make_node("Sub", [value, top], [below]),
        helper.make_node("Exp", [below], [power_of]),
        _reduction("ReduceSum", power_of, total, axis, facts),
        helper.make_node("Log", [total], [log]),
        helper.make_node("Sub", [below, log], node.output),
    ]


def _reduction(kind: str, value: str, result: str, axis: int, facts: Facts) -> onnx.NodeProto:
    """A reduction over one axis, which is an attribute or, in later opsets, an input."""
    if facts.opset < (13 if kind == "ReduceSum" else 18):
        return helper.make_node(kind, [value], [result], axes=[axis])
    return helper.make_node(kind, [value, facts.new_constant(result, np.array([axis]))], [result])


def maximum(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine rejects a constant tensor among more than two operands: chain maxima of two."""
    tensors = [name for name in node.input if (array := facts.array(name)) is not None and array.size > 1]
    if len(node.input) < 3 or not tensors:
        return None
    value, result = node.input[0], []
    for count, other in enumerate(node.input[1:], start=2):
        name = node.output[0] if count == len(node.input) else facts.fresh(node.output[0])
        result.append(helper.make_node("Max", [value, other], [name]))
        value = name
    return result


RULES: dict[str, Rule] = {
    "Celu": celu,
    "Equal": equal,
    "Gather": nonnegative_indices,
    "GatherElements": nonnegative_indices,
    "GatherND": nonnegative_indices,
    "LogSoftmax": log_softmax,
    "Max": maximum,
    "MaxPool": max_pool,
    "Pow": power,
    "Softmax": softmax,
}


# Convolutions must keep their batch axis: without one the engine silently computes them wrongly, or panics [measured].
# Its reader of ONNX drops an axis of size 1 from every value between operators that do not need it: Reshape and matrix
# products, for instance, and 1x1 convolutions, which it turns into matrix products. Convolutions in between lose the
# axis too, and the engine then applies their windows to the wrong axes. The reader keeps all axes of the operand of a
# Gather with several indices, and a Gather of all indices, in order, costs no row.

# The reader drops an axis from both the operand and the result of these, or from neither.
_PASS_ON = words("AveragePool Conv ConvTranspose LeakyRelu MaxPool Relu Sigmoid Tanh")


def _keep_batch_axis(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    result, shape = node.output[0], facts.shape(node.output[0])
    if not shape or shape[0] != 1 or _cannot_lose_axes(node, facts):
        return None
    axis = next((axis for axis, size in enumerate(shape) if size > 1), None)
    if axis is None:
        return None  # a single element, whatever the axis
    indices = facts.new_constant(result, np.arange(shape[axis], dtype=np.int64))
    moved = onnx.NodeProto()
    moved.CopyFrom(node)
    moved.output[0] = facts.fresh(result)
    return {node_key(node): [moved, helper.make_node("Gather", [moved.output[0], indices], [result], axis=axis)]}


def _cannot_lose_axes(node: onnx.NodeProto, facts: Facts) -> bool:
    """Whether an input or output of the model, or the operand of a Gather, would lose the axis too."""
    if node.output[0] in facts.outputs or any(_gathers(one, facts) for one in facts.consumers.get(node.output[0], [])):
        return True
    before: onnx.NodeProto | None = node
    while before is not None and before.op_type in _PASS_ON and (before is node or not _pointwise(before, facts)):
        if before.input[0] in facts.inputs:
            return True
        before = facts.producers.get(before.input[0])
    return False


def _gathers(node: onnx.NodeProto, facts: Facts) -> bool:
    indices = facts.array(node.input[1]) if node.op_type == "Gather" else None
    return indices is not None and indices.size > 1


def _pointwise(node: onnx.NodeProto, facts: Facts) -> bool:
    return node.op_type == "Conv" and math.prod((facts.shape(node.input[1]) or ())[2:]) == 1


BATCH_AXIS_RULES: dict[str, EditRule] = {"Conv": _keep_batch_axis}


# The engine looks up an element of a table by the sum of its coordinates: an index that is too large for its axis finds
# an element of the next row. A table of the numbers from 0 holds each index to its axis.


def hold_indices(model: onnx.ModelProto) -> bool:
    """Look up, in place, indices that may leave their axis unnoticed in a table of all its places; the pass."""
    facts = Facts(model)
    loose = {node_key(one.node): one for one in lookups(model) if _finds_other_rows(one, facts)}
    if not loose:
        return False
    nodes = []
    for node in model.graph.node:
        if node_key(node) in loose:
            nodes += _held_indices(loose[node_key(node)], facts)
        nodes.append(node)
    replace_all(model.graph.node, nodes)
    model.graph.initializer.extend(facts.added)
    return True


def _finds_other_rows(lookup: Lookup, facts: Facts) -> bool:
    """Whether an index that is out of range still gives an element: not if it is out of range for the whole table.

    Gather reads all rows at each index, so one of them is outside; so does GatherND if its indices have one entry.
    """
    shape = facts.shape(lookup.node.input[0]) or ()
    if lookup.node.op_type in ("GatherElements", "ScatterElements"):
        return math.prod(shape) > lookup.sizes[0]
    return len(lookup.sizes) > 1


def _held_indices(lookup: Lookup, facts: Facts) -> list[onnx.NodeProto]:
    """Nodes before a lookup that compute the same indices; the lookup is changed to read them."""
    indices, (*_, last) = lookup.indices, facts.shape(lookup.indices) or (1,)
    kind, made, held = DTYPES[facts.dtype(indices)], list[onnx.NodeProto](), list[str]()
    parts = [indices] if len(lookup.sizes) == 1 else [facts.fresh(indices) for _ in range(last)]
    if len(parts) > 1:
        places = [facts.new_constant(indices, np.array([place])) for place in range(last)]
        made = [
            helper.make_node("Gather", [indices, place], [part], axis=-1)
            for part, place in zip(parts, places, strict=True)
        ]
    for part, size in zip(parts, lookup.sizes, strict=True):
        table, result = facts.new_constant(indices, np.arange(size, dtype=kind)), facts.fresh(indices)
        made.append(helper.make_node("Gather", [table, part], [result], axis=0))
        held.append(result)
    if len(held) > 1:
        joined = facts.fresh(indices)
        made.append(helper.make_node("Concat", held, [joined], axis=-1))
        held = [joined]
    replace_all(lookup.node.input, [lookup.node.input[0], held[0], *lookup.node.input[2:]])
    return made
