import errno
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zkinfer.circuits.digest import sha256
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.errors import ArtifactDamagedError, ArtifactMissingError, StoreError


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


@given(data=st.binary(max_size=300))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_artifact_round_trips(store, data):
    digest = store.put(data)
    assert digest == sha256(data)
    assert store.get(digest, 300) == data
    assert store.has(digest)


def test_files_are_private(store):
    path = store.root / store.put(b"secret").hex
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.root.stat().st_mode & 0o777 == 0o700


def test_put_is_idempotent(store):
    store.put(b"x")
    store.put(b"x")
    assert [path.name for path in store.root.iterdir()] == [sha256(b"x").hex]


def test_put_repairs_a_damaged_artifact(store):
    digest = store.put(b"content")
    (store.root / digest.hex).write_bytes(b"c0ntent")
    store.put(b"content")
    assert store.get(digest, 10) == b"content"


def test_modified_artifact_is_refused(store):
    digest = store.put(b"content")
    (store.root / digest.hex).write_bytes(b"c0ntent")
    with pytest.raises(ArtifactDamagedError, match="was changed on the disk"):
        store.get(digest, 10)


def test_artifact_larger_than_allowed_is_refused(store):
    digest = store.put(b"x" * 11)
    with pytest.raises(ArtifactDamagedError, match="larger than 10 bytes"):
        store.get(digest, 10)


def test_missing_artifact_is_refused(store):
    with pytest.raises(ArtifactMissingError, match="There is no artifact sha256:"):
        store.get(sha256(b"x"), 10)
    assert not store.has(sha256(b"x"))


def test_delete_reports_whether_the_artifact_existed(store):
    digest = store.put(b"x")
    assert [store.delete(digest), store.delete(digest)] == [True, False]


def test_full_disk_is_an_error_and_leaves_nothing(store, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("zkinfer.prover.artifact_store.flush_to_disk", full)
    with pytest.raises(StoreError, match=r"cannot be written: no space left on device\. Free space"):
        store.put(b"x")
    assert list(store.root.iterdir()) == []


def test_file_is_synced_before_it_is_renamed(store, monkeypatch):
    seen = []
    monkeypatch.setattr("zkinfer.prover.artifact_store.flush_to_disk", lambda _: seen.extend(store.root.iterdir()))
    digest = store.put(b"x")
    assert [path.name != digest.hex for path in seen] == [True]


def test_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be created"):
        ArtifactStore(tmp_path / "file")


def test_folder_writable_by_others_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StoreError, match="Other users can write to"):
        ArtifactStore(tmp_path / "open")


def test_old_artifacts_are_found_and_old_parts_removed(store):
    old, new = store.put(b"old"), store.put(b"new")
    (store.root / ".part-1").write_bytes(b"")
    (store.root / "notes.txt").write_bytes(b"")
    for name in (old.hex, ".part-1", "notes.txt"):
        os.utime(store.root / name, (1000, 1000))
    assert store.older_than(60, 2000) == [old]
    assert {path.name for path in store.root.iterdir()} == {old.hex, new.hex, "notes.txt"}


def test_free_disk_space_is_reported(store):
    assert store.free_bytes() > 0
