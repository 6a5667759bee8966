"""Uses of supported operators that the engine refuses, panics on, or answers wrongly [all measured].

Runs on the final graph, so constants and shapes are known. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.models import operators
from zkinfer.circuits.models.graphs import FLOATS, Facts, attributes
from zkinfer.circuits.models.screening import label

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx

    Check = Callable[[onnx.NodeProto, Facts], str | None]

# Inputs, by position, that say how to compute, not on what: a circuit has one fixed form.
_FORM = {
    "Clip": (1, 2), "CumSum": (1,), "Expand": (1,), "OneHot": (1, 2), "Pad": (1, 2, 3), "Reshape": (1,),
    "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "TopK": (1,), "Unsqueeze": (1,),
}  # fmt: skip
_PLAIN = "Rewrite this step with other operators, and export again."


def refuse_unsupported(model: onnx.ModelProto) -> None:
    """Raise UnsupportedModelError for the first node that the engine could not take."""
    facts = Facts(model)
    for node in model.graph.node:
        refused = operators.remaining(node.op_type)
        if refused is not None:
            raise UnsupportedModelError(f"{refused[0]} (node {label(node)})", refused[1])
        wrong = _free_form(node, facts) or _special(node, facts)
        if wrong is not None:
            raise UnsupportedModelError(f"{node.op_type} {label(node)} {wrong}, which no circuit can take.", _PLAIN)


def _free_form(node: onnx.NodeProto, facts: Facts) -> str | None:
    positions = range(1, 3) if node.op_type.startswith("Reduce") else _FORM.get(node.op_type, ())
    given = [node.input[place] for place in positions if place < len(node.input) and node.input[place]]
    free = [name for name in given if name not in facts.constants]
    return f"takes {free[0][:80]!r}, computed from the input, as its form" if free else None


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
    if node.op_type == "AveragePool" and not given.get("count_include_pad") and _padded(given):
        return "averages without its automatic padding"
    return _convolution(node, facts)


def _padded(given: dict[str, object]) -> bool:
    return given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or bool(given.get("pads"))


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
    if attributes(node).get("mode", b"nearest") != b"nearest":
        return "interpolates"
    scales = node.input[-1] if len(node.input) < 4 else ""
    return None if scales and facts.array(scales) is not None else "gives sizes instead of scales"


def _recurrent(node: onnx.NodeProto, facts: Facts) -> str | None:  # noqa: ARG001 - one signature for all checks
    given = attributes(node)
    if given.get("direction", b"forward") != b"forward":
        return "runs backwards or in both directions"
    if len(node.input) > 4 and node.input[4]:
        return "takes sequence lengths"
    odd = [name for name in ("activations", "clip", "input_forget", "layout") if given.get(name)]
    return f"sets {odd[0]}" if odd else None


def _scatter(node: onnx.NodeProto, facts: Facts) -> str | None:
    return "writes to constant places" if node.input[1] in facts.constants else None


def _index(node: onnx.NodeProto, facts: Facts) -> str | None:
    place = 0 if node.op_type == "OneHot" else 1
    source = facts.producers.get(node.input[place])
    if source is not None and source.op_type == "Cast" and facts.dtype(source.input[0]) in FLOATS:
        return "takes indices computed from fractions"
    return None


def _top(node: onnx.NodeProto, facts: Facts) -> str | None:
    return "gives indices" if node.output[1:] and node.output[1] in facts.used else None


def _power(node: onnx.NodeProto, facts: Facts) -> str | None:
    sizes = [array.size for name in node.input if (array := facts.array(name)) is not None]
    return None if 1 in sizes else "has neither a constant base nor a constant exponent of one value"


def _division(node: onnx.NodeProto, facts: Facts) -> str | None:
    return None if facts.dtype(node.input[0]) in FLOATS else "divides integers"


def _batch(node: onnx.NodeProto, facts: Facts) -> str | None:
    trained = attributes(node).get("training_mode") or any(name in facts.used for name in node.output[1:])
    return "trains" if trained else None


def _copy(node: onnx.NodeProto, facts: Facts) -> str | None:
    return "repeats another output" if node.input[0] in facts.outputs | set(facts.constants) else None


_CHECKS: dict[str, Check] = {
    "ArgMax": _extreme, "ArgMin": _extreme, "AveragePool": _pool, "BatchNormalization": _batch, "Conv": _convolution,
    "ConvTranspose": _convolution, "Div": _division, "GRU": _recurrent, "Gather": _index, "GatherElements": _index,
    "GatherND": _index, "Identity": _copy, "LSTM": _recurrent,
    "MaxPool": _pool, "OneHot": _index, "Pad": _pad, "Pow": _power, "RNN": _recurrent, "Resize": _resize,
    "ScatterElements": _scatter, "ScatterND": _scatter, "TopK": _top,
}  # fmt: skip
