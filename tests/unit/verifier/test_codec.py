import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.verifier.codec import from_base64, to_base64
from zkinfer.verifier.errors import MalformedAttestationError


@given(st.binary(max_size=100))
def test_bytes_round_trip(data):
    assert from_base64(to_base64(data), "x") == data


@pytest.mark.parametrize("text", ["-_8=", "+/8", "+/8==", "+/8=\n", " +/8=", "+/8=+/8=", "é", "=", "\ud800"])
def test_other_spelling_is_refused(text):
    with pytest.raises(MalformedAttestationError, match="The proof is not"):
        from_base64(text, "proof")


def test_stray_bits_are_refused():
    with pytest.raises(MalformedAttestationError, match="not in the canonical form of base64"):
        from_base64("+/9=", "proof")  # the same byte pair as +/8=


@given(st.text(alphabet="AQgw+/=", max_size=12))
def test_accepted_text_is_the_only_spelling_of_its_bytes(text):
    try:
        data = from_base64(text, "x")
    except MalformedAttestationError:
        return
    assert to_base64(data) == text
