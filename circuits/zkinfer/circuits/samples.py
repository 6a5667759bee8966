"""Calibration and held-out samples, with the float model's outputs for them and their true classes, if known.

Samples alternate between the two sets, and the held-out set contains no copy of a calibration sample. If the file has
more samples than are used, the used ones are spread over the whole file: data files are often sorted by class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from zkinfer.circuits.errors import DataError, ModelError
from zkinfer.circuits.frontend import evaluate, first_bad_index
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.storage import private_directory
from zkinfer.circuits.tensor_files import from_npz, read_labelled_samples, read_samples, to_npz
from zkinfer.circuits.tensors import describe_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Arrays = Mapping[str, NDArray[np.generic]]
    Rows = NDArray[np.intp]
    Kind = Literal["held-out", "calibration", "synthetic"]


@dataclass(frozen=True, slots=True)
class Labels:
    """The true class of each sample, [N], and the name of the classifying output.

    An output of several floats predicts the index of its largest number, from 0; an integer output predicts its value.
    """

    output: str
    classes: NDArray[np.int64]

    def of(self, rows: NDArray[np.intp]) -> Labels:
        """The labels of a subset of samples."""
        return Labels(self.output, self.classes[rows])


@dataclass(frozen=True, slots=True)
class LabelSource:
    """The array of the data file with the labels, and the output they refer to; None selects one automatically."""

    array: str
    output: str | None = None

    @classmethod
    def parse(cls, text: str) -> LabelSource:
        """Parse `NAME` or `NAME=OUTPUT`; raises DataError for an empty name."""
        array, equals, output = text.partition("=")
        if not array or (equals and not output):
            raise DataError(f"{text!r} does not name labels.", "Write NAME, or NAME=OUTPUT.")
        return cls(array, output or None)

    def labels(self, array: NDArray[np.generic], outputs: Sequence[TensorSpec]) -> Labels:
        """Convert an array of the file after checking it against the model.

        Raises:
            DataError: the array does not hold one class of the model per sample, or as `classifying_output`.
        """
        spec = classifying_output(outputs, self.output)
        classes = self._integers(array)
        if spec.is_float:
            self._refuse_beyond(classes, spec)
        return Labels(spec.name, classes)

    def _integers(self, array: NDArray[np.generic]) -> NDArray[np.int64]:
        flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
        if flat.ndim != 1:
            raise DataError(f"Labels {self.array!r} have shape {list(array.shape)}.", "Give one class per sample, [N].")
        if flat.dtype.kind not in "iub":
            raise DataError(f"Labels {self.array!r} have dtype {array.dtype}.", "Give classes as integers.")
        classes = flat.astype(np.int64)
        if (classes != flat).any():
            raise DataError(f"A label of {self.array!r} exceeds 64 bits.", "Give classes as small integers.")
        return classes

    def _refuse_beyond(self, classes: NDArray[np.int64], spec: TensorSpec) -> None:
        wrong = np.flatnonzero((classes < 0) | (classes >= spec.size))
        if wrong.size:
            raise DataError(
                f"Label {classes[wrong[0]]} of sample {wrong[0]} is not a class of output {spec.name!r}.",
                f"Its classes range from 0 to {spec.size - 1}.",
            )


def classifying_output(outputs: Sequence[TensorSpec], name: str | None = None) -> TensorSpec:
    """The output that labels are compared with.

    Args:
        outputs: the outputs of the model.
        name: the output's name; None selects the first integer output of one number, else the first float output that
            is a vector.

    Raises:
        DataError: there is no such output, or it does not classify.
    """
    if name is None:
        found = [spec for spec in outputs if _is_class(spec)] or [spec for spec in outputs if _is_scores(spec)]
        if not found:
            raise _no_class(outputs)
        return found[0]
    named = [spec for spec in outputs if spec.name == name]
    if not named:
        known = describe_all(outputs)
        raise DataError(f"The model has no output {name!r} to compare labels with.", f"It has {known}.")
    if not (_is_class(named[0]) or _is_scores(named[0])):
        raise _no_class(named)
    return named[0]


def _is_class(spec: TensorSpec) -> bool:
    return not spec.is_float and spec.size == 1


def _is_scores(spec: TensorSpec) -> bool:
    return spec.is_float and spec.size > 1 and spec.size == max(spec.shape)


def _no_class(outputs: Sequence[TensorSpec]) -> DataError:
    """A single float gives a class only with a threshold: 0 for a logit, 0.5 for a probability."""
    found = describe_all(outputs)
    if any(spec.is_float and spec.size == 1 for spec in outputs):
        return DataError(
            f"A single number gives a class only with a threshold, which the model does not contain: {found}.",
            "End the model with a comparison or with one number per class, or use --max-absolute-error.",
        )
    return DataError(
        f"No output classifies: {found}.", "Labels need an output of one integer, or of one number per class."
    )


_MAX_CALIBRATION, _MAX_HELD_OUT, _SYNTHETIC = 64, 256, 32
_MIN_TO_HOLD_OUT = 4
_SYNTHETIC_CURE = "Give real inputs with --calibration: these were random numbers, and masks of 0 and 1 may hide all."


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs and float outputs by name, [N, *shape]; `kind` is their name in a fidelity report.

    `indices` are the positions in the data file, from 0; `labels` are the true classes, if known.
    """

    inputs: Arrays
    outputs: Arrays
    kind: Kind
    indices: tuple[int, ...]
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def sample(self, index: int) -> dict[str, NDArray[np.generic]]:
        """The inputs of one sample."""
        return {name: array[index] for name, array in self.inputs.items()}


def load_samples(
    model: Path,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    data: Path | None,
    labels: LabelSource | None = None,
    *,
    network: Path | None = None,
    limits: Limits | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[Samples, Samples]:
    """Read the calibration and the held-out samples: odd samples are held out, if there are enough.

    Args:
        model: the owner's ONNX file, which computes the float outputs.
        inputs: its inputs.
        outputs: its outputs.
        data: a file for `read_samples`; None generates random numbers from a fixed seed, labelled synthetic.
        labels: the source of the true classes in `data`; None for samples without labels.
        network: the model's normal form, to compare indices with the sizes of their tables; None to skip that.
        limits: limits of the child that runs the model; by default those for parsing.
        note: see `zkinfer.circuits.tensor_files.read_inputs`.

    Returns:
        The calibration samples and the held-out samples, which are the same if none can be held out.

    Raises:
        DataError: the file does not match the model, or a sample has an index outside of its table.
        ModelError: the model fails, or returns NaN or infinity for a sample.
    """
    given, known = _read(inputs, outputs, data, labels, note)
    calibration, held_out = _split(given)
    kind: Kind = "synthetic" if data is None else "calibration"
    held_out_kind: Kind = kind if data is None or held_out is calibration else "held-out"
    within = limits or Limits.for_parsing()
    if network is not None and not all(spec.is_float for spec in inputs):
        _refuse_bad_indices(network, given, np.union1d(calibration, held_out), within)
    first = _with_outputs(model, given, known, calibration, kind, within)
    return first, _with_outputs(model, given, known, held_out, held_out_kind, within)


def _read(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    data: Path | None,
    source: LabelSource | None,
    note: Callable[[str], None],
) -> tuple[Arrays, Labels | None]:
    if data is None:
        return _synthetic(inputs), None
    if source is None:
        return read_samples(data, inputs, note), None
    arrays, classes = read_labelled_samples(data, inputs, source.array, note)
    return arrays, source.labels(classes, outputs)


def _split(arrays: Arrays) -> tuple[Rows, Rows]:
    """Calibration rows and held-out rows; the same rows if none can be held out."""
    rows = np.arange(len(next(iter(arrays.values()))))
    if len(rows) < _MIN_TO_HOLD_OUT:
        return rows, rows
    calibration = _spread(rows[::2], _MAX_CALIBRATION)
    seen = {_content(arrays, row) for row in calibration}
    fresh = [row for row in rows[1::2] if _content(arrays, row) not in seen]
    return (calibration, _spread(np.array(fresh), _MAX_HELD_OUT)) if fresh else (calibration, calibration)


def _spread(rows: Rows, limit: int) -> Rows:
    """At most `limit` rows, evenly spaced."""
    count = min(len(rows), limit)
    return rows[np.arange(count) * len(rows) // count]


def _content(arrays: Arrays, row: np.intp) -> bytes:
    return b"".join(array[row].tobytes() for array in arrays.values())


def _with_outputs(model: Path, given: Arrays, labels: Labels | None, rows: Rows, kind: Kind, limits: Limits) -> Samples:
    inputs = {name: array[rows] for name, array in given.items()}
    with private_directory() as scratch:
        to_npz(scratch / "in.npz", inputs)
        evaluate(model, scratch / "in.npz", scratch / "out.npz", limits=limits)
        outputs = from_npz((scratch / "out.npz").read_bytes())
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(
                f"Output {name!r} of the float model is NaN or infinite for a calibration sample.",
                _SYNTHETIC_CURE if kind == "synthetic" else "Remove such samples, or correct the model.",
            )
    return Samples(inputs, outputs, kind, tuple(rows.tolist()), None if labels is None else labels.of(rows))


def _refuse_bad_indices(network: Path, given: Arrays, rows: Rows, limits: Limits) -> None:
    with private_directory() as scratch:
        to_npz(scratch / "in.npz", {name: array[rows] for name, array in given.items()})
        found = first_bad_index(network, scratch / "in.npz", limits=limits)
    if found is not None:
        number, cause, cure = found
        raise DataError(f"Sample {rows[number]}: {cause}", cure)


def _synthetic(specs: Sequence[TensorSpec]) -> Arrays:
    random = np.random.default_rng(20_240_229)
    return {
        spec.name: random.normal(size=(_SYNTHETIC, *spec.shape)).astype(spec.dtype)
        if spec.is_float
        else random.integers(0, 2, size=(_SYNTHETIC, *spec.shape)).astype(spec.dtype)
        for spec in specs
    }
