"""Pictures for tests, drawn by seed."""

import numpy as np
from PIL import Image, ImageDraw


def drawing(seed=1, size=(320, 240)):
    """Shapes over a gradient: a picture that survives compression."""
    chance = np.random.default_rng(seed)
    width, height = size
    ramp = np.linspace(chance.integers(0, 120), chance.integers(130, 255), width)[None, :]
    base = np.repeat(np.repeat(ramp, height, 0)[..., None], 3, 2).astype(np.uint8)
    picture = Image.fromarray(base)
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = (int(chance.integers(0, limit)) for limit in size)
        w, h = int(chance.integers(20, width // 2)), int(chance.integers(20, height // 2))
        colour = tuple(int(one) for one in chance.integers(0, 256, 3))
        (draw.ellipse if chance.random() < 0.5 else draw.rectangle)([x, y, x + w, y + h], fill=colour)
    return picture
