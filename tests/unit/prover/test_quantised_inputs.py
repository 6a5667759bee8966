import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import DataError
from zkinfer.prover.quantised_inputs import integers_digest, integers_from_bytes, integers_to_bytes

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
