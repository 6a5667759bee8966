import pytest
from tests.unit.oracle.series import observed

from zkinfer.circuits.errors import InputError
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.observations import digest_of
from zkinfer.oracle.published import PublishedFolder, PublishedUrl, published_at
from zkinfer.oracle.sources.http import HttpSource

DATA = observed(["1", "2", "3"]).source_file


def test_published_file_is_read_by_its_hash(tmp_path):
    published = PublishedFolder(tmp_path / "sources")
    assert published.write(DATA).name == digest_of(DATA)
    assert published.read(digest_of(DATA)) == DATA


def test_publishing_again_changes_nothing(tmp_path):
    published = PublishedFolder(tmp_path)
    first = published.write(DATA).stat().st_mtime_ns
    assert published.write(DATA).stat().st_mtime_ns == first


def test_changed_file_is_refused_by_name(tmp_path):
    path = PublishedFolder(tmp_path).write(DATA)
    path.write_bytes(DATA.replace(b"2", b"4"))
    with pytest.raises(SourceError, match=f"{path} was changed"):
        PublishedFolder(tmp_path).read(digest_of(DATA))


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match="cannot be read: no such file"):
        PublishedFolder(tmp_path).read(digest_of(DATA))


def test_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be created"):
        PublishedFolder(tmp_path / "file").write(DATA)


def test_file_on_a_server_is_fetched_by_its_hash(monkeypatch):
    asked = []
    monkeypatch.setattr(HttpSource, "fetch", lambda source: asked.append(source.url) or DATA)
    assert PublishedUrl("https://op.example/").read(digest_of(DATA)) == DATA
    assert asked == [f"https://op.example/sources/{digest_of(DATA)}"]


def test_file_that_a_server_lacks_is_named(monkeypatch):
    def refuse(_):
        raise SourceError("https://op.example answered with status 404.", "Check URL and key.")

    monkeypatch.setattr(HttpSource, "fetch", refuse)
    with pytest.raises(SourceError, match=f"https://op.example/sources/{digest_of(DATA)} cannot be fetched.*404"):
        PublishedUrl("https://op.example").read(digest_of(DATA))


def test_changed_file_on_a_server_is_refused(monkeypatch):
    monkeypatch.setattr(HttpSource, "fetch", lambda _: DATA + b" ")
    with pytest.raises(SourceError, match=f"https://op.example/sources/{digest_of(DATA)} was changed"):
        PublishedUrl("https://op.example").read(digest_of(DATA))


def test_file_is_taken_from_the_place_that_has_it_unchanged(tmp_path):
    PublishedFolder(tmp_path / "changed").write(DATA).write_bytes(b"{}")
    PublishedFolder(tmp_path / "good").write(DATA)
    places = [str(tmp_path / name) for name in ("none", "changed", "good")]
    assert published_at(*places).read(digest_of(DATA)) == DATA


def test_file_that_no_place_has_names_all_of_them(tmp_path):
    PublishedFolder(tmp_path / "changed").write(DATA).write_bytes(b"{}")
    places = [str(tmp_path / name) for name in ("none", "changed")]
    with pytest.raises(SourceError, match=r"none.* cannot be read.*changed.* was changed"):
        published_at(*places).read(digest_of(DATA))


@pytest.mark.parametrize(
    ("place", "kind"), [("sources", PublishedFolder), ("https://a/", PublishedUrl), ("http://a/", PublishedUrl)]
)
def test_place_is_a_folder_or_a_url(place, kind):
    assert isinstance(published_at(place), kind)
