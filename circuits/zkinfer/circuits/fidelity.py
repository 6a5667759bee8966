"""Fidelity of a circuit to the float model, and the budget that its owner sets for it.

An error is the absolute difference of one output number. A *relative* error is divided by the largest magnitude of the
same output of the float model over all samples: 0.01 is 1 % of the output's range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.tensors import dequantise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.labels import Labels
    from zkinfer.circuits.tensors import TensorSpec

    Floats = NDArray[np.float64]

ERROR_EDGES = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""The bin edges of every histogram of relative errors, in half decades; the outer bins are open."""
MAX_WORST = 5
_MIN_RANGE = 1e-9  # the range assumed for an output that is always zero
_ROUNDING = 1e-9  # a difference of two shares is exact except for the last bits


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The shares of samples for which the float model and the circuit predict the true class in `output`."""

    output: str
    model: float
    circuit: float

    @property
    def drop(self) -> float:
        """The loss of the circuit; negative for a gain."""
        return self.model - self.circuit


@dataclass(frozen=True, slots=True)
class Worst:
    """A sample's index in the data file, from 0, its largest relative error, and whether the answers agree."""

    sample: int
    error: float
    same_answer: bool


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Agreement of circuit and float model over `samples` inferences.

    `agreement` is the share of samples for which every output of several numbers has the same argmax and every integer
    output is equal. `error_p50` to `error_max` are quantiles of the relative errors of all output numbers, and
    `histogram` counts them between the `ERROR_EDGES`. `absolute_max` is the largest difference in the output's own
    units. `worst` holds at most `MAX_WORST` samples with errors: first those that disagree, then by error. `accuracy`
    is None without labels.
    """

    samples: int
    agreement: float
    error_p50: float
    error_p90: float
    error_p99: float
    error_max: float
    absolute_max: float
    histogram: tuple[int, ...]
    worst: tuple[Worst, ...] = ()
    accuracy: Accuracy | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """The permitted loss of a circuit against the float model; all limits apply together.

    Args:
        min_agreement: lower limit of the agreement, 0..1.
        max_error: upper limit of the 99th percentile of the relative errors, 0..1.
        max_absolute_error: upper limit of the difference of any output number, in the output's own units.
        max_accuracy_drop: upper limit of the drop in accuracy, 0..1; needs labels.

    Raises:
        InputError: a share outside 0..1, or an error that is negative or not finite.
    """

    min_agreement: float = 0.99
    max_error: float = 0.05
    max_absolute_error: float | None = None
    max_accuracy_drop: float | None = None

    def __post_init__(self) -> None:
        for name in ("min_agreement", "max_error", "max_accuracy_drop"):
            _refuse_beyond(name, getattr(self, name), 1.0)
        _refuse_beyond("max_absolute_error", self.max_absolute_error, math.inf)

    def with_margin(self, samples: int) -> Budget:
        """A stricter budget for the calibration samples, so that held-out samples meet this one.

        Every permitted loss is multiplied by sqrt(samples) / (2 + sqrt(samples)): a half for 4 samples, four fifths for
        64. A limit that permits everything is kept.
        """
        share = math.sqrt(samples) / (2 + math.sqrt(samples))
        drop, absolute = self.max_accuracy_drop, self.max_absolute_error
        return Budget(
            min_agreement=1 - _scaled(share, 1 - self.min_agreement),
            max_error=_scaled(share, self.max_error),
            max_absolute_error=None if absolute is None else share * absolute,
            max_accuracy_drop=None if drop is None else _scaled(share, drop),
        )

    def met_by(self, fidelity: Fidelity) -> bool:
        """Whether every limit holds."""
        return not self.shortfall(fidelity)

    def shortfall(self, fidelity: Fidelity) -> str:
        """One sentence on all limits that are exceeded; empty if the budget is met."""
        missed = "; ".join(self._missed(fidelity))
        return f"{missed[0].upper()}{missed[1:]}." if missed else ""

    def _missed(self, found: Fidelity) -> Iterator[str]:
        if found.agreement < self.min_agreement:
            yield f"{_percent(found.agreement)} of the answers agree, and {_percent(self.min_agreement)} must"
        if found.error_p99 > self.max_error:
            error, limit = _percent(found.error_p99), _percent(self.max_error)
            yield f"the error is {error} of the range (99th percentile), and {limit} is allowed"
        if self.max_absolute_error is not None and found.absolute_max > self.max_absolute_error:
            yield f"an output differs by {found.absolute_max:.4g}, and {self.max_absolute_error:.4g} is allowed"
        if self.max_accuracy_drop is not None:
            yield from self._missed_accuracy(found.accuracy, self.max_accuracy_drop)

    def _missed_accuracy(self, accuracy: Accuracy | None, limit: float) -> Iterator[str]:
        if accuracy is None:
            yield "the accuracy is unknown without labels"
        elif accuracy.drop > limit + _ROUNDING:
            change = f"from {_percent(accuracy.model)} to {_percent(accuracy.circuit)}"
            yield f"the accuracy drops {change}, and a drop of {_percent(limit)} is allowed"


def _scaled(share: float, allowed: float) -> float:
    return share * allowed if allowed < 1 else allowed


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def _refuse_beyond(name: str, value: float | None, limit: float) -> None:
    if value is not None and not (0 <= value <= limit and math.isfinite(value)):
        allowed = "a share between 0 and 1" if limit == 1 else "a finite number, 0 or more"
        raise InputError(f"The budget's {name} must be {allowed}, not {value}.")


def measure(
    outputs: Sequence[TensorSpec],
    answers: Sequence[Sequence[Sequence[int]]],
    reference: Mapping[str, NDArray[np.generic]],
    *,
    labels: Labels | None = None,
    indices: Sequence[int] | None = None,
) -> Fidelity:
    """Compare a circuit's integers (per sample, per output) with the float model's arrays [N, *shape].

    Args:
        outputs: the circuit's outputs, in the order of the answers.
        answers: the circuit's integers, for at least one sample.
        reference: the float model's arrays, by output name.
        labels: the true classes of these samples.
        indices: the positions of the samples in the data file; None numbers them from 0.
    """
    columns = [_column(index, spec, answers, reference[spec.name]) for index, spec in enumerate(outputs)]
    agree = np.logical_and.reduce([column.same_answer() for column in columns])
    relative = np.concatenate([column.relative_errors() for column in columns], axis=1)
    p50, p90, p99 = np.quantile(relative, [0.5, 0.9, 0.99])
    return Fidelity(
        samples=len(answers),
        agreement=float(agree.mean()),
        error_p50=float(p50),
        error_p90=float(p90),
        error_p99=float(p99),
        error_max=float(relative.max()),
        absolute_max=max(float(column.errors().max()) for column in columns),
        histogram=_histogram(relative),
        worst=_worst(relative.max(axis=1), agree, range(len(answers)) if indices is None else indices),
        accuracy=None if labels is None else _accuracy(columns, labels),
    )


@dataclass(frozen=True, slots=True)
class _Column:
    """One output over all samples, [N, size], of the circuit and of the float model."""

    spec: TensorSpec
    circuit: NDArray[np.generic]
    model: NDArray[np.generic]

    def errors(self) -> Floats:
        """Absolute differences."""
        return np.abs(self.circuit.astype(np.float64) - self.model.astype(np.float64))

    def relative_errors(self) -> Floats:
        """Differences as fractions of the output's range."""
        return self.errors() / max(float(np.abs(self.model.astype(np.float64)).max()), _MIN_RANGE)

    def same_answer(self) -> NDArray[np.bool_]:
        """Agreement per sample; a single float always agrees."""
        if not self.spec.is_float:
            return np.asarray((self.circuit == self.model).all(axis=1))
        return np.asarray(self.circuit.argmax(axis=1) == self.model.argmax(axis=1))

    def accuracy(self, classes: NDArray[np.int64]) -> Accuracy:
        """The accuracy of both against these true classes."""
        shares = [float((_classes(values, self.spec) == classes).mean()) for values in (self.model, self.circuit)]
        return Accuracy(self.spec.name, *shares)


def _column(
    index: int, spec: TensorSpec, answers: Sequence[Sequence[Sequence[int]]], model: NDArray[np.generic]
) -> _Column:
    circuit = np.stack([dequantise(sample[index], spec).ravel() for sample in answers])
    return _Column(spec, circuit, model.reshape(circuit.shape))


def _classes(values: NDArray[np.generic], spec: TensorSpec) -> NDArray[np.generic]:
    return np.asarray(values.argmax(axis=1)) if spec.is_float else values[:, 0]


def _accuracy(columns: Sequence[_Column], labels: Labels) -> Accuracy:
    [column] = [column for column in columns if column.spec.name == labels.output]
    return column.accuracy(labels.classes)


def _histogram(relative: Floats) -> tuple[int, ...]:
    bins = np.searchsorted(ERROR_EDGES, relative.ravel(), side="right")
    return tuple(np.bincount(bins, minlength=len(ERROR_EDGES) + 1).tolist())


def _worst(errors: Floats, agree: NDArray[np.bool_], indices: Sequence[int]) -> tuple[Worst, ...]:
    order = np.lexsort((-errors, agree))[:MAX_WORST]
    worst = [Worst(int(indices[at]), float(errors[at]), bool(agree[at])) for at in order]
    return tuple(sample for sample in worst if sample.error > 0)
