import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.digest import Digest, keccak256, sha256, sha256_file
from zkinfer.circuits.errors import InputError

DIGESTS = st.builds(Digest, st.sampled_from(["sha256", "keccak256"]), st.binary(min_size=32, max_size=32))
GOOD = "sha256:" + "ab" * 32


@given(DIGESTS)
def test_digest_round_trips_as_text(digest):
    assert Digest.parse(str(digest)) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab" * 32,
        "sha256:",
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n",
        " " + GOOD,
        GOOD.upper(),
        "sha256:" + "AB" * 32,
        "SHA256:" + "ab" * 32,
        "sha256:0x" + "ab" * 31,
        "sha512:" + "ab" * 32,
        "sha3:" + "ab" * 32,
        "sha256-" + "ab" * 32,
        "sha256:" + "٠" * 64,
        "keccak256:sha256:" + "ab" * 32,
    ],
)
def test_parse_refuses_other_spellings(text):
    with pytest.raises(InputError, match=r"is not a digest\. Write it as sha256:<64 lower-case hex digits>"):
        Digest.parse(text)


def test_parse_truncates_long_text_in_its_message():
    with pytest.raises(InputError) as refusal:
        Digest.parse("z" * 10_000)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_digest_of_the_wrong_length_is_refused(length):
    with pytest.raises(InputError, match=f"A sha256 digest has 32 bytes, not {length}"):
        Digest("sha256", b"\0" * length)


def test_digest_of_another_algorithm_is_not_equal():
    assert Digest("sha256", b"\0" * 32) != Digest("keccak256", b"\0" * 32)


def test_digest_is_immutable():
    with pytest.raises(AttributeError, match="cannot assign"):
        sha256(b"").value = b""


def test_hex_has_no_prefix():
    assert Digest.parse(GOOD).hex == "ab" * 32


def test_sha256_matches_the_standard():
    assert str(sha256(b"abc")) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("data", "hex_"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ],
)
def test_keccak256_is_that_of_ethereum_and_not_sha3(data, hex_):
    assert keccak256(data) == Digest("keccak256", bytes.fromhex(hex_))
    assert keccak256(data).value != hashlib.sha3_256(data).digest()


def test_sha256_file_hashes_the_content(tmp_path):
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256_file(tmp_path / "file") == sha256(b"abc" * 100_000)
