import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.verifier import logs
from tests.unit.verifier.forge import ATTACKER, OWNER, P256

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import InputError
from zkinfer.verifier.errors import KeyFileError, NotLoggedError, ZkinferError
from zkinfer.verifier.transparency import (
    Checkpoint,
    LogProof,
    entry_for,
    leaf_hash,
    node_hash,
    parse_log_key,
    require_logged,
    root_of,
)

ATTESTATION = sha256(b"an attestation")
ORIGIN = "log.example/1"
LOGS = {ORIGIN: OWNER.public}
TEXT = logs.proof_text(logs.entries_with(ATTESTATION), 3, OWNER, ORIGIN)
PROOF = LogProof.from_bytes(TEXT.encode())
# The example of c2sp.org/signed-note.
KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = "This is an example message.\n"
NOTE_SIGNATURE = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
# The tree of the tests of certificate-transparency: entries in hex, and its root hash.
TREE = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
TREE_ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("key", [OWNER, P256])
def test_proof_of_a_trusted_log_is_accepted(key):
    require_logged(ATTESTATION, logs.proof_of(ATTESTATION, key, ORIGIN), {ORIGIN: key.public})


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_every_entry_of_every_tree_is_proven(place):
    size, index = place
    require_logged(ATTESTATION, logs.proof_of(ATTESTATION, OWNER, ORIGIN, index, size), LOGS)


@given(st.integers(1, 24), st.data())
def test_path_of_another_place_or_length_is_refused(size, data):
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size + 2).filter(lambda number: number != index))
    entries = logs.entries_with(ATTESTATION, index, size)
    path, root = tuple(logs.path_of(index, entries)), logs.tree_hash(entries)
    assert led_to(entries[index], index, size, path) == root
    assert led_to(entries[index], other, size, path) != root
    assert led_to(entries[index], index, size, (*path, root)) is None
    assert not path or led_to(entries[index], index, size, path[:-1]) is None


def led_to(entry, index, size, path):
    """The root hash; None if the path is refused for its length."""
    try:
        return root_of(leaf_hash(entry), index, size, path)
    except NotLoggedError:
        return None


def test_other_attestation_is_refused():
    with pytest.raises(NotLoggedError, match="does not lead from sha256:"):
        require_logged(sha256(b"another"), PROOF, LOGS)


def test_inner_node_presented_as_an_entry_is_refused():
    entries = logs.entries_with(ATTESTATION, 0, 2)
    children = [leaf_hash(entry) for entry in entries]
    assert node_hash(*children) == logs.tree_hash(entries)
    assert leaf_hash(b"".join(children)) != logs.tree_hash(entries)


def test_entry_names_the_attestation_in_one_line():
    assert entry_for(ATTESTATION) == f"zkinfer-attestation/1 {ATTESTATION}".encode()


def test_unknown_log_is_refused():
    with pytest.raises(NotLoggedError, match="is not trusted; trusted are: none"):
        require_logged(ATTESTATION, PROOF, {})


def test_log_with_another_key_is_refused():
    with pytest.raises(NotLoggedError, match="not signed by the trusted key"):
        require_logged(ATTESTATION, PROOF, {ORIGIN: ATTACKER.public})


def test_forged_checkpoint_is_refused():
    size = PROOF.checkpoint.size + 1
    forged = replace(PROOF.checkpoint, size=size, text=PROOF.checkpoint.text.replace("\n7\n", f"\n{size}\n"))
    with pytest.raises(NotLoggedError, match=r"signature of the log log\.example/1 is wrong"):
        require_logged(ATTESTATION, replace(PROOF, checkpoint=forged), LOGS)


def test_second_wrong_signature_by_the_same_key_is_refused():
    name, data = PROOF.checkpoint.signatures[0]
    twice = replace(PROOF.checkpoint, signatures=((name, data), (name, data[:4] + bytes(64))))
    with pytest.raises(NotLoggedError, match="is wrong"):
        twice.require_signature(OWNER.public)


def test_signature_of_a_witness_is_ignored():
    text = TEXT + "\N{EM DASH} witness.example " + logs.text(b"\0\0\0\0" + bytes(64)) + "\n"
    require_logged(ATTESTATION, LogProof.from_bytes(text.encode()), LOGS)


def test_signature_of_the_specification_is_accepted():
    origin, key = parse_log_key(KEY)
    checkpoint = Checkpoint(NOTE, origin, 0, b"", ((origin, base64.b64decode(NOTE_SIGNATURE)),))
    checkpoint.require_signature(key)
    with pytest.raises(NotLoggedError, match="is wrong"):
        replace(checkpoint, text=NOTE.upper()).require_signature(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        KEY.replace("+", " "),
        KEY.replace("530d903a", "530d903b"),
        KEY[:-4],
        KEY.replace("+Aeky", "+Beky"),
        "+" + KEY,
    ],
)
def test_malformed_log_key_is_refused(text):
    with pytest.raises(KeyFileError, match="is not the key of a log"):
        parse_log_key(text)


def test_tree_of_another_implementation_has_the_same_hashes():
    entries = [bytes.fromhex(entry) for entry in TREE]
    assert logs.tree_hash(entries).hex() == TREE_ROOT
    for index, entry in enumerate(entries):
        path = tuple(logs.path_of(index, entries))
        assert root_of(leaf_hash(entry), index, len(entries), path).hex() == TREE_ROOT


def test_note_that_is_no_checkpoint_is_refused():
    with pytest.raises(NotLoggedError, match="not a signed note"):
        Checkpoint.parse(f"{NOTE}\n\N{EM DASH} example.com/foo {NOTE_SIGNATURE}\n")


def test_extra_data_of_a_proof_is_ignored():
    text = TEXT.replace("\nindex 3\n", "\nextra AAAA\nindex 3\n")
    require_logged(ATTESTATION, LogProof.from_bytes(text.encode()), LOGS)


@given(st.integers(0, len(TEXT.encode()) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place, change):
    data = bytearray(TEXT.encode())
    data[place] ^= change
    with pytest.raises(NotLoggedError):
        require_logged(ATTESTATION, LogProof.from_bytes(bytes(data)), LOGS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin with"),
        (b"c2sp.org/tlog-proof@v2" + TEXT.encode()[22:], "does not begin with"),
        (TEXT.replace("index 3\n", "").encode(), "has no index"),
        (TEXT.replace("index 3", "index 03").encode(), "leading zeros"),
        (TEXT.replace("index 3", "index -3").encode(), "leading zeros"),
        (TEXT.replace("index 3", "index ٣").encode(), "leading zeros"),
        (TEXT.replace("index 3\n", "index 3\nAAAA\n").encode(), "has not 32 bytes"),
        (TEXT.replace("index 3\n", "index 3\n?\n").encode(), "not canonical base64"),
        (TEXT.partition("\n\n")[0].encode(), "has no checkpoint"),
        (TEXT[:-1].encode(), "not a signed note"),
        (TEXT.replace("\n7\n", "\n7\r\n").encode(), "control character"),
        (TEXT.replace("\N{EM DASH}", "-").encode(), "signature line"),
        (b"\xff", "not text"),
        (b" " * 70_000, "exceeds"),
    ],
)
def test_malformed_proof_is_refused(data, message):
    with pytest.raises(NotLoggedError, match=message):
        LogProof.from_bytes(data)


def test_proof_is_read_from_a_file(tmp_path):
    (tmp_path / "a.tlog-proof").write_text(TEXT)
    assert LogProof.read(tmp_path / "a.tlog-proof") == PROOF


def test_missing_proof_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        LogProof.read(tmp_path / "nothing")


def test_signature_that_is_not_der_is_refused():
    proof = logs.proof_of(ATTESTATION, P256, ORIGIN)
    name, data = proof.checkpoint.signatures[0]
    broken = replace(proof, checkpoint=replace(proof.checkpoint, signatures=((name, data[:4] + bytes(70)),)))
    with pytest.raises(ZkinferError, match="is wrong"):
        require_logged(ATTESTATION, broken, {ORIGIN: P256.public})


@pytest.mark.parametrize("size", [0, 1, 3])
def test_index_outside_of_the_tree_is_refused(size):
    path = tuple(logs.path_of(0, logs.entries_with(ATTESTATION, 0, size))) if size else ()
    with pytest.raises(NotLoggedError, match=f"The log has {size} entries, so none of them is number {size}"):
        root_of(leaf_hash(entry_for(ATTESTATION)), size, size, path)


def test_checkpoint_of_the_empty_log_holds_nothing():
    note = logs.checkpoint_text([], OWNER, ORIGIN)
    with pytest.raises(NotLoggedError, match="The log has 0 entries"):
        require_logged(ATTESTATION, LogProof(0, (), Checkpoint.parse(note)), LOGS)


@pytest.mark.parametrize("size", [4, 9, 1 << 63])
def test_signed_checkpoint_of_a_size_with_another_path_is_refused(size):
    body = PROOF.checkpoint.text.replace("\n7\n", f"\n{size}\n")
    other = Checkpoint.parse(logs.note(body, OWNER, ORIGIN))
    with pytest.raises(NotLoggedError, match="than the path to the entry"):
        require_logged(ATTESTATION, replace(PROOF, checkpoint=other), LOGS)


def test_signed_checkpoint_of_another_tree_is_refused():
    other = Checkpoint.parse(logs.checkpoint_text(logs.entries_with(sha256(b"another")), OWNER, ORIGIN))
    with pytest.raises(NotLoggedError, match="does not lead from"):
        require_logged(ATTESTATION, replace(PROOF, checkpoint=other), LOGS)


@pytest.mark.parametrize("rest", ["", "\n", "\n\n", "\N{EM DASH} a \n", "\N{EM DASH} a AAAAAA==\n"])
def test_checkpoint_without_a_signature_is_refused(rest):
    with pytest.raises(NotLoggedError, match="malformed"):
        Checkpoint.parse(f"{PROOF.checkpoint.text}\n{rest}")


def test_checkpoint_with_a_witness_alone_is_refused():
    body, key_and_signature = PROOF.checkpoint.text, bytes(68)
    note = f"{body}\n\N{EM DASH} witness.example {logs.text(key_and_signature)}\n"
    with pytest.raises(NotLoggedError, match="not signed by the trusted key"):
        require_logged(ATTESTATION, replace(PROOF, checkpoint=Checkpoint.parse(note)), LOGS)
