"""Search for run arguments of ezkl: the cheapest circuit whose answers meet the budget.

Scales determine the answers; rows, columns and decomposition determine the cost (`layout_search`). The search walks
over scales: for each multiplier of the rescaling the smallest scales that meet the budget, their neighbours, and then
larger ones at the same cost. Forward passes of large models are slow, so the search uses a subset of the samples; a
candidate is then measured on all of them, and dropped for the next if it misses the budget. Costs are compared in work,
never in seconds, so that every machine chooses the same circuit; unless the user limits the time of the search, which
then ends with the best settings so far.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from zkinfer.circuits.cost import refuse_too_costly, unfinished_search
from zkinfer.circuits.engines.base import Option, Tuned
from zkinfer.circuits.engines.ezkl.tune.layout_search import (
    MAX_SCALE,
    MIN_SCALE,
    Fitted,
    can_be_narrower,
    cheapest,
    fit,
    log_rows_without_tables,
    neighbours,
    why_unsound,
)
from zkinfer.circuits.engines.ezkl.tune.trials import (
    Clock,
    Scales,
    TimeIsUpError,
    Trial,
    count_of,
    integers_of,
    subset_of,
    try_scales,
)
from zkinfer.circuits.errors import BudgetError, TooCostlyError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zkinfer.circuits.cost import Objective
    from zkinfer.circuits.engines.base import Progress, TuneRequest
    from zkinfer.circuits.engines.ezkl.client import EzklProcess
    from zkinfer.circuits.fidelity import Budget

_FIRST_SCALE = 7


@dataclass(frozen=True, slots=True)
class Effort:
    """The size of the search: rescalings to try, refinement steps, and the rows that each trial may compute."""

    multipliers: tuple[int, ...]
    refinements: int
    rows: int


EFFORTS = {
    "quick": Effort((3, 1), 1, 30_000),
    "normal": Effort((3, 2, 1), 3, 60_000),
    "max": Effort((3, 2, 1), 40, 4_000_000),
}
_OBJECTIVES: tuple[Objective, ...] = ("latency", "gas", "memory")
_PRICED = 4  # settings to lay out if all miss the budget
_STEPS_OF_A_BISECTION, _STEPS_OF_A_REFINEMENT, _USUAL_REFINEMENTS = (
    5,
    3,
    4,
)  # trials and layouts, usually; for the display of progress


def tune(
    process: EzklProcess, request: TuneRequest, progress: Progress, save: Callable[[Tuned], None] = lambda _: None
) -> Tuned:
    """Find the cheapest circuit that meets the budget on all calibration samples, with a margin for their number.

    Args:
        process: calls the engine.
        request: what to search for.
        progress: called with the fraction done.
        save: called with the best so far, if the request limits the time: the search may be cut off in a long call.

    Raises:
        BudgetError: no settings meet the budget; the error holds the nearest and their cost.
        UnsupportedModelError: the available trusted setups are too small.
        TooCostlyError: the cheapest circuit exceeds the memory limit, or the time ended before there was one.
    """
    effort = EFFORTS[request.effort]
    budget, subset = request.budget.with_margin(count_of(request)), subset_of(request, effort.rows)
    search = _Search(process, request, subset, budget, effort, progress, save)
    try:
        search.run()
        best = search.confirmed()
    except TimeIsUpError:
        return search.so_far()
    if request.max_memory is not None:
        refuse_too_costly(best.work.at(request.speed), request.max_memory, request.workload)
    least, options = search.least(best), tuple(search.options(best))
    return Tuned(least.arguments.to_run_arguments(), options, notes=tuple(notes(process, request, best)))


def notes(process: EzklProcess, request: TuneRequest, best: Fitted) -> Iterator[str]:
    """If the table of a function decides the size: which function, its range, and what to change."""
    rows = None if best.arguments.logrows < _LARGE else log_rows_without_tables(process, request, best)
    if rows is None:
        return
    scales, (low, high) = best.trial.scales, best.arguments.lookup_range
    inputs = [spec.model_copy(update={"scale": scales.input if spec.is_float else 0}) for spec in request.inputs]
    widest = process.widest_lookup(request.network, inputs, integers_of(request, scales))
    text = (
        f"a lookup table of {high - low + 1:,} entries makes the circuit 2^{best.arguments.logrows} rows, not 2^{rows}"
    )
    if widest is None:
        yield f"{text}; smaller values before the model's functions make it smaller"
        return
    operator, name = widest["operator"], request.names.get(widest["node"], "")
    where = f"{operator} {name!r}" if name else f"the {operator} before output {widest['output']!r}"
    text += f"; it is that of {where}, whose argument ranges from {widest['low']:.4g} to {widest['high']:.4g}"
    cures = ["leave that output out"]
    if operator in _FLAT_BEYOND:
        cures.insert(0, f"clip its argument to {_FLAT_BEYOND[operator]}, beyond which the result hardly changes")
    if max(scales.input, scales.param) >= _HIGH_SCALE and not any(spec.common_scale for spec in request.inputs):
        cures.insert(0, "scale the features inside the model, which costs nothing and needs fewer digits")
    yield f"{text}; to make it smaller, {', or '.join(cures)}"


_FLAT_BEYOND = {"Erf": "[-3, 3]", "Sigmoid": "[-8, 8]", "Softmax": "a span of 10", "Tanh": "[-4, 4]"}
_LARGE = 11  # log2 of rows; smaller circuits take a moment anyway
_HIGH_SCALE = 10  # from which on unscaled features are the likely cause


@dataclass(slots=True)
class _Search:
    process: EzklProcess
    request: TuneRequest
    subset: TuneRequest
    budget: Budget
    effort: Effort
    progress: Progress
    save: Callable[[Tuned], None]
    tried: dict[Scales, Trial | None] = field(default_factory=dict)
    fitted: dict[Scales, Fitted | None] = field(default_factory=dict)
    measured: set[Scales] = field(default_factory=set)
    too_large: UnsupportedModelError | None = None
    early: dict[Scales, Fitted | None] = field(default_factory=dict)
    clock: Clock = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        self.clock = Clock.of(self.request.search_seconds)

    def run(self) -> None:
        """Fill `tried` and `fitted`, using a subset of the samples."""
        start = _FIRST_SCALE
        for multiplier in self.effort.multipliers:
            smallest = self._smallest(multiplier, start)
            if smallest is None:
                continue
            fitted = self._fit(smallest)
            if fitted is not None and not can_be_narrower(fitted):
                break
            start = smallest.input
        self._hold_constants()
        for _ in range(self.effort.refinements):
            if not self._refine():
                return

    def _hold_constants(self) -> None:
        """Try larger scales that would hold constants which the best settings round to 0, the nearest first."""
        best = self._best()
        for missing in dict.fromkeys(best.trial.missing_bits if best is not None else ()):
            scales = best.trial.scales if best is not None else Scales(0, 0, 1)
            larger = replace(scales, input=scales.input + missing, param=scales.param + missing)
            if max(larger.input, larger.param) <= MAX_SCALE and self._meets_budget(self._try(larger)):
                self._fit(larger)

    def confirmed(self) -> Fitted:
        """The cheapest circuit that meets the budget on all samples and fits a trusted setup; raises as `tune`."""
        while (best := self._best()) is not None and not self._is_measured(best.trial.scales):
            self._measure_fully(best.trial.scales)
        if best is None and self.too_large is not None:
            raise self.too_large
        if best is None:
            raise BudgetError(*self._why_none(), tuple(self._nearest_options()))
        return best

    def so_far(self) -> Tuned:
        """The best settings when the time ends; raises TooCostlyError if there are none or they need too much memory.

        Settings that were measured on all samples come first, even if others seem cheaper.
        """
        best, request = self._best_so_far(), self.request
        if best is None:
            raise unfinished_search(request.workload, len(self.tried))
        if request.max_memory is not None:
            refuse_too_costly(best.work.at(request.speed), request.max_memory, request.workload)
        used, given = best.trial.fidelity.samples, count_of(request)
        note = f"the search reached the limit of --search-seconds with {len(self.tried)} settings tried"
        if used < given:
            note += f"; the chosen ones were measured on {used} of {given} calibration samples only"
        options = tuple(self._tried_options(best))
        return Tuned(self.least(best).arguments.to_run_arguments(), options, samples=used, notes=(note,))

    def _best_so_far(self) -> Fitted | None:
        found = [fitted for fitted in (*self.fitted.values(), *self.early.values()) if fitted is not None]
        measured = [fitted for fitted in found if self._is_measured(fitted.trial.scales)]
        return cheapest(measured or found, self.request)

    def least(self, best: Fitted) -> Fitted:
        """The same circuit under the least arguments that give it: only these make a valid recipe."""
        least = self.process.least(self.request.network, best.arguments, best.trial.settings)
        scales = Scales(least.input_scale, least.param_scale, least.scale_rebase_multiplier)
        return replace(best, trial=replace(best.trial, scales=scales), arguments=least)

    def _best(self) -> Fitted | None:
        return cheapest([fitted for fitted in self.fitted.values() if fitted is not None], self.request)

    def options(self, best: Fitted) -> Iterator[Option]:
        """The measured settings for the trade-off curve; for the best also the layouts of the other objectives."""
        yield from self._tried_options(best)
        for other in fit(self.process, self.request, best.trial, _OBJECTIVES):
            if other.arguments != best.arguments:
                yield self._option(best.trial, other)

    def _tried_options(self, best: Fitted) -> Iterator[Option]:
        for scales, trial in self.tried.items():
            if trial is not None:
                fitted = self.fitted.get(scales, self.early.get(scales))
                chosen = fitted is best
                yield self._option(trial, self.least(best) if chosen else fitted, chosen=chosen)

    def _option(self, trial: Trial, fitted: Fitted | None, *, chosen: bool = False) -> Option:
        return Option(
            name=str(trial.scales if fitted is None else fitted),
            cost=None if fitted is None else fitted.work.at(self.request.speed),
            fidelity=trial.fidelity,
            within_budget=self._meets_budget(trial),
            chosen=chosen,
        )

    def _is_measured(self, scales: Scales) -> bool:
        return self.subset is self.request or scales in self.measured

    def _measure_fully(self, scales: Scales) -> None:
        """Measure on all samples; if that requires larger scales, other rescalings may have become cheaper."""
        larger = self._measure(scales)
        if larger != scales:
            for multiplier in self.effort.multipliers:
                self._measure(replace(larger, multiplier=multiplier))

    def _measure(self, scales: Scales) -> Scales:
        """Measure scales on all samples, and increase them until they meet the budget; returns the last scales."""
        while scales not in self.measured:
            self.measured.add(scales)
            self.fitted.pop(scales, None)
            self.tried[scales] = self._trial(self.request, scales)
            if self._meets_budget(self.tried[scales]):
                self._fit(scales)
            elif self.tried[scales] is not None and max(scales.input, scales.param) < MAX_SCALE:
                scales = replace(scales, input=scales.input + 1, param=scales.param + 1)
        return scales

    def _smallest(self, multiplier: int, guess: int) -> Scales | None:
        """Bisect for the smallest scale, equal for inputs and weights, that meets the budget."""
        low, high = MIN_SCALE, MAX_SCALE + 1
        while low < high:
            if self._meets_budget(self._try(Scales(guess, guess, multiplier))):
                high = guess
            else:
                low = guess + 1
            guess = (low + high) // 2
        return Scales(high, high, multiplier) if high <= MAX_SCALE else None

    def _refine(self) -> bool:
        """Try the untried neighbours of the best; returns whether there were any."""
        best = self._best()
        if best is None:
            return False
        beside = [scales for scales in neighbours(best) if self._is_worth_a_try(scales)]
        for scales in beside:
            if self._meets_budget(self._try(scales)):
                self._fit(scales)
        return bool(beside)

    def _is_worth_a_try(self, scales: Scales) -> bool:
        return scales not in self.fitted and (scales not in self.tried or self._meets_budget(self.tried[scales]))

    def _try(self, scales: Scales) -> Trial | None:
        if scales not in self.tried:
            self.tried[scales] = self._trial(self.subset, scales)
            self._fit_early(scales)
        return self.tried[scales]

    def _trial(self, request: TuneRequest, scales: Scales) -> Trial | None:
        with self.clock.step():
            trial = try_scales(self.process, request, scales, self._likely_bits(scales))
        self._report()
        return trial

    def _fit_early(self, scales: Scales) -> None:
        """Lay out the first settings that meet the budget, so that a search that is cut off has a result."""
        limited = math.isfinite(self.clock.ends)
        if (
            limited
            and not any((*self.early.values(), *self.fitted.values()))
            and self._meets_budget(self.tried[scales])
        ):
            self.early[scales] = self._fit_new(scales)
            self._save()

    def _report(self) -> None:
        self.steps += 1
        multipliers, refinements = len(self.effort.multipliers), min(self.effort.refinements, _USUAL_REFINEMENTS)
        usual = _STEPS_OF_A_BISECTION * multipliers + _STEPS_OF_A_REFINEMENT * refinements
        late = max(0, self.steps - usual)
        self.progress(1 - 0.1 * 0.9**late if late else 0.9 * self.steps / usual)

    def _save(self) -> None:
        if math.isfinite(self.clock.ends) and self._best_so_far() is not None:
            with suppress(TooCostlyError):
                self.save(self.so_far())

    def _likely_bits(self, scales: Scales) -> int:
        """An estimate from the last trial with the same rescaling; 0 if there was none."""
        trials = (trial for trial in reversed(self.tried.values()) if trial is not None)
        return next((trial.bits_at(scales) for trial in trials if trial.scales.multiplier == scales.multiplier), 0)

    def _fit(self, scales: Scales) -> Fitted | None:
        if self.tried[scales] is not None and scales not in self.fitted:
            early = self.early.get(scales)
            kept = early is not None and early.trial is self.tried[scales]
            self.fitted[scales] = early if kept else self._fit_new(scales)
            self._save()
        return self.fitted[scales]

    def _fit_new(self, scales: Scales) -> Fitted | None:
        trial = self.tried[scales]
        try:
            return None if trial is None else self._layout(trial)
        except UnsupportedModelError as err:  # others may need fewer rows
            self.too_large = err
            return None

    def _layout(self, trial: Trial) -> Fitted | None:
        with self.clock.step():
            found = next(iter(fit(self.process, self.request, trial)), None)
        self._report()
        return found

    def _meets_budget(self, trial: Trial | None) -> bool:
        return trial is not None and self.budget.met_by(trial.fidelity)

    def _nearest(self) -> list[Trial]:
        """Successful trials in descending order of fidelity."""
        trials = [trial for trial in self.tried.values() if trial is not None]
        return sorted(trials, key=lambda trial: (-trial.fidelity.agreement, trial.fidelity.decisive_error))

    def _why_none(self) -> tuple[str, str]:
        """Cause and cure."""
        why, cure, nearest = "every attempt exceeded the range of integers", _CURE, self._nearest()
        if nearest and (missed := self.budget.shortfall(nearest[0].fidelity).removesuffix(".")):
            margin = f", with a margin, since there are only {count_of(self.request)} calibration samples"
            why = f"{nearest[0].scales}: {missed}{margin}"
        elif nearest:
            reason = why_unsound(self.process, self.request, nearest[0])
            why = ": ".join([f"{nearest[0].scales}: no sound circuit exists", *reason[:1]]).removesuffix(".")
            cure = next(iter(reason[1:]), _CURE)
        if nearest and not any(spec.common_scale for spec in self.request.inputs):
            cure += _SCALER
        return f"No settings keep the model's accuracy within the budget ({why}).", cure

    def _nearest_options(self) -> Iterator[Option]:
        """The cost of the nearest settings, so that the owner can choose another budget."""
        for place, trial in enumerate(self._nearest()):
            fitted = None
            if place < _PRICED:
                with suppress(UnsupportedModelError, TimeIsUpError):  # the missed budget is the error to report
                    fitted = self._layout(trial)
            yield self._option(trial, fitted)


_CURE = (
    "Allow a larger --max-error, --max-absolute-error or --max-accuracy-drop or a smaller --min-agreement, or give "
    "calibration data that represents the model's real inputs."
)

_SCALER = " If features differ in range, put a scaler into the model: it is merged into the weights and costs nothing."
