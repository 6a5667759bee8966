"""Decode one picture; runs in a child process with limits, see `zkinfer.works.content.decode`.

Decoders of pictures are written for speed in C, and take files from strangers: this module runs nowhere else.
"""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from zkinfer.circuits.errors import InputError

MAX_PIXELS: Final = 40_000_000
MAX_SIDE: Final = 65_535
"""Of pixels, as in JPEG. A row of millions takes a kilobyte as PNG, and gigabytes once its fields are weighed."""
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")
_PLAIN: Final = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
_WITH_ALPHA: Final = ("LA", "PA", "RGBA")
_DEEP: Final = ("I;16", "I;16B", "I;16L")
_DAMAGED: Final = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error, OverflowError)


def decode(path: str, out: str) -> dict[str, Any]:
    """Write the pixels of a picture, as a viewer shows it, to a file of raw RGB; returns height and width.

    The first frame of an animation, turned as its EXIF says, and over white where it is transparent.

    Raises:
        InputError: not a picture in one of `FORMATS`, damaged, more than `MAX_PIXELS` or `MAX_SIDE`, or with
            unknown colours.
    """
    Image.MAX_IMAGE_PIXELS = None  # the cap below is stricter, and comes before any decoding
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata, which nothing here reads
            return _decode(Path(path), Path(out))
    except UnidentifiedImageError as err:
        raise InputError("The file is no picture that is read here.", f"Give {', '.join(FORMATS)}.") from err
    except _DAMAGED as err:
        raise InputError(f"The picture is damaged: {str(err)[:120]}.", "Export it again.") from err


def _decode(path: Path, out: Path) -> dict[str, Any]:
    with Image.open(path, formats=FORMATS) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise InputError(
                f"The picture has {picture.width:,} x {picture.height:,} pixels, over the limit of {MAX_PIXELS:,}.",
                "Give a smaller version of it.",
            )
        if max(picture.size) > MAX_SIDE:
            raise InputError(
                f"The picture has {picture.width:,} x {picture.height:,} pixels, and no side may exceed {MAX_SIDE:,}.",
                "Give a smaller version of it.",
            )
        turned = ImageOps.exif_transpose(picture)
        rgb = _rgb(turned)
    out.write_bytes(rgb.tobytes())
    return {"height": rgb.shape[0], "width": rgb.shape[1]}


def _rgb(picture: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    mode = picture.mode
    if mode in _DEEP:
        deep = np.asarray(picture).astype(np.uint16) >> 8
        return np.repeat(deep.astype(np.uint8)[..., None], 3, axis=2)
    if mode in _WITH_ALPHA or "transparency" in picture.info:
        pixels = np.asarray(picture.convert("RGBA")).astype(np.uint32)
        colour, alpha = pixels[..., :3], pixels[..., 3:]
        return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if mode in _PLAIN:
        return np.asarray(picture.convert("RGB"))
    raise InputError(f"Pictures in the colours {mode} are not read here.", "Export it as RGB.")
