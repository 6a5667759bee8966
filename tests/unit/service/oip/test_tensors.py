import re
import struct
import time
from contextlib import suppress

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.utils import serialize_byte_tensor

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.oip.messages import InferTensorContents, ModelInferRequest
from zkinfer.service.errors import BadFieldError
from zkinfer.service.oip.tensors import (
    DATATYPES,
    arrays_of,
    datatype_named,
    datatype_of,
    from_contents,
    from_raw,
    to_raw,
)

X = TensorSpec(name="x", dtype="float32", shape=(1, 3))
TYPED = [name for name, datatype in DATATYPES.items() if datatype.contents and name != "BYTES"]


def raw_request(*tensors, specs=None):
    """A request with inputs given as (name, datatype, shape, bytes)."""
    request = ModelInferRequest(raw_input_contents=[tensor[3] for tensor in tensors])
    for name, datatype, shape, _ in tensors:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
    return request


def fp32(*values):
    return np.array(values, "<f4").tobytes()


GOOD = ("x", "FP32", [1, 3], fp32(1, 2, 3))


def refused(request, message, specs=(X,)):
    with pytest.raises(BadFieldError) as caught:
        arrays_of(request, specs)
    text = f"{caught.value.field}: {caught.value}"
    assert re.search(message, text)
    assert len(text) < 600
    return caught.value


# --- accepted requests


def test_raw_input_is_read():
    (array,) = arrays_of(raw_request(GOOD), [X]).values()
    np.testing.assert_array_equal(array, [[1, 2, 3]])


@pytest.mark.parametrize("shape", [[3], [1, 3], [1, 1, 3]])
def test_any_shape_with_the_right_number_of_elements_is_accepted(shape):
    request = raw_request(("x", "FP32", shape, fp32(1, 2, 3)))
    assert arrays_of(request, [X])["x"].shape == tuple(shape)


def test_several_inputs_come_in_any_order():
    y = TensorSpec(name="y", dtype="int8", shape=(2,))
    found = arrays_of(raw_request(("y", "INT8", [2], b"\xff\x01"), GOOD), [X, y])
    assert found["y"].tolist() == [-1, 1]
    assert found["x"].tolist() == [[1, 2, 3]]


@given(st.data(), st.sampled_from(TYPED))
def test_typed_contents_are_read(data, name):
    datatype = DATATYPES[name]
    array = data.draw(arrays.arrays(datatype.code, st.integers(1, 9)))
    contents = InferTensorContents(**{datatype.contents: array.tolist()})
    found = from_contents(contents, datatype, array.size)
    assert found.dtype == np.dtype(datatype.code)
    np.testing.assert_array_equal(found, array)


def test_typed_bytes_are_read():
    contents = InferTensorContents(bytes_contents=[b"a", b""])
    assert from_contents(contents, DATATYPES["BYTES"], 2).tolist() == [b"a", b""]


def test_typed_request_is_read():
    request = ModelInferRequest()
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 3])
    tensor.contents.fp32_contents.extend([1, 2, 3])
    assert arrays_of(request, [X])["x"].tolist() == [[1, 2, 3]]


# --- names


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ((), r"inputs: The input 'x' is missing\. The model takes x float32\[1, 3\]"),
        ((("y", "FP32", [1, 3], fp32(1, 2, 3)),), "inputs: The model has no input 'y'. It takes x float32"),
        ((GOOD, GOOD), "inputs: The input 'x' is given twice"),
        ((GOOD, ("z" * 100_000, "FP32", [1], fp32(1))), "The model has no input 'zzz"),
    ],
)
def test_inputs_other_than_the_models_are_refused(tensors, message):
    refused(raw_request(*tensors), message)


def test_million_tiny_tensors_are_refused_without_reading_each():
    request = ModelInferRequest.FromString(b"\x2a\x00" * 1_000_000)
    began = time.monotonic()
    refused(request, "The model has no input ''")
    assert time.monotonic() - began < 5


# --- shapes


@pytest.mark.parametrize(
    "shape",
    [[-1, -3], [0], [], [1 << 62, 1 << 62], [3, 1 << 32], [-3], [1] * 9, [1, 3, 1 << 63 - 1], [4_194_305]],
)
def test_shape_out_of_bounds_is_refused_before_allocation(shape):
    refused(raw_request(("x", "FP32", shape, fp32(1, 2, 3))), r"inputs\[0\]: (The shape of|Input) 'x'")


def test_shape_of_a_million_dimensions_is_refused():
    refused(raw_request(("x", "FP32", [1] * 1_000_000, fp32(1, 2, 3))), "The shape of 'x' is out of range")


@pytest.mark.parametrize("shape", [[2, 2], [4], [1, 2], [1 << 21]])
def test_wrong_number_of_elements_is_refused(shape):
    refused(raw_request(("x", "FP32", shape, fp32(1, 2, 3))), r"Input 'x' has shape \[.*\. The model takes x float32")


# --- contents


@pytest.mark.parametrize("length", [0, 11, 13, 24])
def test_raw_contents_of_the_wrong_length_are_refused(length):
    error = refused(
        raw_request(("x", "FP32", [1, 3], b"\0" * length)), rf"has {length} bytes; 3 elements of FP32 are 12"
    )
    assert error.field == "inputs[0].contents"


@pytest.mark.parametrize("contents", [[], [fp32(1, 2, 3)] * 2])
def test_number_of_raw_contents_must_match_the_inputs(contents):
    request = raw_request(GOOD)
    del request.raw_input_contents[:]
    request.raw_input_contents.extend(contents)
    refused(request, r"2 raw contents for 1 inputs|fp32_contents has 0 elements; the shape needs 3")


def test_raw_and_typed_contents_in_one_request_are_refused():
    request = raw_request(GOOD)
    request.inputs[0].contents.fp32_contents.append(1)
    refused(request, r"There are both raw and typed contents\. Send one kind")


def test_empty_typed_contents_next_to_raw_ones_are_refused():
    request = raw_request(GOOD)
    request.inputs[0].contents.SetInParent()
    refused(request, "raw and typed contents")


@pytest.mark.parametrize("name", ["FP16", "BF16"])
def test_fp16_in_typed_contents_is_refused(name):
    with pytest.raises(DataError, match=f"{name} has no typed contents. Send it in raw_input_contents"):
        from_contents(InferTensorContents(fp32_contents=[1]), DATATYPES[name], 1)


def test_typed_contents_in_the_wrong_field_are_refused():
    contents = InferTensorContents(fp32_contents=[1], int_contents=[1])
    with pytest.raises(DataError, match="FP32 belongs in fp32_contents, not in int_contents"):
        from_contents(contents, DATATYPES["FP32"], 1)


@pytest.mark.parametrize(
    ("name", "value"), [("INT8", 128), ("INT8", -129), ("INT16", 1 << 15), ("UINT8", 256), ("UINT16", 1 << 16)]
)
def test_typed_value_out_of_range_is_refused(name, value):
    contents = InferTensorContents(**{DATATYPES[name].contents: [value]})
    with pytest.raises(DataError, match=f"A value does not fit {name}"):
        from_contents(contents, DATATYPES[name], 1)


def test_strings_for_a_numeric_input_are_refused():
    refused(raw_request(("x", "BYTES", [1, 3], b"\0" * 12)), "Input 'x' is BYTES. The model takes x float32")


def test_shared_memory_is_refused():
    request = raw_request(GOOD)
    request.inputs[0].parameters["shared_memory_region"].string_param = "region"
    refused(request, "Inputs in shared memory are not supported. Send the bytes")


@given(st.binary(max_size=200))
def test_any_message_is_accepted_or_refused(data):
    try:
        request = ModelInferRequest.FromString(data)
    except DecodeError:
        return
    with suppress(BadFieldError):
        assert arrays_of(request, [X])["x"].size == 3


FIXED = [name for name in DATATYPES if name not in ("BF16", "BYTES")]


@given(st.data(), st.sampled_from(FIXED))
def test_array_round_trips_through_bytes(data, name):
    datatype = DATATYPES[name]
    array = data.draw(arrays.arrays(datatype.code, st.integers(0, 20)))
    found = from_raw(to_raw(array, datatype), datatype, array.size)
    assert found.dtype == np.dtype(datatype.code)
    assert found.tobytes() == array.tobytes()


@given(st.integers(0, 0xFFFF))
def test_bf16_round_trips(bits):
    data = bits.to_bytes(2, "little")
    array = from_raw(data, DATATYPES["BF16"], 1)
    assert to_raw(array, DATATYPES["BF16"]) == data or np.isnan(array[0])


@given(st.floats(width=32, allow_nan=False, allow_infinity=False).filter(lambda value: abs(value) < 3e38))
def test_bf16_rounds_to_nearest(value):
    def read(bits):
        return float(from_raw((bits & 0xFFFF).to_bytes(2, "little"), DATATYPES["BF16"], 1)[0])

    bits = int.from_bytes(to_raw(np.array([value], "<f4"), DATATYPES["BF16"]), "little")
    others = [read(other) for other in (bits - 1, bits + 1)]
    assert all(abs(read(bits) - value) <= abs(other - value) for other in others if np.isfinite(other))


@pytest.mark.parametrize(
    ("value", "bits"),
    [(1.0, 0x3F80), (-2.5, 0xC020), (float("inf"), 0x7F80), (1 + 2**-8, 0x3F80), (1 + 3 * 2**-8, 0x3F82)],
)
def test_bf16_of_known_numbers_is_pinned(value, bits):
    assert to_raw(np.array([value], "<f4"), DATATYPES["BF16"]) == bits.to_bytes(2, "little")


def test_bf16_keeps_nan_and_infinity():
    array = from_raw(to_raw(np.array([np.nan], "<f4"), DATATYPES["BF16"]), DATATYPES["BF16"], 1)
    assert np.isnan(array[0])


@given(st.lists(st.binary(max_size=9), max_size=9))
def test_bytes_tensor_round_trips_and_matches_tritonclient(items):
    array = np.array([None, *items], dtype=object)[1:]
    raw = to_raw(array, DATATYPES["BYTES"])
    assert from_raw(raw, DATATYPES["BYTES"], len(items)).tolist() == items
    if items:
        assert raw == serialize_byte_tensor(array).item()


@given(st.binary(max_size=40), st.integers(0, 1 << 40), st.sampled_from(sorted(DATATYPES)))
def test_any_bytes_are_decoded_or_refused(data, count, name):
    try:
        found = from_raw(data, DATATYPES[name], count)
    except DataError:
        return
    assert found.shape == (count,)
    assert to_raw(found, DATATYPES[name]) == data or name == "BF16"


@pytest.mark.parametrize("name", [name for name in DATATYPES if name != "BYTES"])
@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_number_of_bytes_is_refused(name, change):
    data = b"\0" * (3 * DATATYPES[name].width + change)
    with pytest.raises(DataError, match=rf"has {len(data)} bytes; 3 elements of {name} are"):
        from_raw(data, DATATYPES[name], 3)


def test_bool_other_than_0_or_1_is_refused():
    with pytest.raises(DataError, match="A BOOL must be the byte 0 or 1"):
        from_raw(b"\1\2", DATATYPES["BOOL"], 2)


@pytest.mark.parametrize(
    ("data", "count", "message"),
    [
        (b"", 1 << 62, "too few for 4,611,686,018,427,387,904 elements"),
        (struct.pack("<I", 0xFFFFFFFF), 1, "Element 0 of BYTES extends beyond"),
        (struct.pack("<IcI", 1, b"a", 9), 2, "Element 1 of BYTES extends beyond"),
        (struct.pack("<Ic", 1, b"a") + b"\0\0\0\0", 1, "4 bytes are left over after 1 elements"),
        (b"\0\0\0\0\0\0\0", 1, "3 bytes are left over"),
    ],
)
def test_malformed_bytes_are_refused(data, count, message):
    with pytest.raises(DataError, match=message):
        from_raw(data, DATATYPES["BYTES"], count)


@pytest.mark.parametrize("name", ["", "FP8", "fp32", "TYPE_FP32", "x" * 100_000])
def test_unknown_datatype_is_refused(name):
    with pytest.raises(DataError, match=r"is not a datatype of the protocol\. The datatypes are BOOL, INT8") as caught:
        datatype_named(name)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("dtype", "name"), [("float32", "FP32"), ("float16", "FP16"), ("bool", "BOOL"), ("uint8", "UINT8")]
)
def test_dtype_of_a_model_has_its_datatype(dtype, name):
    assert datatype_of(dtype).name == name
