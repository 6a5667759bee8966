"""Quotients whose divisor is positive in the float model, but so small that it may be 0 in a circuit.

`x / max(norm(x), 1e-12)` and normalisations with a tiny epsilon divide by a constant if `x` is 0. No scale of a circuit
holds the constant, so the circuit would divide by 0 and have no answer, while the model answers 0. The rewritten
quotient divides by 1 instead, which is right for a numerator of 0; any other numerator has no witness, as before.
Imported in the child only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.graph import Draft, Facts, attributes, replace_all
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import all_float32, not_negative

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import onnx

HELD = 2.0**-9  # from here on, the usual scales hold a divisor
_FACTOR, _FACTORS = 1 << 16, 4  # their product is 2^64: more than the digits of any circuit hold
_MOVES = words("Expand Flatten Gather Identity Reshape Slice Squeeze Transpose Unsqueeze")
_MEANS = words("AveragePool GlobalAveragePool ReduceMax ReduceMean ReduceMin ReduceSum")  # at least the least operand


def with_zero_quotients(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let quotients of 0 by a small positive divisor be 0, in a stripped model, in place."""
    if not any(node.op_type in ("Div", "Reciprocal") for node in model.graph.node):
        return model
    facts = Facts(shapes.inferred(model))
    nodes: list[onnx.NodeProto] = []
    zeros: dict[str, str] = {}  # whether a divisor is 0, by the name of the inverse
    for node in model.graph.node:
        if node.op_type == "Reciprocal" and _is_small(node.input[0], facts) and _only_scales(node.output[0], facts):
            draft = _Draft(facts, node.output[0])
            zeros[node.output[0]], divisor = draft.divisor(node.input[0])
            nodes += [*draft.nodes, helper.make_node("Reciprocal", [divisor], node.output)]
        elif node.op_type == "Mul" and (inverse := next((one for one in node.input if one in zeros), None)) is not None:
            nodes += _guarded(node, next(one for one in node.input if one != inverse), zeros[inverse], facts)
        elif node.op_type == "Div" and _is_small(node.input[1], facts) and _same_rank(*node.input, facts=facts):
            draft = _Draft(facts, node.output[0])
            zero, divisor = draft.divisor(node.input[1])
            quotient = helper.make_node("Div", [node.input[0], divisor], node.output)
            nodes += [*draft.nodes, *_guarded(quotient, node.input[0], zero, facts)]
        else:
            nodes.append(node)
    replace_all(model.graph.node, nodes)
    model.graph.initializer.extend(facts.added)
    return model


def _is_small(divisor: str, facts: Facts) -> bool:
    return divisor not in facts.constants and all_float32(facts, divisor) and 0 < least(divisor, facts) < HELD


def _only_scales(inverse: str, facts: Facts) -> bool:
    """Whether an inverse is read only as a factor of computed values of its rank."""
    readers = facts.consumers.get(inverse, [])
    return (
        bool(readers)
        and inverse not in facts.outputs
        and all(
            reader.op_type == "Mul"
            and len(set(reader.input)) == 2
            and not facts.constants.keys() & set(reader.input)
            and _same_rank(*reader.input, facts=facts)
            for reader in readers
        )
    )


def _same_rank(*names: str, facts: Facts) -> bool:
    found = [facts.shape(name) for name in names]
    return all_float32(facts, *names) and len({None if shape is None else len(shape) for shape in found}) == 1


class _Draft(Draft):
    """Nodes that compare with zero."""

    def number(self, value: float, dtype: str = "float32") -> str:
        return self.constant(np.array(value, dtype))

    def is_zero(self, value: str) -> str:
        """Read by And, Not and Where only; see `workarounds`."""
        return self.add("Equal", value, self.number(0.0))

    def divisor(self, value: str) -> tuple[str, str]:
        """Whether a divisor is 0, and the divisor or, if it is, 1."""
        zero = self.is_zero(value)
        return zero, self.add("Where", zero, self.number(1.0), value)


def _guarded(node: onnx.NodeProto, numerator: str, zero: str, facts: Facts) -> list[onnx.NodeProto]:
    """The node and, if the numerator is not 0 where the divisor is, no witness.

    A circuit decomposes the operand of a Relu into at most 63 bits.
    """
    draft = _Draft(facts, node.output[0])
    result = facts.fresh(node.output[0])
    kept = helper.make_node(node.op_type, node.input, [result])
    lost = draft.add("And", draft.add("Not", draft.is_zero(numerator)), zero)
    count = draft.add("ReduceSum", draft.add("Cast", lost, to=TensorProto.INT64), keepdims=0)
    any_lost = draft.add("Greater", count, draft.number(0, "int64"))
    large = draft.add("Cast", any_lost, to=TensorProto.INT64)
    for _ in range(_FACTORS):  # products of integers: the scale of a sum would be uncertain, and so its bound too large
        large = draft.add("Mul", large, draft.number(_FACTOR, "int64"))
    nothing = draft.add("Relu", draft.add("Neg", draft.add("Cast", large, to=TensorProto.FLOAT)))
    return [kept, *draft.nodes, helper.make_node("Add", [result, nothing], node.output)]


def least(name: str, facts: Facts) -> float:
    """A lower bound of a value of the float model, or minus infinity; from constants and operators alone."""
    array = facts.array(name)
    if array is not None:
        return float(array.min(initial=math.inf))
    node = facts.producers.get(name)
    if node is None:
        return -math.inf
    rule = _LEAST.get(node.op_type)
    found = max(_limits(node, facts), default=-math.inf) if rule is None else rule(node, facts)
    return max(found, 0.0) if not_negative(name, facts) else found


def _limits(node: onnx.NodeProto, facts: Facts) -> Iterator[float]:
    if node.op_type in _MOVES | _MEANS:
        yield least(node.input[0], facts) if node.op_type != "ReduceSum" else min(0.0, least(node.input[0], facts))


def _of_sum(node: onnx.NodeProto, facts: Facts) -> float:
    return sum(least(name, facts) for name in node.input)


def _of_product(node: onnx.NodeProto, facts: Facts) -> float:
    if node.input[0] == node.input[1]:
        return 0.0
    factors = [least(name, facts) for name in node.input]
    return math.prod(factors) if min(factors) >= 0 else -math.inf


def _of_power(node: onnx.NodeProto, facts: Facts) -> float:
    exponent = facts.array(node.input[1])
    even = exponent is not None and exponent.size == 1 and float(exponent.reshape(())) % 2 == 0
    return 0.0 if even else -math.inf


def _of_clip(node: onnx.NodeProto, facts: Facts) -> float:
    bound = facts.array(node.input[1]) if len(node.input) > 1 and node.input[1] else attributes(node).get("min")
    return -math.inf if bound is None else float(np.min(bound))


def _of_root(node: onnx.NodeProto, facts: Facts) -> float:
    return math.sqrt(max(0.0, least(node.input[0], facts)))


_LEAST: dict[str, Callable[[onnx.NodeProto, Facts], float]] = {
    "Add": _of_sum,
    "Clip": _of_clip,
    "Max": lambda node, facts: max(least(name, facts) for name in node.input),
    "Mul": _of_product,
    "Pow": _of_power,
    "Sqrt": _of_root,
}
