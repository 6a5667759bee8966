import pytest

from zkinfer.contracts import strict_json


@pytest.mark.parametrize("data", [b"{}", b"[1, 2.5, null]", b'{"a": "[[["}', b'"\\"["', '"\u00e9"'.encode()])
def test_loads_accepts_a_plain_document(data):
    assert strict_json.loads(data) is not None


def test_loads_accepts_a_document_at_the_depth_limit():
    depth = strict_json.MAX_DEPTH
    assert strict_json.loads(b"[" * depth + b"]" * depth)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Expecting value"),
        (b"\xff", "decode"),
        (b"{", "Expecting property name"),
        (b'{"a": 1, "a": 2}', "duplicate key"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"1" * 5000, "integer string conversion"),
        (b"[" * 33 + b"]" * 33, "nested deeper than 32"),
        (b'{"a":' * 33, "nested deeper than 32"),
        (b" " * (strict_json.MAX_BYTES + 1), "exceed the limit"),
        (b"[" + b"0," * strict_json.MAX_VALUES + b"0]", "more than 262,144 values"),
    ],
)
def test_loads_refuses_any_other_document(data, reason):
    with pytest.raises(strict_json.StrictJsonError, match=reason):
        strict_json.loads(data)
