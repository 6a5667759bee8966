"""Fidelity of a circuit to the float model, and the budget that its owner sets for it.

An error is the absolute difference of one output number. A *relative* error is divided by the range of the float
model's numbers in the same column of the same output over all samples: 0.01 is 1 % of the column's range. A column is
an index of the last axis. docs/concepts/fidelity.md gives the reasons.
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

    from zkinfer.circuits.samples import Labels
    from zkinfer.circuits.tensors import TensorSpec

    Floats = NDArray[np.float64]

ERROR_EDGES = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""The bin edges of every histogram of relative errors, in half decades; the outer bins are open."""
MAX_WORST = 5
_ROUNDING = 1e-9  # a difference of two shares is exact except for the last bits
_NOISE = 2.0**-23  # float32's precision; a model in float64 is judged no more strictly, since no circuit is as exact
_ROUNDINGS = 16  # a column whose numbers differ by fewer roundings of the float model is constant
_FEW_NUMBERS = 8  # so few numbers may be alike by chance
_ZERO_STEPS = 64  # the range of outputs that are always zero, in steps of their scale


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
class Column:
    """The errors of one column of a float output: of all numbers with this index in the last axis.

    `low` and `high` are the float model's extremes. Errors are divided by `unit`: the column's range, or what stands
    for it if the float model's numbers are constant or zero. `single` says that the output has no other column.
    """

    output: str
    index: int
    single: bool
    low: float
    high: float
    unit: float
    error_p99: float
    error_max: float
    absolute_max: float

    @property
    def name(self) -> str:
        """For messages: `column 3 of output 'y'`."""
        return f"output {self.output!r}" if self.single else f"column {self.index} of output {self.output!r}"


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Agreement of circuit and float model over `samples` inferences.

    `agreement` is the share of samples for which every output of several numbers has the same argmax and every integer
    output is equal. `error_p50` to `error_max` are quantiles of the relative errors of all output numbers, and
    `histogram` counts them between the `ERROR_EDGES`. `absolute_max` is the largest difference in the output's own
    units. `worst` holds at most `MAX_WORST` samples with errors: first those that disagree, then by error. `accuracy`
    is None without labels. `columns` are the at most `MAX_WORST` columns of float outputs with the largest errors (99th
    percentile), worst first.
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
    columns: tuple[Column, ...] = ()

    @property
    def decisive_error(self) -> float:
        """The error that a budget limits: the 99th percentile of the worst column, or of all numbers if larger."""
        return max([self.error_p99, *(column.error_p99 for column in self.columns)])


@dataclass(frozen=True, slots=True)
class Budget:
    """The permitted loss of a circuit against the float model; all limits apply together.

    Args:
        min_agreement: lower limit of the agreement, 0..1.
        max_error: upper limit of the 99th percentile of the relative errors, 0..1: of all numbers together, and of each
            column unless it is 1. Integer outputs have no such columns, since agreement requires them to be equal.
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
        yield from self._missed_errors(found)
        if self.max_absolute_error is not None and found.absolute_max > self.max_absolute_error:
            yield f"an output differs by {found.absolute_max:.4g}, and {self.max_absolute_error:.4g} is allowed"
        if self.max_accuracy_drop is not None:
            yield from self._missed_accuracy(found.accuracy, self.max_accuracy_drop)

    def _missed_errors(self, found: Fidelity) -> Iterator[str]:
        limit = _percent(self.max_error)
        lost = [column for column in found.columns if column.error_p99 > self.max_error] if self.max_error < 1 else []
        if lost:
            error, extremes = _percent(lost[0].error_p99), f"{lost[0].low:.4g} to {lost[0].high:.4g}"
            yield (
                f"the error of {lost[0].name} ({extremes} in the model) is {error} of the column's range (99th "
                f"percentile), and {limit} is allowed"
            )
        elif found.error_p99 > self.max_error:
            yield f"the error is {_percent(found.error_p99)} of the range (99th percentile), and {limit} is allowed"

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
    parts = [_output(index, spec, answers, reference[spec.name]) for index, spec in enumerate(outputs)]
    agree = np.logical_and.reduce([part.same_answer() for part in parts])
    relative = np.concatenate([part.relative_errors().reshape(len(answers), -1) for part in parts], axis=1)
    p50, p90, p99 = np.quantile(relative, [0.5, 0.9, 0.99])
    columns = [column for part in parts if part.spec.is_float for column in part.worst_columns()]
    return Fidelity(
        samples=len(answers),
        agreement=float(agree.mean()),
        error_p50=float(p50),
        error_p90=float(p90),
        error_p99=float(p99),
        error_max=float(relative.max()),
        absolute_max=max(float(part.errors().max()) for part in parts),
        histogram=_histogram(relative),
        worst=_worst(relative.max(axis=1), agree, range(len(answers)) if indices is None else indices),
        accuracy=None if labels is None else _accuracy(parts, labels),
        columns=tuple(sorted(columns, key=lambda one: (-one.error_p99, -one.error_max))[:MAX_WORST]),
    )


@dataclass(frozen=True, slots=True)
class _Output:
    """One output over all samples, [N, size], of the circuit and of the float model."""

    spec: TensorSpec
    circuit: NDArray[np.generic]
    model: NDArray[np.generic]

    def errors(self) -> Floats:
        """Absolute differences, [N * rows, columns]."""
        return np.abs(self._by_column(self.circuit) - self._by_column(self.model))

    def relative_errors(self) -> Floats:
        """Differences as fractions of the column's range, [N * rows, columns]."""
        return self.errors() / self._units()

    def worst_columns(self) -> Iterator[Column]:
        """The columns with the largest errors (99th percentile), worst first."""
        model, errors, units = self._by_column(self.model), self.errors(), self._units()
        p99, most = np.quantile(errors, 0.99, axis=0) / units, errors.max(axis=0)
        for index in np.lexsort((-most / units, -p99))[:MAX_WORST].tolist():
            yield Column(
                output=self.spec.name,
                index=index,
                single=len(units) == 1,
                low=float(model[:, index].min()),
                high=float(model[:, index].max()),
                unit=float(units[index]),
                error_p99=float(p99[index]),
                error_max=float(most[index] / units[index]),
                absolute_max=float(most[index]),
            )

    def _units(self) -> Floats:
        """The range of each column: spread or largest magnitude, whichever is smaller.

        A constant column has no spread, and is judged by its magnitude. A column that is zero, or below the float
        model's precision, has neither: it is judged by the narrowest range beside it, or by steps of its scale.
        """
        model = self._by_column(self.model)
        peaks, spreads = np.abs(model).max(axis=0), model.max(axis=0) - model.min(axis=0)
        noise = self._precision()
        constant = (spreads <= _ROUNDINGS * noise * peaks) | (len(model) < _FEW_NUMBERS)
        ranges = np.where(constant, peaks, np.minimum(spreads, peaks))
        zero = peaks <= noise * min(1.0, float(peaks.max()))
        beside = float(ranges[~zero].min(initial=math.inf))
        steps = _ZERO_STEPS * self.spec.number(1, 0)
        return np.where(zero, max(steps, beside) if math.isfinite(beside) else steps, ranges)

    def _precision(self) -> float:
        """The relative precision of the float model's numbers; 0 for integers."""
        if not self.spec.is_float:
            return 0.0
        return max(_NOISE, float(np.finfo(self.spec.dtype).eps))

    def _by_column(self, values: NDArray[np.generic]) -> Floats:
        return values.astype(np.float64).reshape(-1, self.spec.shape[-1] if self.spec.shape else 1)

    def same_answer(self) -> NDArray[np.bool_]:
        """Agreement per sample; a single float always agrees."""
        if not self.spec.is_float:
            return np.asarray((self.circuit == self.model).all(axis=1))
        return np.asarray(self.circuit.argmax(axis=1) == self.model.argmax(axis=1))

    def accuracy(self, classes: NDArray[np.int64]) -> Accuracy:
        """The accuracy of both against these true classes."""
        shares = [float((_classes(values, self.spec) == classes).mean()) for values in (self.model, self.circuit)]
        return Accuracy(self.spec.name, *shares)


def _output(
    index: int, spec: TensorSpec, answers: Sequence[Sequence[Sequence[int]]], model: NDArray[np.generic]
) -> _Output:
    circuit = np.stack([dequantise(sample[index], spec).ravel() for sample in answers])
    return _Output(spec, circuit, model.reshape(circuit.shape))


def _classes(values: NDArray[np.generic], spec: TensorSpec) -> NDArray[np.generic]:
    return np.asarray(values.argmax(axis=1)) if spec.is_float else values[:, 0]


def _accuracy(parts: Sequence[_Output], labels: Labels) -> Accuracy:
    [part] = [part for part in parts if part.spec.name == labels.output]
    return part.accuracy(labels.classes)


def _histogram(relative: Floats) -> tuple[int, ...]:
    bins = np.searchsorted(ERROR_EDGES, relative.ravel(), side="right")
    return tuple(np.bincount(bins, minlength=len(ERROR_EDGES) + 1).tolist())


def _worst(errors: Floats, agree: NDArray[np.bool_], indices: Sequence[int]) -> tuple[Worst, ...]:
    order = np.lexsort((-errors, agree))[:MAX_WORST]
    worst = [Worst(int(indices[at]), float(errors[at]), bool(agree[at])) for at in order]
    return tuple(sample for sample in worst if sample.error > 0)
