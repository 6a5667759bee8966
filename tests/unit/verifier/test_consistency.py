from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.verifier import logs
from tests.unit.verifier.forge import ATTACKER, OWNER
from tests.unit.verifier.test_transparency import TREE

from zkinfer.circuits.errors import InputError
from zkinfer.verifier.consistency import ConsistencyProof, KnownCheckpoint, require_consistent
from zkinfer.verifier.errors import NotLoggedError
from zkinfer.verifier.transparency import Checkpoint

ORIGIN = "log.example/1"
ENTRIES = [b"entry %d" % number for number in range(40)]
# Consistency proofs that the tests of certificate-transparency and of logs that follow it publish, by the two sizes.
PUBLISHED = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 7): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}


def checkpoint(size, entries=ENTRIES, key=OWNER, origin=ORIGIN):
    return Checkpoint.parse(logs.checkpoint_text(entries[:size], key, origin))


def proof(old, new, entries=ENTRIES):
    return ConsistencyProof.from_bytes(logs.consistency_text(old, entries[:new], OWNER, ORIGIN).encode())


def is_consistent(older, newer, path):
    try:
        require_consistent(older, newer, tuple(path))
    except NotLoggedError:
        return False
    return True


SIZES = st.integers(1, 40).flatmap(lambda new: st.tuples(st.integers(0, new - 1), st.just(new)))


@pytest.mark.parametrize("sizes", PUBLISHED)
def test_published_proof_is_accepted_and_any_other_hash_refused(sizes):
    old, new = (checkpoint(size, [bytes.fromhex(entry) for entry in TREE]) for size in sizes)
    path = [bytes.fromhex(one) for one in PUBLISHED[sizes]]
    assert is_consistent(old, new, path)
    for place in range(len(path)):
        assert not is_consistent(old, new, [*path[:place], bytes(32), *path[place + 1 :]])


@given(SIZES)
def test_every_tree_begins_with_every_smaller_one(sizes):
    old, new = sizes
    assert is_consistent(checkpoint(old), checkpoint(new), logs.consistency_of(old, ENTRIES[:new]))


@given(SIZES, st.data())
def test_tree_that_rewrote_an_entry_is_refused(sizes, data):
    old, new = sizes
    if old == 0:
        return
    place = data.draw(st.integers(0, old - 1))
    rewritten = [*ENTRIES[:place], b"another", *ENTRIES[place + 1 :]]
    path = logs.consistency_of(old, rewritten[:new])
    assert not is_consistent(checkpoint(old), checkpoint(new, rewritten), path)
    assert not is_consistent(checkpoint(old), checkpoint(new, rewritten), logs.consistency_of(old, ENTRIES[:new]))


@given(SIZES, st.data())
def test_path_of_another_length_or_for_other_sizes_is_refused(sizes, data):
    old, new = sizes
    path = logs.consistency_of(old, ENTRIES[:new])
    assert not is_consistent(checkpoint(old), checkpoint(new), [*path, bytes(32)])
    assert not path or not is_consistent(checkpoint(old), checkpoint(new), path[:-1])
    other = data.draw(st.integers(0, new - 1).filter(lambda size: size != old))
    forged = replace(checkpoint(old), size=other)
    assert not is_consistent(forged, checkpoint(new), path)


def test_smaller_or_equal_tree_continues_none():
    for old, new in ((7, 7), (7, 6), (0, 0)):
        with pytest.raises(NotLoggedError, match=f"of {new} entries does not continue one of {old}"):
            require_consistent(checkpoint(old), checkpoint(new), ())


def test_empty_tree_with_another_root_hash_is_refused():
    forged = replace(checkpoint(0), root_hash=bytes(32))
    assert is_consistent(checkpoint(0), checkpoint(3), [])
    assert not is_consistent(forged, checkpoint(3), [])


def test_same_checkpoint_from_elsewhere_is_accepted():
    KnownCheckpoint(checkpoint(7)).require_same_log(checkpoint(7), OWNER.public)


def test_two_trees_of_one_size_are_a_split_view():
    other = checkpoint(7, [b"another", *ENTRIES[1:]])
    with pytest.raises(NotLoggedError, match=r"two different trees of 7 entries: it has a split view.*publish both"):
        KnownCheckpoint(other).require_same_log(checkpoint(7), OWNER.public)


@pytest.mark.parametrize(("known", "other"), [(5, 9), (9, 5)])
def test_grown_log_needs_a_proof_whichever_checkpoint_is_older(known, other):
    KnownCheckpoint(checkpoint(known), proof(5, 9)).require_same_log(checkpoint(other), OWNER.public)
    with pytest.raises(NotLoggedError, match=r"no proof that they are consistent.*--log-consistency"):
        KnownCheckpoint(checkpoint(known)).require_same_log(checkpoint(other), OWNER.public)


def test_grown_log_with_another_past_is_refused():
    rewritten = [b"another", *ENTRIES[1:]]
    known = KnownCheckpoint(checkpoint(5), proof(5, 9, rewritten))
    with pytest.raises(NotLoggedError, match="tree of 9 entries does not begin with that of 5"):
        known.require_same_log(checkpoint(9, rewritten), OWNER.public)


@pytest.mark.parametrize(("old", "new"), [(4, 9), (5, 10)])
def test_proof_of_other_checkpoints_is_refused(old, new):
    with pytest.raises(NotLoggedError, match="is of other checkpoints"):
        KnownCheckpoint(checkpoint(5), proof(old, new)).require_same_log(checkpoint(9), OWNER.public)


def test_known_checkpoint_of_another_log_or_key_is_refused():
    with pytest.raises(NotLoggedError, match=r"is of the log 'log\.example/2'"):
        KnownCheckpoint(checkpoint(7, origin="log.example/2")).require_same_log(checkpoint(7), OWNER.public)
    with pytest.raises(NotLoggedError, match="not signed by the trusted key"):
        KnownCheckpoint(checkpoint(7, key=ATTACKER)).require_same_log(checkpoint(7), OWNER.public)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin with `old SIZE`"),
        (b"old 5\n", "does not begin with `old SIZE`"),
        (b"old 05\n\n", "leading zeros"),
        (b"old -1\n\n", "leading zeros"),
        (b"old 5\nAAAA\n\n", "has not 32 bytes"),
        (b"old 5\n\n", "not a signed note"),
        (b"\xff", "not text"),
    ],
)
def test_malformed_consistency_proof_is_refused(data, message):
    with pytest.raises(NotLoggedError, match=message):
        ConsistencyProof.from_bytes(data)


def test_checkpoint_and_proof_are_read_from_files(tmp_path):
    (tmp_path / "known").write_text(logs.checkpoint_text(ENTRIES[:5], OWNER, ORIGIN))
    (tmp_path / "proof").write_text(logs.consistency_text(5, ENTRIES[:9], OWNER, ORIGIN))
    read = KnownCheckpoint.read(tmp_path / "known", tmp_path / "proof")
    assert read == KnownCheckpoint(checkpoint(5), proof(5, 9))
    with pytest.raises(InputError, match="cannot be read"):
        KnownCheckpoint.read(tmp_path / "nothing")
