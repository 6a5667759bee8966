"""Reading tensors from the files people have: .npz, .json and .csv.

A file is either one inference (`read_inputs`) or many (`read_samples`). Formats: .npz holds an array per tensor
name; .json an object of nested lists by name, or the form of ezkl's examples, `{"input_data": [flat list per
input]}`; .csv one inference per line, the numbers of all tensors in order, with or without a line of names on top.
"""

from __future__ import annotations

import csv
import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Array = NDArray[np.generic]

MAX_BYTES = 1 << 28
MAX_VALUES = 1 << 24


def read_inputs(path: Path, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Read one inference.

    Args:
        path: the file; its suffix names the format.
        specs: the tensors that are wanted, all of them.

    Returns:
        By name, arrays of exactly the specs' shapes and dtypes.

    Raises:
        DataError: no such file, another format, a missing or unknown name, a wrong shape or dtype, NaN.
    """
    arrays = _read(path, specs)
    return {spec.name: conform(arrays[spec.name], spec) for spec in specs}


def read_samples(path: Path, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Read N inferences: by name, arrays [N, *shape]. Raises DataError as `read_inputs` does."""
    arrays = _read(path, specs)
    stacked = {spec.name: _stack(arrays[spec.name], spec) for spec in specs}
    counts = {name: len(array) for name, array in stacked.items()}
    if len(set(counts.values())) != 1:
        raise DataError(f"{path} holds different numbers of samples for its tensors: {counts}.")
    return stacked


def conform(array: Array, spec: TensorSpec) -> Array:
    """Bring one tensor to the spec: a leading dimension of 1 may be left out, or the tensor be given flat."""
    typed = _typed(array, spec)
    acceptable = (spec.shape, spec.shape[1:] if spec.shape[:1] == (1,) else None, (spec.size,))
    if typed.shape not in acceptable:
        raise DataError(f"Input {spec.name!r} has shape {list(array.shape)}.", f"The model takes {spec.describe()}.")
    return typed.reshape(spec.shape)


def _stack(array: Array, spec: TensorSpec) -> Array:
    typed = _typed(array, spec)
    if typed.shape == spec.shape and spec.shape[:1] == (1,):
        return typed.reshape(1, *spec.shape)
    per_sample = typed.shape[1:]
    acceptable = (spec.shape, spec.shape[1:] if spec.shape[:1] == (1,) else None, (spec.size,))
    if not typed.ndim or not len(typed) or per_sample not in acceptable:
        raise DataError(
            f"Samples of {spec.name!r} have shape {list(array.shape)}.",
            f"Give [N, ...] with one {spec.describe()} per sample.",
        )
    return typed.reshape(-1, *spec.shape)


def _typed(array: Array, spec: TensorSpec) -> Array:
    kinds = {"float": "fiub", "int": "iub", "uint": "iub", "bool": "b"}
    wanted = spec.dtype.rstrip("0123456789")
    if array.dtype.kind not in kinds[wanted]:
        raise DataError(f"Input {spec.name!r} has dtype {array.dtype}.", f"The model takes {spec.describe()}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"Input {spec.name!r} holds NaN or infinity.", "Circuits take finite numbers only.")
    with np.errstate(over="ignore"):
        cast = array.astype(spec.dtype)
    if (wanted == "float" and not np.isfinite(cast).all()) or (wanted != "float" and (cast != array).any()):
        raise DataError(f"A value of input {spec.name!r} does not fit {spec.dtype}.")
    return cast


def _read(path: Path, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    readers: dict[str, Callable[[bytes, Sequence[TensorSpec]], Mapping[str, Array]]] = {
        ".npz": _read_npz,
        ".json": _read_json,
        ".csv": _read_csv,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} is of no known format.", "Give a .npz, .json or .csv file.")
    arrays = dict(reader(_bytes_of(path), specs))
    expected = ", ".join(spec.describe() for spec in specs)
    for spec in specs:
        if spec.name not in arrays:
            raise DataError(f"{path} does not hold the input {spec.name!r}.", f"The model takes {expected}.")
    unknown = sorted(set(arrays) - {spec.name for spec in specs})
    if unknown:
        raise DataError(f"{path} holds {unknown[0]!r}, which is no input.", f"The model takes {expected}.")
    return arrays


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES >> 20} MiB.")
        return path.read_bytes()
    except OSError as err:
        raise DataError(f"{path} cannot be read: {(err.strerror or 'error').lower()}.") from err


def _read_npz(data: bytes, specs: Sequence[TensorSpec]) -> Mapping[str, Array]:  # noqa: ARG001 - one signature
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise DataError(f"The arrays unpack to more than {MAX_BYTES >> 20} MiB.")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError) as err:
        raise DataError(f"The file is no .npz of plain arrays: {err}.") from err


def _read_json(data: bytes, specs: Sequence[TensorSpec]) -> Mapping[str, Array]:
    document = canonical.load(data, max_bytes=MAX_BYTES, what="input file", max_values=MAX_VALUES)
    if not isinstance(document, dict):
        raise DataError("The input file is no JSON object.", "Write {input name: nested lists of numbers}.")
    if "input_data" in document and "input_data" not in {spec.name for spec in specs}:
        flat = document["input_data"]
        if not isinstance(flat, list) or len(flat) != len(specs):
            raise DataError(f"input_data must be {len(specs)} lists, one per input.")
        document = {spec.name: values for spec, values in zip(specs, flat, strict=True)}
    return {name: _array(name, value) for name, value in document.items()}


def _array(name: str, value: Any) -> Array:  # noqa: ANN401 - any JSON value
    try:
        array = np.asarray(value)
    except ValueError as err:
        raise DataError(f"Input {name!r} is not a regular nest of lists.") from err
    if array.dtype.kind not in "fiub":
        raise DataError(f"Input {name!r} holds something other than numbers, or numbers beyond 64 bits.")
    return array


def _read_csv(data: bytes, specs: Sequence[TensorSpec]) -> Mapping[str, Array]:
    try:
        lines = [line for line in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if line]
        if lines and not _is_number(lines[0][0]):
            lines = lines[1:]
        table = np.array([[float(cell) for cell in line] for line in lines])
    except (UnicodeDecodeError, ValueError, csv.Error) as err:
        raise DataError(f"The file is no table of numbers: {err}.") from err
    width = sum(spec.size for spec in specs)
    if table.ndim != 2 or table.shape[1] != width:
        raise DataError(f"A line of the table must hold {width} numbers, the elements of all inputs in order.")
    parts = np.split(table, np.cumsum([spec.size for spec in specs])[:-1], axis=1)
    return {spec.name: _column(part, spec) for spec, part in zip(specs, parts, strict=True)}


def _column(part: NDArray[np.float64], spec: TensorSpec) -> Array:
    """A table knows floats only: whole numbers become integers where the model wants them."""
    whole = not spec.is_float and bool((part == np.rint(part)).all())
    typed: Array = part.astype(np.int64).astype(bool if spec.dtype == "bool" else np.int64) if whole else part
    return typed[0] if len(typed) == 1 else typed


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
