import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from zkinfer.circuits.errors import DataError
from zkinfer.works.content import decode
from zkinfer.works.renders import content_of, is_rendering, render


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_content_is_the_digest_of_the_words():
    words = (1).to_bytes(32, "big") + (2**256 - 1).to_bytes(32, "big")
    assert content_of([1, -1]).value == hashlib.sha256(words).digest()


def test_numbers_become_levels_and_are_cut_off():
    found = pixels(render([0, 1 << 10, 1 << 9, -5], 10))
    assert found.tolist() == [[0, 255], [128, 0]]


def test_numbers_above_one_are_white():
    assert pixels(render([7 << 4], 4)).tolist() == [[255]]


def test_negative_scale_stands_for_larger_numbers():
    assert pixels(render([1], -3)).tolist() == [[255]]


def test_enlarged_picture_repeats_pixels():
    found = pixels(render([0, 1, 1, 0], 0, enlarge=3))
    assert found.shape == (6, 6)
    assert found[:3, 3:].min() == 255


@pytest.mark.parametrize("outputs", [[], [1, 2, 3]])
def test_other_numbers_of_outputs_are_refused(outputs):
    with pytest.raises(DataError, match="no square picture"):
        render(outputs, 0)


@pytest.mark.parametrize("enlarge", [1, 5])
def test_rendering_is_recognised_and_no_other_picture(tmp_path, enlarge):
    outputs = [(place * 37) % 256 for place in range(64)]
    path = tmp_path / "a.png"
    path.write_bytes(render(outputs, 8, enlarge=enlarge))
    rgb = decode(path).copy()
    assert is_rendering(outputs, 8, rgb)
    assert not is_rendering([*outputs[1:], outputs[0]], 8, rgb)
    assert not is_rendering(outputs[:63], 8, rgb)
    rgb[-1, -1, 2] ^= 1
    assert not is_rendering(outputs, 8, rgb)
    assert not is_rendering(outputs, 8, rgb[:, :-1])


@pytest.mark.parametrize(("scale", "level"), [(127, 0), (-127, 255)])
def test_picture_of_one_level_shows_no_output(scale, level):
    assert not is_rendering([5, 9, 7, 1], scale, np.full((4, 4, 3), level, np.uint8))
