import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from zkinfer.circuits.errors import DataError
from zkinfer.works.renders import content_of, render


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
