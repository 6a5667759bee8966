import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits import canonical
from zkinfer.verifier import statement
from zkinfer.verifier.errors import AttestationTooLargeError, MalformedAttestationError
from zkinfer.verifier.statement import MAX_BYTES, Envelope, from_base64, pre_authentication_encoding, to_base64

ENVELOPE = Envelope(b'{"a":1}', "sha256:00", b"\x01" * 64)
PARTS = json.loads(ENVELOPE.to_bytes())


def test_encoding_matches_the_vector_of_the_specification():
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_encoding_counts_bytes_not_characters():
    assert pre_authentication_encoding("é", "ü".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xbc"


@given(st.tuples(st.text(), st.binary()), st.tuples(st.text(), st.binary()))
def test_encodings_of_different_content_differ(one, other):
    assert (pre_authentication_encoding(*one) == pre_authentication_encoding(*other)) == (one == other)


@given(st.binary(), st.text(alphabet="abc:0123", max_size=80), st.binary(max_size=96))
def test_envelope_round_trips(payload, keyid, signature):
    envelope = Envelope(payload, keyid, signature)
    assert Envelope.from_bytes(envelope.to_bytes()) == envelope


def test_envelope_is_canonical_json():
    assert canonical.load_canonical(ENVELOPE.to_bytes(), max_bytes=MAX_BYTES, what="envelope") == PARTS


def test_oversized_envelope_is_refused_unread():
    with pytest.raises(AttestationTooLargeError, match="exceeds the limit of 16,777,216 bytes"):
        Envelope.from_bytes(b"\xff" * (MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"payloadType": "text/plain"}, "payloadType"),
        ({"payload": 1}, "payload"),
        ({"payload": "e30"}, "payload is not base64"),
        ({"signatures": []}, "signatures"),
        ({"signatures": PARTS["signatures"] * 2}, "signatures"),
        ({"signatures": [{"keyid": "x"}]}, "sig"),
        ({"signatures": [{"keyid": "x", "sig": "AA==", "cert": ""}]}, "cert"),
        ({"signatures": [{"keyid": "x" * 129, "sig": "AA=="}]}, "keyid"),
        ({"extra": 1}, "extra"),
    ],
)
def test_malformed_envelope_is_refused(change, message):
    with pytest.raises(MalformedAttestationError, match=message):
        Envelope.from_bytes(canonical.dump(PARTS | change))


@pytest.mark.parametrize("missing", ["payload", "payloadType", "signatures"])
def test_missing_key_is_refused(missing):
    parts = {name: value for name, value in PARTS.items() if name != missing}
    with pytest.raises(MalformedAttestationError, match=f"{missing}.*required"):
        Envelope.from_bytes(canonical.dump(parts))


def test_python_field_name_is_refused():
    renamed = {"payload_type" if name == "payloadType" else name: value for name, value in PARTS.items()}
    with pytest.raises(MalformedAttestationError, match="payloadType"):
        Envelope.from_bytes(canonical.dump(renamed))


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"nan", b"[" * 100_000])
def test_other_document_is_refused(data):
    with pytest.raises(MalformedAttestationError, match="attestation"):
        Envelope.from_bytes(data)


@pytest.mark.parametrize(
    "alter", [lambda data: data + b"\n", lambda data: b" " + data, lambda data: data.replace(b":", b": ")]
)
def test_whitespace_is_refused(alter):
    with pytest.raises(MalformedAttestationError, match="not in canonical form"):
        Envelope.from_bytes(alter(ENVELOPE.to_bytes()))


def test_duplicate_key_is_refused():
    data = ENVELOPE.to_bytes().replace(b'{"payload":', b'{"payload":"","payload":', 1)
    with pytest.raises(MalformedAttestationError, match="'payload' twice"):
        Envelope.from_bytes(data)


def load(data):
    return statement.load_document(data, what="payload", max_bytes=1 << 24)


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 50_000, b"[" * 33 + b"]" * 33, b'["\\"",' + b"[" * 32])
def test_deep_nesting_is_refused_before_parsing(data):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)  # as py_ecc does; the C stack would overflow before this limit
    try:
        with pytest.raises(MalformedAttestationError, match="payload is nested deeper than 32 levels"):
            load(data)
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"0,", b'"",', b"[[[0]]],"])
def test_millions_of_tiny_values_are_refused_before_parsing(unit):
    with pytest.raises(MalformedAttestationError, match="payload holds more than 262,144 values"):
        load(b"[" + unit * ((1 << 24) // len(unit) - 2) + b"0]")


def test_document_at_the_depth_limit_is_accepted():
    assert load(b"[" * 32 + b"]" * 32)


def test_brackets_in_strings_are_not_nesting():
    value = ["[{" * 100, '\\"[' * 40]
    assert load(canonical.dump(value)) == value


@given(st.binary(max_size=100))
def test_bytes_round_trip(data):
    assert from_base64(to_base64(data), "x") == data


@pytest.mark.parametrize("text", ["-_8=", "+/8", "+/8==", "+/8=\n", " +/8=", "+/8=+/8=", "é", "=", "\ud800"])
def test_non_canonical_base64_is_refused(text):
    with pytest.raises(MalformedAttestationError, match="The proof is not"):
        from_base64(text, "proof")


def test_stray_base64_bits_are_refused():
    with pytest.raises(MalformedAttestationError, match="not canonical base64"):
        from_base64("+/9=", "proof")  # the same byte pair as +/8=


@given(st.text(alphabet="AQgw+/=", max_size=12))
def test_accepted_text_is_the_only_spelling_of_its_bytes(text):
    try:
        data = from_base64(text, "x")
    except MalformedAttestationError:
        return
    assert to_base64(data) == text
