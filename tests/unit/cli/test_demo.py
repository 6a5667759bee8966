import sys

import numpy as np
import pytest
from rich.console import Console

from zkinfer.circuits import Home
from zkinfer.cli.demo.onchain import gas_table, shortened
from zkinfer.cli.demo.pictures import beside, draw
from zkinfer.cli.demo.story import CALIBRATION, HELD_OUT, MODEL, Story


def test_picture_has_a_line_for_every_row_of_pixels():
    lines = draw(np.zeros((1, 64)))
    assert lines == [" " * 16] * 8


def test_picture_shades_pixels_by_their_value():
    image = np.zeros((1, 64))
    image[0, 0], image[0, 9], image[0, 63] = 1.0, 0.5, 0.25
    lines = draw(image)
    assert (lines[0][:2], lines[1][2:4], lines[7][14:]) == ("██", "▒▒", "░░")


def test_pictures_stand_beside_each_other():
    assert beside([["ab", "cd"], ["ef", "gh"]]) == ["ab   ef", "cd   gh"]


def test_pictures_of_different_height_are_refused():
    with pytest.raises(ValueError, match="zip"):
        beside([["ab"], ["ef", "gh"]])


def test_demo_ships_its_model_and_images_no_pixel_twice():
    with np.load(CALIBRATION) as known, np.load(HELD_OUT) as unseen:
        assert known["image"].shape[1:] == unseen["image"].shape[1:] == (1, 64)
        assert len(unseen["image"]) == len(unseen["label"]) == 360
        seen = {image.tobytes() for image in known["image"]}
        assert not any(image.tobytes() in seen for image in unseen["image"])
    assert MODEL.stat().st_size < 20_000


def test_demo_without_a_library_for_chains_says_so_and_goes_on(monkeypatch, tmp_path, capfd):
    monkeypatch.delitem(sys.modules, "zkinfer.cli.demo.onchain")
    monkeypatch.delitem(sys.modules, "zkinfer.contracts.embedded", raising=False)
    monkeypatch.setitem(sys.modules, "eth_tester", None)
    story = Story(folder=tmp_path, home=Home(tmp_path), setup="insecure-dev", display=None)
    assert story._on_chain(None, None, 7, None) is None
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith(" ")]
    assert len(said) == 1
    assert "needs eth_tester, which is not installed. pip install 'zkinfer[chain-dev]'" in said[0]


def test_gas_table_has_a_line_for_every_step():
    console = Console(width=60, record=True, file=sys.stderr)
    console.print(gas_table({"ask": 1_234_567, "act": 89}))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines == [["step", "gas"], ["ask", "1,234,567"], ["act", "89"]]


def test_reason_of_a_contract_is_shown_without_most_of_its_hashes():
    assert shortened(f"NotOpen(id = 0x{'ab' * 32}, state = 2)") == "NotOpen(id = 0xabababab…, state = 2)"
    assert shortened(f"NotOwner(0x{'ab' * 20})") == f"NotOwner(0x{'ab' * 20})"
