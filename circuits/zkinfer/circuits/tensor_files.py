"""Read tensors from .npz, .json and .csv files.

A file holds one inference (`read_inputs`) or several (`read_samples`), optionally with labels. Formats: .npz has one
array per tensor name; .json has an object of nested lists by name, or the form of ezkl's examples, `{"input_data":
[flat list per input]}`; .csv has one inference per line, with columns by name (see `tables`). Where a file says more or
less than the names of the inputs, `note` receives a sentence on how it was read.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import DataError, JsonError, why
from zkinfer.circuits.tables import feature_names, from_csv
from zkinfer.circuits.tensors import TensorSpec, describe_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.generic]
    Note = Callable[[str], None]


MAX_BYTES = 1 << 28
MAX_VALUES = 1 << 24
_BESIDE_INPUT_DATA = frozenset({"input_data", "input_shapes", "output_data", "output_shapes"})  # of ezkl's examples
_UNREADABLE = (ValueError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error)


def _silent(_: str) -> None:
    pass


def read_inputs(
    path: Path, specs: Sequence[TensorSpec], note: Note = _silent, features: Sequence[str] = ()
) -> dict[str, Array]:
    """Read one inference.

    Args:
        path: the file; its suffix determines the format.
        specs: all tensors of the inference.
        note: receives a sentence on how the numbers were matched, unless they have the names of the tensors.
        features: names of the columns of a table, from `read_feature_names` of the calibration samples.

    Returns:
        Arrays by name, with exactly the shapes and dtypes of the specs.

    Raises:
        DataError: no such file, unknown format, a missing, unknown or repeated name, a wrong shape or dtype, NaN.
    """
    arrays = _read(path, specs, None, note, features)
    if path.suffix.lower() == ".csv":  # a table of one line is one inference
        arrays = {name: array[0] if len(array) == 1 else array for name, array in arrays.items()}
    return {spec.name: conform(arrays[spec.name], spec) for spec in specs}


def read_samples(path: Path, specs: Sequence[TensorSpec], note: Note = _silent) -> dict[str, Array]:
    """Read N inferences as arrays [N, *shape] by name; arguments and errors as `read_inputs`."""
    return _stacked(path, _read(path, specs, None, note), specs)


def read_labelled_samples(
    path: Path, specs: Sequence[TensorSpec], label: str, note: Note = _silent
) -> tuple[dict[str, Array], Array]:
    """Read N inferences, and the unconverted array (in a .csv: the column) named `label`, with one entry per sample.

    Raises DataError as `read_inputs` does, and if the labels are missing, not one per sample, or an input of the model.
    """
    if label in {spec.name for spec in specs}:
        raise DataError(f"{label!r} is an input of the model.", "Give labels as a separate array.")
    arrays = _read(path, specs, label, note)
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
        return from_json(_bytes_of(path), [TensorSpec(name=name, dtype="float32", shape=()) for name in names])[0]
    raise DataError(
        f"The format of {path} does not contain the shapes of tensors.", "Give a .npz or .json file, or the shapes too."
    )


def read_feature_names(path: Path, specs: Sequence[TensorSpec], label: str | None = None) -> tuple[str, ...]:
    """The columns of a valid file of samples that name features of a single input; empty but for such a table."""
    return feature_names(_bytes_of(path), specs, label) if path.suffix.lower() == ".csv" else ()


def conform(array: Array, spec: TensorSpec) -> Array:
    """Convert one tensor to shape and dtype of the spec: the rule for the inputs of every command, call and library.

    See `in_shape` for the shapes. Any number type is accepted for floats and any integer type for integers, if the
    values are finite and in the range of the dtype.
    """
    return in_shape(_typed(array, spec), spec)


def in_shape(array: Array, spec: TensorSpec) -> Array:
    """Convert one tensor to the shape of the spec; raises DataError if it does not fit.

    A leading dimension of 1 may be omitted, the tensor may be flat, and a single number may have any rank.
    """
    if not _fits(array.shape, spec):
        raise DataError(f"Input {spec.name!r} has shape {list(array.shape)}.", f"The model takes {spec.describe()}.")
    return array.reshape(spec.shape)


def to_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz file; unlike numpy's own function, it accepts every name."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def from_npz(data: bytes, file: str = "The file") -> dict[str, Array]:
    """The arrays of an .npz file.

    Raises:
        DataError: two arrays of one name, a pickle, other content, or an array that misstates its size.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise DataError(f"The arrays of {file} unpack to more than {MAX_BYTES >> 20} MiB.")
            members = archive.namelist()
            names = [member.removesuffix(".npy") for member in members]
            if len(set(names)) < len(names):
                repeated = next(name for name, count in Counter(names).items() if count > 1)
                raise DataError(f"{file} holds two arrays named {repeated!r:.80}.", "Remove or rename one of them.")
            return {name: _member(archive.read(member)) for name, member in zip(names, members, strict=True)}
    except _UNREADABLE as err:
        raise DataError(f"{file} is not an .npz of plain arrays: {err}.", "Write it with numpy.savez.") from err


def from_json(
    data: bytes, specs: Sequence[TensorSpec], label: str | None = None, file: str = "The file"
) -> tuple[dict[str, Array], str]:
    """Arrays from nested lists by name, or from ezkl's `{"input_data": [flat list per input]}`; raises DataError.

    The second form has no names: the sentence that is returned says which input each list was taken for.
    """
    try:
        document = canonical.load(data, max_bytes=MAX_BYTES, what="input file", max_values=MAX_VALUES)
    except JsonError as err:
        raise DataError(err.cause, err.cure) from err
    if not isinstance(document, dict):
        raise DataError(f"{file} is not a JSON object.", "Write {input name: nested lists of numbers}.")
    if "input_data" not in document or "input_data" in {spec.name for spec in specs}:
        return {name: _array(name, value) for name, value in document.items()}, ""
    lists = document["input_data"]
    if not isinstance(lists, list) or len(lists) != len(specs):
        raise DataError(
            f"{file}: input_data is not a list of {len(specs)} lists.",
            f"Give one flat list per input: {describe_all(specs)}.",
        )
    if other := sorted(set(document) - _BESIDE_INPUT_DATA - {label}):
        raise DataError(
            f"{file} holds {other[0]!r:.80} beside input_data.", "Write either input_data or all inputs by name."
        )
    named = {spec.name: _array(spec.name, values) for spec, values in zip(specs, lists, strict=True)}
    beside = {label: _array(label, document[label])} if label is not None and label in document else {}
    return beside | named, f"{file}: the lists of input_data are read by position as {', '.join(named)}." * (
        len(named) > 1
    )


def _read(
    path: Path, specs: Sequence[TensorSpec], label: str | None, note: Note, features: Sequence[str] = ()
) -> dict[str, Array]:
    readers: dict[str, Callable[[bytes], tuple[dict[str, Array], str]]] = {
        ".npz": lambda data: (from_npz(data, str(path)), ""),
        ".json": lambda data: from_json(data, specs, label, str(path)),
        ".csv": lambda data: from_csv(data, specs, label, str(path), features),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"The format of {path} is unknown.", "Give a .npz, .json or .csv file.")
    arrays, said = reader(_bytes_of(path))
    _refuse_other_names(path, arrays, specs, label)
    if said:
        note(said)
    return arrays


def _refuse_other_names(
    path: Path, arrays: Mapping[str, Array], specs: Sequence[TensorSpec], label: str | None
) -> None:
    expected = f"The model takes {describe_all(specs)}"
    unknown = sorted(set(arrays) - {spec.name for spec in specs} - {label})
    for spec in specs:
        if spec.name not in arrays:
            raise DataError(f"{path} lacks the input {spec.name!r}.", expected + _instead(unknown))
    if label is not None and label not in arrays:
        raise DataError(f"{path} lacks the labels {label!r}.", _where_labels_are(path, arrays))
    if unknown:
        raise DataError(f"{path} holds {unknown[0]!r:.80}, which is not an input.", f"{expected}.")


def _instead(unknown: Sequence[str]) -> str:
    """What a file holds instead of an input; numpy calls arrays arr_0, arr_1, ... that were given no names."""
    if not unknown:
        return "."
    named = f"; the file holds {unknown[0]!r:.80}."
    return named + " Write numpy.savez(FILE, NAME=array)." * unknown[0].startswith("arr_")


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
    if spec.size == 1 and not typed.ndim:
        return typed.reshape(1, *spec.shape)
    if not typed.ndim or not len(typed) or not _fits(typed.shape[1:], spec):
        raise DataError(
            f"Samples of {spec.name!r} have shape {list(array.shape)}.",
            f"Give [N, ...] with one {spec.describe()} per sample.",
        )
    return typed.reshape(-1, *spec.shape)


def _fits(shape: tuple[int, ...], spec: TensorSpec) -> bool:
    """Whether it is the shape of the spec, without a leading dimension of 1, or flat; a single number has any rank."""
    if spec.size == 1:
        return math.prod(shape) == 1
    return shape in (spec.shape, (spec.size,)) or (1, *shape) == spec.shape


def _typed(array: Array, spec: TensorSpec) -> Array:
    kinds = {"float": "fiub", "int": "iub", "uint": "iub", "bool": "b"}
    kind = spec.dtype.rstrip("0123456789")
    if array.dtype.kind not in kinds[kind]:
        raise DataError(f"Input {spec.name!r} has dtype {array.dtype}.", f"The model takes {spec.describe()}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = _first(array, ~np.isfinite(array))
        raise DataError(f"Input {spec.name!r} holds NaN or infinity: {where}.", "Circuits support finite numbers only.")
    with np.errstate(over="ignore"):
        cast = array.astype(spec.dtype)
    beyond = ~np.isfinite(cast) if kind == "float" else cast != array
    if beyond.any():
        raise DataError(
            f"A value of input {spec.name!r} exceeds the range of {spec.dtype}: {_first(array, beyond)}.",
            f"The model takes {_range_of(spec)}.",
        )
    return cast


def _first(array: Array, marked: NDArray[np.bool_]) -> str:
    """The first marked element, for messages: `300 at element [0, 2]`."""
    at = np.argwhere(marked)[0].tolist()
    return f"{array[tuple(at)]} at element {at}"


def _range_of(spec: TensorSpec) -> str:
    if not spec.is_float:
        low, high = spec.integer_range
        return f"{spec.name} {spec.dtype} from {low} to {high}"
    limits = np.finfo(spec.dtype)
    return f"{spec.name} {spec.dtype} from {limits.min} to {limits.max}"


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
