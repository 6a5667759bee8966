import json
import sys
from typing import ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from zkinfer.circuits import Home
from zkinfer.cli.console import print_table
from zkinfer.cli.demo.onchain import gas_table
from zkinfer.cli.demo.story import CALIBRATION, HELD_OUT, MODEL, Story, draw, side_by_side
from zkinfer.cli.main import app


def test_picture_has_one_line_per_pixel_row():
    lines = draw(np.zeros((1, 64)))
    assert lines == [" " * 16] * 8


def test_picture_shades_pixels_by_their_value():
    image = np.zeros((1, 64))
    image[0, 0], image[0, 9], image[0, 63] = 1.0, 0.5, 0.25
    lines = draw(image)
    assert (lines[0][:2], lines[1][2:4], lines[7][14:]) == ("██", "▒▒", "░░")


def test_pictures_are_joined_side_by_side():
    assert side_by_side([["ab", "cd"], ["ef", "gh"]]) == ["ab   ef", "cd   gh"]


def test_pictures_of_different_height_are_refused():
    with pytest.raises(ValueError, match="zip"):
        side_by_side([["ab"], ["ef", "gh"]])


def test_demo_ships_a_small_model_and_disjoint_images():
    with np.load(CALIBRATION) as known, np.load(HELD_OUT) as unseen:
        assert known["image"].shape[1:] == unseen["image"].shape[1:] == (1, 64)
        assert len(unseen["image"]) == len(unseen["label"]) == 360
        seen = {image.tobytes() for image in known["image"]}
        assert not any(image.tobytes() in seen for image in unseen["image"])
    assert MODEL.stat().st_size < 20_000


def test_demo_without_chain_libraries_skips_the_chapter(monkeypatch, tmp_path, capfd):
    monkeypatch.delitem(sys.modules, "zkinfer.cli.demo.onchain")
    monkeypatch.delitem(sys.modules, "zkinfer.contracts.devchain", raising=False)
    monkeypatch.setitem(sys.modules, "eth_tester", None)
    story = Story(folder=tmp_path, home=Home(tmp_path), setup="insecure-dev", display=None)
    assert story._on_chain(None, None, 7, None) is None
    notes = [line for line in capfd.readouterr().out.splitlines() if line.startswith(" ")]
    assert len(notes) == 1
    assert "needs eth_tester, which is not installed. pip install 'zkinfer[chain-dev]'" in notes[0]


def test_gas_table_has_one_line_per_step(capsys):
    print_table(gas_table({"ask": 1_234_567, "act": 89}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["step", "gas"], ["ask", "1,234,567"], ["act", "89"]]


class FakeStory:
    """A story that ends immediately and leaves a folder, like the real one."""

    folders: ClassVar = [None]

    def __init__(self, *, folder, **_):
        self.folders.append(folder)

    def run(self):
        (self.folders[-1] / "digits.circuit").mkdir()
        return {"ok": True}


@pytest.fixture
def demo(monkeypatch, tmp_path):
    """Run the command with the fake story; returns its outcome and the story's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zkinfer.cli.demo.story.Story", FakeStory)
    return lambda *options: (CliRunner().invoke(app, ["demo", "--json", *options]), FakeStory.folders[-1])


def test_demo_without_keep_leaves_no_folder(demo, tmp_path):
    outcome, folder = demo()
    assert (outcome.exit_code, json.loads(outcome.stdout)) == (0, {"ok": True})
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_demo_with_keep_leaves_its_folder(demo, tmp_path):
    outcome, folder = demo("--keep", "mine")
    assert (outcome.exit_code, folder.resolve()) == (0, tmp_path / "mine")
    assert (folder / "digits.circuit").is_dir()


def test_demo_refuses_to_keep_into_an_existing_folder(demo, tmp_path):
    (tmp_path / "mine").mkdir()
    outcome, _ = demo("--keep", "mine")
    assert outcome.exit_code == 1
    assert "exists already" in json.loads(outcome.stdout)["error"]["cause"]
    assert list((tmp_path / "mine").iterdir()) == []
