"""Strict parser for ONNX files: sizes are checked before memory is allocated. Imported in the child only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.errors import ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, E, elements, type_name
from zkinfer.circuits.tensors import MAX_RANK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.protobuf.message import Message

MAX_NODES = 20_000
MAX_TENSORS = 50_000
MAX_TENSOR_ELEMENTS = 1 << 26
MAX_TOTAL_ELEMENTS = 1 << 27
MAX_NAME = 256
_EXPORT = "Export the model to ONNX again."
_INT32_FIELD = frozenset({"int32", "int16", "int8", "uint16", "uint8", "bool", "float16"})
# Only constants have these types, mostly of quantised weights: bits per element. See `element_types`.
STORED_BITS: dict[int, int] = {
    E.BFLOAT16: 16,
    **dict.fromkeys((E.FLOAT8E4M3FN, E.FLOAT8E4M3FNUZ, E.FLOAT8E5M2, E.FLOAT8E5M2FNUZ), 8),
    **dict.fromkeys((E.FLOAT4E2M1, E.INT4, E.UINT4), 4),
    **dict.fromkeys((E.INT2, E.UINT2), 2),
}
_MAY_BE_INFINITE = FLOATS | {kind for kind, bits in STORED_BITS.items() if bits == 8}


def load(path: Path, digest: Digest) -> onnx.ModelProto:
    """Read a file, check it against the digest that the caller computed, and `parse` it.

    Raises:
        ModelError: as `parse`, or the file changed in the meantime.
    """
    data = path.read_bytes()
    if sha256(data) != digest:
        raise ModelError(f"{path.name} changed while it was read.", "Wait until it is complete, then try again.")
    return parse(data)


def parse(data: bytes) -> onnx.ModelProto:
    """Parse a model and check its declarations against its content.

    Raises:
        ModelError: not ONNX, or a tensor's data differs from its declaration or holds NaN.
        ModelTooLargeError: too many nodes, tensors, elements or dimensions.
        UnsupportedModelError: external data, sparse or quantised tensors, unsupported element types.
    """
    model = _decoded(data)
    if not model.ir_version or not model.HasField("graph") or not model.opset_import:
        raise ModelError("The file is not an ONNX file: it holds no graph.", _EXPORT)
    if len(model.graph.node) > MAX_NODES:
        raise ModelTooLargeError(
            f"The model has {len(model.graph.node):,} nodes, over the limit of {MAX_NODES:,}.", _smaller()
        )
    _refuse_broken_text(model)
    _refuse_sparse(model)
    _check_tensors(model)
    return model


def _smaller() -> str:
    return "Use a smaller model, or simplify it with onnxsim."


def _decoded(data: bytes) -> onnx.ModelProto:
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError as err:
        raise ModelError("The file is not an ONNX file: it does not parse, or it is truncated.", _EXPORT) from err
    return model


def _refuse_broken_text(message: Message) -> None:
    """Reject names that are not UTF-8: protobuf returns them as bytes, which no later step expects."""
    for field, value in message.ListFields():
        several = value if field.is_repeated else (value,)
        if field.type == field.TYPE_STRING and not all(isinstance(one, str) for one in several):
            raise ModelError("The file is not an ONNX file: it holds text that is not UTF-8.", _EXPORT)
        if field.type == field.TYPE_MESSAGE:
            for one in several:
                _refuse_broken_text(one)


def _refuse_sparse(model: onnx.ModelProto) -> None:
    sparse = bool(model.graph.sparse_initializer) or any(
        attribute.HasField("sparse_tensor") or attribute.sparse_tensors
        for node in model.graph.node
        for attribute in node.attribute
    )
    if sparse:
        raise UnsupportedModelError("The model holds sparse tensors.", "Export dense weights.")


def _check_tensors(model: onnx.ModelProto) -> None:
    total = 0
    for count, tensor in enumerate(_tensors(model), start=1):
        check_tensor(tensor)
        total += elements(tensor.dims)
        if count > MAX_TENSORS or total > MAX_TOTAL_ELEMENTS:
            raise ModelTooLargeError(
                f"The model's constants exceed the limit: the first {count:,} have {total:,} elements; at most "
                f"{MAX_TENSORS:,} constants with {MAX_TOTAL_ELEMENTS:,} elements are accepted.",
                _smaller(),
            )


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def check_tensor(tensor: onnx.TensorProto) -> None:
    """Reject a constant with external data, a length other than declared, too many elements, or NaN.

    Infinity may be a mask; `passes.masks` rejects it where it is none.
    """
    name = f"Constant {tensor.name[:80]!r}"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise UnsupportedModelError(
            f"{name} is stored in another file.",
            "Save the model as one file (onnx.save with save_as_external_data=False).",
        )
    if tensor.data_type not in DTYPES.keys() | STORED_BITS.keys() or tensor.HasField("segment"):
        raise UnsupportedModelError(
            f"{name} has the unsupported element type {type_name(tensor.data_type)}.", "Use float32, integers or bool."
        )
    _check_dims(tensor, name)
    _check_length(tensor, name)
    _refuse_nan(tensor, name)


def _check_dims(tensor: onnx.TensorProto, name: str) -> None:
    if len(tensor.dims) > MAX_RANK or any(size < 0 for size in tensor.dims):
        raise ModelError(f"{name} has invalid dimensions.", _EXPORT)
    if elements(tensor.dims) > MAX_TENSOR_ELEMENTS:
        raise ModelTooLargeError(
            f"{name} declares {elements(tensor.dims):,} elements, over the limit of {MAX_TENSOR_ELEMENTS:,}.",
            _smaller(),
        )


def _check_length(tensor: onnx.TensorProto, name: str) -> None:
    field, count = _expected(tensor)
    held = {"raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"}
    filled = {one for one in held if len(getattr(tensor, one))}
    if filled - {field} or count != len(getattr(tensor, field)):
        raise ModelError(f"{name} holds another amount of data than it declares.", _EXPORT)


def _expected(tensor: onnx.TensorProto) -> tuple[str, int]:
    """The field that holds the data, and its length: in bytes if raw, where several small elements share a byte."""
    size, stored = elements(tensor.dims), STORED_BITS.get(tensor.data_type)
    bits = stored or 8 * np.dtype(DTYPES[tensor.data_type]).itemsize
    if tensor.raw_data:
        return "raw_data", -(-size * bits // 8)
    if stored is not None:
        return "int32_data", -(-size * bits // 8) if bits < 8 else size
    return _field(DTYPES[tensor.data_type]), size


def _field(dtype: str) -> str:
    if dtype in _INT32_FIELD:
        return "int32_data"
    return {"float32": "float_data", "float64": "double_data", "uint32": "uint64_data"}.get(dtype, "int64_data")


def _refuse_nan(tensor: onnx.TensorProto, name: str) -> None:
    if tensor.data_type not in _MAY_BE_INFINITE:
        return
    if np.isnan(onnx.numpy_helper.to_array(tensor)).any():
        raise ModelError(f"{name} holds NaN.", "Circuits support finite numbers only; check the training.")
