"""ISCC Image-Codes: the library's, read strictly."""

import contextlib

import iscc_core
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.works.pictures import drawing

from zkinfer.works import iscc
from zkinfer.works.errors import CodeError


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("iscc") / "a.png"
    drawing().save(path)
    return iscc.fingerprint(path)


def test_fingerprint_is_the_librarys(found):
    pixels = found.pixels.flatten().tolist()
    assert found.iscc64 == iscc_core.gen_image_code(pixels, 64)["iscc"]
    assert found.iscc256 == iscc_core.gen_image_code(pixels, 256)["iscc"]
    assert found.bits256.to_bytes(32, "big") == iscc_core.soft_hash_image_v0(pixels, 256)


def test_short_code_begins_the_long_one(found):
    assert found.bits256 >> 192 == found.bits64
    assert iscc.distance(found.iscc64, found.iscc256) == 0


def test_compressed_picture_is_near_and_another_is_far(found, tmp_path):
    drawing().resize((200, 150)).save(tmp_path / "a.jpg", quality=50)
    drawing(seed=2).save(tmp_path / "b.png")
    assert iscc.distance(found.iscc256, iscc.fingerprint(tmp_path / "a.jpg").iscc256) <= 24
    assert iscc.distance(found.iscc256, iscc.fingerprint(tmp_path / "b.png").iscc256) > 60


@given(st.integers(0, 2**256 - 1))
def test_code_is_read_as_it_was_written(bits):
    assert iscc.parse(iscc.encode(bits, 256)) == (bits, 256)
    assert iscc.parse(iscc.encode(bits >> 192, 64)) == (bits >> 192, 64)


@pytest.mark.parametrize("change", [str.lower, lambda code: code[5:], lambda code: code + "A", lambda code: code[:-1]])
def test_other_spelling_of_a_code_is_refused(found, change):
    with pytest.raises(CodeError, match="no ISCC Image-Code"):
        iscc.parse(change(found.iscc64))


@pytest.mark.parametrize(
    "code",
    [
        "",
        "ISCC:",
        "ISCC:1",
        "é" * 20,
        "ISCC:" + "A" * 1000,
        iscc_core.gen_text_code("hello", 64)["iscc"],
        iscc_core.gen_image_code(np.arange(1024).tolist(), 128)["iscc"],
    ],
)
def test_what_is_no_image_code_is_refused(code):
    with pytest.raises(CodeError):
        iscc.parse(code)


@given(st.text(max_size=90))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(CodeError):
        iscc.parse("ISCC:" + text)
