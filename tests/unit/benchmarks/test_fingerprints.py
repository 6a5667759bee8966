"""The measurement of fingerprints in short: a few pictures of each kind, and the page as it was written."""

from collections import Counter
from itertools import islice

import iscc_core
import numpy as np
import pytest
from benchmarks.fingerprints import LENGTHS, PAGE, changed_copies, different_works, flags, prints
from benchmarks.pictures import CHANGES, digits, rgb, shapes, texture, tiles

from zkinfer.works.pixels import normalise


@pytest.fixture(scope="module")
def works():
    random = np.random.default_rng(3)
    drawn = [each(random) for _ in range(20) for each in (shapes, texture)]
    return [*islice(tiles(), 0, 120, 6), *islice(digits(), 20), *drawn]


@pytest.fixture(scope="module")
def pixels(works):
    return np.stack([normalise(rgb(work.image)) for work in works])


def test_pictures_are_of_every_kind(works):
    assert Counter(work.kind for work in works) == {"photographs": 20, "digits": 20, "shapes": 20, "textures": 20}


@pytest.mark.parametrize("length", LENGTHS)
def test_sure_bits_are_those_of_the_standard(pixels, length):
    for picture, found in zip(pixels, prints(pixels, length), strict=True):
        official = int.from_bytes(iscc_core.soft_hash_image_v0(picture.ravel().tolist(), bits=length), "big")
        assert found is None or (found.bits ^ official) & found.sure == 0


def test_no_two_works_are_within_the_limit_of_evidence(works, pixels):
    apart = different_works(prints(pixels, 256), [work.kind for work in works], 256)
    assert apart.pairs == 80 * 79 // 2
    assert apart.flagged == 0
    assert apart.least > 24


def test_copies_are_found_and_mirrored_ones_are_not(works):
    changed = changed_copies(works, seed=1)
    assert list(changed) == list(CHANGES)
    shares = {
        name: np.mean([flags(np.array([d]), np.array([c]), 256)[0] for d, c in by[256]]) for name, by in changed.items()
    }
    assert shares["blur, radius 2"] > 0.9
    assert shares["half size"] > 0.9
    assert shares["mirrored"] == 0


def test_page_says_that_nothing_differs_and_no_work_is_flagged():
    rows = {
        line.split(" | ")[0].strip("| "): line.strip("|").split("|")[1:]
        for line in PAGE.read_text().splitlines()
        if line.startswith("|")
    }
    assert [cell.strip() for cell in rows["pictures"]] == ["10,000", "10,000"]
    assert [cell.strip() for cell in rows["sure bits that differ from the standard's"]] == ["0", "0"]
    assert rows["false alarms at the limit"][1].strip() == "0"
