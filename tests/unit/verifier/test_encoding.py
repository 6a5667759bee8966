import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits import canonical
from zkinfer.verifier import encoding
from zkinfer.verifier.encoding import from_base64, to_base64
from zkinfer.verifier.errors import MalformedAttestationError


def load(data):
    return encoding.load(data, what="payload", max_bytes=1 << 24)


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 50_000, b"[" * 33 + b"]" * 33, b'["\\"",' + b"[" * 32])
def test_deep_nesting_is_refused_before_it_is_parsed(data):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)  # as py_ecc does; here the C stack ends before the interpreter's limit
    try:
        with pytest.raises(MalformedAttestationError, match="payload is nested deeper than 32 levels"):
            load(data)
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"0,", b'"",', b"[[[0]]],"])
def test_millions_of_tiny_values_are_refused_before_they_are_parsed(unit):
    with pytest.raises(MalformedAttestationError, match="payload holds more than 262,144 values"):
        load(b"[" + unit * ((1 << 24) // len(unit) - 2) + b"0]")


def test_most_nested_document_is_read():
    assert load(b"[" * 32 + b"]" * 32)


def test_brackets_in_text_are_no_nesting():
    value = ["[{" * 100, '\\"[' * 40]
    assert load(canonical.dump(value)) == value


@given(st.binary(max_size=100))
def test_bytes_round_trip(data):
    assert from_base64(to_base64(data), "x") == data


@pytest.mark.parametrize("text", ["-_8=", "+/8", "+/8==", "+/8=\n", " +/8=", "+/8=+/8=", "é", "=", "\ud800"])
def test_other_spelling_is_refused(text):
    with pytest.raises(MalformedAttestationError, match="The proof is not"):
        from_base64(text, "proof")


def test_stray_bits_are_refused():
    with pytest.raises(MalformedAttestationError, match="not canonical base64"):
        from_base64("+/9=", "proof")  # the same byte pair as +/8=


@given(st.text(alphabet="AQgw+/=", max_size=12))
def test_accepted_text_is_the_only_spelling_of_its_bytes(text):
    try:
        data = from_base64(text, "x")
    except MalformedAttestationError:
        return
    assert to_base64(data) == text
