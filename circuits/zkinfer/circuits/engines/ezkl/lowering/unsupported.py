"""Reject uses of supported operators that the engine rejects, panics on, or computes wrongly [all measured].

The checks run on the final graph, so constants and shapes are known. Integers of a circuit do not wrap around:
arithmetic on types narrower than int64 is rejected, and an int64 overflow exceeds the circuit's range, which is an
error for the caller. So is an index that is negative or too large for its table: see `frontend.indices`.
Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from zkinfer.circuits.engines.ezkl.lowering import operators
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend.domains import domain_of
from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, Facts, attributes
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import not_negative, padded
from zkinfer.circuits.frontend.validate import label, unheld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Check = Callable[[onnx.NodeProto, Facts], str | None]

# Inputs, by position, that are parameters of the operator and not data: they must be constant.
_PARAMETERS = {
    "Clip": (1, 2), "CumSum": (1,), "Expand": (1,), "Pad": (1, 2, 3), "Reshape": (1,),
    "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "TopK": (1,), "Unsqueeze": (1,),
}  # fmt: skip
_ARITHMETIC = words(
    """
    Abs Add Conv CumSum Einsum Gemm MatMul Mean Mul Neg Pow ReduceL1 ReduceL2 ReduceMean ReduceProd ReduceSum
    ReduceSumSquare Sub Sum
    """
)
_INDICES = words("ArgMax ArgMin")  # their results are indices, which fit every type
_INT64, _BOOL = onnx.TensorProto.INT64, onnx.TensorProto.BOOL

_LARGEST = 2.0**62  # the engine holds 63 bits with a sign, at scales of 1 bit and more

_PLAIN = "Rewrite this step with other operators, and export again."
_NARROW = "computes with integers that wrap around"
_NARROWER = "casts integers to a type that may not hold them"
_ZEROS = "may pad negative values with 0"
_EXPONENT = "has an exponent that the engine ignores"
_INTERPOLATES = "interpolates or rounds coordinates differently from the engine"
_SCALES = "does not enlarge by integer factors"
_BACKWARDS = "is exclusive or reversed"
_EPSILON = "divides by 0 where all values are equal (epsilon)"
_MERGES = "combines updates with existing values"
_CURES = {
    _NARROW: "Cast to int64 or float before arithmetic.",
    _NARROWER: "Cast to int64 or float instead.",
    _ZEROS: "Apply Relu before it, or pad explicitly (Pad, Concat).",
    _EXPONENT: "Write x^-n as Reciprocal of x^n, and x^0 as 1.",
    _INTERPOLATES: 'Use mode="nearest", coordinate_transformation_mode="asymmetric" and nearest_mode="floor".',
    _SCALES: "Enlarge by integer factors, or use AveragePool to reduce the size.",
    _BACKWARDS: "Use Slice and Concat around a plain CumSum.",
    _EPSILON: "Set epsilon above 0, for instance to 1e-5.",
    _MERGES: "Compare indices by Equal and use MatMul, or Add, instead of a reduction.",
}


def refuse_unsupported(model: onnx.ModelProto) -> None:
    """Raise UnsupportedModelError for the first unsupported node."""
    for _, problem in unsupported(model):
        raise problem


def unsupported(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, UnsupportedModelError]]:
    """Every unsupported node, and why."""
    facts = Facts(model)
    yield from unheld(model, _LARGEST)
    for node in model.graph.node:
        refused = operators.remaining(node.op_type)
        if refused is not None:
            yield node, UnsupportedModelError(f"{refused[0]} (node {label(node)})", refused[1])
            continue
        reasons = (check(node, facts) for check in (_computed_parameter, _wraps, _invalid_constant, _special))
        reason = next((found for found in reasons if found), None)
        if reason is not None:
            cause = f"{node.op_type} {label(node)} {reason}, which is not supported."
            yield node, UnsupportedModelError(cause, _CURES.get(reason, _PLAIN))


def _computed_parameter(node: onnx.NodeProto, facts: Facts) -> str | None:
    positions = range(1, 3) if node.op_type.startswith("Reduce") else _PARAMETERS.get(node.op_type, ())
    given = [node.input[index] for index in positions if index < len(node.input) and node.input[index]]
    computed = [name for name in given if name not in facts.constants]
    return f"has the parameter {computed[0][:80]!r}, computed from the input" if computed else None


def _wraps(node: onnx.NodeProto, facts: Facts) -> str | None:
    kinds = {facts.dtype(name) for name in node.output if name} - FLOATS - {_INT64, _BOOL, 0}
    return _NARROW if kinds and node.op_type in _ARITHMETIC else None


def _invalid_constant(node: onnx.NodeProto, facts: Facts) -> str | None:
    """A constant for which the operator has no result, whatever the input."""
    found = domain_of(node, facts.array)
    array = None if found is None else facts.array(found[0])
    if found is None or array is None or not found[1].excludes(array.astype(np.float64)).any():
        return None
    return f"has a constant operand x outside the domain {found[1].text}"


def _normalisation(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    return None if attributes(node).get("epsilon", 1e-5) > 0 else _EPSILON


def _special(node: onnx.NodeProto, facts: Facts) -> str | None:
    check = _CHECKS.get(node.op_type)
    return check(node, facts) if check is not None else None


def _convolution(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    return "has dilations" if any(step != 1 for step in attributes(node).get("dilations", [])) else None


def _pool(node: onnx.NodeProto, facts: Facts) -> str | None:
    given = attributes(node)
    if given.get("ceil_mode"):
        return "rounds its output size up (ceil_mode)"
    if len(node.output) > 1 and node.output[1] in facts.used:
        return "returns indices"
    if node.op_type == "AveragePool" and not given.get("count_include_pad") and padded(given):
        return "excludes its automatic padding from averages"
    if node.op_type == "MaxPool" and padded(given) and not not_negative(node.input[0], facts):
        return _convolution(node, facts) or _ZEROS
    return _convolution(node, facts)


def _transposed(node: onnx.NodeProto, facts: Facts) -> str | None:
    given = attributes(node)
    if "output_shape" in given or any(given.get("output_padding", [])):
        return "sets its output size"
    strides = set(given.get("strides", [1]))
    if len(strides) > 1:
        return "has strides that differ between axes"
    if strides != {1} and given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return "pads automatically (auto_pad) with strides"
    return "has groups" if given.get("group", 1) != 1 else _convolution(node, facts)


def _cumulative(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    given = attributes(node)
    return _BACKWARDS if given.get("exclusive") or given.get("reverse") else None


def _cast(node: onnx.NodeProto, facts: Facts) -> str | None:
    """Casts of integers to a type that cannot hold all of them; for fractions, ONNX leaves the result undefined."""
    source, target = facts.dtype(node.input[0]), attributes(node).get("to", 0)
    producer = facts.producers.get(node.input[0])
    if source in FLOATS | {_BOOL, 0} or target in FLOATS | {_BOOL}:
        return None
    if producer is not None and producer.op_type in _INDICES and target in DTYPES:
        return None
    fits = {source, target} <= set(DTYPES) and np.can_cast(DTYPES[source], DTYPES[target], "safe")
    return None if fits else _NARROWER


def _whole_result(node: onnx.NodeProto, facts: Facts) -> str | None:
    return None if facts.dtype(node.input[0]) in FLOATS else "rounds a fraction to an integer"


def _extreme(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    return "selects the last of equal values" if attributes(node).get("select_last_index") else None


def _pad(node: onnx.NodeProto, facts: Facts) -> str | None:
    given = attributes(node)
    if given.get("mode", b"constant") != b"constant":
        return "pads with repeated or mirrored values"
    pads = given.get("pads") or (facts.array(node.input[1]) if len(node.input) > 1 else None)
    if pads is not None and min(list(pads), default=0) < 0:
        return "crops (negative pads)"
    value = facts.array(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    return "pads with a value other than 0" if given.get("value") or (value is not None and value.any()) else None


def _resize(node: onnx.NodeProto, facts: Facts) -> str | None:
    given = attributes(node)
    scales = facts.array(node.input[-1]) if len(node.input) < 4 and node.input[-1] else None
    if given.get("mode", b"nearest") != b"nearest":
        return "interpolates"
    if scales is None or "axes" in given:
        return "specifies sizes instead of scales"
    if (scales < 1).any() or (scales != np.round(scales)).any():
        return _SCALES
    return None if _repeats(given, scales.max(initial=1), facts.opset) else _INTERPOLATES


def _repeats(given: dict[str, Any], scale: float, opset: int) -> bool:
    """Whether enlarging by integer factors just repeats every value, as the engine does."""
    if opset < 11:
        return True
    coordinates = given.get("coordinate_transformation_mode", b"half_pixel")
    nearest = given.get("nearest_mode", b"round_prefer_floor")
    if coordinates == b"asymmetric":
        return nearest == b"floor" or (nearest == b"round_prefer_floor" and scale <= 2)
    return bool(coordinates == b"half_pixel" and nearest in (b"round_prefer_floor", b"round_prefer_ceil"))


def _recurrent(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    given = attributes(node)
    if given.get("direction", b"forward") != b"forward":
        return "runs backwards or in both directions"
    if len(node.input) > 4 and node.input[4]:
        return "takes sequence lengths"
    options = [name for name in ("activations", "clip", "input_forget", "layout") if given.get(name)]
    return f"sets {options[0]}" if options else None


def _scatter(node: onnx.NodeProto, facts: Facts) -> str | None:
    if attributes(node).get("reduction", b"none") != b"none":
        return _MERGES
    return "writes to constant indices" if node.input[1] in facts.constants else None


def _index(node: onnx.NodeProto, facts: Facts) -> str | None:
    source = facts.producers.get(node.input[1])
    if source is not None and source.op_type == "Cast" and facts.dtype(source.input[0]) in FLOATS:
        return "takes indices cast from fractions"
    return None


def _deep_index(node: onnx.NodeProto, facts: Facts) -> str | None:
    indices = facts.shape(node.input[1])
    if not indices or indices[-1] > 2:
        return "takes indices into more than two axes"
    if attributes(node).get("batch_dims", 0):
        return "takes computed indices into a batch (batch_dims)"
    return _index(node, facts)


def _top(node: onnx.NodeProto, facts: Facts) -> str | None:
    if not attributes(node).get("sorted", 1):
        return "returns unsorted values (sorted=0)"
    return "returns indices" if node.output[1:] and node.output[1] in facts.used else None


def _power(node: onnx.NodeProto, facts: Facts) -> str | None:
    base, exponent = (facts.array(name) for name in node.input)
    if exponent is None or exponent.size != 1:
        constant = base is not None and base.size == 1
        if base is not None and constant and float(base.reshape(())) <= 0:
            return "raises a number that is not above 0 to a computed power"
        return None if constant else "has neither a constant scalar base nor a constant scalar exponent"
    wanted = float(exponent.reshape(()))
    if wanted <= 0 and wanted.is_integer():
        return _EXPONENT
    return None if wanted.is_integer() else _whole_result(node, facts)


def _instances(node: onnx.NodeProto, facts: Facts) -> str | None:
    shape = facts.shape(node.input[0])
    return _normalisation(node, facts) if shape and shape[0] == 1 else "normalises several samples at once"


def _division(node: onnx.NodeProto, facts: Facts) -> str | None:
    return None if facts.dtype(node.input[0]) in FLOATS else "divides integers"


def _batch(node: onnx.NodeProto, facts: Facts) -> str | None:
    training = attributes(node).get("training_mode") or any(name in facts.used for name in node.output[1:])
    return "runs in training mode" if training else None


def _copy(node: onnx.NodeProto, facts: Facts) -> str | None:
    return "copies an output or a constant" if node.input[0] in facts.outputs | set(facts.constants) else None


_CHECKS: dict[str, Check] = {
    "ArgMax": _extreme, "ArgMin": _extreme, "AveragePool": _pool, "BatchNormalization": _batch, "Cast": _cast,
    "Conv": _convolution, "ConvTranspose": _transposed, "CumSum": _cumulative, "Div": _division, "GRU": _recurrent,
    "Gather": _index, "GatherElements": _index, "GatherND": _deep_index, "Identity": _copy,
    "InstanceNormalization": _instances, "LSTM": _recurrent, "LayerNormalization": _normalisation,
    "MaxPool": _pool, "Pad": _pad, "Pow": _power, "RNN": _recurrent, "ReduceL2": _whole_result,
    "ReduceLogSum": _whole_result, "ReduceLogSumExp": _whole_result, "ReduceMean": _whole_result, "Resize": _resize,
    "ScatterElements": _scatter, "ScatterND": _scatter, "TopK": _top,
}  # fmt: skip
