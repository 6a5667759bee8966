"""Choosing run arguments for ezkl: the cheapest circuit whose answers keep the budget.

Scales decide the answers; rows, columns and decomposition decide the cost (`ezkl_fitting`). So the search walks over
scales: for each way of rescaling products the smallest scales that keep the budget, their neighbours, and then, where
the price stays the same, larger ones. Everything is compared in work, never in seconds, so that every machine chooses
the same circuit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.cost import refuse_too_costly
from zkinfer.circuits.engines.base import Option, Tuned
from zkinfer.circuits.engines.ezkl_fitting import HEADROOM_BITS, LEAST_BITS, Fitted, cheapest, fit
from zkinfer.circuits.engines.ezkl_trials import Scales, Trial, try_scales
from zkinfer.circuits.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.engines.base import Progress, TuneRequest
    from zkinfer.circuits.engines.ezkl_process import EzklProcess

_LEAST, _FIRST, _LARGEST = 2, 7, 14


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of the space is searched: ways of rescaling, steps of refinement, and rows of forward passes."""

    multipliers: tuple[int, ...]
    refinements: int
    rows: int


EFFORTS = {
    "quick": Effort((3, 1), 0, 30_000),
    "normal": Effort((3, 2, 1), 3, 60_000),
    "max": Effort((3, 2, 1), 40, 4_000_000),
}
_LEAST_SAMPLES = 8
_ROWS_PER_ELEMENT = 20  # roughly, for an activation and a rescaling


def tune(process: EzklProcess, request: TuneRequest, progress: Progress) -> Tuned:
    """Search; raises EngineError with the best result where nothing keeps the budget.

    Raises:
        UnsupportedModelError: the trusted setups at hand are too small.
        TooCostlyError: the cheapest circuit takes more memory than it may.
    """
    search = _Search(process, request, EFFORTS[request.effort], progress)
    search.run()
    best = search.best()
    refuse_too_costly(best.work.at(request.speed), request.max_memory, request.workload)
    return Tuned(best.arguments.to_run_arguments(), tuple(search.options(best)))


@dataclass(slots=True)
class _Search:
    process: EzklProcess
    request: TuneRequest
    effort: Effort
    progress: Progress
    tried: dict[Scales, Trial | None] = field(default_factory=dict)
    fitted: dict[Scales, Fitted | None] = field(default_factory=dict)

    def run(self) -> None:
        """Fill `tried` and `fitted`."""
        self._reduce_samples()
        start = _FIRST
        for place, multiplier in enumerate(self.effort.multipliers):
            self.progress(0.8 * place / len(self.effort.multipliers))
            smallest = self._smallest(multiplier, start)
            if smallest is None:
                continue
            fitted = self._fit(smallest)
            if fitted is not None and not _can_be_narrower(fitted):
                break
            start = smallest.input
        for step in range(self.effort.refinements):
            self.progress(0.8 + 0.2 * step / self.effort.refinements)
            if not self._refine():
                return

    def best(self) -> Fitted:
        """The cheapest of all that keep the budget."""
        best = cheapest([fitted for fitted in self.fitted.values() if fitted is not None], self.request)
        if best is None:
            raise EngineError(f"No settings keep the model's accuracy within the budget ({self._nearest()}).", _CURE)
        return best

    def options(self, best: Fitted) -> Iterator[Option]:
        """What was laid out and measured, for the trade-off curve."""
        for scales, trial in self.tried.items():
            fitted = self.fitted.get(scales)
            if trial is not None:
                yield Option(
                    name=str(scales),
                    cost=None if fitted is None else fitted.work.at(self.request.speed),
                    fidelity=trial.fidelity,
                    within_budget=self._keeps(trial),
                    chosen=fitted is best,
                )

    def _reduce_samples(self) -> None:
        """Forward passes of large models take seconds: take as many samples as the effort allows."""
        workload = self.request.workload
        rows = workload.multiplications // 2 + _ROWS_PER_ELEMENT * workload.elements
        given = len(next(iter(self.request.samples.values())))
        count = min(given, max(_LEAST_SAMPLES, self.effort.rows // max(1, rows)))
        self.request = replace(
            self.request,
            samples={name: array[:count] for name, array in self.request.samples.items()},
            reference={name: array[:count] for name, array in self.request.reference.items()},
            labels=None if self.request.labels is None else self.request.labels.of(np.arange(count)),
        )

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
        if not any(self.fitted.values()):
            return False
        neighbours = [scales for scales in _neighbours(self.best()) if self._is_worth_a_try(scales)]
        for scales in neighbours:
            if self._keeps(self._try(scales)):
                self._fit(scales)
        return bool(neighbours)

    def _is_worth_a_try(self, scales: Scales) -> bool:
        return scales not in self.fitted and (scales not in self.tried or self._keeps(self.tried[scales]))

    def _try(self, scales: Scales) -> Trial | None:
        if scales not in self.tried:
            self.tried[scales] = try_scales(self.process, self.request, scales, self._likely_bits(scales))
        return self.tried[scales]

    def _likely_bits(self, scales: Scales) -> int:
        """As the last trial that rescaled as late suggests; 0 where there was none."""
        trials = (trial for trial in reversed(self.tried.values()) if trial is not None)
        return next((trial.bits_at(scales) for trial in trials if trial.scales.multiplier == scales.multiplier), 0)

    def _fit(self, scales: Scales) -> Fitted | None:
        trial = self.tried[scales]
        if trial is not None and scales not in self.fitted:
            self.fitted[scales] = fit(self.process, self.request, trial)
        return self.fitted[scales]

    def _keeps(self, trial: Trial | None) -> bool:
        return trial is not None and self.request.budget.met_by(trial.fidelity)

    def _nearest(self) -> str:
        trials = [trial for trial in self.tried.values() if trial is not None]
        if not trials:
            return "every attempt left the range of integers"
        nearest = max(trials, key=lambda trial: (trial.fidelity.agreement, -trial.fidelity.error_p99))
        missed = self.request.budget.shortfall(nearest.fidelity).removesuffix(".")
        return f"{nearest.scales}: {missed or 'no sound circuit holds it'}"


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
