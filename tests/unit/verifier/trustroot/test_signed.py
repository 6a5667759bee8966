import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.paths import ROOT
from tests.unit.verifier.forge import NOW
from tests.unit.verifier.trustroot.factory import DAY, A, B, begun, first, following, full, revocation, signed

from zkinfer.verifier.errors import InputError, MalformedRootError, TrustRootError
from zkinfer.verifier.statement import to_base64
from zkinfer.verifier.trustroot.rotation import require_history
from zkinfer.verifier.trustroot.signed import MAX_VERSIONS, RootFile, SignedRoot

FILE = following(full(A), A, revocations=[revocation()])
DATA = FILE.to_bytes()


def test_file_is_the_same_after_a_round_trip():
    assert RootFile.from_bytes(DATA) == FILE
    assert RootFile.from_bytes(DATA).to_bytes() == DATA


def test_format_is_that_of_the_stored_file():
    """If this fails, files that were published can no longer be read: give the format a new number."""
    assert (ROOT / "tests/vectors/trust-root.json").read_bytes() == DATA


def test_file_on_disk_is_read(tmp_path):
    (tmp_path / "acme.trust.json").write_bytes(DATA)
    assert RootFile.read(tmp_path / "acme.trust.json") == FILE


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        RootFile.read(tmp_path / "nothing")


def test_digest_covers_the_content_and_not_the_signatures():
    assert begun(A, B).current.digest == first(A, B).current.digest


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place, change):
    data = bytearray(DATA)
    data[place] ^= change
    with pytest.raises(TrustRootError):
        require_history(RootFile.from_bytes(bytes(data)), None)


@given(st.integers(0, len(DATA) - 1))
def test_any_truncation_is_refused_or_an_earlier_version(length):
    try:
        file = RootFile.from_bytes(DATA[:length])
    except MalformedRootError:
        return
    assert file.versions == FILE.versions[: len(file.versions)]
    assert len(file.versions) < len(FILE.versions)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (b"\n", "not JSON"),
        (b"{}\n", "malformed"),
        (DATA + b"\n", "not JSON"),
        (DATA[:-1], "truncated"),
        (DATA.replace(b'"keyid":', b'"keyid": '), "canonical"),
        (b"[" * 40 + b"\n", "nested"),
        (b" " * ((1 << 22) + 1), "exceeds the limit"),
    ],
)
def test_malformed_file_is_refused(data, message):
    with pytest.raises(MalformedRootError, match=message):
        RootFile.from_bytes(data)


def envelope(**changes):
    return json.dumps(json.loads(FILE.current.to_bytes()) | changes, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"payloadType": "application/vnd.in-toto+json"}, "payloadType"),
        ({"payload": "e30="}, "malformed"),
        ({"payload": "e30"}, "not base64"),
        ({"unknown": 1}, "unknown"),
        ({"signatures": [{"keyid": "sha256:" + "0" * 64, "sig": "AA=="}] * 2}, "occurs twice"),
        ({"signatures": [{"keyid": "sha256:" + n * 64, "sig": "AA=="} for n in "10"]}, "not ordered by key"),
        ({"signatures": [{"keyid": "A", "sig": "AA=="}]}, "keyid"),
    ],
)
def test_malformed_envelope_is_refused(changes, message):
    with pytest.raises(MalformedRootError, match=message):
        SignedRoot.from_bytes(envelope(**changes))


def test_version_of_another_root_is_refused():
    with pytest.raises(MalformedRootError, match=r"'other.example', not 'acme.example'"):
        RootFile((*first().versions, *following(first(name="other.example"), A).versions[1:]))


@pytest.mark.parametrize("places", [(0, 2), (1, 0), (0, 0)])
def test_versions_that_are_not_consecutive_are_refused(places):
    versions = following(following(first(), A), A).versions
    with pytest.raises(MalformedRootError, match="is followed by version"):
        RootFile(tuple(versions[place] for place in places))


def test_version_issued_before_its_predecessor_is_refused():
    with pytest.raises(MalformedRootError, match="was issued before version 1"):
        following(first(), now=NOW - DAY)


@pytest.mark.parametrize("later", [[], [revocation(reason="another")], [revocation(since="2026-12-01T00:00:00Z")]])
def test_dropped_or_changed_revocation_is_refused(later):
    with pytest.raises(MalformedRootError, match=r"drops or changes the revocation .* permanent"):
        following(FILE, revocations=later)


def test_file_without_or_with_too_many_versions_is_refused():
    for versions in ((), first().versions * (MAX_VERSIONS + 1)):
        with pytest.raises(MalformedRootError, match="1 to 1024 versions"):
            RootFile(versions)


def test_signatures_in_any_order_give_one_file():
    assert signed(begun(A, B), A, B) == signed(begun(A, B), B, A)


@pytest.mark.parametrize(
    "number", ["01", "1.0", "1e0", "+1", "-1", "0", "true", '"1"', "null", "9223372036854775808", str((1 << 31) + 1)]
)
def test_version_in_another_spelling_is_refused(number):
    payload = full(A).current.payload.replace(b'"version":1}', f'"version":{number}}}'.encode())
    assert payload != full(A).current.payload
    with pytest.raises(MalformedRootError):
        SignedRoot.from_bytes(envelope(payload=to_base64(payload)))


@pytest.mark.parametrize(
    "time",
    [
        "2027-11-21T12:00:00+00:00",
        "2027-11-21T12:00:00",
        "2027-11-21T12:00:00.5Z",
        "2027-11-21T12:00:60Z",
        "2027-11-21t12:00:00z",
        "2027-11-21 12:00:00Z",
        "2027-1-21T12:00:00Z",
        "2027-11-21T24:00:00Z",
        "2027-11-21T12:00:00Z\n",
        "\u0662027-11-21T12:00:00Z",
        "99999-11-21T12:00:00Z",
    ],
)
def test_expiry_in_another_spelling_or_time_zone_is_refused(time):
    content = json.loads(full(A).current.payload) | {"expires": time}
    payload = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(MalformedRootError):
        SignedRoot.from_bytes(envelope(payload=to_base64(payload)))
