from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend.load import MAX_NODES, STORED_BITS, check_tensor, load, parse

JPEG = bytes.fromhex("ffd8ffe000104a46494600010101006000600000ffdb0043000302020302020303030304030304050805")


def wrapped(field, data):
    size, length = len(data), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + data


def tensor(kind=TensorProto.FLOAT, dims=(2,), **fields):
    return TensorProto(name="w", data_type=kind, dims=dims, **fields)


@pytest.mark.parametrize(
    "data",
    [JPEG, b"\x00" * 40, b"hello, world", b"PK\x03\x04" + bytes(30), b"{}"],
    ids=["jpeg", "0", "text", "zip", "{}"],
)
def test_file_of_another_format_is_refused(data):
    with pytest.raises(ModelError, match="not an ONNX file"):
        parse(data)


def test_every_truncation_is_refused(dense):
    data = dense.SerializeToString()
    for end in range(0, len(data) - 8, 5):
        with pytest.raises(ModelError):
            parse(data[:end])


def test_name_that_is_not_utf8_is_refused(dense):
    data = dense.SerializeToString().replace(b"Relu", b"Re\xffu")
    with pytest.raises(ModelError, match="not UTF-8"):
        parse(data)


def test_deep_nesting_is_refused():
    data = b""
    for _ in range(60):  # graph.node[0].attribute[0].g and so on; the onnx builder refuses to write this
        for field in (6, 5, 1):
            data = wrapped(field, data)
    data = wrapped(7, data)
    with pytest.raises(ModelError, match="not an ONNX file"):
        parse(data)


def test_tensor_declaring_three_gigabytes_is_refused(dense):
    dense.graph.initializer.append(tensor(dims=[800_000_000]))
    assert len(dense.SerializeToString()) < 1024
    with pytest.raises(ModelTooLargeError, match="800,000,000 elements"):
        parse(dense.SerializeToString())


def test_declarations_too_large_in_total_are_refused(dense, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.frontend.load.MAX_TOTAL_ELEMENTS", 5)
    with pytest.raises(ModelTooLargeError, match="constants exceed the limit"):
        parse(dense.SerializeToString())


def test_too_many_nodes_are_refused(dense):
    dense.graph.node.extend([dense.graph.node[0]] * MAX_NODES)
    with pytest.raises(ModelTooLargeError, match="20,002 nodes"):
        parse(dense.SerializeToString())


def test_file_changed_since_hashing_is_refused(dense, saved):
    with pytest.raises(ModelError, match="changed while"):
        load(saved(dense), sha256(b"before"))


def test_sparse_tensor_is_refused(dense):
    dense.graph.sparse_initializer.add().dims.append(3)
    with pytest.raises(UnsupportedModelError, match="sparse"):
        parse(dense.SerializeToString())


def test_tensor_in_a_node_is_checked_too(dense):
    dense.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor(raw_data=b"\0")))
    with pytest.raises(ModelError, match="another amount of data"):
        parse(dense.SerializeToString())


@pytest.mark.parametrize(
    "bad",
    [
        tensor(raw_data=b"\0" * 7),
        tensor(raw_data=b"\0" * 12),
        tensor(float_data=[1.0]),
        tensor(int32_data=[1, 2]),
        tensor(float_data=[1.0, 2.0], raw_data=b"\0" * 8),
        tensor(dims=[-2], float_data=[1.0, 2.0]),
        tensor(dims=[1] * 9, float_data=[1.0]),
    ],
    ids=["cut", "long", "few", "other-field", "both", "negative", "rank"],
)
def test_inconsistent_tensor_is_refused(bad):
    with pytest.raises(ModelError):
        check_tensor(bad)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weight_that_is_no_number_is_refused(dtype):
    with pytest.raises(ModelError, match="'w' holds NaN"):
        check_tensor(onnx.numpy_helper.from_array(np.array([1, np.nan], dtype=dtype), "w"))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_read_as_it_may_be_a_mask(value):
    check_tensor(onnx.numpy_helper.from_array(np.array([1, value], dtype=np.float32), "w"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TensorProto.STRING, "string"),
        (TensorProto.COMPLEX64, "complex64"),
        (TensorProto.UINT64, "uint64"),
        (77, "unknown"),
    ],
)
def test_unsupported_element_type_is_refused_by_name(kind, name):
    with pytest.raises(UnsupportedModelError, match=f"'w' has the unsupported element type {name}"):
        check_tensor(tensor(kind))


@pytest.mark.parametrize("count", [0, 1, 4, 5])
@pytest.mark.parametrize("kind", STORED_BITS)
def test_element_types_of_constants_are_accepted_in_both_fields(kind, count):
    typed = helper.make_tensor("w", kind, [count], [1] * count)
    check_tensor(typed)
    check_tensor(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(typed), "w"))


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT2, TensorProto.BFLOAT16])
def test_constant_of_small_elements_that_is_cut_is_refused(kind):
    with pytest.raises(ModelError, match="another amount of data"):
        check_tensor(tensor(kind, dims=(9,), raw_data=b"\1\1"))


@pytest.mark.parametrize("kind", [TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN])
def test_small_float_that_is_no_number_is_refused(kind):
    with pytest.raises(ModelError, match="holds NaN"):
        check_tensor(helper.make_tensor("w", kind, [1], [float("nan")]))


def test_external_data_is_refused():
    bad = tensor(data_location=TensorProto.EXTERNAL)
    bad.external_data.add(key="location", value="../../etc/passwd")
    with pytest.raises(UnsupportedModelError, match="another file"):
        check_tensor(bad)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "int32", "int64", "uint32", "float16", "float64"])
def test_typed_field_of_every_type_is_accepted(dtype):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    check_tensor(helper.make_tensor("w", kind, [2], [1, 0]))


def test_empty_tensor_is_accepted():
    check_tensor(tensor(dims=[0]))
