"""Write the vectors of prints shared by pytest and forge: `python -m tests.vectors.make_prints`.

`prints.json` holds outputs of fingerprint circuits, and the print that both sides read in them, or none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import DataError
from zkinfer.works.print_model import coefficients, margin
from zkinfer.works.prints import pixels_commitment, read_print

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

VECTORS = Path(__file__).with_name("prints.json")
LENGTH = 256


def pictures() -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Pictures of 32 x 32 grey pixels."""
    random = np.random.default_rng(20)
    rows, columns = np.indices((32, 32))
    yield "noise", random.integers(0, 256, (32, 32)).astype(np.uint8)
    yield "slope with noise", (4 * rows + 3 * columns + random.integers(0, 8, (32, 32))).astype(np.uint8)
    yield "disc off the centre", (255 * ((rows - 11) ** 2 + (columns - 19) ** 2 < 70)).astype(np.uint8)
    yield "flat", np.full((32, 32), 128, np.uint8)
    yield "vertical stripes", np.broadcast_to(255 * (np.arange(32) // 4 % 2), (32, 32)).astype(np.uint8)


def synthetic() -> Iterator[tuple[str, list[int]]]:
    """Outputs at the edges of the rule."""
    edge = margin(LENGTH)
    ladder = [(i * 37 % 64) * 10 * edge for i in range(64)]
    yield "rungs far apart", ladder * 4
    middle = [-edge] * 31 + [-edge, edge] + [edge] * 31
    yield "a margin away", middle * 4
    yield "a margin and one away", [value + (1 if value > 0 else -1) for value in middle] * 4
    yield "one apart", ([0] * 32 + [1] * 32) * 4
    yield "a tie in the last block", [*ladder * 3, *[0] * 31, *[5] * 33]
    yield "largest", ([-(2**60) + 1] * 32 + [2**60 - 1] * 32) * 4
    yield "too large", ([-(2**60)] * 32 + [2**60 - 1] * 32) * 4


def make() -> dict[str, Any]:
    """The document."""
    pictured = [_pictured(name, pixels) for name, pixels in pictures()]
    return {"margin": margin(LENGTH), "cases": pictured + [_case(name, outputs) for name, outputs in synthetic()]}


def dump(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"


def _pictured(name: str, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    named = {"pixels": "0x" + pixels.tobytes().hex(), "commitment": "0x" + pixels_commitment(pixels).hex()}
    return _case(name, coefficients(pixels).tolist()) | named


def _case(name: str, outputs: list[int]) -> dict[str, Any]:
    case: dict[str, Any] = {"name": name, "outputs": [str(value) for value in outputs]}
    try:
        found = read_print(outputs)
    except DataError as err:
        return {**case, "refused": err.cause, "bits": _word(0), "sure": _word(0)}
    return {**case, "refused": "", "bits": _word(found.bits), "sure": _word(found.sure)}


def _word(value: int) -> str:
    return f"0x{value:064x}"


if __name__ == "__main__":
    VECTORS.write_text(dump(make()))
