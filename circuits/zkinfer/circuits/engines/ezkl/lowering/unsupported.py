"""Uses of supported operators that the engine refuses, panics on, or answers wrongly [all measured].

Runs on the final graph, so constants and shapes are known. Integers of a circuit do not wrap: arithmetic on types
narrower than int64 is refused, and an overflow of int64 lies out of the circuit's range, which is an error for the
caller. Likewise an index that is computed, and is negative, stops the engine: no such answer can be proven.
Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from zkinfer.circuits.engines.ezkl.lowering import operators
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, Facts, attributes
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import not_negative, padded
from zkinfer.circuits.frontend.validate import label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Check = Callable[[onnx.NodeProto, Facts], str | None]

# Inputs, by position, that say how to compute, not on what: a circuit has one fixed form.
_FORM = {
    "Clip": (1, 2), "CumSum": (1,), "Expand": (1,), "Pad": (1, 2, 3), "Reshape": (1,),
    "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "TopK": (1,), "Unsqueeze": (1,),
}  # fmt: skip
_ARITHMETIC = words(
    """
    Abs Add Conv CumSum Einsum Gemm MatMul Mean Mul Neg Pow ReduceL1 ReduceL2 ReduceMean ReduceProd ReduceSum
    ReduceSumSquare Sub Sum
    """
)
_COUNTED = words("ArgMax ArgMin")  # their integers are places, so every type holds them
_INT64, _BOOL = onnx.TensorProto.INT64, onnx.TensorProto.BOOL

_PLAIN = "Rewrite this step with other operators, and export again."
_NARROW = "computes with integers that wrap around"
_NARROWER = "turns integers into ones that may not hold them"
_ZEROS = "may pad negative values with 0"
_EXPONENT = "has an exponent that the engine ignores"
_INTERPOLATES = "interpolates or rounds places in another way than the engine"
_SCALES = "does not enlarge by whole numbers"
_BACKWARDS = "starts elsewhere than at the first value"
_MERGES = "merges what it writes with what is there"
_CURES = {
    _NARROW: "Cast to int64 or float before arithmetic.",
    _NARROWER: "Cast to int64 or float instead.",
    _ZEROS: "Apply Relu before it, or pad explicitly (Pad, Concat).",
    _EXPONENT: "Write x^-n as Reciprocal of x^n, and x^0 as 1.",
    _INTERPOLATES: 'Use mode="nearest", coordinate_transformation_mode="asymmetric" and nearest_mode="floor".',
    _SCALES: "Enlarge by whole numbers, or use AveragePool to make smaller.",
    _BACKWARDS: "Use Slice and Concat around a plain CumSum.",
    _MERGES: "Compare indices by Equal and use MatMul, or Add, instead of a reduction.",
}


def refuse_unsupported(model: onnx.ModelProto) -> None:
    """Raise UnsupportedModelError for the first node that the engine could not take."""
    for _, problem in unsupported(model):
        raise problem


def unsupported(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, UnsupportedModelError]]:
    """Every node that the engine could not take, and why."""
    facts = Facts(model)
    for node in model.graph.node:
        refused = operators.remaining(node.op_type)
        if refused is not None:
            yield node, UnsupportedModelError(f"{refused[0]} (node {label(node)})", refused[1])
            continue
        wrong = _free_form(node, facts) or _wraps(node, facts) or _special(node, facts)
        if wrong is not None:
            cause = f"{node.op_type} {label(node)} {wrong}, which no circuit can take."
            yield node, UnsupportedModelError(cause, _CURES.get(wrong, _PLAIN))


def _free_form(node: onnx.NodeProto, facts: Facts) -> str | None:
    positions = range(1, 3) if node.op_type.startswith("Reduce") else _FORM.get(node.op_type, ())
    given = [node.input[place] for place in positions if place < len(node.input) and node.input[place]]
    free = [name for name in given if name not in facts.constants]
    return f"takes {free[0][:80]!r}, computed from the input, as its form" if free else None


def _wraps(node: onnx.NodeProto, facts: Facts) -> str | None:
    kinds = {facts.dtype(name) for name in node.output if name} - FLOATS - {_INT64, _BOOL, 0}
    return _NARROW if kinds and node.op_type in _ARITHMETIC else None


def _special(node: onnx.NodeProto, facts: Facts) -> str | None:
    check = _CHECKS.get(node.op_type)
    return check(node, facts) if check is not None else None


def _convolution(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    return "has dilations" if any(step != 1 for step in attributes(node).get("dilations", [])) else None


def _pool(node: onnx.NodeProto, facts: Facts) -> str | None:
    given = attributes(node)
    if given.get("ceil_mode"):
        return "rounds its size up (ceil_mode)"
    if len(node.output) > 1 and node.output[1] in facts.used:
        return "gives indices"
    if node.op_type == "AveragePool" and not given.get("count_include_pad") and padded(given):
        return "averages without its automatic padding"
    if node.op_type == "MaxPool" and padded(given) and not not_negative(node.input[0], facts):
        return _convolution(node, facts) or _ZEROS
    return _convolution(node, facts)


def _transposed(node: onnx.NodeProto, facts: Facts) -> str | None:
    given = attributes(node)
    if "output_shape" in given or any(given.get("output_padding", [])):
        return "sets the size of its output"
    return "has groups" if given.get("group", 1) != 1 else _convolution(node, facts)


def _cumulative(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    given = attributes(node)
    return _BACKWARDS if given.get("exclusive") or given.get("reverse") else None


def _cast(node: onnx.NodeProto, facts: Facts) -> str | None:
    """Of integers into a type that does not hold all of them; of fractions, ONNX itself leaves that open."""
    source, target = facts.dtype(node.input[0]), attributes(node).get("to", 0)
    producer = facts.producers.get(node.input[0])
    if source in FLOATS | {_BOOL, 0} or target in FLOATS | {_BOOL}:
        return None
    if producer is not None and producer.op_type in _COUNTED and target in DTYPES:
        return None
    fits = {source, target} <= set(DTYPES) and np.can_cast(DTYPES[source], DTYPES[target], "safe")
    return None if fits else _NARROWER


def _whole_result(node: onnx.NodeProto, facts: Facts) -> str | None:
    return None if facts.dtype(node.input[0]) in FLOATS else "rounds a fraction to an integer"


def _extreme(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    return "takes the last of equal values" if attributes(node).get("select_last_index") else None


def _pad(node: onnx.NodeProto, facts: Facts) -> str | None:
    given = attributes(node)
    if given.get("mode", b"constant") != b"constant":
        return "repeats or mirrors values"
    pads = given.get("pads") or (facts.array(node.input[1]) if len(node.input) > 1 else None)
    if pads is not None and min(list(pads), default=0) < 0:
        return "cuts off (negative pads)"
    value = facts.array(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    return "pads with another value than 0" if given.get("value") or (value is not None and value.any()) else None


def _resize(node: onnx.NodeProto, facts: Facts) -> str | None:
    given = attributes(node)
    scales = facts.array(node.input[-1]) if len(node.input) < 4 and node.input[-1] else None
    if given.get("mode", b"nearest") != b"nearest":
        return "interpolates"
    if scales is None or "axes" in given:
        return "gives sizes instead of scales"
    if (scales < 1).any() or (scales != np.round(scales)).any():
        return _SCALES
    return None if _repeats(given, scales.max(initial=1), facts.opset) else _INTERPOLATES


def _repeats(given: dict[str, Any], scale: float, opset: int) -> bool:
    """Whether enlarging by whole numbers just repeats every value, as the engine does."""
    if opset < 11:
        return True
    places = given.get("coordinate_transformation_mode", b"half_pixel")
    nearest = given.get("nearest_mode", b"round_prefer_floor")
    if places == b"asymmetric":
        return nearest == b"floor" or (nearest == b"round_prefer_floor" and scale <= 2)
    return bool(places == b"half_pixel" and nearest in (b"round_prefer_floor", b"round_prefer_ceil"))


def _recurrent(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    given = attributes(node)
    if given.get("direction", b"forward") != b"forward":
        return "runs backwards or in both directions"
    if len(node.input) > 4 and node.input[4]:
        return "takes sequence lengths"
    odd = [name for name in ("activations", "clip", "input_forget", "layout") if given.get(name)]
    return f"sets {odd[0]}" if odd else None


def _scatter(node: onnx.NodeProto, facts: Facts) -> str | None:
    if attributes(node).get("reduction", b"none") != b"none":
        return _MERGES
    return "writes to constant places" if node.input[1] in facts.constants else None


def _index(node: onnx.NodeProto, facts: Facts) -> str | None:
    source = facts.producers.get(node.input[1])
    if source is not None and source.op_type == "Cast" and facts.dtype(source.input[0]) in FLOATS:
        return "takes indices computed from fractions"
    return None


def _deep_index(node: onnx.NodeProto, facts: Facts) -> str | None:
    places = facts.shape(node.input[1])
    if not places or attributes(node).get("batch_dims", 0) + places[-1] > 2:
        return "takes indices into more than two axes"
    return _index(node, facts)


def _top(node: onnx.NodeProto, facts: Facts) -> str | None:
    if not attributes(node).get("sorted", 1):
        return "leaves the order of its values open (sorted=0)"
    return "gives indices" if node.output[1:] and node.output[1] in facts.used else None


def _power(node: onnx.NodeProto, facts: Facts) -> str | None:
    base, exponent = (facts.array(name) for name in node.input)
    if exponent is None or exponent.size != 1:
        constant = base is not None and base.size == 1
        return None if constant else "has neither a constant base nor a constant exponent of one value"
    wanted = float(exponent.reshape(()))
    if wanted <= 0 and wanted.is_integer():
        return _EXPONENT
    return None if wanted.is_integer() else _whole_result(node, facts)


def _division(node: onnx.NodeProto, facts: Facts) -> str | None:
    return None if facts.dtype(node.input[0]) in FLOATS else "divides integers"


def _batch(node: onnx.NodeProto, facts: Facts) -> str | None:
    trained = attributes(node).get("training_mode") or any(name in facts.used for name in node.output[1:])
    return "trains" if trained else None


def _copy(node: onnx.NodeProto, facts: Facts) -> str | None:
    return "repeats another output" if node.input[0] in facts.outputs | set(facts.constants) else None


_CHECKS: dict[str, Check] = {
    "ArgMax": _extreme, "ArgMin": _extreme, "AveragePool": _pool, "BatchNormalization": _batch, "Cast": _cast,
    "Conv": _convolution, "ConvTranspose": _transposed, "CumSum": _cumulative, "Div": _division, "GRU": _recurrent,
    "Gather": _index, "GatherElements": _index, "GatherND": _deep_index, "Identity": _copy, "LSTM": _recurrent,
    "MaxPool": _pool, "Pad": _pad, "Pow": _power, "RNN": _recurrent, "ReduceL2": _whole_result,
    "ReduceLogSum": _whole_result, "ReduceLogSumExp": _whole_result, "ReduceMean": _whole_result, "Resize": _resize,
    "ScatterElements": _scatter, "ScatterND": _scatter, "TopK": _top,
}  # fmt: skip
