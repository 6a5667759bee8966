"""Files with the name of a picture: only one that is a picture by its bytes has a fingerprint."""

import json

import pytest
from tests.unit.works.files import picture
from typer.testing import CliRunner

from zkinfer.cli.main import app

WARNING = "cat.png is no picture by its first bytes"


@pytest.fixture
def certify(tmp_path, monkeypatch):
    """Certifies a file of a folder with a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()
    assert runner.invoke(app, ("keys", "new", "--out", "a.key", "--unsafe-unencrypted")).exit_code == 0

    def run(name, *options):
        return runner.invoke(app, ("works", "certify", name, "--origin", "human", "--key", "a.key", *options))

    return run


def test_text_named_as_a_picture_is_certified_with_a_warning(certify, tmp_path):
    (tmp_path / "cat.png").write_text("no picture")
    done = certify("cat.png", "--json")
    assert done.exit_code == 0
    assert WARNING in done.stderr
    assert json.loads(done.stdout)["name"] == "cat.png"


def test_picture_and_text_by_its_own_name_are_certified_without_a_warning(certify, tmp_path):
    picture(tmp_path)
    (tmp_path / "cat.txt").write_text("no picture")
    for name in ("cat.png", "cat.txt"):
        done = certify(name, "--out", f"{name}.json")
        assert done.exit_code == 0
        assert "no picture" not in done.stderr
