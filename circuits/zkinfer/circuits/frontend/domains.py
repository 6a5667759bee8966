"""Domains of partial functions: where a float model computes NaN or infinity instead of an answer.

Engines hold values to these domains in the circuit; after a refusal, `DomainCheck` finds the node that caused it
by running the float model. Imported in the child only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.graph import Facts, attributes, copy
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import node_key
from zkinfer.circuits.frontend.validate import label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[Any]

_NUMPY: dict[str, Callable[[Array, float], Array]] = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}


@dataclass(frozen=True, slots=True)
class Domain:
    """A set of numbers; x is outside if it passes any of the comparisons, which are ONNX operators."""

    text: str
    outside: tuple[tuple[str, float], ...]

    def excludes(self, values: Array, tolerance: float = 0.0) -> Array:
        """For each value whether it is outside or, with a tolerance, so near to the outside; not for NaN."""
        tests = [_NUMPY[operator](values, bound) for operator, bound in self.outside]
        if tolerance:
            tests += [np.abs(values - bound) <= tolerance for _, bound in self.outside]
        return np.asarray(np.any(tests, axis=0))


NOT_NEGATIVE = Domain("x >= 0", (("Less", 0.0),))
POSITIVE = Domain("x > 0", (("LessOrEqual", 0.0),))
NOT_ZERO = Domain("x != 0", (("Equal", 0.0),))
_UNIT = Domain("-1 <= x <= 1", (("Less", -1.0), ("Greater", 1.0)))
_INSIDE_UNIT = Domain("-1 < x < 1", (("LessOrEqual", -1.0), ("GreaterOrEqual", 1.0)))
_AT_LEAST_ONE = Domain("x >= 1", (("Less", 1.0),))

_FIRST_OPERAND = {
    "Acos": _UNIT,
    "Acosh": _AT_LEAST_ONE,
    "Asin": _UNIT,
    "Atanh": _INSIDE_UNIT,
    "Log": POSITIVE,
    "Reciprocal": NOT_ZERO,
    "ReduceLogSum": POSITIVE,  # of the sum
    "Sqrt": NOT_NEGATIVE,
}
PARTIAL = frozenset(_FIRST_OPERAND) | words("BatchNormalization Div Mod Pow")
_ELEMENTWISE = words(
    """
    Abs Acos Acosh Add Asin Asinh Atan Atanh Cast Ceil Clip Cos Cosh Div Elu Erf Exp Floor HardSigmoid LeakyRelu Log
    Mul Neg Pow Reciprocal Relu Round Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Tan Tanh
    """
)
_MAX_STEPS = 16


def domain_of(node: onnx.NodeProto, array: Callable[[str], Array | None]) -> tuple[str, Domain] | None:
    """The operand of a node that must be in a domain, and the domain; None if the operator is total.

    `array` returns a value by name, or None if it is unknown. For ReduceLogSum the domain is that of the sum.
    """
    if node.op_type in _FIRST_OPERAND:
        return node.input[0], _FIRST_OPERAND[node.op_type]
    if node.op_type in ("Div", "Mod"):
        return node.input[1], NOT_ZERO
    if node.op_type == "BatchNormalization":
        least = -float(attributes(node).get("epsilon", 1e-5))
        return node.input[4], Domain(f"x > {least:g}", (("LessOrEqual", least),))
    return _domain_of_power(node, array(node.input[1])) if node.op_type == "Pow" else None


def _domain_of_power(node: onnx.NodeProto, exponent: Array | None) -> tuple[str, Domain] | None:
    if exponent is None or exponent.size != 1:
        return None
    power = float(exponent.reshape(()))
    if power.is_integer():
        return (node.input[0], NOT_ZERO) if power < 0 else None
    return node.input[0], NOT_NEGATIVE if power > 0 else POSITIVE


class Selection(NamedTuple):
    """A Where node that selects a value by a computed condition, and whether it does if the condition holds."""

    node: onnx.NodeProto
    if_true: bool


def selections(node: onnx.NodeProto, facts: Facts) -> list[Selection] | None:
    """The nodes that alone read a node's result, perhaps through elementwise operators, if all of them select.

    None if the result is also read otherwise: then an invalid element makes the model's outputs invalid.
    """
    if node.op_type == "BatchNormalization":
        return None  # its variance does not have the shape of its result
    todo, found, seen = [node.output[0]], list[Selection](), set[str]()
    while todo and len(seen) < _MAX_STEPS:
        name = todo.pop()
        seen.add(name)
        readers = {node_key(reader): reader for reader in facts.consumers.get(name, [])}.values()
        if name in facts.outputs or not readers or not all(_passes_on(reader, name, facts) for reader in readers):
            return None
        found += [Selection(reader, reader.input[1] == name) for reader in readers if reader.op_type == "Where"]
        new = {reader.output[0]: None for reader in readers if reader.op_type != "Where"}
        todo += [other for other in new if other not in seen and other not in todo]
    return None if todo else found


def _passes_on(reader: onnx.NodeProto, name: str, facts: Facts) -> bool:
    """Whether a reader selects the value, or computes each element of its result from one element."""
    if reader.op_type != "Where":
        return reader.op_type in _ELEMENTWISE
    return reader.input[0] not in facts.constants and name != reader.input[0] and list(reader.input).count(name) == 1


class Violation(NamedTuple):
    """An element of a node's operand outside its domain or, unless `certain`, near the outside."""

    node: onnx.NodeProto
    operand: str
    domain: Domain
    value: float
    element: int
    certain: bool

    @property
    def cause(self) -> str:
        """Two sentences."""
        what = "The model has no answer to this input, rounded to the circuit's precision."
        if not self.certain:
            what = "A value on the edge of an operator's domain leaves it when the circuit rounds it."
        place = f"the value {self.operand[:80]!r} is {self.value:.6g} at element {self.element}"
        return f"{what} {self.node.op_type} {label(self.node)} is defined for {self.domain.text}, but {place}."


class DomainCheck:
    """A float model with its partial functions, in onnxruntime.

    Args:
        model: a model that passed `validate`; constants may be nodes.

    Raises:
        ModelError: the model cannot be run.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._facts, self._nodes = Facts(model), [node for node in model.graph.node if node.op_type in PARTIAL]
        self._constants = {name: numpy_helper.to_array(tensor) for name, tensor in self._facts.constants.items()}
        conditions = {node.input[0] for node in model.graph.node if node.op_type == "Where"}
        read = conditions | {name for node in self._nodes for name in node.input if name}
        shown = copy(model)
        hidden = sorted(read - set(self._constants) - self._facts.inputs - self._facts.outputs)
        shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in hidden)
        self._session = runtime.Session(shown) if self._nodes else None

    def violation(self, feeds: Mapping[str, Array], tolerance: float) -> Violation | None:
        """The first value outside a domain in one inference or, if there is none, the first near the outside.

        Args:
            feeds: the inputs.
            tolerance: the distance that counts as near.

        Raises:
            ModelError: the model fails on these inputs.
        """
        if self._session is None:
            return None
        values = {**self._constants, **feeds, **self._session.run(feeds)}
        for distance in (0.0, tolerance):
            found = (self._at(node, values, distance) for node in self._nodes)
            if first := next((one for one in found if one is not None), None):
                return first
        return None

    def _at(self, node: onnx.NodeProto, values: Mapping[str, Array], distance: float) -> Violation | None:
        found = domain_of(node, values.get)
        if found is None or found[0] not in values:
            return None
        operand = _operand(node, found[0], values)
        outside = found[1].excludes(operand, distance)
        if not outside.any() or not _matters(outside, selections(node, self._facts), values):
            return None
        element = int(np.flatnonzero(outside)[0])
        value = float(operand.reshape(-1)[element])
        return Violation(node, found[0], found[1], value, element, certain=distance == 0.0)


def _operand(node: onnx.NodeProto, name: str, values: Mapping[str, Array]) -> Array:
    array = values[name].astype(np.float64)
    if node.op_type != "ReduceLogSum":
        return array
    axes = values[node.input[1]] if len(node.input) > 1 and node.input[1] else attributes(node).get("axes")
    along = None if axes is None or not len(axes) else tuple(int(axis) for axis in axes)
    return np.asarray(array.sum(along, keepdims=bool(attributes(node).get("keepdims", 1))))


def _matters(outside: Array, selected: list[Selection] | None, values: Mapping[str, Array]) -> bool:
    """Whether any invalid element is selected."""
    if selected is None:
        return True
    for node, if_true in selected:
        condition = values[node.input[0]].astype(bool)
        if np.any(outside & (condition if if_true else ~condition)):
            return True
    return False
