"""Which files stand beside a file."""

import unicodedata

import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.works.sidecars import Sidecars


def names_beside(folder, name, *others):
    for other in (name, *others):
        (folder / other).touch()
    return {path.name: kind for kind, path in Sidecars().of(folder / name)}


def test_every_kind_is_found_by_full_name_and_by_stem(tmp_path):
    expected = {
        "cat.c2pa": "c2pa",
        "cat.png.c2pa": "c2pa",
        "cat.xmp": "xmp",
        "cat.png.xmp": "xmp",
        "cat.terms.toml": "terms",
        "cat.png.terms.toml": "terms",
    }
    assert names_beside(tmp_path, "cat.png", *expected) == expected


def test_other_files_are_no_sidecars(tmp_path):
    others = ("dog.xmp", "cat.jpg.xmp", "cat.xmp.bak", "terms.toml", ".xmp", "xcat.c2pa", "cat.toml")
    assert names_beside(tmp_path, "cat.png", *others) == {}


@pytest.mark.parametrize("side", ["CAT.XMP", "Cat.Jpg.xMp", "cat.JPG.xmp"])
def test_case_does_not_matter(tmp_path, side):
    assert names_beside(tmp_path, "cat.jpg", side) == {side: "xmp"}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_form_of_unicode_does_not_matter(tmp_path, form):
    side = unicodedata.normalize(form, "caf\u00e9.xmp")
    assert names_beside(tmp_path, "caf\u00e9.png", side) == {side: "xmp"}


def test_file_without_suffix_has_each_sidecar_once(tmp_path):
    assert names_beside(tmp_path, "cat", "cat.xmp") == {"cat.xmp": "xmp"}


def test_link_has_the_sidecars_of_its_target(tmp_path):
    (tmp_path / "kept").mkdir()
    for name in ("kept/b.png", "kept/b.xmp", "a.c2pa"):
        (tmp_path / name).touch()
    (tmp_path / "a.png").symlink_to("kept/b.png")
    assert {path.name for _, path in Sidecars().of(tmp_path / "a.png")} == {"a.c2pa", "b.xmp"}


def test_folder_that_cannot_be_listed_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be listed"):
        Sidecars().of(tmp_path / "gone" / "cat.png")
