import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.works.test_credentials import marked

from zkinfer.circuits.errors import InputError
from zkinfer.works import manifest_store
from zkinfer.works.manifest_store import embedded_store, read_store


@pytest.mark.parametrize("name", ["cat.png", "cat.jpg", "cat.webp"])
def test_store_is_taken_out_as_it_was_signed(tmp_path, name):
    _, out, certificate = marked(tmp_path, name)
    found = read_store(out)
    assert found.digest == certificate.predicate.manifest
    assert found.manifest_id.startswith("urn:c2pa:")


def test_store_beside_the_file_is_the_one_in_it(tmp_path):
    _, out, certificate = marked(tmp_path, sidecar=True)
    found = read_store(out)
    assert (found.digest, found.data) == (certificate.predicate.manifest, out.read_bytes())


@pytest.mark.parametrize("name", ["cat.png", "cat.jpg", "cat.webp"])
def test_file_without_credentials_has_no_store(tmp_path, name):
    path, _, _ = marked(tmp_path, name)
    assert read_store(path) is None


def test_what_is_no_store_is_none(tmp_path):
    for name, content in (("a.c2pa", b"no store"), ("b.c2pa", b""), ("c.txt", b"text")):
        (tmp_path / name).write_bytes(content)
        assert read_store(tmp_path / name) is None


def test_larger_files_and_missing_ones_are_errors(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="cannot be read"):
        read_store(tmp_path / "none.png")
    monkeypatch.setattr(manifest_store, "MAX_FILE", 3)
    (tmp_path / "large.png").write_bytes(b"1234")
    with pytest.raises(InputError, match="limit of 3 bytes"):
        manifest_store.read_here(str(tmp_path / "large.png"), str(tmp_path / "out"))


def test_larger_store_is_none(tmp_path, monkeypatch):
    _, out, _ = marked(tmp_path)
    monkeypatch.setattr(manifest_store, "MAX_STORE", 100)
    assert manifest_store.read_here(str(out), str(tmp_path / "out")) == {"id": ""}


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF\0\0\0\0WEBP"]), st.binary(max_size=300))
def test_damaged_file_gives_at_most_its_own_bytes(head, rest):
    assert len(embedded_store(head + rest)) <= len(rest)
