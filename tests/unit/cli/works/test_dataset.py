"""The commands of data sets, as far as they need no chain."""

import json
from pathlib import Path

import pytest
from tests.unit.works.files import picture, signed, training
from typer.testing import CliRunner

from zkinfer.cli.main import app
from zkinfer.works.dataset import Dataset

ANN, BOB = "0x" + "aa" * 20, "0x" + "bb" * 20
TABLE = f"file,account,weight\na.png,{ANN},2\nb.png,{BOB},\nc.png,{ANN},1\n"
FUND = ("--fund", "0x" + "5a" * 20, "--contributor", ANN)
WORKS = ("--works", "0x" + "5a" * 20, "--uri", "https://example.org/dataset.json")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """The working folder, with three pictures in `photos` and their table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number, name in enumerate("abc"):
        picture(tmp_path / "photos", f"{name}.png", seed=number)
    (tmp_path / "photos.csv").write_text(TABLE)
    return tmp_path / "photos"


def run(*words):
    return CliRunner().invoke(app, ["works", "dataset", *words])


def build(*options):
    return run("build", "photos", "--contributors", "photos.csv", *options)


def error(result):
    assert result.exit_code == 1
    return json.loads(result.stdout)["error"]


@pytest.mark.usefixtures("photos")
def test_built_data_set_is_said_and_written():
    result = build("--json")
    said = json.loads(result.stdout)
    found = Dataset.read(Path("dataset.json"))
    assert result.exit_code == 0
    assert said == {
        "ok": True,
        "dataset": "dataset.json",
        "assets": 3,
        "contributors": 2,
        "consent unstated": 3,
        "sha256": found.digest,
        "root": found.contributors_root,
    }
    assert {one.account: one.weight for one in found.contributors} == {ANN: 3, BOB: 1}


@pytest.mark.usefixtures("photos")
def test_same_files_make_the_same_data_set_in_any_order(tmp_path):
    head, *rows = TABLE.splitlines(keepends=True)
    assert build("--out", "one.json").exit_code == 0
    (tmp_path / "photos.csv").write_text(head + "".join(reversed(rows)))
    assert build("--out", "other.json").exit_code == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_file_that_says_no_is_named_and_nothing_is_written(photos, tmp_path):
    signed(photos / "b.png", training("notAllowed"))
    (photos / "c.xmp").write_text("DMI-PROHIBITED")
    refused = error(build("--json"))
    assert refused["type"] == "ConsentError"
    assert "on 2 of 3 files: b.png (c2pa), c.png (xmp)." in refused["cause"]
    assert "Leave them out" in refused["cure"]
    assert not (tmp_path / "dataset.json").exists()


def test_file_with_conditions_is_taken_with_a_licence_alone(photos, tmp_path):
    signed(photos / "b.png", training("constrained"))
    assert "b.png (c2pa, needs a licence)" in error(build("--json"))["cause"]
    (tmp_path / "photos.csv").write_text(f"file,account,licence\nb.png,{BOB},7\n")
    assert build("--json").exit_code == 0
    assert Dataset.read(tmp_path / "dataset.json").assets[0].licence == 7


def test_unreadable_credentials_are_named_with_the_reason(photos):
    (photos / "a.c2pa").write_bytes(b"nothing")
    result = build()
    assert result.exit_code == 1
    assert "a.png (c2pa: its credentials cannot be read" in " ".join(result.output.split())


@pytest.mark.usefixtures("photos")
def test_existing_output_is_kept(tmp_path):
    (tmp_path / "dataset.json").write_text("mine")
    assert error(build("--json"))["type"] == "InputError"
    assert (tmp_path / "dataset.json").read_text() == "mine"


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("table", "cause"),
    [
        ("name,account\na.png,0x\n", "columns"),
        ("file,account\n", "names 0 files"),
        (f"file,account\nz.png,{ANN}\n", "no file in"),
        (f"file,account\n../photos.csv,{ANN}\n", "no file in"),
        ("file,account\na.png,ann\n", "malformed"),
        (f"file,account,weight\na.png,{ANN},0.5\n", "malformed"),
        (f"file,account\na.png,{ANN}\na.png,{ANN}\n", "occurs twice"),
        ("\0\xff", "columns"),
    ],
)
def test_wrong_table_is_refused_with_the_cause(tmp_path, table, cause):
    (tmp_path / "photos.csv").write_text(table)
    assert cause in error(build("--json"))["cause"]
    assert not (tmp_path / "dataset.json").exists()


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    "words",
    [("build",), ("build", "photos"), ("build", "--contributors", "photos.csv"), ("fund",), ("claim",), ("sell",)],
)
def test_missing_or_unknown_argument_is_a_wrong_usage(words):
    assert run(*words).exit_code == 2


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("missing", [("nowhere", "photos.csv"), ("photos", "nowhere.csv")])
def test_missing_folder_or_table_is_refused(missing):
    assert run("build", missing[0], "--contributors", missing[1]).exit_code == 1


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("command", [("fund", *WORKS), ("claim", *FUND)])
@pytest.mark.parametrize("content", [None, "{}", "changed"])
def test_wrong_data_set_is_refused_before_a_chain_is_asked(tmp_path, command, content):
    if content == "changed":
        assert build().exit_code == 0
        content = (tmp_path / "dataset.json").read_text().replace(ANN, BOB)
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    result = run(*command, "--manifest", "dataset.json", "--rpc", "http://127.0.0.1:1", "--json")
    assert error(result)["type"] in ("InputError", "DatasetError")
    assert "dataset.json" in result.stdout or "data set" in result.stdout
