"""Fix the size of every dimension and the opset, and infer shapes. Imported in the child only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import onnx
from onnx import numpy_helper

from zkinfer.circuits.errors import ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.element_types import HIGHEST_TARGET, wrong_type
from zkinfer.circuits.frontend.graph import (
    DTYPES,
    Facts,
    attributes,
    copy,
    elements,
    is_default,
    opset,
    replace_all,
    shape_of,
    static_shape,
    type_name,
    values,
)
from zkinfer.circuits.tensors import MAX_ELEMENTS, MAX_RANK, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_VALUE_ELEMENTS = 1 << 26
LOWEST_TARGET = 9


def without_constant_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that lists only the inputs a caller feeds: up to IR version 3, weights are listed as inputs too."""
    result = copy(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    replace_all(result.graph.input, [port for port in result.graph.input if port.name not in constants])
    # From version 4 on, the listing is optional; below, inlining, conversion and the checker require it.
    result.ir_version = max(result.ir_version, 4)
    return result


def with_fixed_shapes(model: onnx.ModelProto, dimensions: Mapping[str, int]) -> onnx.ModelProto:
    """A copy whose inputs have fixed sizes; declared shapes of other values, which may be stale, are dropped.

    A first dimension without a size is 1 if its name may be that of a batch, since one proof covers one inference.

    Raises:
        UnsupportedModelError: another dimension has no size in the model or in `dimensions`.
    """
    result = copy(model)
    _refuse_unknown_names(result.graph, dimensions)
    for port in result.graph.input:
        for index, dim in enumerate(port.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value"):
                dim.dim_value = _size(port.name, dim.dim_param, index, dimensions)
        _check_size(port)
    for port in result.graph.output:  # the declared sizes of outputs may name the dimensions just fixed
        port.type.tensor_type.ClearField("shape")
    del result.graph.value_info[:]
    return result


_BATCH = re.compile(r".*batch.*|.*sample.*|.*example.*|bs|[bn]", re.IGNORECASE)
# Names that exporters make up for a dimension without a name.
_NO_NAME = re.compile(
    r"|\?|-1|none|unk__\d+|[su]\d+|.*dynamic_axes_\d+|dynamicdimension.*|dim_?\d*|axis_?0", re.IGNORECASE
)
_RECURRENCES = frozenset({"CumSum", "GRU", "LSTM", "RNN"})


def batch_notes(model: onnx.ModelProto, dimensions: Mapping[str, int]) -> list[str]:
    """A sentence for each first dimension that is set to 1 without being clearly the batch.

    That is one that has no name of its own, or along which a recurrence runs.
    """
    marked, taken = copy(model), []
    del marked.graph.value_info[:]
    for number, port in enumerate(marked.graph.input):
        dim = next(iter(port.type.tensor_type.shape.dim), None)
        if dim is not None and not dim.HasField("dim_value") and dim.dim_param not in dimensions:
            name, dim.dim_param = dim.dim_param, dim.dim_param or f"the first of input {number}"
            taken.append((port.name, name, dim.dim_param))
    walked = _walked(marked)
    return [
        _batch_note(port, name, walked.get(symbol, ""))
        for port, name, symbol in taken
        if symbol in walked or not _BATCH.fullmatch(name)
    ]


def _batch_note(port: str, name: str, walked_by: str) -> str:
    dimension = f"The first dimension{f' {name[:80]!r}' if name else ''} of input {port[:80]!r}"
    if not walked_by:
        return f"{dimension} has no size; it is taken for the batch and set to 1."
    cure = f"set its length with --dim {name[:80]}=SIZE" if name else "export the model with a fixed length"
    return f"{dimension} has no size and is set to 1, but {walked_by} runs along it: if it is a sequence, {cure}."


def _walked(model: onnx.ModelProto) -> dict[str, str]:
    """The names of dimensions along which a node computes step by step, and what to call the node."""
    recurrences = [node for node in model.graph.node if node.op_type in _RECURRENCES]
    if not recurrences:
        return {}
    facts, known = Facts(model), values(onnx.shape_inference.infer_shapes(model).graph)
    walked = {}
    for node in recurrences:
        shape = shape_of(known[node.input[0]]) if node.input[0] in known else None
        axis = _constant(node.input[1], facts) if node.op_type == "CumSum" else attributes(node).get("layout", 0)
        if shape and axis is not None and -len(shape) <= axis < len(shape):
            walked[str(shape[axis])] = f"{node.op_type} {(node.name or node.output[0])[:80]!r}"
    return walked


def _constant(name: str, facts: Facts) -> int | None:
    """The value of an integer constant, which may be the result of a node Constant."""
    array, node = facts.array(name), facts.producers.get(name)
    if node is not None and node.op_type == "Constant" and "value" in attributes(node):
        array = numpy_helper.to_array(attributes(node)["value"])
    return int(array.reshape(())) if array is not None and array.size == 1 else None


def _refuse_unknown_names(graph: onnx.GraphProto, dimensions: Mapping[str, int]) -> None:
    named = {dim.dim_param for port in graph.input for dim in port.type.tensor_type.shape.dim}
    for name in sorted(set(dimensions) - named):
        raise UnsupportedModelError(
            f"The model has no dimension named {name[:80]!r}.",
            f"Its symbolic dimensions are: {', '.join(sorted(named - {''}))[:200] or 'none'}.",
        )


def _size(port: str, name: str, index: int, dimensions: Mapping[str, int]) -> int:
    if name in dimensions:
        return dimensions[name]
    if index == 0 and (_BATCH.fullmatch(name) or _NO_NAME.fullmatch(name)):  # one proof covers one inference
        return 1
    if not name:
        raise UnsupportedModelError(
            f"Dimension {index} of input {port[:80]!r} has neither a size nor a name.", "Export with a fixed shape."
        )
    batch = "" if index else f", or {name[:80]}=1 if it is the batch"
    raise UnsupportedModelError(
        f"Dimension {name[:80]!r} of input {port[:80]!r} has no size.", f"Set it with --dim {name[:80]}=SIZE{batch}."
    )


def _check_size(port: onnx.ValueInfoProto) -> None:
    shape = static_shape(port)
    if shape is None or 0 in shape:
        raise UnsupportedModelError(f"Input {port.name[:80]!r} has a dimension of size 0 or less.", "Export again.")
    if elements(shape) > MAX_ELEMENTS:
        raise ModelTooLargeError(
            f"Input {port.name[:80]!r} has {elements(shape):,} elements, over the limit of {MAX_ELEMENTS:,}.",
            "Make the input smaller.",
        )


def with_supported_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in an opset that the engines' parsers are tested with; unchanged if it already is."""
    target = min(max(opset(model), LOWEST_TARGET), HIGHEST_TARGET)
    if target == opset(model):
        return model
    try:
        return runtime.convert_opset(model, target)
    except UnsupportedModelError as err:
        return _renumbered(model, target, err)


def _renumbered(model: onnx.ModelProto, target: int, failure: UnsupportedModelError) -> onnx.ModelProto:
    """The same nodes under another opset number, if the checker accepts them.

    The converter lacks many operators for which only the list of types changed. If the semantics differ, the
    equivalence check rejects the model.
    """
    result = copy(model)
    for entry in result.opset_import:
        if is_default(entry.domain):
            entry.version = target
    try:
        runtime.check(result)
    except ModelError:
        raise failure from None
    return result


def inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with every shape that can be inferred.

    Raises:
        ModelError: shapes contradict each other, or an operator does not take the element type of an operand.
        ModelTooLargeError: a value exceeds MAX_VALUE_ELEMENTS.
    """
    try:
        result = runtime.infer_shapes(model)
    except ModelError as err:
        raise (wrong_type(model) or err) from err
    for info in result.graph.value_info:
        shape = static_shape(info)
        if shape is not None and (len(shape) > MAX_RANK or elements(shape) > MAX_VALUE_ELEMENTS):
            raise ModelTooLargeError(
                f"Value {info.name[:80]!r} has shape {list(shape)}: more than {MAX_VALUE_ELEMENTS:,} elements.",
                "Use a smaller model.",
            )
    return result


def specs(model: onnx.ModelProto) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Specs of the inputs and the outputs of a model with inferred shapes.

    Raises:
        UnsupportedModelError: a shape or type is unknown.
    """
    facts = Facts(model)
    inputs = [_spec(port.name, facts) for port in model.graph.input]
    return inputs, [_spec(port.name, facts) for port in model.graph.output]


def _spec(name: str, facts: Facts) -> TensorSpec:
    shape, kind = facts.shape(name), facts.dtype(name)
    if shape is None or not kind:
        raise UnsupportedModelError(
            f"The shape of {name[:80]!r} depends on the input.", "Rewrite the model so that every shape is fixed."
        )
    if kind not in DTYPES:
        raise UnsupportedModelError(
            f"{name[:80]!r} has the unsupported element type {type_name(kind)}.", "Cast it to float or int64."
        )
    if 0 in shape or len(shape) > MAX_RANK:
        raise ModelError(f"{name[:80]!r} has the invalid shape {list(shape)}.", "Export the model again.")
    if elements(shape) > MAX_ELEMENTS:
        raise ModelTooLargeError(
            f"{name[:80]!r} has {elements(shape):,} elements, over the limit.", "Use a smaller model."
        )
    return TensorSpec.model_validate({"name": name, "dtype": DTYPES[kind], "shape": shape})
