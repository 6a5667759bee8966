"""Choosing run arguments for ezkl: the cheapest circuit whose answers keep the budget.

Scales decide the answers; rows, columns and decomposition decide the cost (`ezkl_fitting`). So the search walks over
scales: for each way of rescaling products the smallest scales that keep the budget, their neighbours, and then, where
the price stays the same, larger ones. Forward passes of large models take long, so the search looks at a part of the
samples; what it finds is measured on all of them, and gives way to the next where it misses the budget there. All is
compared in work, never in seconds, so that every machine chooses the same circuit.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.cost import refuse_too_costly
from zkinfer.circuits.engines.base import Option, Tuned
from zkinfer.circuits.engines.ezkl.tune.layout_search import HEADROOM_BITS, LEAST_BITS, Fitted, cheapest, fit
from zkinfer.circuits.engines.ezkl.tune.trials import Scales, Trial, try_scales
from zkinfer.circuits.errors import BudgetError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.cost import Objective
    from zkinfer.circuits.engines.base import Progress, TuneRequest
    from zkinfer.circuits.engines.ezkl.client import EzklProcess
    from zkinfer.circuits.fidelity import Budget

_LEAST, _FIRST, _LARGEST = 2, 7, 14


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of the space is searched: ways of rescaling, steps of refinement, and rows of each trial's passes."""

    multipliers: tuple[int, ...]
    refinements: int
    rows: int


EFFORTS = {
    "quick": Effort((3, 1), 1, 30_000),
    "normal": Effort((3, 2, 1), 3, 60_000),
    "max": Effort((3, 2, 1), 40, 4_000_000),
}
_LEAST_SAMPLES = 8
_ROWS_PER_ELEMENT = 20  # roughly, for an activation and a rescaling
_OBJECTIVES: tuple[Objective, ...] = ("latency", "gas", "memory")
_PRICED = 4  # of the settings that all miss the budget


def tune(process: EzklProcess, request: TuneRequest, progress: Progress) -> Tuned:
    """Search; what is chosen has kept the budget, with a margin for their number, on all samples.

    Raises:
        BudgetError: nothing keeps the budget; it has the nearest, and what it would cost.
        UnsupportedModelError: the trusted setups at hand are too small.
        TooCostlyError: the cheapest circuit takes more memory than it may.
    """
    effort = EFFORTS[request.effort]
    budget, few = request.budget.with_margin(_count(request)), _part_of(request, effort.rows)
    search = _Search(process, request, few, budget, effort, progress)
    search.run()
    best = search.confirmed()
    if request.max_memory is not None:
        refuse_too_costly(best.work.at(request.speed), request.max_memory, request.workload)
    return Tuned(best.arguments.to_run_arguments(), tuple(search.options(best)))


@dataclass(slots=True)
class _Search:
    process: EzklProcess
    request: TuneRequest
    few: TuneRequest
    budget: Budget
    effort: Effort
    progress: Progress
    tried: dict[Scales, Trial | None] = field(default_factory=dict)
    fitted: dict[Scales, Fitted | None] = field(default_factory=dict)
    measured: set[Scales] = field(default_factory=set)
    too_large: UnsupportedModelError | None = None

    def run(self) -> None:
        """Fill `tried` and `fitted`, from a part of the samples."""
        start = _FIRST
        for place, multiplier in enumerate(self.effort.multipliers):
            self.progress(0.6 * place / len(self.effort.multipliers))
            smallest = self._smallest(multiplier, start)
            if smallest is None:
                continue
            fitted = self._fit(smallest)
            if fitted is not None and not _can_be_narrower(fitted):
                break
            start = smallest.input
        for step in range(self.effort.refinements):
            self.progress(0.6 + 0.2 * step / self.effort.refinements)
            if not self._refine():
                return

    def confirmed(self) -> Fitted:
        """The cheapest of all that keep the budget on all samples, and fit the trusted setups; raises as `tune`."""
        while (best := self._best()) is not None and not self._is_measured(best.trial.scales):
            self.progress(1 - 0.2 * 0.8 ** len(self.measured))
            self._measure_anew(best.trial.scales)
        if best is None and self.too_large is not None:
            raise self.too_large
        if best is None:
            raise BudgetError(self._why_none(), _CURE, tuple(self._nearest_options()))
        return best

    def _best(self) -> Fitted | None:
        return cheapest([fitted for fitted in self.fitted.values() if fitted is not None], self.request)

    def options(self, best: Fitted) -> Iterator[Option]:
        """What was laid out and measured, for the trade-off curve; of the best one also what other objectives take."""
        for scales, trial in self.tried.items():
            if trial is not None:
                fitted = self.fitted.get(scales)
                yield self._option(trial, fitted, chosen=fitted is best)
        for other in fit(self.process, self.request, best.trial, _OBJECTIVES):
            if other.arguments != best.arguments:
                yield self._option(best.trial, other)

    def _option(self, trial: Trial, fitted: Fitted | None, *, chosen: bool = False) -> Option:
        return Option(
            name=str(trial.scales if fitted is None else fitted),
            cost=None if fitted is None else fitted.work.at(self.request.speed),
            fidelity=trial.fidelity,
            within_budget=self._keeps(trial),
            chosen=chosen,
        )

    def _is_measured(self, scales: Scales) -> bool:
        return self.few is self.request or scales in self.measured

    def _measure_anew(self, scales: Scales) -> None:
        """On all samples; where that asks for larger scales, other ways of rescaling may have become the cheaper."""
        larger = self._measure(scales)
        if larger != scales:
            for multiplier in self.effort.multipliers:
                self._measure(replace(larger, multiplier=multiplier))

    def _measure(self, scales: Scales) -> Scales:
        """On all samples, where these scales may miss the budget, or need wider integers; then larger ones."""
        while scales not in self.measured:
            self.measured.add(scales)
            self.fitted.pop(scales, None)
            self.tried[scales] = try_scales(self.process, self.request, scales, self._likely_bits(scales))
            if self._keeps(self.tried[scales]):
                self._fit(scales)
            elif self.tried[scales] is not None and max(scales.input, scales.param) < _LARGEST:
                scales = replace(scales, input=scales.input + 1, param=scales.param + 1)
        return scales

    def _smallest(self, multiplier: int, guess: int) -> Scales | None:
        """By halving: the smallest scale, the same for inputs and weights, that keeps the budget."""
        low, high = _LEAST, _LARGEST + 1
        while low < high:
            if self._keeps(self._try(Scales(guess, guess, multiplier))):
                high = guess
            else:
                low = guess + 1
            guess = (low + high) // 2
        return Scales(high, high, multiplier) if high <= _LARGEST else None

    def _refine(self) -> bool:
        """Try the untried neighbours of the best; whether there were any."""
        best = self._best()
        if best is None:
            return False
        neighbours = [scales for scales in _neighbours(best) if self._is_worth_a_try(scales)]
        for scales in neighbours:
            if self._keeps(self._try(scales)):
                self._fit(scales)
        return bool(neighbours)

    def _is_worth_a_try(self, scales: Scales) -> bool:
        return scales not in self.fitted and (scales not in self.tried or self._keeps(self.tried[scales]))

    def _try(self, scales: Scales) -> Trial | None:
        if scales not in self.tried:
            self.tried[scales] = try_scales(self.process, self.few, scales, self._likely_bits(scales))
        return self.tried[scales]

    def _likely_bits(self, scales: Scales) -> int:
        """As the last trial that rescaled as late suggests; 0 where there was none."""
        trials = (trial for trial in reversed(self.tried.values()) if trial is not None)
        return next((trial.bits_at(scales) for trial in trials if trial.scales.multiplier == scales.multiplier), 0)

    def _fit(self, scales: Scales) -> Fitted | None:
        trial = self.tried[scales]
        if trial is not None and scales not in self.fitted:
            try:
                self.fitted[scales] = self._layout(trial)
            except UnsupportedModelError as err:  # others may need fewer rows
                self.fitted[scales], self.too_large = None, err
        return self.fitted[scales]

    def _layout(self, trial: Trial) -> Fitted | None:
        return next(iter(fit(self.process, self.request, trial)), None)

    def _keeps(self, trial: Trial | None) -> bool:
        return trial is not None and self.budget.met_by(trial.fidelity)

    def _nearest(self) -> list[Trial]:
        """All that ran, the most faithful first."""
        trials = [trial for trial in self.tried.values() if trial is not None]
        return sorted(trials, key=lambda trial: (-trial.fidelity.agreement, trial.fidelity.error_p99))

    def _why_none(self) -> str:
        why, nearest = "every attempt left the range of integers", self._nearest()
        if nearest:
            missed = self.budget.shortfall(nearest[0].fidelity).removesuffix(".")
            margin = f", with a margin, since only {_count(self.request)} samples choose"
            why = f"{nearest[0].scales}: {missed + margin if missed else 'no sound circuit holds it'}"
        return f"No settings keep the model's accuracy within the budget ({why})."

    def _nearest_options(self) -> Iterator[Option]:
        """What the nearest would cost, so that their owner can choose another budget."""
        for place, trial in enumerate(self._nearest()):
            fitted = None
            if place < _PRICED:
                with suppress(UnsupportedModelError):  # the budget is what is to be told of
                    fitted = self._layout(trial)
            yield self._option(trial, fitted)


def _count(request: TuneRequest) -> int:
    return len(next(iter(request.samples.values())))


def _part_of(request: TuneRequest, rows: int) -> TuneRequest:
    """As many of the samples as forward passes of so many rows take, from everywhere."""
    workload, given = request.workload, _count(request)
    each = workload.multiplications // 2 + _ROWS_PER_ELEMENT * workload.elements
    count = min(given, max(_LEAST_SAMPLES, rows // max(1, each)))
    if count == given:
        return request
    some = np.arange(count) * given // count
    return replace(
        request,
        samples={name: array[some] for name, array in request.samples.items()},
        reference={name: array[some] for name, array in request.reference.items()},
        labels=None if request.labels is None else request.labels.of(some),
    )


_CURE = (
    "Allow a larger --max-error, --max-absolute-error or --max-accuracy-drop or a smaller --min-agreement, or give "
    "calibration data of the model's real kind."
)


def _can_be_narrower(fitted: Fitted) -> bool:
    """Whether smaller integers could make the circuit cheaper: not where the context alone asks for the range."""
    needed = fitted.trial.bits + HEADROOM_BITS
    return needed > LEAST_BITS or bool(fitted.trial.settings["required_lookups"])


def _neighbours(fitted: Fitted) -> Iterator[Scales]:
    """Smaller scales where they could be cheaper, larger ones where the range has room for them."""
    changes = [(-1, 0), (0, -1)] if _can_be_narrower(fitted) else []
    scales = fitted.trial.scales
    spare = math.floor(math.log2(fitted.headroom)) - HEADROOM_BITS
    if spare >= 1:  # a product of as many factors as may meet grows by as many bits
        step = max(1, spare // (scales.multiplier + 1))
        changes += [(step, step)]
    for change in changes:
        inputs, params = scales.input + change[0], scales.param + change[1]
        if min(inputs, params) >= _LEAST and max(inputs, params) <= _LARGEST:
            yield replace(scales, input=inputs, param=params)
