"""The file formats of tensors: .npz, .json and .csv, each from bytes to arrays by name."""

from __future__ import annotations

import csv
import io
import math
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import DataError, JsonError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Array = NDArray[np.generic]

MAX_BYTES = 1 << 28
MAX_VALUES = 1 << 24
_EXACT = 1 << 53  # beyond, a float64 is no longer every integer
_UNREADABLE = (ValueError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error)


def from_npz(data: bytes) -> dict[str, Array]:
    """Arrays of an .npz; raises DataError for pickles, for what is no array, and for one that lies about its size."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise DataError(f"The arrays unpack to more than {MAX_BYTES >> 20} MiB.")
            return {name.removesuffix(".npy"): _member(archive.read(name)) for name in archive.namelist()}
    except _UNREADABLE as err:
        raise DataError(f"The file is no .npz of plain arrays: {err}.") from err


def to_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz; unlike numpy's own function, whatever the names are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def _member(data: bytes) -> Array:
    """One array; its header is believed only as far as there is data for it."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("Object arrays are pickles")
    if math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError("an array has another size than it declares")
    array: Array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def from_json(data: bytes, specs: Sequence[TensorSpec], label: str | None = None) -> dict[str, Array]:
    """Nested lists by name, or ezkl's `{"input_data": [flat list per input]}`; raises DataError.

    Of what stands beside `input_data` only `label` is read.
    """
    try:
        document = canonical.load(data, max_bytes=MAX_BYTES, what="input file", max_values=MAX_VALUES)
    except JsonError as err:
        raise DataError(err.cause, err.cure) from err
    if not isinstance(document, dict):
        raise DataError("The input file is no JSON object.", "Write {input name: nested lists of numbers}.")
    if "input_data" in document and "input_data" not in {spec.name for spec in specs}:
        flat = document["input_data"]
        if not isinstance(flat, list) or len(flat) != len(specs):
            raise DataError(f"input_data must be {len(specs)} lists, one per input.")
        beside = {label: document[label]} if label in document else {}
        document = beside | {spec.name: values for spec, values in zip(specs, flat, strict=True)}
    return {name: _array(name, value) for name, value in document.items()}


def _array(name: str, value: Any) -> Array:  # noqa: ANN401 - any JSON value
    try:
        array = np.asarray(value)
    except ValueError as err:
        raise DataError(f"Input {name!r} is not a regular nest of lists.") from err
    if array.dtype.kind not in "fiub":
        raise DataError(f"Input {name!r} holds something other than numbers, or numbers beyond 64 bits.")
    return array


def from_csv(data: bytes, specs: Sequence[TensorSpec], label: str | None = None) -> dict[str, Array]:
    """One sample per line, [N, elements] by name; raises DataError.

    Above may stand one line of names; it must where a column, wherever it is, holds the labels and not an input.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if line]
        names = _names(lines, label)
        table = np.array([[float(cell) for cell in line] for line in (lines[1:] if names else lines)])
    except (UnicodeDecodeError, ValueError, csv.Error) as err:
        raise DataError(f"The file is no table of numbers: {err}.") from err
    width, beside = sum(spec.size for spec in specs), names.count(label)
    if table.ndim != 2 or table.shape[1] != width + beside:
        raise DataError(f"A line of the table must hold {width} numbers, the elements of all inputs in order.")
    if label is None or not beside:
        return _split(table, specs)
    at = names.index(label)
    return {label: _whole(table[:, at])} | _split(np.delete(table, at, axis=1), specs)


def _names(lines: Sequence[list[str]], label: str | None) -> list[str | None]:
    """The line of names, empty where there is none: it holds no number, or the name of the labels."""
    if not lines:
        return []
    first: list[str | None] = [cell.strip() for cell in lines[0]]
    if first.count(label) > 1:
        raise DataError(f"The table has two columns named {label!r}.")
    return first if label in first or not any(_is_number(cell) for cell in lines[0]) else []


def _split(table: NDArray[np.float64], specs: Sequence[TensorSpec]) -> dict[str, Array]:
    parts = np.split(table, np.cumsum([spec.size for spec in specs])[:-1], axis=1)
    return {spec.name: _column(part, spec) for spec, part in zip(specs, parts, strict=True)}


def _column(part: NDArray[np.float64], spec: TensorSpec) -> Array:
    """A table knows floats only: whole numbers become integers, and 0 and 1 booleans, where the model wants them."""
    if spec.dtype == "bool" and np.isin(part, (0.0, 1.0)).all():
        return part.astype(bool)
    return part if spec.is_float or spec.dtype == "bool" else _whole(part)


def _whole(part: NDArray[np.float64]) -> Array:
    """As integers, where all of them are."""
    return part.astype(np.int64) if ((part == np.rint(part)) & (np.abs(part) < _EXACT)).all() else part


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
