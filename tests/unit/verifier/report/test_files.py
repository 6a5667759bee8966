import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.verifier.report import files, refuse_unwritable, write_report

STARTS = {".html": b"<!doctype html>", ".pdf": b"%PDF", ".md": b"# Verification report", ".json": b"{"}


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_suffix_decides_the_form(report_on, valid, tmp_path, suffix):
    path = tmp_path / f"report{suffix.upper()}"
    write_report(report_on(valid), path)
    assert path.read_bytes().startswith(STARTS[suffix])


def test_existing_report_is_replaced(report_on, valid, tmp_path):
    (tmp_path / "r.md").write_text("old")
    write_report(report_on(valid), tmp_path / "r.md")
    assert "old" not in (tmp_path / "r.md").read_text()[:3]


@pytest.mark.parametrize("name", ["report", "report.txt", "report.htm"])
def test_other_suffix_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"none of \.html, \.pdf, \.md, \.json"):
        refuse_unwritable(tmp_path / name)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        refuse_unwritable(tmp_path / "no" / "report.md")


def test_folder_is_refused(tmp_path):
    (tmp_path / "r.md").mkdir()
    with pytest.raises(InputError, match="or it is one"):
        refuse_unwritable(tmp_path / "r.md")


def test_missing_library_is_refused_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="needs reportlab") as caught:
        refuse_unwritable(tmp_path / "r.pdf")
    assert "zkinfer[report]" in caught.value.cure
    refuse_unwritable(tmp_path / "r.html")
