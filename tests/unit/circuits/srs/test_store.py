import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from zkinfer.circuits.errors import InputError, SetupError
from zkinfer.circuits.srs import SetupStore, ceremonies, store


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def library(tmp_path, dev_files):
    """A search folder with setups under odd names and other files."""
    folder = tmp_path / "library"
    folder.mkdir()
    for k, path in dev_files.items():
        shutil.copy(path, folder / f"powers of two to the {k}")
    (folder / "README.md").write_text("# Setups")
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    return folder


def test_list_of_a_home_that_does_not_exist_is_empty(home, tmp_path):
    assert SetupStore(home, search=[tmp_path / "missing"]).list() == []
    assert not home.exists()


def test_add_copies_the_file_under_its_name_into_a_private_folder(home, dev_files):
    setup = SetupStore(home).add(dev_files[3])
    assert setup.path == home / "insecure-dev-3.srs"
    assert setup.path.read_bytes() == dev_files[3].read_bytes()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [path.name for path in home.iterdir()] == ["insecure-dev-3.srs"]


def test_add_is_idempotent(home, dev_files):
    first = SetupStore(home).add(dev_files[3])
    before = first.path.stat()
    assert SetupStore(home).add(dev_files[3]) == first
    assert first.path.stat() == before


def test_add_refused_file_leaves_no_trace(home, tmp_path):
    (tmp_path / "file").write_bytes(b"no setup")
    with pytest.raises(SetupError, match="too few"):
        SetupStore(home).add(tmp_path / "file")
    assert not home.exists()


def test_add_of_a_file_modified_while_copying_is_refused(home, dev_files, monkeypatch):
    found = replace(store.identify_setup(dev_files[4]), path=dev_files[3])
    monkeypatch.setattr(store, "identify_setup", lambda path, progress: found)
    with pytest.raises(SetupError, match="changed while it was copied"):
        SetupStore(home).add(dev_files[3])
    assert list(home.iterdir()) == []


def test_add_of_a_file_without_a_pinned_digest_records_its_digest(home, dev_files, rehearsal):
    setup = SetupStore(home).add(dev_files[5])
    record = home / "rehearsal-5.srs.sha256"
    assert record.read_text() == f"{setup.sha256}\n"
    assert SetupStore(home).find(5) == setup


@pytest.mark.parametrize("record", [None, "", "sha256:00", "\N{GREEK SMALL LETTER TAU}"])
def test_find_of_a_file_without_a_valid_record_is_refused(home, dev_files, rehearsal, record):
    home.mkdir()
    shutil.copy(dev_files[5], home / "rehearsal-5.srs")
    if record is not None:
        (home / "rehearsal-5.srs.sha256").write_text(record, encoding="utf-8")
    with pytest.raises(SetupError, match=r"never checked.*zkinfer setup import"):
        SetupStore(home).find(5)


def test_add_of_a_file_copied_into_the_home_folder_records_it(home, dev_files, rehearsal):
    home.mkdir()
    shutil.copy(dev_files[5], home / "rehearsal-5.srs")
    setup = SetupStore(home).add(home / "rehearsal-5.srs")
    assert SetupStore(home).list() == [setup]


def test_find_returns_the_smallest_sufficient_setup(home, dev_files, rehearsal):
    kept = SetupStore(home)
    for path in dev_files.values():
        kept.add(path)
    assert [kept.find(k).k for k in (1, 3, 4, 5)] == [3, 3, 4, 5]


def test_find_too_large_is_refused_with_every_cure(home, dev_files, rehearsal):
    kept = SetupStore(home)
    kept.add(dev_files[3])
    with pytest.raises(SetupError, match="k = 4 or more") as refusal:
        kept.find(4)
    for cure in ("zkinfer setup fetch 4", "zkinfer setup import FILE", "--setup insecure-dev"):
        assert cure in refusal.value.cure


def test_find_returns_insecure_dev_only_by_name(home):
    kept = SetupStore(home)
    setup = kept.insecure_dev(3)
    with pytest.raises(SetupError, match="No trusted setup with k = 3"):
        kept.find(3)
    assert kept.find(3, "insecure-dev") == setup


def test_find_unknown_ceremony_is_refused(home):
    with pytest.raises(SetupError, match="The ceremony 'aztec' is unknown"):
        SetupStore(home).find(3, "aztec")


def test_find_of_missing_insecure_dev_names_its_own_cure(home):
    with pytest.raises(SetupError, match="Pass `--setup insecure-dev`"):
        SetupStore(home).find(3, "insecure-dev")


def test_find_in_a_search_folder_identifies_files_by_content(home, library, rehearsal):
    kept = SetupStore(home, search=[library])
    assert kept.list()[0].path == library / "powers of two to the 3"
    assert [setup.k for setup in kept.list()] == [3, 4]  # k = 5 has no pinned digest
    assert kept.find(3).path == home / "rehearsal-3.srs"  # a copy, so that the hashed bytes are the ones used


def test_find_prefers_home_to_a_search_folder(home, library, dev_files, rehearsal):
    kept = SetupStore(home, search=[library])
    kept.add(dev_files[3])
    assert kept.find(3).path.parent == home


def test_find_skips_a_damaged_file_in_a_search_folder(home, library, rehearsal):
    damage(library / "powers of two to the 3")
    assert SetupStore(home, search=[library]).find(3).k == 4


def damage(path):
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "use",
    [
        lambda kept, path: kept.find(3),
        lambda kept, path: kept.list(),
        lambda kept, path: kept.stored("rehearsal", 3),
        lambda kept, path: kept.add(path),
    ],
    ids=["find", "list", "stored", "add"],
)
def test_damaged_file_is_refused_and_kept(home, dev_files, rehearsal, use):
    kept = SetupStore(home)
    path = kept.add(dev_files[3]).path
    damage(path)
    with pytest.raises(SetupError, match=r"damaged.*Delete it, then run `zkinfer setup fetch 3`"):
        use(kept, dev_files[3])
    assert path.exists()


USES = {
    "find": lambda kept: kept.find(5),
    "list": lambda kept: kept.list(),
    "stored": lambda kept: kept.stored("rehearsal", 5),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("name", [".", "rehearsal-5.srs", "rehearsal-5.srs.sha256"])
def test_home_file_or_record_writable_by_others_is_refused_at_every_read(home, dev_files, rehearsal, use, name):
    kept = SetupStore(home)
    kept.add(dev_files[5])
    use(kept)
    (home / name).chmod((home / name).stat().st_mode | 0o020)
    with pytest.raises(InputError, match=r"Other users can write to .*chmod go-w"):
        use(kept)


def test_file_under_the_name_of_another_size_is_refused(home, dev_files, rehearsal):
    kept = SetupStore(home)
    kept.add(dev_files[4]).path.rename(home / "rehearsal-3.srs")
    with pytest.raises(SetupError, match="damaged"):
        kept.list()


def test_record_forged_for_a_file_of_another_ceremony_is_refused(home, dev_files):
    home.mkdir()
    shutil.copy(dev_files[5], home / "hermez-5.srs")
    (home / "hermez-5.srs.sha256").write_text(str(store.hash_setup(dev_files[5])))
    with pytest.raises(SetupError, match="damaged"):
        SetupStore(home).find(5)


def test_list_ignores_other_files_of_the_home_folder(home):
    kept = SetupStore(home)
    setup = kept.insecure_dev(3)
    for name in ("notes.txt", "aztec-3.srs", "insecure-dev-03.srs", "insecure-dev-3.srs.part"):
        (home / name).write_bytes(b"other")
    assert kept.list() == [setup]


def test_insecure_dev_is_generated_once(home, monkeypatch):
    setup = SetupStore(home).insecure_dev(4)
    monkeypatch.setattr(store, "generate_insecure_dev", None)
    assert SetupStore(home).insecure_dev(4) == setup
    assert setup.is_insecure_dev


def test_insecure_dev_damaged_is_refused(home):
    damage(SetupStore(home).insecure_dev(3).path)
    with pytest.raises(SetupError, match="Delete it, then pass `--setup insecure-dev`"):
        SetupStore(home).insecure_dev(3)


def test_insecure_dev_without_a_pinned_digest_is_recorded(home, monkeypatch):
    dev = replace(ceremonies.by_name("insecure-dev"), files={})
    monkeypatch.setattr(ceremonies, "CEREMONIES", (dev,))
    setup = SetupStore(home).insecure_dev(3)
    assert (home / "insecure-dev-3.srs.sha256").read_text() == f"{setup.sha256}\n"


def test_insecure_dev_k_out_of_range_is_refused(home):
    with pytest.raises(SetupError, match="There is no trusted setup of"):
        SetupStore(home).insecure_dev(27)


def test_concurrent_insecure_dev_generation_leaves_one_valid_file(home):
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: SetupStore(home).insecure_dev(4), range(4)))
    assert made == [SetupStore(home).find(4, "insecure-dev")] * 4
    assert [path.name for path in home.iterdir()] == ["insecure-dev-4.srs"]


def test_home_that_cannot_be_made_is_refused(tmp_path, dev_files):
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="Cannot write"):
        SetupStore(tmp_path / "file" / "home").add(dev_files[3])


def test_find_real_file_of_the_shared_folder(home, real_file):
    path = real_file("hermez-raw-11")
    found = SetupStore(home, search=[path.parent]).find(9)
    assert (found.ceremony, found.k, found.path) == ("hermez", 11, home / "hermez-11.srs")
    assert found.path.read_bytes() == path.read_bytes()
