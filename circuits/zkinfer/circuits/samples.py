"""The samples a circuit is tuned on and judged by, with the float model's answers to them.

What judges must not have chosen. So samples alternate between the two, those that judge lose every copy of one that
tunes, and where more are given than are used, the used ones are spread over the whole file: data files are often
sorted by class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.frontend import evaluate
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.storage import private_directory
from zkinfer.circuits.tensor_files import from_npz, read_labelled_samples, read_samples, to_npz

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.labels import Labels, LabelSource
    from zkinfer.circuits.tensors import TensorSpec

    Arrays = Mapping[str, NDArray[np.generic]]
    Rows = NDArray[np.intp]
    Kind = Literal["held-out", "calibration", "synthetic"]

_MAX_TUNING, _MAX_JUDGING, _SYNTHETIC = 64, 256, 32
_ENOUGH_TO_HOLD_OUT = 4


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs and float outputs by name, [N, *shape]; `kind` is what a fidelity report calls them.

    `indices` says where each lies in the data file, counted from 0; `labels` are their true classes, if known.
    """

    inputs: Arrays
    outputs: Arrays
    kind: Kind
    indices: tuple[int, ...]
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def one(self, index: int) -> dict[str, NDArray[np.generic]]:
        """The inputs of one sample."""
        return {name: array[index] for name, array in self.inputs.items()}


def gather(
    model: Path,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    data: Path | None,
    labels: LabelSource | None = None,
    *,
    limits: Limits | None = None,
) -> tuple[Samples, Samples]:
    """Samples to tune on and samples to judge by: the odd ones are held out where there are enough.

    Args:
        model: the owner's ONNX file, for the float answers.
        inputs: its inputs.
        outputs: its outputs.
        data: a file for `read_samples`; None makes random numbers from a fixed seed, labelled synthetic.
        labels: where in `data` the true classes are; None is without.
        limits: of the child that runs the model; None takes those for parsing.

    Raises:
        DataError, ModelError: the file does not fit the model, or the model gives NaN for it.
    """
    given, known = _read(inputs, outputs, data, labels)
    tuning, judging = _split(given)
    kind: Kind = "synthetic" if data is None else "calibration"
    held_out: Kind = kind if data is None or judging is tuning else "held-out"
    within = limits or Limits.for_parsing()
    chosen = _answered(model, given, known, tuning, kind, within)
    return chosen, _answered(model, given, known, judging, held_out, within)


def _read(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], data: Path | None, source: LabelSource | None
) -> tuple[Arrays, Labels | None]:
    if data is None:
        return _synthetic(inputs), None
    if source is None:
        return read_samples(data, inputs), None
    arrays, classes = read_labelled_samples(data, inputs, source.array)
    return arrays, source.labels(classes, outputs)


def _split(arrays: Arrays) -> tuple[Rows, Rows]:
    """Rows to tune on and rows to judge by; one and the same where none can be held out."""
    rows = np.arange(len(next(iter(arrays.values()))))
    if len(rows) < _ENOUGH_TO_HOLD_OUT:
        return rows, rows
    tuning = _spread(rows[::2], _MAX_TUNING)
    seen = {_content(arrays, row) for row in tuning}
    fresh = [row for row in rows[1::2] if _content(arrays, row) not in seen]
    return (tuning, _spread(np.array(fresh), _MAX_JUDGING)) if fresh else (tuning, tuning)


def _spread(rows: Rows, most: int) -> Rows:
    """At most so many, from everywhere."""
    taken = min(len(rows), most)
    return rows[np.arange(taken) * len(rows) // taken]


def _content(arrays: Arrays, row: np.intp) -> bytes:
    return b"".join(array[row].tobytes() for array in arrays.values())


def _answered(model: Path, given: Arrays, labels: Labels | None, rows: Rows, kind: Kind, limits: Limits) -> Samples:
    inputs = {name: array[rows] for name, array in given.items()}
    with private_directory() as scratch:
        to_npz(scratch / "in.npz", inputs)
        evaluate(model, scratch / "in.npz", scratch / "out.npz", limits=limits)
        outputs = from_npz((scratch / "out.npz").read_bytes())
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(f"The model itself answers NaN or infinity in output {name!r} for a calibration sample.")
    return Samples(inputs, outputs, kind, tuple(rows.tolist()), None if labels is None else labels.of(rows))


def _synthetic(specs: Sequence[TensorSpec]) -> Arrays:
    random = np.random.default_rng(20_240_229)
    return {
        spec.name: random.normal(size=(_SYNTHETIC, *spec.shape)).astype(spec.dtype)
        if spec.is_float
        else random.integers(0, 2, size=(_SYNTHETIC, *spec.shape)).astype(spec.dtype)
        for spec in specs
    }
