import sys

import pytest

from zkinfer.circuits import canonical
from zkinfer.verifier import documents
from zkinfer.verifier.errors import MalformedAttestationError


def load(data):
    return documents.load(data, what="payload", max_bytes=1 << 24)


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
