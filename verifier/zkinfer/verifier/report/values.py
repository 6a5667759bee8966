"""How to show a tensor: as a picture, as bars, or as a table. Decided here, by its shape, its name and its values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.generic]

Role = Literal["input", "output"]
_IMAGE = re.compile(r"image|img|pixel|picture|photo", re.IGNORECASE)
_PROBABILITY = re.compile(r"prob|softmax", re.IGNORECASE)
_MIN_SIDE, _MAX_SIDE, _MAX_PIXELS = 6, 4096, 96
_MAX_BARS, _MAX_ROWS, _MAX_COLUMNS = 40, 40, 12
_DIGITS, _USUAL = 6, (1e-3, 1e6)
_SUM_TOLERANCE: Final = 0.02  # of probabilities: each is rounded to the circuit's scale


@dataclass(frozen=True, slots=True)
class Picture:
    """Rows of pixels, each red, green and blue from 0 to 255, and what the colours stand for."""

    pixels: tuple[tuple[tuple[int, int, int], ...], ...]
    note: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One labelled number; `start` and `length` place its bar between 0 and 1."""

    label: str
    text: str
    start: float
    length: float
    largest: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """Numbers to compare by eye; `kind` says what they are, `label` what they belong to."""

    label: str
    kind: str
    rows: tuple[Bar, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; `note` says what was left out, if anything."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A tensor with its name and the way to show it; `values` are all of its values."""

    name: str
    kind: str
    view: Picture | Bars | Table
    values: Array


def shown(name: str, values: Array, role: Role, features: Sequence[str] = ()) -> Shown:
    """Decide how to show a tensor.

    Args:
        name: of the tensor; a name such as `image` decides for a picture where the shape leaves a doubt.
        values: in the model's own units.
        role: an input of some numbers is a table, an output of some numbers are bars.
        features: names of the elements of an input, if their number fits.
    """
    kind = f"{' × '.join(map(str, values.shape)) or 'one'} {'value' if values.size == 1 else 'values'}"
    view = _picture(name, values) or (_output_bars(name, values) if role == "output" else None)
    return Shown(name, kind, view or _table(values, features), values)


def bars(label: str, kind: str, names: Sequence[str], values: Sequence[float], texts: Sequence[str]) -> Bars:
    """Bars from zero, one for each name."""
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    rows = [
        Bar(name, text, (min(0.0, value) - low) / span, abs(value) / span)
        for name, value, text in zip(names, values, texts, strict=True)
    ]
    return Bars(label, kind, tuple(rows))


def number(value: object) -> str:
    """A number as text: integers and booleans in full, fractions with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _aligned(values: Sequence[int | float]) -> list[str]:
    """Numbers as texts; fractions of a usual size have the same number of decimals, as many as the largest needs."""
    most = max(map(abs, values))
    if not isinstance(values[0], float) or not _USUAL[0] <= most < _USUAL[1]:
        return [number(value) for value in values]
    decimals = _DIGITS - 1 - math.floor(math.log10(most))
    return [f"{value:.{decimals}f}" for value in values]


# --- pictures


def _picture(name: str, values: Array) -> Picture | None:
    """The picture that the tensor is, if its shape and its name say so."""
    image = _as_image(name, values)
    if image is None:
        return None
    step = math.ceil(max(image.shape[:2]) / _MAX_PIXELS)
    note, levels = _levels(image[::step, ::step])
    if step > 1:
        note += f"; one pixel of {step} in each direction is shown"
    height, width = image.shape[:2]
    return Picture(_rows(levels), f"{width} by {height} pixels, {note}")


def _as_image(name: str, values: Array) -> NDArray[np.float64] | None:
    """The tensor as [height, width, 1 or 3]; None if it is no picture."""
    named, rank = _IMAGE.search(name) is not None, values.ndim
    array = values.astype(np.float64)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3:
        array = _channels_last(array)
    elif array.ndim == 2 and array.shape[0] > 1 and (named or rank == 4):
        array = array[..., np.newaxis]
    elif array.ndim <= 2 and named and math.isqrt(array.size) ** 2 == array.size:
        array = array.reshape(math.isqrt(array.size), -1, 1)
    if array.ndim != 3 or array.shape[2] not in (1, 3) or not (named or rank == 4):
        return None
    return array if all(_MIN_SIDE <= side <= _MAX_SIDE for side in array.shape[:2]) else None


def _channels_last(array: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.moveaxis(array, 0, 2) if array.shape[0] in (1, 3) else array


def _levels(image: NDArray[np.float64]) -> tuple[str, NDArray[np.int64]]:
    """What black and white stand for, and the levels from 0 to 255."""
    low, high = float(image.min()), float(image.max())
    for bottom, top in ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)):
        if bottom <= low and high <= top:
            low, high = bottom, top
            break
    span = (high - low) or 1.0
    note = f"black is {low:g}, white is {high:g}"
    return note, np.rint((image - low) / span * 255).astype(np.int64)


def _rows(levels: NDArray[np.int64]) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    coloured = np.broadcast_to(levels, (*levels.shape[:2], 3)).tolist()
    return tuple(tuple((red, green, blue) for red, green, blue in row) for row in coloured)


# --- numbers


def _output_bars(name: str, values: Array) -> Bars | None:
    """Bars for a single row of a few numbers; as probabilities if they are such."""
    if values.dtype == np.bool_ or not 2 <= values.size <= _MAX_BARS or values.size != max(values.shape, default=1):
        return None
    row = values.ravel().tolist()
    found, names = [float(value) for value in row], [str(place) for place in range(len(row))]
    within = all(0 <= value <= 1 for value in found)
    if within and (abs(sum(found) - 1) <= _SUM_TOLERANCE or _PROBABILITY.search(name)):
        return _with_largest(bars("element", "probability", names, found, [f"{value:.1%}" for value in found]), found)
    return _with_largest(bars("element", "score", names, found, _aligned(row)), found)


def _with_largest(view: Bars, values: Sequence[float]) -> Bars:
    """The bars with the largest one marked, and named unless there are several."""
    place, most = values.index(max(values)), max(values)
    if values.count(most) > 1:
        return view
    marked = replace(view.rows[place], largest=True)
    rows = (*view.rows[:place], marked, *view.rows[place + 1 :])
    return replace(
        view, rows=rows, note=f"The largest {view.kind} is that of {view.label} {marked.label}, counted from 0."
    )


def _table(values: Array, features: Sequence[str]) -> Table:
    """All numbers, or the first of many; a single row is written as a column, with the names of its features."""
    if values.size == max(values.shape, default=1):
        row = values.ravel().tolist()
        named = list(features) if len(features) == len(row) else [str(place) for place in range(len(row))]
        cells = [(label, number(value)) for label, value in zip(named[:_MAX_ROWS], row, strict=False)]
        return Table(("element", "value"), tuple(cells), _cut(len(cells), len(row), "values"))
    flat = values.reshape(-1, values.shape[-1])
    columns = [str(place) for place in range(flat.shape[1])] if len(features) != flat.shape[1] else list(features)
    rows = [
        (_place(row, values.shape[:-1]), *(number(value) for value in cells[:_MAX_COLUMNS]))
        for row, cells in enumerate(flat[:_MAX_ROWS].tolist())
    ]
    shown_values = len(rows) * min(_MAX_COLUMNS, len(columns))
    return Table(("row", *columns[:_MAX_COLUMNS]), tuple(rows), _cut(shown_values, values.size, "values"))


def _place(row: int, shape: tuple[int, ...]) -> str:
    """The index of a row in all axes but the last."""
    return ", ".join(str(int(place)) for place in np.unravel_index(row, shape))


def _cut(count: int, total: int, what: str) -> str:
    return "" if count == total else f"The first {count:,} of {total:,} {what}; the report as JSON has all of them."
