"""Rewrite operators that the engine rejects or computes wrongly into ones that it computes correctly.

Each rule, here, in `moves` and in `workarounds`, takes one node and returns its replacement nodes, or None to leave it.
Rules must preserve the computed function; the equivalence check at the end of lowering detects one that does not.
Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from zkinfer.circuits.engines.ezkl.lowering import cheaper_forms, moves, workarounds
from zkinfer.circuits.frontend import fold
from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, Facts, attributes, replace_all
from zkinfer.circuits.frontend.passes.rewrite import is_integral

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Rule

_BOOL = onnx.TensorProto.BOOL


def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    """Apply the rules in place, once to every node; the model must have inferred shapes."""
    facts = Facts(model)
    nodes = [new for node in model.graph.node for new in _lowered(node, facts)]
    replace_all(model.graph.node, nodes)
    model.graph.initializer.extend(facts.added)
    return model


def _lowered(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto]:
    for rules in (workarounds.RULES, moves.RULES, _RULES, fold.RULES):
        rule = rules.get(node.op_type)
        result = rule(node, facts) if rule is not None else None
        if result is not None:
            return result
    return [node]


def _cast(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """The engine rounds where ONNX truncates, and keeps fractions in booleans [measured]."""
    source, target = facts.dtype(node.input[0]), attributes(node).get("to", 0)
    if source == target:
        return [helper.make_node("Identity", [node.input[0]], node.output)]
    if target == _BOOL and source in DTYPES:
        return _not_zero(node, facts, source)
    if source in FLOATS and target not in FLOATS and not is_integral(node.input[0], facts):
        return _truncated(node, facts)
    return None


def _not_zero(node: onnx.NodeProto, facts: Facts, source: int) -> list[onnx.NodeProto]:
    zero = facts.new_constant("zero", np.zeros((), dtype=DTYPES[source]))
    equal = facts.fresh(node.output[0])
    return [helper.make_node("Equal", [node.input[0], zero], [equal]), helper.make_node("Not", [equal], node.output)]


def _rounding(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """The engine rounds no value that is an integer already [measured]."""
    whole = is_integral(node.input[0], facts)
    return [helper.make_node("Identity", [node.input[0]], node.output)] if whole else None


def _truncated(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto]:
    value = node.input[0]
    sign, size, floor, whole = (facts.fresh(node.output[0]) for _ in range(4))
    return [
        helper.make_node("Sign", [value], [sign]),
        helper.make_node("Abs", [value], [size]),
        helper.make_node("Floor", [size], [floor]),
        helper.make_node("Mul", [sign, floor], [whole]),
        helper.make_node("Cast", [whole], node.output, to=attributes(node)["to"]),
    ]


def _with_strides(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """The engine does not apply the default strides, 1: make them explicit."""
    if node.op_type == "AveragePool" and (rescaled := _without_padding(node, facts)):
        return rescaled
    shape = facts.shape(node.input[0])
    if shape is None or "strides" in attributes(node):
        return None
    node.attribute.append(helper.make_attribute("strides", [1] * (len(shape) - 2)))
    return [node]


def _without_padding(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """The engine always counts padding in averages: multiply each by the ratio of window size to unpadded elements."""
    given = attributes(node)
    shape, dtype = facts.shape(node.input[0]), facts.dtype(node.input[0])
    plain = not given.get("count_include_pad") and any(given.get("pads", []))
    if not plain or shape is None or dtype not in FLOATS or given.get("ceil_mode") or "dilations" in given:
        return None
    if _is_overpadded(given):
        return None
    factor = facts.new_constant(node.output[0], _window_factor(given, shape[2:]).astype(DTYPES[dtype]))
    mean = facts.fresh(node.output[0])
    given |= {"count_include_pad": 1, "strides": given.get("strides", [1] * (len(shape) - 2))}
    pool = helper.make_node("AveragePool", node.input, [mean], **given)
    return [pool, helper.make_node("Mul", [mean, factor], node.output)]


def _is_overpadded(given: dict[str, list[int]]) -> bool:
    """Whether a window covers only padding, or the padding is too large to be intended."""
    return any(
        pad >= min(size, workarounds.MAX_PADDING)
        for pad, size in zip(given["pads"], 2 * given["kernel_shape"], strict=True)
    )


def _window_factor(given: dict[str, list[int]], sizes: tuple[int, ...]) -> NDArray[np.float64]:
    factor = np.ones(())
    rank = len(sizes)
    for axis, size in enumerate(sizes):
        kernel, before, after = given["kernel_shape"][axis], given["pads"][axis], given["pads"][rank + axis]
        step = given.get("strides", [1] * rank)[axis]
        starts = np.arange(-before, size + after - kernel + 1, step)
        real = np.minimum(starts + kernel, size) - np.maximum(starts, 0)
        factor = np.multiply.outer(factor, kernel / np.maximum(real, 1))
    return factor[None, None]


def _tile(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    repeats = facts.array(node.input[1])
    if repeats is None or int(repeats.max(initial=1)) > _MAX_REPEATS or int(repeats.min(initial=1)) < 1:
        return None
    value, result = node.input[0], []
    for axis, count in enumerate(repeats.tolist()):
        if count > 1:
            joined = facts.fresh(node.output[0])
            result.append(helper.make_node("Concat", [value] * count, [joined], axis=axis))
            value = joined
    return [*result, helper.make_node("Identity", [value], node.output)]


_MAX_REPEATS = 1024


def _max(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """The engine supports Min with a constant tensor, but not Max: max(x, c) = -min(-x, -c)."""
    tensors = [name for name in node.input if (array := facts.array(name)) is not None and array.size > 1]
    if len(node.input) != 2 or not tensors:
        return None
    if facts.dtype(tensors[0]) not in FLOATS or cheaper_forms.fits_relu(node, facts):
        return None
    negated = [facts.fresh(node.output[0]) for _ in node.input]
    least = facts.fresh(node.output[0])
    turned = [helper.make_node("Neg", [name], [new]) for name, new in zip(node.input, negated, strict=True)]
    smaller = helper.make_node("Min", negated, [least])
    return [*turned, smaller, helper.make_node("Neg", [least], node.output)]


def _resize(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """The engine panics on sizes, and does not support axes: replace both by scales of all axes."""
    given, shape = attributes(node), facts.shape(node.input[0])
    scales, sizes = (facts.array(node.input[place]) if len(node.input) > place else None for place in (2, 3))
    axes = given.pop("axes", None)
    policy = given.pop("keep_aspect_ratio_policy", b"stretch")
    if not shape or policy != b"stretch" or (sizes is None and (axes is None or scales is None)):
        return None
    places = list(range(len(shape))) if axes is None else axes
    factors = scales if sizes is None else sizes / np.array(shape)[places]
    every = np.ones(len(shape), dtype=np.float32)
    if factors is None or len(factors) != len(places):
        return None
    every[places] = factors
    names = [node.input[0], "", facts.new_constant(node.output[0], every)]
    return [helper.make_node("Resize", names, node.output, name=node.name, **given)]


def _log_of_sum(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """Log of ReduceSum, so that the sum can be held to the domain of the logarithm."""
    if facts.dtype(node.input[0]) not in FLOATS:
        return None
    given, inputs, total = attributes(node), list(node.input), facts.fresh(node.output[0])
    if "axes" in given and facts.opset >= _SUM_AXES_OPSET:
        inputs.append(facts.new_constant(node.output[0], np.array(given.pop("axes"), dtype=np.int64)))
    return [helper.make_node("ReduceSum", inputs, [total], **given), helper.make_node("Log", [total], node.output)]


_SUM_AXES_OPSET = 13  # from here on the axes of ReduceSum are an input


def _computed_normalisation(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """BatchNormalization by computed parameters, which the engine does not read: the definition in the standard."""
    given, shape = attributes(node), facts.shape(node.input[0])
    kinds = {facts.dtype(name) for name in node.input}
    if not shape or len(kinds) > 1 or not kinds <= FLOATS or given.get("training_mode") or len(node.output) > 1:
        return None
    if all(name in facts.constants for name in node.input[1:]):
        return None
    kind, base = DTYPES[kinds.pop()], node.output[0]
    sizes = facts.new_constant(base, np.array([-1, *[1] * (len(shape) - 2)], dtype=np.int64))
    epsilon = facts.new_constant(base, np.array(given.get("epsilon", 1e-5), kind))
    nodes: list[onnx.NodeProto] = []

    def add(operator: str, *inputs: str) -> str:
        nodes.append(helper.make_node(operator, inputs, [facts.fresh(base)]))
        return str(nodes[-1].output[0])

    scale, shift, mean, variance = (add("Reshape", name, sizes) for name in node.input[1:])
    share = add("Div", add("Sub", node.input[0], mean), add("Sqrt", add("Add", variance, epsilon)))
    add("Add", add("Mul", share, scale), shift)
    nodes[-1].output[0] = base
    return nodes


_RULES: dict[str, Rule] = {
    "AveragePool": _with_strides,
    "BatchNormalization": _computed_normalisation,
    "Cast": _cast,
    "Ceil": _rounding,
    "Conv": _with_strides,
    "ConvTranspose": _with_strides,
    "Floor": _rounding,
    "Max": _max,
    "MaxPool": _with_strides,
    "ReduceLogSum": _log_of_sum,
    "Resize": _resize,
    "Round": _rounding,
    "Tile": _tile,
}
