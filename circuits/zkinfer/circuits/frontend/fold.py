"""Fold constants and expand composite operators, with results that are identical to the last bit on every machine.

Only operators that numpy computes exactly are folded (data movement, integer arithmetic, single IEEE operations): exp
or matmul may differ in the last bit between processors, and an auditor who normalises the same file must get the same
bytes. Other constants are left to the engine. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import defs, helper

from zkinfer.circuits.errors import ModelError, ModelTooLargeError
from zkinfer.circuits.frontend import runtime, shapes
from zkinfer.circuits.frontend.graph import (
    DTYPES,
    FLOATS,
    Facts,
    attributes,
    constant,
    copy,
    elements,
    opset,
    replace_all,
    static_shape,
)
from zkinfer.circuits.frontend.load import check_tensor
from zkinfer.circuits.frontend.operators import COMPOSITE, words
from zkinfer.circuits.frontend.validate import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Rule

MAX_FOLDED_ELEMENTS = 1 << 24
MAX_TOTAL_FOLDED = 1 << 26
EXACT = words(
    """
    Abs Add And Cast Ceil Clip Compress Concat ConstantOfShape DepthToSpace Div Equal Expand EyeLike Flatten Floor
    Gather GatherElements GatherND Greater GreaterOrEqual Identity Less LessOrEqual Max Min Mul Neg NonZero Not
    Or Pad Range Reciprocal Relu Reshape Round Scatter ScatterElements ScatterND Sign Slice SpaceToDepth
    Split Sqrt Squeeze Sub Tile Transpose Trilu Unsqueeze Where Xor
    """
)
EXACT_ON_INTEGERS = words(
    """
    ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CumSum MatMul Mod ReduceMax ReduceMin
    ReduceProd ReduceSum
    """
)
# The size of the result is unknown, but never exceeds the input.
_BOUNDED = frozenset({"Compress", "NonZero"})
_NUMERIC_ATTRIBUTES = ("value", "value_float", "value_floats", "value_int", "value_ints")


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace nodes with constant operands by their results, in place; the model must carry inferred shapes.

    Raises:
        ModelTooLargeError: all results together exceed the limit.
        ModelError: a node fails, or a result is NaN.
    """
    facts = Facts(model)
    kept, budget = [], MAX_TOTAL_FOLDED
    for node in model.graph.node:
        results = folded_results(node, facts)
        if results is None:
            kept.append(node)
            continue
        for tensor in results:
            facts.constants[tensor.name] = tensor
            model.graph.initializer.append(tensor)
            budget -= elements(tensor.dims)
        if budget < 0:
            raise ModelTooLargeError(
                f"The model computes more than {MAX_TOTAL_FOLDED:,} constants.", "Simplify it with onnxsim."
            )
    replace_all(model.graph.node, kept)
    return model


def folded_results(node: onnx.NodeProto, facts: Facts) -> list[onnx.TensorProto] | None:
    """The values of a node whose operands are constants; None if one is not, or numpy would not compute it exactly."""
    if node.op_type == "Constant":
        return [_constant_result(node)]
    if node.op_type in ("Shape", "Size"):
        return _shape_result(node, facts.shape(node.input[0]))
    tensors = [facts.constants.get(name) for name in node.input if name]
    constants = [tensor for tensor in tensors if tensor is not None]
    if (
        len(constants) != len(tensors)
        or not _exact(node, constants)
        or not _within_limits(node, constants, facts.opset)
    ):
        return None
    return _computed(node, constants, facts.opset)


def with_plain_operators(model: onnx.ModelProto) -> onnx.ModelProto:
    """Expand composite operators (such as GELU) into their definition in the ONNX standard."""
    present = sorted({node.op_type for node in model.graph.node} & COMPOSITE)
    return runtime.inline(shapes.inferred(_with_explicit_types(model)), present) if present else model


def rewritten(model: onnx.ModelProto) -> onnx.ModelProto:
    """Apply `RULES` in place, once to every node; the model must carry inferred shapes."""
    facts, nodes = Facts(model), []
    for node in model.graph.node:
        rule = RULES.get(node.op_type)
        result = rule(node, facts) if rule is not None else None
        nodes += [node] if result is None else result
    replace_all(model.graph.node, nodes)
    model.graph.initializer.extend(facts.added)
    return model


def _constant_result(node: onnx.NodeProto) -> onnx.TensorProto:
    if len(node.attribute) != 1 or node.attribute[0].name not in _NUMERIC_ATTRIBUTES:
        raise ModelError(f"The constant {node.output[0][:80]!r} is not numeric.", "Export the model again.")
    value: Any = helper.get_attribute_value(node.attribute[0])
    if isinstance(value, onnx.TensorProto):
        array = onnx.numpy_helper.to_array(value)
    else:
        array = np.array(value, dtype=np.float32 if "float" in node.attribute[0].name else np.int64)
    return _checked(constant(node.output[0], array))


def _checked(tensor: onnx.TensorProto) -> onnx.TensorProto:
    check_tensor(tensor)
    return tensor


def _shape_result(node: onnx.NodeProto, shape: tuple[int, ...] | None) -> list[onnx.TensorProto] | None:
    if shape is None:
        return None
    bounds = {entry.name: entry.i for entry in node.attribute}
    sizes = shape[bounds.get("start") : bounds.get("end")]
    array = np.array(elements(shape) if node.op_type == "Size" else sizes, dtype=np.int64)
    return [constant(node.output[0], array)]


def _exact(node: onnx.NodeProto, constants: Sequence[onnx.TensorProto]) -> bool:
    if node.op_type == "Cast":
        return _exact_cast(node, constants[0])
    if node.op_type in EXACT_ON_INTEGERS:
        return all(tensor.data_type not in FLOATS for tensor in constants)
    return node.op_type in EXACT


def _exact_cast(node: onnx.NodeProto, tensor: onnx.TensorProto) -> bool:
    """Whether the cast is exact on every machine; the result of an out-of-range float depends on the processor."""
    target = next((entry.i for entry in node.attribute if entry.name == "to"), 0)
    if target not in DTYPES:
        return False
    if target in FLOATS or tensor.data_type not in FLOATS or target == onnx.TensorProto.BOOL:
        return True
    limits = np.iinfo(DTYPES[target])
    array = onnx.numpy_helper.to_array(tensor).astype(np.float64)
    return bool((array > float(limits.min)).all() and (array < float(limits.max)).all())


def _within_limits(node: onnx.NodeProto, constants: Sequence[onnx.TensorProto], opset: int) -> bool:
    if node.op_type in _BOUNDED:
        return all(elements(tensor.dims) <= MAX_FOLDED_ELEMENTS for tensor in constants)
    sized = runtime.infer_shapes(_single_node_model(node, constants, opset))
    shapes = [static_shape(port) for port in sized.graph.output]
    return all(shape is not None and elements(shape) <= MAX_FOLDED_ELEMENTS for shape in shapes)


def _single_node_model(node: onnx.NodeProto, constants: Sequence[onnx.TensorProto], opset: int) -> onnx.ModelProto:
    unique = list({tensor.name: tensor for tensor in constants}.values())
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = helper.make_graph([node], "one", [], outputs, unique)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def _computed(node: onnx.NodeProto, constants: Sequence[onnx.TensorProto], opset: int) -> list[onnx.TensorProto]:
    with np.errstate(all="ignore"):
        arrays = runtime.reference(_single_node_model(node, constants, opset))
    names = [name for name in node.output if name]
    for array in arrays:
        if np.asarray(array).dtype.kind == "f" and np.isnan(array).any():
            raise ModelError(
                f"{node.op_type} {label(node)} computes NaN from constants.",
                "It is often 0 · infinity: write a mask with Where, or with a finite number such as -10000.",
            )
    return [_checked(constant(name, _little_endian(array))) for name, array in zip(names, arrays, strict=True)]


def _little_endian(array: NDArray[Any]) -> NDArray[Any]:
    result = np.asarray(array)
    return result.astype(result.dtype.newbyteorder("<"))


def _with_explicit_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that spells out what inlining cannot guess: types of constants and defaults of composite operators."""
    result = copy(model)
    make = helper.make_tensor_value_info
    result.graph.value_info.extend(make(one.name, one.data_type, one.dims) for one in result.graph.initializer)
    for node in result.graph.node:
        if node.op_type in COMPOSITE:
            given = attributes(node)
            schema = defs.get_schema(node.op_type, opset(model), "")
            missing = [entry.default_value for name, entry in schema.attributes.items() if name not in given]
            node.attribute.extend(value for value in missing if value.type != onnx.AttributeProto.UNDEFINED)
    return result


def _cast_like(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    target = facts.dtype(node.input[1])
    return [helper.make_node("Cast", [node.input[0]], node.output, to=target)] if target else None


def _dropout(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    training = facts.array(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros((), dtype=bool)
    mask_used = len(node.output) > 1 and node.output[1] in facts.used
    if mask_used or training is None or training.any():
        return None
    return [helper.make_node("Identity", [node.input[0]], [node.output[0]])]


def _clip(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """Without bounds that bind no number of a circuit: infinity, or what exporters write for it."""
    bounds = [None if not name else facts.array(name) for name in node.input[1:]]
    signs = (-1, 1)  # the least comes first
    kept = [
        "" if bound is not None and bool((sign * bound >= _NO_BOUND).all()) else name
        for name, bound, sign in zip(node.input[1:], bounds, signs, strict=False)
    ]
    if kept == list(node.input[1:]):
        return None
    inputs = [node.input[0], *kept] if any(kept) else [node.input[0]]
    return [helper.make_node("Clip" if any(kept) else "Identity", inputs, node.output)]


def _extreme(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """max(x, -inf) and min(x, inf), or what exporters write for infinity, are x."""
    sign = -1 if node.op_type == "Max" else 1
    arrays = {name: facts.array(name) for name in node.input}
    others = [name for name, array in arrays.items() if array is None or not (sign * array >= _NO_BOUND).all()]
    if len(others) != 1 or len(arrays) < 2 or facts.shape(others[0]) != facts.shape(node.output[0]):
        return None
    return [helper.make_node("Identity", others, node.output)]


_NO_BOUND = 3e38  # the largest float32 is 3.4e38
RULES: dict[str, Rule] = {
    "CastLike": _cast_like,
    "Clip": _clip,
    "Dropout": _dropout,
    "Max": _extreme,
    "Min": _extreme,
}
