"""Parents on the command line: works by id, and files, which become ingredients of C2PA credentials."""

import json

import pytest
from tests.unit.works.files import picture
from tests.unit.works.test_ingredients import relationships
from typer.testing import CliRunner

from zkinfer.cli.main import app

WORK = "0x" + "12" * 32


@pytest.fixture
def certified(tmp_path, monkeypatch):
    """Certifies a picture in a folder with keys; returns the result and the parents that the certificate names."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    for command in (
        ("keys", "new", "--out", "a.key", "--unsafe-unencrypted"),
        ("works", "keys", "--name", "Ann", "--out", "c2pa", "--unsafe-unencrypted"),
    ):
        assert runner.invoke(app, command).exit_code == 0
    picture(tmp_path)

    def run(*parents):
        named = [word for one in parents for word in ("--parent", one)]
        marks = ("--mark", "signed.png", "--credentials", "c2pa", "--key", "a.key")
        return runner.invoke(app, ["works", "certify", "cat.png", "--origin", "composite", *marks, *named, "--json"])

    return run


def test_file_is_an_ingredient_and_a_work_is_not(certified, tmp_path):
    picture(tmp_path, "model.png", seed=2)
    assert certified("model=model.png", f"original={WORK}").exit_code == 0
    assert relationships(tmp_path / "signed.png") == [("model", "inputTo")]
    shown = CliRunner().invoke(app, ["works", "show", "signed.png", "--root", "c2pa/root.pem", "--json"])
    texts = [one["text"] for one in json.loads(shown.stdout)["statements"]]
    assert sum(one.startswith("It was made from") for one in texts) == 2


@pytest.mark.parametrize("parent", ["model.png", "=model.png", "model="])
def test_parent_without_a_role_or_a_name_is_refused(certified, parent):
    result = certified(parent)
    assert result.exit_code == 1
    assert "has no role" in json.loads(result.stdout)["error"]["cause"]


def test_parent_whose_file_is_missing_is_refused(certified):
    result = certified("original=nowhere.png")
    assert result.exit_code == 1
    assert "nowhere.png" in json.loads(result.stdout)["error"]["cause"]
