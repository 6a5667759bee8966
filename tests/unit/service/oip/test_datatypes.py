import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.utils import serialize_byte_tensor

from zkinfer.circuits.errors import DataError
from zkinfer.service.oip.datatypes import DATATYPES, datatype_named, datatype_of, from_raw, to_raw

FIXED = [name for name in DATATYPES if name not in ("BF16", "BYTES")]


@given(st.data(), st.sampled_from(FIXED))
def test_array_comes_back_from_its_bytes(data, name):
    datatype = DATATYPES[name]
    array = data.draw(arrays.arrays(datatype.code, st.integers(0, 20)))
    found = from_raw(to_raw(array, datatype), datatype, array.size)
    assert found.dtype == np.dtype(datatype.code)
    assert found.tobytes() == array.tobytes()


@given(st.integers(0, 0xFFFF))
def test_bf16_comes_back(bits):
    data = bits.to_bytes(2, "little")
    array = from_raw(data, DATATYPES["BF16"], 1)
    assert to_raw(array, DATATYPES["BF16"]) == data or np.isnan(array[0])


@given(st.floats(width=32, allow_nan=False, allow_infinity=False).filter(lambda value: abs(value) < 3e38))
def test_bf16_is_the_nearest_one(value):
    def read(bits):
        return float(from_raw((bits & 0xFFFF).to_bytes(2, "little"), DATATYPES["BF16"], 1)[0])

    bits = int.from_bytes(to_raw(np.array([value], "<f4"), DATATYPES["BF16"]), "little")
    others = [read(other) for other in (bits - 1, bits + 1)]
    assert all(abs(read(bits) - value) <= abs(other - value) for other in others if np.isfinite(other))


@pytest.mark.parametrize(
    ("value", "bits"),
    [(1.0, 0x3F80), (-2.5, 0xC020), (float("inf"), 0x7F80), (1 + 2**-8, 0x3F80), (1 + 3 * 2**-8, 0x3F82)],
)
def test_bf16_of_known_numbers(value, bits):
    assert to_raw(np.array([value], "<f4"), DATATYPES["BF16"]) == bits.to_bytes(2, "little")


def test_bf16_keeps_what_is_no_number():
    array = from_raw(to_raw(np.array([np.nan], "<f4"), DATATYPES["BF16"]), DATATYPES["BF16"], 1)
    assert np.isnan(array[0])


@given(st.lists(st.binary(max_size=9), max_size=9))
def test_bytes_come_back_and_are_what_tritonclient_writes(items):
    array = np.array([None, *items], dtype=object)[1:]
    raw = to_raw(array, DATATYPES["BYTES"])
    assert from_raw(raw, DATATYPES["BYTES"], len(items)).tolist() == items
    if items:
        assert raw == serialize_byte_tensor(array).item()


@given(st.binary(max_size=40), st.integers(0, 1 << 40), st.sampled_from(sorted(DATATYPES)))
def test_any_bytes_are_read_or_refused(data, count, name):
    try:
        found = from_raw(data, DATATYPES[name], count)
    except DataError:
        return
    assert found.shape == (count,)
    assert to_raw(found, DATATYPES[name]) == data or name == "BF16"


@pytest.mark.parametrize("name", [name for name in DATATYPES if name != "BYTES"])
@pytest.mark.parametrize("change", [-1, 1])
def test_other_number_of_bytes_is_refused(name, change):
    data = b"\0" * (3 * DATATYPES[name].width + change)
    with pytest.raises(DataError, match=rf"has {len(data)} bytes; 3 elements of {name} are"):
        from_raw(data, DATATYPES[name], 3)


def test_bool_of_another_byte_is_refused():
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
