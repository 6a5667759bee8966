"""The samples a circuit is tuned on and judged by, with the float model's answers to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from zkinfer.circuits.data import read_samples
from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.formats import from_npz, to_npz
from zkinfer.circuits.models import evaluate
from zkinfer.circuits.scratch import private_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Arrays = Mapping[str, NDArray[np.generic]]

_MAX_TUNING, _MAX_JUDGING, _SYNTHETIC = 64, 256, 32
_ENOUGH_TO_HOLD_OUT = 4


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs and float outputs by name, [N, *shape]; `kind` is what a fidelity report calls them."""

    inputs: Arrays
    outputs: Arrays
    kind: Literal["held-out", "calibration", "synthetic"]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def one(self, index: int) -> dict[str, NDArray[np.generic]]:
        """The inputs of one sample."""
        return {name: array[index] for name, array in self.inputs.items()}


def gather(model: Path, specs: Sequence[TensorSpec], data: Path | None) -> tuple[Samples, Samples]:
    """Samples to tune on and samples to judge by: the odd ones are held out where there are enough.

    Args:
        model: the owner's ONNX file, for the float answers.
        specs: its inputs.
        data: a file for `read_samples`; None makes random numbers from a fixed seed, labelled synthetic.

    Raises:
        DataError, ModelError: the file does not fit the model, or the model gives NaN for it.
    """
    if data is None:
        samples = Samples(_synthetic(specs), {}, "synthetic")
    else:
        samples = Samples(read_samples(data, specs), {}, "calibration")
    count = len(samples)
    if count < _ENOUGH_TO_HOLD_OUT:
        tuning = judging = np.arange(count)
    else:
        tuning, judging = np.arange(0, count, 2)[:_MAX_TUNING], np.arange(1, count, 2)[:_MAX_JUDGING]
    held_out = data is not None and count >= _ENOUGH_TO_HOLD_OUT
    return (
        _answered(model, samples, tuning, samples.kind),
        _answered(model, samples, judging, "held-out" if held_out else samples.kind),
    )


def _answered(
    model: Path,
    samples: Samples,
    rows: NDArray[np.intp],
    kind: Literal["held-out", "calibration", "synthetic"],
) -> Samples:
    inputs = {name: array[rows] for name, array in samples.inputs.items()}
    with private_directory() as scratch:
        to_npz(scratch / "in.npz", inputs)
        evaluate(model, scratch / "in.npz", scratch / "out.npz")
        outputs = from_npz((scratch / "out.npz").read_bytes())
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(f"The model itself answers NaN or infinity in output {name!r} for a calibration sample.")
    return Samples(inputs, outputs, kind)


def _synthetic(specs: Sequence[TensorSpec]) -> Arrays:
    random = np.random.default_rng(20_240_229)
    return {
        spec.name: random.normal(size=(_SYNTHETIC, *spec.shape)).astype(spec.dtype)
        if spec.is_float
        else random.integers(0, 2, size=(_SYNTHETIC, *spec.shape)).astype(spec.dtype)
        for spec in specs
    }
