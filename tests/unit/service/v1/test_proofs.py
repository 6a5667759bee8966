import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zkinfer.client.values import DTYPES, messages_of
from zkinfer.service.errors import BadFieldError
from zkinfer.service.v1.proofs import arrays_of
from zkinfer.v1.values_pb2 import Tensor

FLOAT = {"name": "x", "datatype": "FP32", "shape": [2], "data": bytes(8)}


@given(
    st.sampled_from(sorted(DTYPES.values())).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, max_side=4))
    )
)
def test_array_round_trips(array):
    [message] = messages_of({"x": array})
    found = arrays_of([Tensor.FromString(message.SerializeToString())], "inputs")["x"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()


def test_too_many_tensors_are_refused_before_reading():
    with pytest.raises(BadFieldError, match="1,000 tensors"):
        arrays_of([Tensor(name=str(number)) for number in range(1000)], "inputs")


def test_big_endian_array_is_converted():
    [message] = messages_of({"x": np.array([1], dtype=">i4")})
    assert message.data == b"\1\0\0\0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datatype": "BYTES"}, "'BYTES' is not a datatype"),
        ({"datatype": ""}, "is not a datatype"),
        ({"shape": [3]}, "8 bytes; shape and datatype need 12"),
        ({"shape": [-1]}, "out of range"),
        ({"shape": [1 << 62, 1 << 62]}, "out of range"),
        ({"shape": [1] * 9}, "out of range"),
        ({"data": b""}, "0 bytes"),
        ({"datatype": "BOOL", "data": b"\2\0"}, "byte 0 or 1"),
    ],
)
def test_malformed_tensor_is_refused_with_its_index(changes, message):
    with pytest.raises(BadFieldError, match=message) as caught:
        arrays_of([Tensor(**{**FLOAT, **changes})], "inputs")
    assert caught.value.field == "inputs[0]"


def test_duplicate_name_is_refused():
    with pytest.raises(BadFieldError, match="'x' is given twice") as caught:
        arrays_of([Tensor(**FLOAT), Tensor(**FLOAT)], "inputs")
    assert caught.value.field == "inputs[1]"
