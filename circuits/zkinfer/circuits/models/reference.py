"""The float answers of the original model, sample by sample. Imported in the child only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.formats import from_npz, to_npz
from zkinfer.circuits.models.foreign import Session
from zkinfer.circuits.models.graphs import DTYPES, shape_of

if TYPE_CHECKING:
    from pathlib import Path

    import onnx
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]


def answers(model: onnx.ModelProto, samples: Path, out: Path) -> None:
    """Write, for each output, an array [N, *shape] of the answers to N samples.

    Raises:
        DataError: the samples have other names, shapes or types than the model's inputs.
    """
    arrays = _fitting(from_npz(samples.read_bytes()), model)
    count = len(next(iter(arrays.values())))
    session = Session(model)
    rows = [session.run({name: array[number] for name, array in arrays.items()}) for number in range(count)]
    results = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    to_npz(out, results)


def _fitting(arrays: Arrays, model: onnx.ModelProto) -> Arrays:
    ports = {port.name: port for port in model.graph.input}
    if set(arrays) != set(ports):
        raise DataError(f"The samples are for {sorted(arrays)}, the model's inputs are {sorted(ports)}.")
    if len({len(array) if array.ndim else 0 for array in arrays.values()} - {0}) != 1 or not all(
        array.ndim and len(array) for array in arrays.values()
    ):
        raise DataError("The inputs do not have the same number of samples, at least one.")
    return {name: _fit(array, ports[name]) for name, array in arrays.items()}


def _fit(array: NDArray[Any], port: onnx.ValueInfoProto) -> NDArray[Any]:
    wanted = np.dtype(DTYPES[port.type.tensor_type.elem_type])
    shape = shape_of(port) or ()
    sizes = array.shape[1:]
    if len(shape) != len(sizes) or any(isinstance(a, int) and a != b for a, b in zip(shape, sizes, strict=True)):
        raise DataError(f"Samples of {port.name!r} have shape {list(sizes)}, not {list(shape)}.")
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        raise DataError(f"Samples of {port.name!r} are {array.dtype}, not {wanted}.")
    return array.astype(wanted)
