import numpy as np
import pytest

from zkinfer.cli.demo.pictures import beside, draw
from zkinfer.cli.demo.story import CALIBRATION, HELD_OUT, MODEL


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
