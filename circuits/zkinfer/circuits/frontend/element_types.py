"""Element types: models that compute in other floats than float32, and operands of a wrong type.

Circuits compute with integers at scales below 2^15, so float32 has enough digits to replace float16, bfloat16 and
float64; passes and engines support it best. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.graph import (
    FLOATS,
    E,
    Facts,
    attributes,
    constant,
    copy,
    is_default,
    replace_all,
    type_name,
    values,
)
from zkinfer.circuits.frontend.validate import is_classical, label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

HIGHEST_TARGET = 18  # the highest opset of a normal form
OTHER_FLOATS = FLOATS - {E.FLOAT}
_ADVISED_OPSET = 17
_LARGEST, _SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
# Attributes of the standard's operators that name an element type.
_KINDS = frozenset({"dtype", "output_dtype", "output_datatype", "precision", "softmax_precision", "stash_type", "to"})


# --- float16, bfloat16 and float64


def other_floats(model: onnx.ModelProto) -> list[int]:
    """The floats other than float32 that a model names, in ascending order of their digits."""
    found = {tensor.data_type for tensor in model.graph.initializer}
    found |= {port.type.tensor_type.elem_type for port in (*model.graph.input, *model.graph.output)}
    for node in model.graph.node:
        for name, value in attributes(node).items():
            if isinstance(value, onnx.TensorProto):
                found.add(value.data_type)
            elif name in _KINDS and isinstance(value, int):
                found.add(value)
    return [kind for kind in (E.BFLOAT16, E.FLOAT16, E.DOUBLE) if kind in found]


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with float32 in place of all other floats; inputs and outputs keep their types, by a Cast each.

    The model itself if it has no other floats. Constants beyond float32 become its largest or smallest number: they
    mean "never" (in a mask) and "not quite 0" (in a divisor).

    Args:
        model: with inferred shapes; attributes of classical operators are left as they are.
    """
    if not other_floats(model):
        return model
    result = copy(model)
    facts, graph = Facts(result), result.graph
    replace_all(graph.initializer, [_narrowed(tensor) for tensor in graph.initializer])
    for node in graph.node:
        if not is_classical(node):
            _convert(node, facts)
    given, wanted = (_renamed(ports, facts) for ports in (graph.input, graph.output))
    for node in graph.node:
        replace_all(node.input, [given.get(name, wanted.get(name, name)) for name in node.input])
        replace_all(node.output, [wanted.get(name, name) for name in node.output])
    for tensor in graph.initializer:
        tensor.name = wanted.get(tensor.name, tensor.name)
    kinds = {name: facts.dtype(name) for name in wanted}
    first = [helper.make_node("Cast", [name], [new], to=E.FLOAT) for name, new in given.items()]
    last = [helper.make_node("Cast", [new], [name], to=kinds[name]) for name, new in wanted.items()]
    replace_all(graph.node, [*first, *graph.node, *last])
    del graph.value_info[:]
    return result


def _renamed(ports: Iterable[onnx.ValueInfoProto], facts: Facts) -> dict[str, str]:
    """New names of the values that keep another float outside."""
    return {port.name: facts.fresh(port.name) for port in ports if facts.dtype(port.name) in OTHER_FLOATS}


def _convert(node: onnx.NodeProto, facts: Facts) -> None:
    if node.op_type == "Cast" and FLOATS.issuperset((facts.dtype(node.input[0]), attributes(node).get("to"))):
        node.CopyFrom(helper.make_node("Identity", node.input, node.output, name=node.name))
    for entry in node.attribute:
        if entry.type == onnx.AttributeProto.TENSOR:
            entry.t.CopyFrom(_narrowed(entry.t))
        elif entry.name in _KINDS and entry.i in OTHER_FLOATS:
            entry.i = E.FLOAT


def _narrowed(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type not in OTHER_FLOATS:
        return tensor
    return constant(tensor.name, _to_float32(numpy_helper.to_array(tensor)))


def _to_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """Rounded to the nearest; magnitudes beyond float32 become its largest or smallest, and 0 and infinity are kept."""
    wide = array.astype(np.float64)
    size = np.where(np.isfinite(wide) & (wide != 0), np.clip(np.abs(wide), _SMALLEST, _LARGEST), np.abs(wide))
    return np.asarray(np.copysign(size, wide), dtype=np.float32)


# --- operands of a wrong type


def wrong_type(model: onnx.ModelProto) -> ModelError | None:
    """The error for the first operator that does not accept the element types of its operands; None if all do."""
    untyped = copy(model)
    for port in untyped.graph.output:
        port.ClearField("type")
    del untyped.graph.value_info[:]
    typed = runtime.with_known_types(untyped)
    return next(_wrong_operands(model, Facts(typed)), None) or next(_wrong_outputs(model, typed), None)


def _wrong_operands(model: onnx.ModelProto, facts: Facts) -> Iterator[ModelError]:
    versions = {_domain(entry.domain): entry.version for entry in model.opset_import}
    for node in model.graph.node:
        domain = _domain(node.domain)
        if domain in versions and defs.has(node.op_type, versions[domain], domain):
            problem = _wrong_operand(node, _Signature(node.op_type, domain, versions[domain]), facts)
            if problem is not None:
                yield problem


def _wrong_outputs(model: onnx.ModelProto, typed: onnx.ModelProto) -> Iterator[ModelError]:
    found = values(typed.graph)
    for port in model.graph.output:
        declared, real = (one.type.tensor_type.elem_type for one in (port, found[port.name]))
        if declared and real and declared != real:
            yield ModelError(
                f"Output {port.name[:80]!r} is declared as {type_name(declared)}, but it is {type_name(real)}.",
                "Declare it as what it is, or cast it, and export the model again.",
            )


class _Signature:
    """The element types that an operator accepts, in one version of its domain."""

    def __init__(self, operator: str, domain: str, version: int) -> None:
        self._operator, self._domain, self.version = operator, domain, version
        schema = defs.get_schema(operator, version, domain)
        self._inputs = list(schema.inputs)
        self._types = {entry.type_param_str: set(entry.allowed_type_strs) for entry in schema.type_constraints}

    def parameter(self, place: int) -> str:
        """The name of an operand's type parameter; operands with the same name have the same type. Empty if unbound."""
        operand = self._operand(place) if self._inputs else None
        return operand.type_str if operand is not None and operand.is_homogeneous else ""

    def taken(self, place: int) -> set[str]:
        """The types that an operand may have; empty if the operator has no operands."""
        kind = self._operand(place).type_str if self._inputs else ""
        return self._types.get(kind, {kind})

    def later(self, place: int, kind: str) -> int | None:
        """The first later version, of those that can be compiled, in which the operand may have this type."""
        later = range(self.version + 1, HIGHEST_TARGET + 1 if not self._domain else 0)
        takes = (v for v in later if kind in _Signature(self._operator, self._domain, v).taken(place))
        return next(takes, None)

    def _operand(self, place: int) -> defs.OpSchema.FormalParameter:
        return self._inputs[min(place, len(self._inputs) - 1)]  # only the last can stand for several


def _wrong_operand(node: onnx.NodeProto, signature: _Signature, facts: Facts) -> ModelError | None:
    first: dict[str, int] = {}
    for place, name in enumerate(node.input):
        kind = facts.dtype(name) if name else 0
        if not kind:
            continue
        if _in_schemas(kind) not in signature.taken(place):
            return _not_taken(node, place, kind, signature)
        other = first.setdefault(signature.parameter(place), kind)
        if other != kind and signature.parameter(place):
            both = f"{type_name(other)} and {type_name(kind)}"
            return ModelError(
                f"{node.op_type} {label(node)} reads {both}, but accepts one type only.",
                "Cast one of them to the type of the other, and export the model again.",
            )
    return None


def _not_taken(node: onnx.NodeProto, place: int, kind: int, signature: _Signature) -> ModelError:
    taken = [one for one in E.DataType.values() if one and _in_schemas(one) in signature.taken(place)]
    version = signature.later(place, _in_schemas(kind))
    cure = "Cast it to one of these types, and export the model again."
    if version is not None:
        cure = (
            f"Export the model again with opset_version={max(version, _ADVISED_OPSET)}: "
            f"from opset {version} on, {node.op_type} accepts {type_name(kind)}."
        )
    elif kind in OTHER_FLOATS and E.FLOAT in taken:
        cure = "Export the model in float32 (torch: model.float()), or cast to float32 there."
    return ModelError(
        f"{node.op_type} {label(node)} reads {node.input[place][:80]!r}, which is {type_name(kind)}; in "
        f"{_domain(node.domain) or 'opset'} {signature.version} it accepts {', '.join(map(type_name, taken))} only.",
        cure,
    )


def _domain(name: str) -> str:
    return "" if is_default(name) else name


def _in_schemas(kind: int) -> str:
    """An element type as the schemas of onnx write it."""
    return f"tensor({str(E.DataType.Name(kind)).lower()})"
