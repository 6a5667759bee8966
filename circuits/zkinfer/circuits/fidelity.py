"""How close a circuit's answers are to the float model's: measured on given samples, with the count attached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.tensors import dequantise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Agreement of circuit and float model over `samples` inferences.

    `agreement` is the share of samples in which every output of several numbers has its largest number at the
    same place, and every integer output is equal. `error_p50`, `error_p99` and `error_max` are quantiles of the
    absolute difference, relative to the largest magnitude of the float output over all samples.
    """

    samples: int
    agreement: float
    error_p50: float
    error_p99: float
    error_max: float


def measure(
    outputs: Sequence[TensorSpec],
    answers: Sequence[Sequence[Sequence[int]]],
    reference: Mapping[str, NDArray[np.generic]],
) -> Fidelity:
    """Compare a circuit's integers (per sample, per output) with the float model's arrays [N, *shape]."""
    agree = np.ones(len(answers), dtype=bool)
    errors = []
    for place, spec in enumerate(outputs):
        circuit = np.stack([dequantise(sample[place], spec).ravel() for sample in answers]).astype(np.float64)
        wanted = reference[spec.name].reshape(circuit.shape).astype(np.float64)
        agree &= _same_answer(circuit, wanted, spec)
        errors.append(np.abs(circuit - wanted) / max(float(np.abs(wanted).max()), 1e-9))
    flat = np.concatenate([error.ravel() for error in errors])
    p50, p99 = np.quantile(flat, [0.5, 0.99])
    return Fidelity(len(answers), float(agree.mean()), float(p50), float(p99), float(flat.max()))


def _same_answer(circuit: NDArray[np.float64], wanted: NDArray[np.float64], spec: TensorSpec) -> NDArray[np.bool_]:
    if not spec.is_float:
        return np.asarray((circuit == wanted).all(axis=1))
    if spec.size == 1:
        return np.ones(len(circuit), dtype=bool)
    return np.asarray(circuit.argmax(axis=1) == wanted.argmax(axis=1))
