"""Read tensors from .npz, .json and .csv files.

A file holds one inference (`read_inputs`) or several (`read_samples`), optionally with labels. Formats: .npz has one
array per tensor name; .json has an object of nested lists by name, or the form of ezkl's examples, `{"input_data":
[flat list per input]}`; .csv has one inference per line, the numbers of all tensors in order, and an optional header.
"""

from __future__ import annotations

import csv
import io
import math
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import DataError, JsonError, why
from zkinfer.circuits.tensors import TensorSpec, describe_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.generic]


MAX_BYTES = 1 << 28
MAX_VALUES = 1 << 24
_EXACT = 1 << 53  # a float64 represents every integer below this
_UNREADABLE = (ValueError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error)


def read_inputs(path: Path, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Read one inference.

    Args:
        path: the file; its suffix determines the format.
        specs: all tensors of the inference.

    Returns:
        Arrays by name, with exactly the shapes and dtypes of the specs.

    Raises:
        DataError: no such file, unknown format, a missing or unknown name, a wrong shape or dtype, NaN.
    """
    arrays = _read(path, specs)
    if path.suffix.lower() == ".csv":  # a table of one line is one inference
        arrays = {name: array[0] if len(array) == 1 else array for name, array in arrays.items()}
    return {spec.name: conform(arrays[spec.name], spec) for spec in specs}


def read_samples(path: Path, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Read N inferences as arrays [N, *shape] by name; raises DataError as `read_inputs` does."""
    return _stacked(path, _read(path, specs), specs)


def read_labelled_samples(path: Path, specs: Sequence[TensorSpec], label: str) -> tuple[dict[str, Array], Array]:
    """Read N inferences, and the unconverted array (in a .csv: the column) named `label`, with one entry per sample.

    Raises DataError as `read_inputs` does, and if the labels are missing, not one per sample, or an input of the model.
    """
    if label in {spec.name for spec in specs}:
        raise DataError(f"{label!r} is an input of the model.", "Give labels as a separate array.")
    arrays = _read(path, specs, label)
    samples, labels = _stacked(path, arrays, specs), arrays[label]
    count = len(next(iter(samples.values())))
    if labels.shape[:1] != (count,):
        raise DataError(
            f"{path} holds {count} samples but labels {label!r} of shape {list(labels.shape)}.",
            "Give one class per sample.",
        )
    return samples, labels


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """Read the arrays of an .npz or .json file with the shapes in the file.

    Args:
        path: the file; its suffix determines the format. A .csv has no shapes: use `read_inputs`.
        names: the tensor names, for a file in ezkl's form, which has none.

    Raises:
        DataError: no such file, or a different format.
    """
    if path.suffix.lower() == ".npz":
        return from_npz(_bytes_of(path))
    if path.suffix.lower() == ".json":
        return from_json(_bytes_of(path), [TensorSpec(name=name, dtype="float32", shape=()) for name in names])
    raise DataError(
        f"The format of {path} does not contain the shapes of tensors.", "Give a .npz or .json file, or the shapes too."
    )


def conform(array: Array, spec: TensorSpec) -> Array:
    """Convert one tensor to the spec: a leading dimension of 1 may be omitted, or the tensor may be flat."""
    typed = _typed(array, spec)
    if typed.shape not in _shapes(spec):
        raise DataError(f"Input {spec.name!r} has shape {list(array.shape)}.", f"The model takes {spec.describe()}.")
    return typed.reshape(spec.shape)


def to_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz file; unlike numpy's own function, it accepts every name."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def from_npz(data: bytes) -> dict[str, Array]:
    """The arrays of an .npz file; raises DataError for pickles, other content, and arrays that misstate their size."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise DataError(f"The arrays unpack to more than {MAX_BYTES >> 20} MiB.")
            return {name.removesuffix(".npy"): _member(archive.read(name)) for name in archive.namelist()}
    except _UNREADABLE as err:
        raise DataError(f"The file is not an .npz of plain arrays: {err}.", "Write it with numpy.savez.") from err


def from_json(data: bytes, specs: Sequence[TensorSpec], label: str | None = None) -> dict[str, Array]:
    """Arrays from nested lists by name, or from ezkl's `{"input_data": [flat list per input]}`; raises DataError.

    If `input_data` is present, other keys except `label` are ignored.
    """
    try:
        document = canonical.load(data, max_bytes=MAX_BYTES, what="input file", max_values=MAX_VALUES)
    except JsonError as err:
        raise DataError(err.cause, err.cure) from err
    if not isinstance(document, dict):
        raise DataError("The input file is not a JSON object.", "Write {input name: nested lists of numbers}.")
    if "input_data" in document and "input_data" not in {spec.name for spec in specs}:
        flat = document["input_data"]
        if not isinstance(flat, list) or len(flat) != len(specs):
            raise DataError(f"input_data is not a list of {len(specs)} lists.", "Give one flat list per input.")
        labels = {label: document[label]} if label in document else {}
        document = labels | {spec.name: values for spec, values in zip(specs, flat, strict=True)}
    return {name: _array(name, value) for name, value in document.items()}


def from_csv(data: bytes, specs: Sequence[TensorSpec], label: str | None = None) -> dict[str, Array]:
    """One sample per line, [N, elements] by name; raises DataError.

    A header is optional unless a column holds labels; the label column may be at any position.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if line]
        names = _names(lines, label)
        table = np.array([[float(cell) for cell in line] for line in (lines[1:] if names else lines)])
    except (UnicodeDecodeError, ValueError, csv.Error) as err:
        raise DataError(f"The file is not a table of numbers: {err}.", "Give one inference per line.") from err
    width, label_columns = sum(spec.size for spec in specs), names.count(label)
    if table.ndim != 2 or table.shape[1] != width + label_columns:
        raise DataError(
            "A line of the table has a wrong number of columns.",
            f"Give {width} numbers per line: the elements of all inputs in order.",
        )
    if label is None or not label_columns:
        return _split(table, specs)
    at = names.index(label)
    return {label: _whole(table[:, at])} | _split(np.delete(table, at, axis=1), specs)


def _read(path: Path, specs: Sequence[TensorSpec], label: str | None = None) -> dict[str, Array]:
    readers: dict[str, Callable[[bytes], dict[str, Array]]] = {
        ".npz": from_npz,
        ".json": lambda data: from_json(data, specs, label),
        ".csv": lambda data: from_csv(data, specs, label),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"The format of {path} is unknown.", "Give a .npz, .json or .csv file.")
    arrays = reader(_bytes_of(path))
    _refuse_other_names(path, arrays, specs, label)
    return arrays


def _refuse_other_names(
    path: Path, arrays: Mapping[str, Array], specs: Sequence[TensorSpec], label: str | None
) -> None:
    expected = describe_all(specs)
    for spec in specs:
        if spec.name not in arrays:
            raise DataError(f"{path} lacks the input {spec.name!r}.", f"The model takes {expected}.")
    if label is not None and label not in arrays:
        raise DataError(f"{path} lacks the labels {label!r}.", _where_labels_are(path, arrays))
    unknown = sorted(set(arrays) - {spec.name for spec in specs} - {label})
    if unknown:
        raise DataError(f"{path} holds {unknown[0]!r}, which is not an input.", f"The model takes {expected}.")


def _where_labels_are(path: Path, arrays: Mapping[str, Array]) -> str:
    if path.suffix.lower() == ".csv":
        return "The file needs a header with a column of that name."
    return f"It holds {', '.join(map(repr, sorted(arrays)))}."


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES >> 20} MiB.", "Give fewer samples.")
        return path.read_bytes()
    except OSError as err:
        raise DataError(f"{path} cannot be read: {why(err)}.") from err


def _stacked(path: Path, arrays: Mapping[str, Array], specs: Sequence[TensorSpec]) -> dict[str, Array]:
    stacked = {spec.name: _stack(arrays[spec.name], spec) for spec in specs}
    counts = {name: len(array) for name, array in stacked.items()}
    if len(set(counts.values())) != 1:
        raise DataError(
            f"{path} holds different numbers of samples for its tensors: {counts}.", "Give one entry per sample."
        )
    return stacked


def _stack(array: Array, spec: TensorSpec) -> Array:
    typed = _typed(array, spec)
    is_one_sample = typed.shape == spec.shape and spec.shape[:1] == (1,)
    if is_one_sample or (typed.shape == (spec.size,) and spec.size > 1):  # the latter is one flat sample
        return typed.reshape(1, *spec.shape)
    if not typed.ndim or not len(typed) or typed.shape[1:] not in _shapes(spec):
        raise DataError(
            f"Samples of {spec.name!r} have shape {list(array.shape)}.",
            f"Give [N, ...] with one {spec.describe()} per sample.",
        )
    return typed.reshape(-1, *spec.shape)


def _shapes(spec: TensorSpec) -> set[tuple[int, ...]]:
    """The accepted shapes: that of the spec, without a leading dimension of 1, or flat."""
    bare = {spec.shape[1:]} if spec.shape[:1] == (1,) else set()
    return {spec.shape, (spec.size,), *bare}


def _typed(array: Array, spec: TensorSpec) -> Array:
    kinds = {"float": "fiub", "int": "iub", "uint": "iub", "bool": "b"}
    kind = spec.dtype.rstrip("0123456789")
    if array.dtype.kind not in kinds[kind]:
        raise DataError(f"Input {spec.name!r} has dtype {array.dtype}.", f"The model takes {spec.describe()}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"Input {spec.name!r} holds NaN or infinity.", "Circuits support finite numbers only.")
    with np.errstate(over="ignore"):
        cast = array.astype(spec.dtype)
    if (kind == "float" and not np.isfinite(cast).all()) or (kind != "float" and (cast != array).any()):
        raise DataError(f"A value of input {spec.name!r} exceeds the range of {spec.dtype}.", "Check its values.")
    return cast


def _member(data: bytes) -> Array:
    """Decode one array; the declared size must match the data before memory is allocated."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("Object arrays are pickles")
    if math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError("an array does not have the size that it declares")
    array: Array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def _array(name: str, value: Any) -> Array:  # noqa: ANN401 - any JSON value
    try:
        array = np.asarray(value)
    except ValueError as err:
        raise DataError(f"Input {name!r} has lists of different lengths.", "Give regular nested lists.") from err
    if array.dtype.kind not in "fiub":
        raise DataError(f"Input {name!r} holds values that are not numbers of at most 64 bits.", "Give numbers only.")
    return array


def _names(lines: Sequence[list[str]], label: str | None) -> list[str | None]:
    """The header, or an empty list: a header contains no number, or contains the name of the labels."""
    if not lines:
        return []
    first: list[str | None] = [cell.strip() for cell in lines[0]]
    if first.count(label) > 1:
        raise DataError(f"The table has two columns named {label!r}.", "Rename one of them.")
    return first if label in first or not any(_is_number(cell) for cell in lines[0]) else []


def _split(table: NDArray[np.float64], specs: Sequence[TensorSpec]) -> dict[str, Array]:
    parts = np.split(table, np.cumsum([spec.size for spec in specs])[:-1], axis=1)
    return {spec.name: _column(part, spec) for spec, part in zip(specs, parts, strict=True)}


def _column(part: NDArray[np.float64], spec: TensorSpec) -> Array:
    """Tables hold floats: convert whole numbers to integers, and 0 and 1 to booleans, as the model requires."""
    if spec.dtype == "bool" and np.isin(part, (0.0, 1.0)).all():
        return part.astype(bool)
    return part if spec.is_float or spec.dtype == "bool" else _whole(part)


def _whole(part: NDArray[np.float64]) -> Array:
    """Convert to integers if all numbers are whole."""
    return part.astype(np.int64) if ((part == np.rint(part)) & (np.abs(part) < _EXACT)).all() else part


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
