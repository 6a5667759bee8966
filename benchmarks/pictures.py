"""Pictures for the measurement of fingerprints: drawn and computed by seed, or parts of scikit-learn's data sets.

All have 256 x 256 pixels and are different works; those from photographs do not overlap.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from sklearn.datasets import load_digits, load_sample_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE, TILE = 256, 64
CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and what kind it is."""

    kind: str
    image: Image.Image


def pictures(count: int, seed: int) -> Iterator[Picture]:
    """So many pictures: all tiles of the photographs and all digits, the rest half shapes, half textures."""
    random = np.random.default_rng(seed)
    fixed = [*tiles(), *digits()][:count]
    yield from fixed
    rest = count - len(fixed)
    yield from islice((shapes(random) for _ in range(rest)), rest // 2)
    yield from islice((texture(random) for _ in range(rest)), rest - rest // 2)


def tiles() -> Iterator[Picture]:
    """120 parts of two photographs, 64 x 64 each, that do not overlap."""
    for photograph in load_sample_images().images:
        height, width = photograph.shape[:2]
        for top in range(0, height - TILE + 1, TILE):
            for left in range(0, width - TILE + 1, TILE):
                part = Image.fromarray(photograph[top : top + TILE, left : left + TILE])
                yield Picture("photographs", part.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def digits() -> Iterator[Picture]:
    """1,797 handwritten digits, scaled up from 8 x 8."""
    for values in load_digits().images:
        small = Image.fromarray(np.rint(values * 255 / 16).astype(np.uint8))
        yield Picture("digits", small.resize((SIZE, SIZE), Image.Resampling.BICUBIC).convert("RGB"))


def shapes(random: np.random.Generator) -> Picture:
    """Three to twelve coloured discs, boxes, triangles and lines."""
    image = Image.new("RGB", (SIZE, SIZE), _colour(random))
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(3, 13)):
        x, y = random.integers(-20, SIZE, 2).tolist()
        w, h = random.integers(10, 140, 2).tolist()
        match random.integers(4):
            case 0:
                draw.ellipse((x, y, x + w, y + h), fill=_colour(random))
            case 1:
                draw.rectangle((x, y, x + w, y + h), fill=_colour(random))
            case 2:
                draw.polygon(
                    [tuple(point) for point in random.integers(0, SIZE, (3, 2)).tolist()], fill=_colour(random)
                )
            case _:
                draw.line((x, y, x + w, y + h), fill=_colour(random), width=int(random.integers(2, 16)))
    return Picture("shapes", image)


def texture(random: np.random.Generator) -> Picture:
    """A sum of waves and of smoothed noise of several sizes, in two colours."""
    y, x = np.indices((SIZE, SIZE)) / SIZE
    total = np.zeros((SIZE, SIZE))
    for _ in range(random.integers(1, 6)):
        fx, fy = random.normal(0, 6, 2)
        total += random.uniform(0.2, 1) * np.sin(2 * np.pi * (fx * x + fy * y + random.uniform()))
    for cells in (4, 8, 16, 32, 64):
        noise = Image.fromarray(random.normal(0, 1, (cells, cells)).astype(np.float32))
        total += random.uniform(0, 1.5) * np.asarray(noise.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    share = ((total - total.min()) / np.ptp(total))[..., None]
    low, high = (random.uniform(0, 255, 3) for _ in range(2))
    return Picture("textures", Image.fromarray(np.rint(low + share * (high - low)).astype(np.uint8)))


def _colour(random: np.random.Generator) -> tuple[int, ...]:
    return tuple(random.integers(0, 256, 3).tolist())


def _change(name: str) -> Callable[[Callable[[Image.Image], Image.Image]], Callable[[Image.Image], Image.Image]]:
    def keep(function: Callable[[Image.Image], Image.Image]) -> Callable[[Image.Image], Image.Image]:
        CHANGES[name] = function
        return function

    return keep


@_change("JPEG, quality 50")
def jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=50)
    return Image.open(stream).convert("RGB")


@_change("half size")
def half(image: Image.Image) -> Image.Image:
    return image.resize((SIZE // 2, SIZE // 2), Image.Resampling.BICUBIC)


@_change("blur, radius 2")
def blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(2))


@_change("brightness x 1.3")
def brighter(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.3)


@_change("contrast x 1.3")
def contrast(image: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(1.3)


@_change("rotated by 2 degrees")
def rotated(image: Image.Image) -> Image.Image:
    return image.rotate(2, Image.Resampling.BICUBIC)


@_change("caption over 12 %")
def caption(image: Image.Image) -> Image.Image:
    changed = image.copy()
    draw = ImageDraw.Draw(changed)
    draw.rectangle((0, SIZE - SIZE * 12 // 100, SIZE, SIZE), fill="white")
    draw.text((8, SIZE - 24), "a caption, set over the picture", fill="black")
    return changed


@_change("cropped by 5 %")
def cropped(image: Image.Image) -> Image.Image:
    edge = SIZE // 20
    return image.crop((edge, edge, SIZE - edge, SIZE - edge))


@_change("mirrored")
def mirrored(image: Image.Image) -> Image.Image:
    return ImageOps.mirror(image)


def rgb(image: Image.Image) -> Any:  # noqa: ANN401 - an array
    return np.asarray(image, np.uint8)
