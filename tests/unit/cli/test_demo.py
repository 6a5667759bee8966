import json
import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from zkinfer.circuits import Home
from zkinfer.circuits.errors import EngineError
from zkinfer.cli.console import print_table
from zkinfer.cli.demo.cases import DIGITS, LENET, Accuracy, Case, comparison
from zkinfer.cli.demo.onchain import gas_table
from zkinfer.cli.demo.story import Story, draw, side_by_side
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


@pytest.mark.parametrize(("example", "shape", "size"), [(DIGITS, (1, 64), 40_000), (LENET, (1, 1, 28, 28), 400_000)])
def test_demo_ships_small_models_and_disjoint_images(example, shape, size):
    with np.load(example.calibration) as known, np.load(example.held_out) as unseen:
        assert known["image"].shape[1:] == unseen["image"].shape[1:] == shape
        assert len(unseen["image"]) == len(unseen["label"]) == 360
        seen = {image.tobytes() for image in known["image"]}
        assert not any(image.tobytes() in seen for image in unseen["image"])
    assert sum(path.stat().st_size for path in example.model.parent.iterdir()) < size


def test_pixels_of_the_larger_images_are_sixteenths_of_the_small_ones():
    with np.load(LENET.held_out) as large, np.load(DIGITS.held_out) as small:
        assert np.array_equal(large["image"] * 16 % 1, np.zeros_like(large["image"]))
        assert np.array_equal(large["label"], small["label"])


def test_demo_without_chain_libraries_skips_the_chapter(monkeypatch, tmp_path, capfd):
    monkeypatch.delitem(sys.modules, "zkinfer.cli.demo.onchain")
    monkeypatch.delitem(sys.modules, "zkinfer.contracts.devchain", raising=False)
    monkeypatch.setitem(sys.modules, "eth_tester", None)
    story = Story(folder=tmp_path, home=Home(tmp_path), setup="insecure-dev", display=None)
    assert story._on_chain(None, None, 7, None) == (None, None)
    notes = [line for line in capfd.readouterr().out.splitlines() if line.startswith(" ")]
    assert len(notes) == 1
    assert "needs eth_tester, which is not installed. pip install 'zkinfer[chain-dev]'" in notes[0]


def test_demo_without_the_native_core_skips_the_second_engine_and_says_why(monkeypatch, tmp_path, capfd):
    reason = "The native core is not installed. Install it."
    monkeypatch.setattr("zkinfer.circuits.engines.ashlar.core.missing", lambda: reason)
    story = Story(folder=tmp_path, home=Home(tmp_path), setup="insecure-dev", display=None)
    assert story._second_engine(None, None) == ([], reason)
    assert f"skipped: {reason}" in " ".join(capfd.readouterr().out.split())
    assert list(tmp_path.iterdir()) == []


def case_of(example, engine, recorded_gas=None):
    keys = SimpleNamespace(proof_bytes=4160, proving_key_bytes=11_017_755)
    manifest = SimpleNamespace(keys=keys, cost=SimpleNamespace(gas=734_156))
    compiled = SimpleNamespace(
        circuit=SimpleNamespace(manifest=manifest), timings={"calibrate": 4.0, "tune": 9.0, "keys": 1.25}
    )
    case = Case(example, SimpleNamespace(id=f"{engine}/1.2"), compiled, {"prove": 1.384, "verify": 0.1}, recorded_gas)
    case.accuracy = Accuracy(360, 0.9889, 0.9861)
    return case


def test_comparison_of_three_cases_fits_eighty_columns(capsys):
    cases = [case_of(DIGITS, "ezkl", 997_602), case_of(DIGITS, "ashlar"), case_of(LENET, "ashlar")]
    print_table(comparison(cases))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 80
    assert lines[1].split() == ["engine", "ezkl", "ashlar", "ashlar"]
    assert lines[-1].split()[-3:] == ["997,602", "-", "-"]


def test_comparison_leaves_the_calibration_of_the_machine_out_of_compile():
    figures = case_of(DIGITS, "ezkl").figures()
    assert (figures["compileSeconds"], figures["calibrateSeconds"]) == (10.25, 4.0)


def test_comparison_shows_missing_figures_as_a_dash(capsys):
    print_table(comparison([case_of(DIGITS, "ezkl")]))
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("verify, first time")]
    assert [row.split()[-1] for row in rows] == ["-"]


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


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, EngineError])
def test_demo_that_does_not_finish_leaves_no_folder(demo, tmp_path, monkeypatch, stopped):
    def run(_):
        raise stopped("enough")

    monkeypatch.setattr(FakeStory, "run", run)
    outcome, folder = demo("--keep", "mine")
    assert outcome.exit_code != 0
    assert folder.name == "mine"
    assert list(tmp_path.iterdir()) == []


def test_demo_refuses_to_keep_into_an_existing_folder(demo, tmp_path):
    (tmp_path / "mine").mkdir()
    outcome, _ = demo("--keep", "mine")
    assert outcome.exit_code == 1
    assert "exists already" in json.loads(outcome.stdout)["error"]["cause"]
    assert list((tmp_path / "mine").iterdir()) == []
