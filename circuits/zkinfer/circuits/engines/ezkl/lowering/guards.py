"""Guards: assertions in the graph that inputs and operands hold numbers for which the model has an answer.

A circuit has no assertions, but it decomposes the operand of a Relu into digits, of which there are at most 63 bits. A
guard multiplies whether there is any violation, 0 or 1, by 2^64, and adds the Relu of the negative product to the value
that it guards. Without violations that adds 0; with any there is no witness, whatever a prover assigns. Imported in the
child only.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from zkinfer.circuits.engines.ezkl.lowering.intervals import intervals
from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.domains import PARTIAL, domain_of, selections
from zkinfer.circuits.frontend.graph import DTYPES, Facts, opset, replace_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.engines.ezkl.lowering.intervals import Interval
    from zkinfer.circuits.tensors import TensorSpec

_INT64, _FLOAT, _DOUBLE, _BOOL = (
    onnx.TensorProto.INT64, onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.BOOL
)  # fmt: skip
_FACTOR, _FACTORS, _DOUBLINGS = 1 << 20, 3, 4  # their product is 2^64
_OR_EQUAL_OPSET = 12
_COMPARED_BITS = 16  # the range of wider integers may exceed that of a circuit


def with_guards(model: onnx.ModelProto, inputs: Sequence[TensorSpec], *, hashed: bool = False) -> onnx.ModelProto:
    """Add guards of inputs and operands to a stripped model, in place.

    Args:
        model: without shapes of intermediate values; returned unchanged if nothing needs a guard.
        inputs: its inputs.
        hashed: whether they are hashed; the engine does not range-check such inputs.
    """
    guarded = with_types(with_domains(model), inputs, hashed=hashed)
    return with_range_checks(guarded, inputs) if hashed else guarded


class _Draft:
    """New nodes and constants of a graph, under names that the graph does not have."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.opset = opset(model)
        self._graph, self._prefix, self._count = model.graph, _unused(model.graph), 0
        self._constants: dict[tuple[float, int], str] = {}
        self.nodes: list[onnx.NodeProto] = []

    def name(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count - 1}"

    def add(self, operator: str, *inputs: str, **given: Any) -> str:  # noqa: ANN401 - attributes
        result = self.name()
        self.nodes.append(helper.make_node(operator, inputs, [result], **given))
        return result

    def constant(self, value: float, kind: int) -> str:
        if (value, kind) not in self._constants:
            name = self._constants[value, kind] = self.name()
            self._graph.initializer.append(numpy_helper.from_array(np.array(value, DTYPES[kind]), name))
        return self._constants[value, kind]

    def guard(self, value: str, kind: int, violations: Sequence[str], result: str) -> None:
        """Define `result` as the value, of this element type, without a witness unless the violations are all 0.

        Violations are tensors of bools, or of integers that are not negative.
        """
        counts = [self.add("ReduceSum", self.add("Cast", one, to=_INT64), keepdims=0) for one in violations]
        count = reduce(lambda one, other: self.add("Add", one, other), counts)
        large = self.add("Cast", self.add("Greater", count, self.constant(0, _INT64)), to=_INT64)
        for _ in range(_FACTORS):
            large = self.add("Mul", large, self.constant(_FACTOR, _INT64))
        large = self.add("Cast", large, to=_FLOAT)
        for _ in range(_DOUBLINGS):
            large = self.add("Add", large, large)
        zero = self.add("Relu", self.add("Neg", large))
        if kind == _BOOL:
            self._end("Or", value, self.add("Greater", zero, self.constant(0.0, _FLOAT)), result)
        else:
            self._end("Add", value, zero if kind == _FLOAT else self.add("Cast", zero, to=kind), result)

    def _end(self, operator: str, value: str, zero: str, result: str) -> None:
        self.nodes.append(helper.make_node(operator, [value, zero], [result]))


# --- operands of partial functions


def with_domains(model: onnx.ModelProto) -> onnx.ModelProto:
    """Guard the results of partial functions, unless the intervals of their operands lie in the domains; in place.

    A result that only Where nodes read, by computed conditions, is guarded where it is selected: a model that computes
    both branches has an answer even if the other branch has none.
    """
    graph = model.graph
    if not any(node.op_type in PARTIAL for node in graph.node):
        return model
    facts = Facts(shapes.inferred(model))
    known, draft = intervals(model, facts), _Draft(model)
    selected: dict[str, list[tuple[bool, str]]] = {}
    for node in graph.node:
        masks = _masks(node, facts, known, draft)
        readers = selections(node, facts) if masks else None
        for reader in readers or ():
            selected.setdefault(reader.node.output[0], []).extend((reader.if_true, mask) for mask in masks)
        violations = [_chosen(node.input[0], *one, draft) for one in selected.pop(node.output[0], ())]
        violations += masks if readers is None else []
        _append(node, facts.dtype(node.output[0]), violations, draft)
    replace_all(graph.node, draft.nodes)
    return model


def _append(node: onnx.NodeProto, kind: int, violations: list[str], draft: _Draft) -> None:
    kept = onnx.NodeProto()
    kept.CopyFrom(node)
    draft.nodes.append(kept)
    if violations:
        result, kept.output[0] = node.output[0], draft.name()
        draft.guard(kept.output[0], kind, violations, result)


def _masks(node: onnx.NodeProto, facts: Facts, known: dict[str, Interval], draft: _Draft) -> list[str]:
    """Bools that are true where an operand is outside its domain; none if no operand can be."""
    found = domain_of(node, facts.array)
    if found is None or known[found[0]].within(found[1]):
        return []
    name, kind = found[0], facts.dtype(found[0])
    if kind not in (_FLOAT, _DOUBLE):
        name, kind = draft.add("Cast", name, to=_FLOAT), _FLOAT
    return [_compared(name, operator, draft.constant(bound, kind), draft) for operator, bound in found[1].outside]


def _compared(name: str, operator: str, bound: str, draft: _Draft) -> str:
    if operator == "Equal":  # applying Not twice sets the scale to 0
        return draft.add("Not", draft.add("Not", draft.add("Equal", name, bound)))
    if operator.endswith("OrEqual") and draft.opset < _OR_EQUAL_OPSET:
        return draft.add("Not", draft.add("Less" if operator.startswith("Greater") else "Greater", name, bound))
    return draft.add(operator, name, bound)


def _chosen(condition: str, if_true: bool, mask: str, draft: _Draft) -> str:
    return draft.add("And", condition if if_true else draft.add("Not", condition), mask)


# --- inputs


def with_types(model: onnx.ModelProto, inputs: Sequence[TensorSpec], *, hashed: bool = False) -> onnx.ModelProto:
    """Hold integer inputs to the ranges of their types, in place.

    The engine itself holds bools to 0 and 1, and range-checks all other inputs, unless they are hashed; then And holds
    bools. A circuit does not represent more integers than its inputs of 32 or 64 bits (`run_args.max_input_bits`).
    """
    graph, draft = model.graph, _Draft(model)
    read = {name for node in graph.node for name in node.input}
    names, unread = dict[str, str](), list[str]()
    for spec in inputs:
        violations = _violations(spec, draft, hashed=hashed)
        if spec.name not in read:
            unread += violations
        elif violations:
            names[spec.name] = draft.name()
            draft.guard(spec.name, _kind(spec), violations, names[spec.name])
        elif hashed and spec.dtype == "bool":
            names[spec.name] = draft.add("And", spec.name, spec.name)
    if unread:
        spec = next(spec for spec in inputs if spec.name in read)
        value, names[spec.name] = names.get(spec.name, spec.name), draft.name()
        draft.guard(value, _kind(spec), unread, names[spec.name])
    for node in graph.node:
        replace_all(node.input, [names.get(name, name) for name in node.input])
    replace_all(graph.node, [*draft.nodes, *graph.node])
    return model


def _kind(spec: TensorSpec) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)))


def _violations(spec: TensorSpec, draft: _Draft, *, hashed: bool) -> list[str]:
    """By how much elements are outside the type's range."""
    low, high = spec.integer_range
    bits = 0 if spec.is_float or spec.dtype == "bool" else np.dtype(spec.dtype).itemsize * 8
    if not bits or (bits > _COMPARED_BITS and low < 0):
        return []
    value = draft.add("Cast", spec.name, to=_INT64)

    def excess(integers: str) -> str:
        return draft.add("Relu", draft.add("Cast", integers, to=_FLOAT))

    below = draft.add("Sub", draft.constant(low, _INT64), value)
    if bits > _COMPARED_BITS:
        return [excess(below)]
    above = draft.add("Sub", value, draft.constant(high, _INT64))
    if bits == 8 and not hashed:  # one decomposition; in the field alone, the product would not bound its factors
        return [excess(draft.add("Neg", draft.add("Mul", below, above)))]
    return [excess(below), excess(above)]


def with_range_checks(model: onnx.ModelProto, inputs: Sequence[TensorSpec]) -> onnx.ModelProto:
    """Range-check hashed inputs by a guard, in place, before anything reads them.

    The engine range-checks operands of comparisons, but not hashed inputs, whose cells the hash assigns. A prover could
    therefore choose a field element for which the arithmetic wraps around to a chosen result. The guard
    `Where(x < 0, x, x)` equals `x`, and neither the engine nor its reader of ONNX removes the comparison. Other
    integers are compared with the ranges of their types.
    """
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    guarded = [spec for spec in inputs if spec.name in read and (spec.is_float or spec.dtype in ("int32", "int64"))]
    prefix = _unused(graph)
    names = {spec.name: f"{prefix}{number}" for number, spec in enumerate(guarded)}
    for node in graph.node:
        replace_all(node.input, [names.get(name, name) for name in node.input])
    nodes = [guard for name, new in names.items() for guard in _guard(name, new)]
    replace_all(graph.node, [*nodes, *graph.node])
    zeros = ((np.zeros((), spec.dtype), f"{names[spec.name]}_zero") for spec in guarded)
    graph.initializer.extend(numpy_helper.from_array(zero, name) for zero, name in zeros)
    return model


def _guard(name: str, guarded: str) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    negative = f"{guarded}_negative"
    return (
        helper.make_node("Less", [name, f"{guarded}_zero"], [negative]),
        helper.make_node("Where", [negative, name, name], [guarded]),
    )


def _unused(graph: onnx.GraphProto) -> str:
    """A prefix that no name in the graph has."""
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    names += [port.name for port in (*graph.input, *graph.output)] + [tensor.name for tensor in graph.initializer]
    prefix = "guarded"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    return prefix
