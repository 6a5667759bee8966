"""Replace quantised weights by the numbers that they represent. Imported in the child only.

A file may hold weights as small integers, which DequantizeLinear converts to floats, or as floats that QuantizeLinear
rounds first. On constants both are computed here: one subtraction and one product, or one quotient, per element, whose
rounding IEEE 754 defines. Operators that quantise values that depend on an input are left, and rejected later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper, numpy_helper

from zkinfer.circuits.errors import ModelError, ModelTooLargeError
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.fold import MAX_TOTAL_FOLDED, folded_results
from zkinfer.circuits.frontend.graph import (
    DTYPES,
    FLOATS,
    E,
    Facts,
    attributes,
    constant,
    copy,
    elements,
    is_default,
    replace_all,
    type_name,
)
from zkinfer.circuits.frontend.load import STORED_BITS, check_tensor

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    Array = NDArray[Any]

_OPERATORS = frozenset({"DequantizeLinear", "QuantizeLinear"})
_SMALL = STORED_BITS.keys() - FLOATS  # types of constants alone


def with_plain_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its quantised constants replaced by the numbers that they represent; itself if it has none.

    An inconsistent model is returned as it is, for later checks to reject.

    Raises:
        ModelTooLargeError: all these numbers together exceed the limit.
    """
    if not has_quantised(model) or not _is_consistent(model):
        return model
    result = copy(model)
    kinds = _widened(result)
    _gathered_last(result)
    facts, wanted, budget = Facts(result), _sources(result.graph), MAX_TOTAL_FOLDED
    kept = []
    for node in result.graph.node:
        tensors = _computed(node, facts, kinds) if wanted.intersection(node.output) else None
        if tensors is None:
            kept.append(node)
            continue
        facts.constants.update({tensor.name: tensor for tensor in tensors})
        budget -= sum(elements(tensor.dims) for tensor in tensors)
        if budget < 0:
            raise ModelTooLargeError(
                f"The model's quantised weights are more than {MAX_TOTAL_FOLDED:,} numbers.", "Use a smaller model."
            )
    read = {name for node in kept for name in node.input} | facts.outputs
    replace_all(result.graph.node, kept)
    replace_all(result.graph.initializer, [tensor for name, tensor in facts.constants.items() if name in read])
    return result


def has_quantised(model: onnx.ModelProto) -> bool:
    """Whether the model quantises anything, or holds constants of types that only quantised ones have."""
    return any(_is_quantised(node) for node in model.graph.node) or bool(_small_constants(model))


def _is_consistent(model: onnx.ModelProto) -> bool:
    try:
        runtime.check(model)
    except ModelError:
        return False
    return True


def _small_constants(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Constants of types that nothing but constants has, wherever the model holds them."""
    held = (value for node in model.graph.node for entry in node.attribute if (value := entry.t).data_type)
    return [tensor for tensor in (*model.graph.initializer, *held) if tensor.data_type in _SMALL]


def _is_quantised(node: onnx.NodeProto) -> bool:
    return node.op_type in _OPERATORS and is_default(node.domain)


def _widened(model: onnx.ModelProto) -> dict[str, int]:
    """Convert small constants, in place, to a type that holds their numbers; returns the original types by name."""
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and len(node.attribute) == 1:
            kinds[node.output[0]] = node.attribute[0].t.data_type
    for tensor in _small_constants(model):
        whole = {"int": np.int8, "uint": np.uint8}.get(type_name(tensor.data_type)[:-1], np.float32)
        tensor.CopyFrom(constant(tensor.name, numpy_helper.to_array(tensor).astype(whole)))
    return kinds


def _gathered_last(model: onnx.ModelProto) -> None:
    """Dequantise a table before its rows are gathered, in place: one scale for all elements allows either order."""
    facts = Facts(model)
    for place, node in enumerate(model.graph.node):
        source = facts.producers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if source is None or source.op_type != "Gather" or source.input[0] not in facts.constants:
            continue
        if any(facts.shape(name) not in ((), (1,)) for name in node.input[1:] if name):
            continue
        table = facts.fresh(node.output[0])
        gathered = helper.make_node("Gather", [table, source.input[1]], node.output)
        gathered.attribute.extend(source.attribute)
        node.input[0], node.output[0] = source.input[0], table
        model.graph.node.insert(place + 1, gathered)
        _gathered_last(model)
        return


def _sources(graph: onnx.GraphProto) -> set[str]:
    """Values that are quantised, and all that lead to them."""
    found = {name for node in graph.node if _is_quantised(node) for name in node.output}
    for node in reversed(graph.node):
        if found.intersection(node.output):
            found.update(node.input)
    return found - {""}


def _computed(node: onnx.NodeProto, facts: Facts, kinds: dict[str, int]) -> list[onnx.TensorProto] | None:
    if not is_default(node.domain) or node.op_type in ("Shape", "Size"):
        return None
    if not _is_quantised(node):
        return folded_results(node, facts)
    arrays = [facts.array(name) for name in node.input if name]
    known = [array for array in arrays if array is not None]
    if len(known) != len(arrays) or len(known) not in (2, 3):
        return None
    if node.op_type == "DequantizeLinear":
        array = _dequantised(node, *known)
    else:
        array = _rounded(node, kinds.get(node.input[2], E.UINT8) if len(known) == 3 else E.UINT8, *known)
    if array is None:
        return None
    tensor = constant(node.output[0], array)
    check_tensor(tensor)
    return [tensor]


def _dequantised(node: onnx.NodeProto, values: Array, scale: Array, zero: Array | None = None) -> Array | None:
    """(x - zero point) * scale, in float32, rounded to the type of the result."""
    by, offset = (_spread(node, values, array) for array in (scale, np.zeros(()) if zero is None else zero))
    kind = attributes(node).get("output_dtype", 0) or helper.np_dtype_to_tensor_dtype(scale.dtype)
    if by is None or offset is None or kind not in FLOATS:
        return None
    exact = np.float32 if values.dtype.kind == "f" else np.int64
    steps = (values.astype(exact) - offset.astype(exact)).astype(np.float32)
    return np.asarray(steps * by.astype(np.float32), dtype=helper.tensor_dtype_to_np_dtype(kind))


def _rounded(node: onnx.NodeProto, kind: int, values: Array, scale: Array, zero: Array | None = None) -> Array | None:
    """x / scale, rounded half to even, plus the zero point, held to the range of the result's integers."""
    by, offset = (_spread(node, values, array) for array in (scale, np.zeros(()) if zero is None else zero))
    kind = attributes(node).get("output_dtype", 0) or kind
    limits = _limits(kind)
    if by is None or offset is None or limits is None or not by.all():
        return None
    steps = np.rint(values.astype(np.float32) / by.astype(np.float32)).astype(np.float64) + offset.astype(np.float64)
    return np.clip(steps, *limits).astype(DTYPES.get(kind, "int8" if limits[0] else "uint8"))


def _spread(node: onnx.NodeProto, values: Array, by: Array) -> Array | None:
    """A scale or zero point for each value: one for all, one per place along the axis, or one per block along it."""
    given = attributes(node)
    axis, block = given.get("axis", 1), given.get("block_size", 0)
    if by.size == 1:
        return by.reshape(())
    if not -values.ndim <= axis < values.ndim:
        return None
    size = values.shape[axis]
    if not block and by.shape == (size,):
        return by.reshape([-1 if place == axis % values.ndim else 1 for place in range(values.ndim)])
    if block < 1 or by.ndim != values.ndim or by.shape[axis] != -(-size // block):
        return None
    wide = np.take(by, np.arange(size) // block, axis)
    return wide if wide.shape == values.shape else None


def _limits(kind: int) -> tuple[int, int] | None:
    """The least and the largest integer of a type; None for floats."""
    name = type_name(kind)
    sign, bits = name.rstrip("0123456789"), name.lstrip("uint")
    if sign not in ("int", "uint"):
        return None
    return (0, (1 << int(bits)) - 1) if sign == "uint" else (-(1 << int(bits) - 1), (1 << int(bits) - 1) - 1)
