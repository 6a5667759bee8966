"""Intervals of the real values in a graph: they tell where a partial function needs no guard.

Interval arithmetic from constants, element types and operators. The intervals are those of the float model. Imported in
the child only.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, Facts, attributes
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import padded

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.domains import Domain

_INF = math.inf


@dataclass(frozen=True, slots=True)
class Interval:
    """All values lie in [low, high]; with `nonzero`, none of them is 0."""

    low: float = -_INF
    high: float = _INF
    nonzero: bool = False

    @property
    def excludes_zero(self) -> bool:
        """Whether no value is 0."""
        return self.nonzero or self.low > 0 or self.high < 0

    @property
    def has_sign(self) -> bool:
        """Whether all values are at least 0, or all at most 0."""
        return self.low >= 0 or self.high <= 0

    def within(self, domain: Domain) -> bool:
        """Whether every value is in a domain."""
        return not any(self._may_pass(operator, bound) for operator, bound in domain.outside)

    def _may_pass(self, operator: str, bound: float) -> bool:
        attained = self.low <= bound <= self.high and not (bound == 0 and self.nonzero)
        if operator == "Equal":
            return attained
        beyond = self.low < bound if operator.startswith("Less") else self.high > bound
        return beyond or (operator.endswith("OrEqual") and attained)

    def joined(self, other: Interval) -> Interval:
        """The smallest interval that contains both."""
        nonzero = self.excludes_zero and other.excludes_zero
        return Interval(min(self.low, other.low), max(self.high, other.high), nonzero)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low, self.nonzero)

    def __add__(self, other: Interval) -> Interval:
        one_sided = (self.low >= 0 and other.low >= 0) or (self.high <= 0 and other.high <= 0)
        nonzero = one_sided and (self.excludes_zero or other.excludes_zero)
        return Interval(self.low + other.low, self.high + other.high, nonzero)

    def __mul__(self, other: Interval) -> Interval:
        ends = [_times(one, two) for one in (self.low, self.high) for two in (other.low, other.high)]
        return Interval(min(ends), max(ends), self.excludes_zero and other.excludes_zero)

    @property
    def inverse(self) -> Interval:
        """The interval of 1 / x."""
        if not self.has_sign:
            return Interval(nonzero=True)
        if self.high <= 0:
            return -(-self).inverse
        ends = 1 / self.high if self.high else 0.0, 1 / self.low if self.low else _INF
        return Interval(*ends, nonzero=True)

    @property
    def sums(self) -> Interval:
        """The interval of sums of one or more of its values."""
        low, high = self.low if self.low >= 0 else -_INF, self.high if self.high <= 0 else _INF
        return Interval(low, high, self.has_sign and self.excludes_zero)

    @property
    def averages(self) -> Interval:
        """The interval of averages of its values."""
        return Interval(self.low, self.high, self.has_sign and self.excludes_zero)


def _times(one: float, other: float) -> float:
    return 0.0 if 0.0 in (one, other) else one * other


_ANY, _ZERO = Interval(), Interval(0.0, 0.0)
_NOT_NEGATIVE, _POSITIVE = Interval(0.0), Interval(0.0, nonzero=True)
_TRUTH = Interval(0.0, 1.0)
_RANGES: dict[str, Interval] = {
    **dict.fromkeys(words("Sigmoid Softmax"), Interval(0.0, 1.0, nonzero=True)),
    **dict.fromkeys(words("And Equal Greater GreaterOrEqual HardSigmoid Less LessOrEqual Not Or Xor"), _TRUTH),
    **dict.fromkeys(words("Cos Erf Sign Sin Softsign Tanh"), Interval(-1.0, 1.0)),
    **dict.fromkeys(words("Acosh ArgMax ArgMin"), _NOT_NEGATIVE),
    **dict.fromkeys(words("Exp Softplus"), _POSITIVE),
    **dict.fromkeys(words("Asin Atan"), Interval(-math.pi / 2, math.pi / 2)),
    "Acos": Interval(0.0, math.pi),
    "Cosh": Interval(1.0),
}


class _Step(NamedTuple):
    """A node and the intervals of its operands."""

    node: onnx.NodeProto
    operands: list[Interval]
    facts: Facts

    @property
    def first(self) -> Interval:
        return self.operands[0]

    @property
    def given(self) -> dict[str, Any]:
        return attributes(self.node)


def intervals(model: onnx.ModelProto, facts: Facts) -> dict[str, Interval]:
    """The interval of every value of a model; `facts` must have its element types."""
    known = {name: _of_type(facts.dtype(name)) for name in facts.inputs}
    known |= {name: _of_constant(facts.array(name)) for name in facts.constants} | {"": _ANY}
    for node in model.graph.node:
        step = _Step(node, [known[name] for name in node.input], facts)
        rule = _RULES.get(node.op_type)
        found = _RANGES.get(node.op_type) or (_ANY if rule is None else rule(step))
        many = node.output if node.op_type == "Split" else node.output[:1]  # further outputs are indices, or states
        known |= dict.fromkeys(node.output, _ANY) | dict.fromkeys(many, found)
    return known


def _of_type(kind: int) -> Interval:
    name = DTYPES.get(kind, "float32")
    if name == "bool":
        return _TRUTH
    return _ANY if name.startswith("float") else Interval(float(np.iinfo(name).min), float(np.iinfo(name).max))


def _of_constant(array: NDArray[Any] | None) -> Interval:
    if array is None or not array.size:
        return _ANY
    return Interval(float(array.min()), float(array.max()), bool(array.all()))


def _square(value: Interval) -> Interval:
    return _absolute(value) * _absolute(value)


def _absolute(value: Interval) -> Interval:
    least = 0.0 if not value.has_sign else min(abs(value.low), abs(value.high))
    return Interval(least, max(abs(value.low), abs(value.high)), value.excludes_zero)


def _product(step: _Step) -> Interval:
    one, other = step.node.input
    return _square(step.first) if one == other else step.operands[0] * step.operands[1]


def _sum(step: _Step) -> Interval:
    """Also of a value that is not negative and of a truth value that is 1 where it is 0."""
    total, names = reduce(Interval.__add__, step.operands), step.node.input
    pairs = [(names[0], names[1]), (names[1], names[0])] if len(names) == 2 else []
    replaced = any(_at_zero(mask, value, step.facts) for mask, value in pairs)
    return replace(total, nonzero=True) if replaced and all(one.low >= 0 for one in step.operands) else total


def _chosen(step: _Step) -> Interval:
    """Where: a branch is not 0 if the condition chooses the other there."""
    condition, *names = step.node.input
    branches = [
        replace(one, nonzero=one.nonzero or _at_zero(condition, name, step.facts) is other)
        for one, name, other in zip(step.operands[1:], names, (False, True), strict=True)
    ]
    return branches[0].joined(branches[1])


def _at_zero(condition: str, value: str, facts: Facts) -> bool | None:
    """What a comparison of a value with a constant gives where the value is 0; None if that is not known."""
    node, negated = facts.producers.get(condition), False
    while node is not None and node.op_type in ("Cast", "Not"):
        negated ^= node.op_type == "Not"
        node = facts.producers.get(node.input[0])
    if node is None or node.op_type not in _COMPARISONS or node.input[0] != value:
        return None
    bound = facts.array(node.input[1])
    if bound is None or bound.size != 1:
        return None
    return _COMPARISONS[node.op_type](0.0, float(bound.reshape(()))) ^ negated


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equal": operator.eq,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
}


def _weighted(step: _Step) -> Interval:
    """Sums of products and a bias: bounded only if all factors have a sign."""
    if any(step.given.get(name, 1.0) != 1.0 for name in ("alpha", "beta")):
        return _ANY
    product = (step.operands[0] * step.operands[1]).sums
    if step.node.op_type not in ("Gemm", "MatMul"):  # padding, and strides beyond the kernel, give 0
        product = product.joined(_ZERO)
    biased = len(step.operands) > 2 and step.node.input[2]
    return product + step.operands[2] if biased else product


def _power(step: _Step) -> Interval:
    """By a constant: not negative if the exponent is even or a fraction."""
    base, exponent = step.first, step.facts.array(step.node.input[1])
    if exponent is None or exponent.size != 1:
        return _POSITIVE if base.low > 0 else _ANY
    odd = float(exponent.reshape(())) % 2 == 1
    return Interval(0.0 if base.low >= 0 or not odd else -_INF, nonzero=base.excludes_zero)


def _selected(step: _Step) -> Interval:
    """Elements of all operands that are data."""
    return reduce(Interval.joined, step.operands if step.node.op_type == "Concat" else step.operands[::2])


def _extreme(step: _Step) -> Interval:
    choose = max if step.node.op_type == "Max" else min
    low, high = (choose(ends) for ends in zip(*((one.low, one.high) for one in step.operands), strict=True))
    return Interval(low, high, all(one.excludes_zero for one in step.operands))


def _clipped(step: _Step) -> Interval:
    low, high = step.given.get("min", -_INF), step.given.get("max", _INF)
    if len(step.operands) > 1 and step.node.input[1]:
        low = step.operands[1].low
    if len(step.operands) > 2 and step.node.input[2]:
        high = step.operands[2].high
    return Interval(min(max(step.first.low, low), high), min(max(step.first.high, low), high))


def _pooled(step: _Step) -> Interval:
    """Padding is 0."""
    around = step.first.joined(_ZERO) if step.node.op_type == "Pad" or padded(step.given) else step.first
    return around if step.node.op_type == "MaxPool" else around.averages


def _converted(step: _Step) -> Interval:
    target = step.facts.dtype(step.node.output[0])
    if DTYPES.get(target) == "bool":
        return _TRUTH
    if step.node.op_type == "Cast" and target in FLOATS:
        return step.first
    return Interval(min(step.first.low - 1, 0.0) if step.first.low < 0 else 0.0)


_RULES: dict[str, Callable[[_Step], Interval]] = {
    **dict.fromkeys(
        words(
            """
            DepthToSpace Expand Flatten Gather GatherElements GatherND GlobalMaxPool Identity ReduceMax ReduceMin
            Reshape Resize Slice SpaceToDepth Split Squeeze TopK Transpose Unsqueeze
            """
        ),
        lambda step: step.first,
    ),
    **dict.fromkeys(words("Concat ScatterElements ScatterND"), _selected),
    **dict.fromkeys(words("CumSum ReduceSum"), lambda step: step.first.sums),
    **dict.fromkeys(words("GlobalAveragePool ReduceMean"), lambda step: step.first.averages),
    **dict.fromkeys(words("AveragePool MaxPool Pad"), _pooled),
    **dict.fromkeys(words("Conv ConvTranspose Gemm MatMul"), _weighted),
    **dict.fromkeys(words("Cast Ceil Floor Round"), _converted),
    **dict.fromkeys(words("Max Min"), _extreme),
    **dict.fromkeys(words("ReduceL1 ReduceL2"), lambda step: _absolute(step.first).sums),
    **dict.fromkeys(words("Add Sum"), _sum),
    "Abs": lambda step: _absolute(step.first),
    "Clip": _clipped,
    "Div": lambda step: step.operands[0] * step.operands[1].inverse,
    "Mean": lambda step: reduce(Interval.joined, step.operands).averages,
    "Mul": _product,
    "Neg": lambda step: -step.first,
    "Pow": _power,
    "Reciprocal": lambda step: step.first.inverse,
    "ReduceProd": lambda step: Interval(0.0 if step.first.low >= 0 else -_INF, nonzero=step.first.excludes_zero),
    "ReduceSumSquare": lambda step: _square(step.first).sums,
    "Relu": lambda step: Interval(max(step.first.low, 0.0), max(step.first.high, 0.0)),
    "Sqrt": lambda step: Interval(math.sqrt(max(step.first.low, 0.0)), nonzero=step.first.excludes_zero),
    "Sub": lambda step: step.operands[0] + -step.operands[1],
    "Where": _chosen,
}
