"""Files and their pictures, as a viewer shows them; hostile ones are refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from tests.unit.works.pictures import drawing

from zkinfer.circuits.errors import InputError
from zkinfer.works import content
from zkinfer.works.content import decode, open_content
from zkinfer.works.errors import ContentError


def saved(path, picture, **options):
    picture.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.gif", "image/gif"),
        ("a.tif", "image/tiff"),
    ],
)
def test_picture_is_known_by_its_bytes_and_decoded(tmp_path, name, media_type):
    path = saved(tmp_path / name, drawing())
    found = open_content(path.rename(tmp_path / "no-suffix"))
    assert (found.media_type, found.is_picture, found.size) == (media_type, True, found.path.stat().st_size)
    assert decode(found.path).shape == (240, 320, 3)


def test_lossless_picture_is_decoded_exactly(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert (decode(saved(tmp_path / "a.png", Image.fromarray(pixels))) == pixels).all()


def test_name_of_a_picture_makes_none(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("no picture")
    assert (open_content(path).media_type, open_content(path).is_picture) == ("application/octet-stream", False)


def test_transparent_picture_lies_on_white(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[0, 0] = (100, 0, 200, 128)
    found = decode(saved(tmp_path / "a.png", Image.fromarray(rgba)))
    assert (found[1, 1] == 255).all()
    assert found[0, 0].tolist() == [(value * 128 + 255 * 127 + 127) // 255 for value in (100, 0, 200)]


def test_palette_with_transparency_lies_on_white(tmp_path):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    assert (decode(saved(tmp_path / "a.png", picture, transparency=1)) == 255).all()


def test_picture_is_turned_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.jpg", drawing(), exif=exif)
    assert decode(path).shape == (320, 240, 3)


def test_deep_and_separated_colours_are_read(tmp_path):
    deep = saved(tmp_path / "a.png", Image.fromarray(np.full((3, 3), 0x8042, np.uint16)))
    assert (decode(deep) == 0x80).all()
    assert decode(saved(tmp_path / "b.jpg", drawing().convert("CMYK"))).shape == (240, 320, 3)


def test_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert decode(path)[0, 0].tolist() == [255, 0, 0]


def bomb(width, height):
    """A small PNG that says it is huge."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(100_000, 100_000))
    with pytest.raises(ContentError, match="over the limit of 40,000,000"):
        decode(path)


@pytest.mark.parametrize("size", [(65_536, 1), (1, 65_536), (40_000_000, 1)])
def test_row_of_very_many_pixels_is_refused_before_it_is_decoded(tmp_path, size):
    path = tmp_path / "row.png"
    path.write_bytes(bomb(*size))
    with pytest.raises(ContentError, match="no side may exceed 65,535"):
        decode(path)


def test_longest_row_is_decoded(tmp_path):
    assert decode(saved(tmp_path / "row.png", Image.new("L", (65_535, 1)))).shape == (1, 65_535, 3)


def test_oversized_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", drawing())
    monkeypatch.setattr(content, "MAX_PICTURE_BYTES", 100)
    with pytest.raises(ContentError, match="over the limit of 100"):
        decode(path)


@pytest.mark.parametrize("size", [0, 10, 200, 2000])
def test_truncated_picture_is_refused(tmp_path, size):
    buffer = io.BytesIO()
    drawing().save(buffer, "JPEG")
    path = tmp_path / "a.jpg"
    path.write_bytes(buffer.getvalue()[:size])
    with pytest.raises(ContentError):
        decode(path)


@pytest.mark.parametrize(
    "text", ["<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "%PDF-1.7", "%!PS-Adobe"]
)
def test_other_formats_are_refused_with_those_that_are_read(tmp_path, text):
    path = tmp_path / "a.svg"
    path.write_text(text)
    with pytest.raises(ContentError, match="JPEG, PNG, WEBP, GIF, TIFF"):
        decode(path)


def test_missing_file_is_an_error_of_the_caller(tmp_path):
    for function in (open_content, decode):
        with pytest.raises(InputError, match="cannot be read: no such file"):
            function(tmp_path / "missing.png")
