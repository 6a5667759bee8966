import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.base import Program
from zkinfer.circuits.errors import OUT_OF_RANGE, DataError, RangeError
from zkinfer.circuits.statement import Layout
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.prover.quantised_inputs import (
    integers_digest,
    integers_from_bytes,
    integers_to_bytes,
    naming_largest_input,
    refuse_out_of_range,
)

TENSORS = st.lists(st.lists(st.integers(-(1 << 63), (1 << 63) - 1)))


@given(TENSORS)
def test_integers_round_trip(tensors):
    assert integers_from_bytes(integers_to_bytes(tensors)) == tensors
    assert integers_digest(tensors) == sha256(integers_to_bytes(tensors))


def test_form_is_stable():
    assert integers_to_bytes(((1, -2), ())) == b"[[1,-2],[]]"
    assert integers_digest([[1], [2]]) != integers_digest([[1, 2]])


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b"[[1.0]]", b"[[true]]", b'[["1"]]', b"[[[1]]]", b"[[1]", b"null", b"[[NaN]]"]
)
def test_malformed_bytes_are_refused(data):
    with pytest.raises(DataError, match=r"does not hold the integers|list of integers"):
        integers_from_bytes(data)


# --- ranges


X = TensorSpec(name="x", dtype="float32", shape=(1, 3), scale=4)
N = TensorSpec(name="n", dtype="int64", shape=())
Y = TensorSpec(name="y", dtype="float32", shape=(1,))
PROGRAM = Program(
    inputs=(X, N),
    outputs=(Y,),
    layout=Layout.of((X, N), (Y,), least=-1023, largest=1023, signed=True),
    setup_size=3,
    integer_limit=1 << 10,
    figures={},
)


@pytest.mark.parametrize(
    ("integers", "message"),
    [
        ([[0, 1024, 0], [0]], "Input 'x' is 64 at element [0, 1], which does not fit the range that the circuit was "),
        ([[0, 0, -4000], [0]], "Input 'x' is -250 at element [0, 2]"),
        ([[0, 0, -4000], [0]], "was compiled for: -63.9375 to 63.9375. Check the input's magnitude"),
        ([[0, 0, 0], [1 << 62]], f"Input 'n' is {1 << 62} at element [], which does not fit"),
    ],
)
def test_input_beyond_the_circuit_is_refused_by_element_value_and_limits(integers, message):
    with pytest.raises(RangeError) as caught:
        refuse_out_of_range(integers, PROGRAM)
    assert message in str(caught.value)


def test_input_at_the_limits_of_the_circuit_is_accepted():
    refuse_out_of_range([[0, 1023, -1023], [1023]], PROGRAM)


def test_value_that_an_engine_does_not_name_is_told_with_the_largest_input():
    with (
        pytest.raises(
            RangeError, match=r"does not fit.*The largest value given: Input 'x' is -12\.5 at element \[0, 2\]"
        ),
        naming_largest_input([[16, 32, -200], [7]], PROGRAM.inputs),
    ):
        raise RangeError(*OUT_OF_RANGE)


def test_value_that_an_engine_names_is_told_as_it_is():
    with pytest.raises(RangeError, match=r"^Input 'n' is 9\.$"), naming_largest_input([[0, 0, 0], [9]], PROGRAM.inputs):
        raise RangeError("Input 'n' is 9.")
