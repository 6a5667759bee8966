"""Helpers to query and build ONNX graphs. Imported in the child only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    Nodes = list[onnx.NodeProto]
    Rule = Callable[[onnx.NodeProto, "Facts"], Nodes | None]


E = onnx.TensorProto
DTYPES: dict[int, str] = {
    E.FLOAT: "float32",
    E.UINT8: "uint8",
    E.INT8: "int8",
    E.UINT16: "uint16",
    E.INT16: "int16",
    E.INT32: "int32",
    E.INT64: "int64",
    E.BOOL: "bool",
    E.FLOAT16: "float16",
    E.DOUBLE: "float64",
    E.UINT32: "uint32",
}
FLOATS = frozenset({E.FLOAT, E.FLOAT16, E.DOUBLE, E.BFLOAT16})
_SPOKEN = {"float": "float32", "double": "float64"}  # as data files call them
Dim = int | str


def copy(model: onnx.ModelProto) -> onnx.ModelProto:
    """An independent copy."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    return result


def opset(model: onnx.ModelProto) -> int:
    """The version of the default operator domain; 0 if the model declares none."""
    return max((entry.version for entry in model.opset_import if is_default(entry.domain)), default=0)


def type_name(kind: int) -> str:
    """An ONNX element type as messages call it: `float32`, `bfloat16`, `int4`; `unknown` if it is none."""
    if not kind or kind not in E.DataType.values():
        return "unknown"
    name = str(E.DataType.Name(kind)).lower()
    return _SPOKEN.get(name, name)


def is_default(domain: str) -> bool:
    """Whether this is the domain of the ONNX standard."""
    return domain in ("", "ai.onnx")


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attribute values by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def shape_of(info: onnx.ValueInfoProto) -> tuple[Dim, ...] | None:
    """Dimensions of a declared value: a size, a name, or `?`; None if even the rank is unknown."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(_dim(entry) for entry in tensor.shape.dim)


def _dim(entry: onnx.TensorShapeProto.Dimension) -> Dim:
    if entry.HasField("dim_value"):
        return entry.dim_value
    return entry.dim_param or "?"


def static_shape(info: onnx.ValueInfoProto | None) -> tuple[int, ...] | None:
    """Dimensions of a value if all are known sizes, else None."""
    shape = shape_of(info) if info is not None else None
    if shape is None:
        return None
    sizes = tuple(size for size in shape if isinstance(size, int) and size >= 0)
    return sizes if len(sizes) == len(shape) else None


def values(graph: onnx.GraphProto) -> dict[str, onnx.ValueInfoProto]:
    """Every declared or inferred value by name."""
    return {info.name: info for group in (graph.value_info, graph.output, graph.input) for info in group}


def replace_all(field: Any, items: Iterable[Any]) -> None:  # noqa: ANN401 - any repeated field
    """Replace the content of a repeated field."""
    kept = list(items)
    del field[:]
    field.extend(kept)


def constant(name: str, array: NDArray[Any]) -> onnx.TensorProto:
    """An initializer with raw little-endian data, so that equal arrays have equal bytes."""
    return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)


def elements(shape: Sequence[int]) -> int:
    """Number of elements."""
    return math.prod(shape)


class Facts:
    """Lookup tables over one model for rewriting: constants, types, shapes, producers, consumers and used names."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.opset = opset(model)
        self.outputs = {port.name for port in model.graph.output}
        self.inputs = {port.name for port in model.graph.input}
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._values = values(model.graph)
        self.used = {name for node in model.graph.node for name in node.input if name} | self.outputs
        self._names = set(self._values) | set(self.constants) | self.used
        self.producers = {name: node for node in model.graph.node for name in node.output if name}
        self.readers: dict[str, set[str]] = {}  # operators that read a value
        self.consumers: dict[str, list[onnx.NodeProto]] = {}  # nodes that read a value, once per operand
        for node in model.graph.node:
            for name in node.input:
                self.readers.setdefault(name, set()).add(node.op_type)
                self.consumers.setdefault(name, []).append(node)
        self.added: list[onnx.TensorProto] = []

    def array(self, name: str) -> NDArray[Any] | None:
        """A constant's value; None if the value depends on an input."""
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """A value's shape; None unless it is fully known."""
        if name in self.constants:
            return tuple(self.constants[name].dims)
        return static_shape(self._values.get(name))

    def dtype(self, name: str) -> int:
        """A value's ONNX element type; 0 if unknown."""
        if name in self.constants:
            return int(self.constants[name].data_type)
        info = self._values.get(name)
        kind: int = info.type.tensor_type.elem_type if info is not None else 0
        return kind

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The single node that reads a value, once; None if there are others or the value is a model output."""
        found = self.consumers.get(name, [])
        return found[0] if len(found) == 1 and name not in self.outputs else None

    def fresh(self, base: str) -> str:
        """A new value name; deterministic for the same model."""
        count = 0
        while (name := f"{base}.zk{count}") in self._names:
            count += 1
        self._names.add(name)
        return name

    def new_constant(self, base: str, array: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        name = self.fresh(base)
        self.added.append(constant(name, array))
        return name


class Draft:
    """Builds the replacement of a node: appends nodes one by one and derives their names from the replaced value."""

    def __init__(self, facts: Facts, base: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._facts, self._base, self.opset = facts, base, facts.opset

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a value of the model; None unless it is fully known."""
        return self._facts.shape(name)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - any attribute
        """Append a node with one output and return the output's new name."""
        result = self._facts.fresh(self._base)
        self.nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    def cast(self, value: str, kind: int) -> str:
        """Convert a value to another element type."""
        return self.add("Cast", value, to=kind)

    def named(self, value: str, name: str) -> None:
        """Give a value the name of an output of the replaced node."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def constant(self, array: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        return self._facts.new_constant(self._base, array)

    def gathered(self, value: str, columns: NDArray[Any]) -> str:
        """Gather columns of [N, M] into [N, *columns.shape]."""
        return self.add("Gather", value, self.constant(columns), axis=1)

    def reduced(self, operator: str, value: str) -> str:
        """Reduce [N, M] to [N, 1]; from some opset on, the axis is an input instead of an attribute."""
        if self.opset < (13 if operator == "ReduceSum" else 18):
            return self.add(operator, value, axes=[1])
        return self.add(operator, value, self.constant(np.array([1], dtype=np.int64)))

    def joined(self, values: list[str]) -> str:
        """Concatenate columns: [N, M1 + M2 + ...]."""
        return values[0] if len(values) == 1 else self.add("Concat", *values, axis=1)
