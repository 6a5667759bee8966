"""Try recipes from the cheapest on, and take the first that meets the budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.assembly import assemble, constraints_of
from zkinfer.circuits.engines.ashlar.bounds import first_too_tall
from zkinfer.circuits.engines.ashlar.constraints import MAX_SHIFT
from zkinfer.circuits.engines.ashlar.cost import estimate
from zkinfer.circuits.engines.ashlar.draft import Draft, TableKind
from zkinfer.circuits.engines.ashlar.forward import ForwardPass
from zkinfer.circuits.engines.ashlar.lowering.drafts import draft as drafted
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan as planned
from zkinfer.circuits.engines.ashlar.tune import chunks
from zkinfer.circuits.engines.ashlar.tune.choose import Chooser, Widths, input_recipes
from zkinfer.circuits.engines.ashlar.tune.observe import observe
from zkinfer.circuits.errors import BudgetError, TooCostlyError, UnsupportedModelError
from zkinfer.circuits.fidelity import Fidelity, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.cost import Objective
    from zkinfer.circuits.engines.ashlar.key import Shape
    from zkinfer.circuits.engines.ashlar.lowering.plan import Plan
    from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe, InputRecipe
    from zkinfer.circuits.engines.ashlar.tune.limits import SearchLimits
    from zkinfer.circuits.engines.ashlar.tune.observe import Observed
    from zkinfer.circuits.engines.base import Effort
    from zkinfer.circuits.fidelity import Budget
    from zkinfer.circuits.samples import Labels
    from zkinfer.circuits.tensors import TensorSpec, Visibility

    # The outputs, [N, elements] each, of integers [N, elements].
    Forward = Callable[[NDArray[np.int64]], Sequence[NDArray[np.int64]]]

BITS, QUICK_BITS, FINE_BITS = (7, 8, 9, 10), (8, 10), (11, 12, 13)
STORED_BITS = (13, 15)  # of the rows of stored tables
SLACK_AGREEMENT, SLACK_ERROR = 0.03, 1.5  # of a first look, so that it refuses nothing that all samples may admit
MAX_LOWERED, MAX_NARROWED = 12, 3
FEW = 64  # samples on which most recipes are judged; the choice is judged on all


@dataclass(frozen=True, slots=True)
class Trial:
    """A recipe and what became of it; `fidelity` is None until it is measured."""

    name: str
    recipe: AshlarRecipe
    draft: Draft
    shape: Shape
    cost: float
    fidelity: Fidelity | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What a recipe is chosen for.

    `samples` are inputs [N, *shape] of the normal form, `reference` the float model's outputs by name. `chunk_bits` are
    the sizes of chunks to choose from; `forward` prepares the exact integer pass of a draft. `limits` of time and
    memory are None where there are none.
    """

    model: onnx.ModelProto
    outputs: Sequence[TensorSpec]
    samples: NDArray[np.generic]
    reference: Mapping[str, NDArray[np.generic]]
    budget: Budget
    chunk_bits: Sequence[int]
    objective: Objective = "latency"
    effort: Effort = "normal"
    labels: Labels | None = None
    visibility: Visibility = "public"
    forward: Callable[[Draft], Forward] = lambda draft: ForwardPass(draft).run
    limits: SearchLimits | None = None


def search(request: Search) -> tuple[Trial, list[Trial]]:
    """The cheapest recipe within the budget, and all that were measured.

    Raises:
        BudgetError: none is within the budget; the message has the best.
        UnsupportedModelError: no recipe keeps within the limits of sections 1.5 and 2.3.
        TooCostlyError: a proof takes too much memory under every recipe, or the time passed before one was found.
    """
    run = _Run(request)
    groups = _groups(run.plan, run.observed, request.effort)
    total, done = sum(map(len, groups)), 0
    for group in groups:
        trials = sorted(_different(run.trials(group)), key=lambda trial: trial.cost)
        done += len(group)
        found = run.first_within(trials)
        if found is not None:
            return found, run.measured
        if request.limits is not None:
            request.limits.report(done / total)
    if not run.measured:
        raise run.problem or UnsupportedModelError("No recipe was tried.")
    raise _missed(request, run.measured)


def cheapest(request: Search) -> Trial:
    """The first recipe of a search, which is not measured: a rough lower bound of the cost, within a moment.

    Raises:
        UnsupportedModelError: it does not keep within the limits of sections 1.5 and 2.3.
    """
    run = _Run(request)
    [widths, *_], *_ = _groups(run.plan, run.observed, request.effort)
    given, *_ = input_recipes(run.plan, run.observed)
    return run.trial(given, widths)


def _groups(plan: Plan, observed: Observed, effort: Effort) -> list[list[Widths]]:
    """What is tried together; stored tables take a second each, so that narrow ones are tried first.

    Fine ones come last: few networks need them, whose outputs hardly vary or whose best answers lie close together.
    """
    clips = (False, True) if observed.has_rare else (False,)
    if effort == "quick":
        return [[Widths(bits, clipped=False, rows=STORED_BITS[0]) for bits in QUICK_BITS]]
    fine = [
        [Widths(bits, clipped=False, rows=STORED_BITS[-1], fine=True, narrow=narrow) for narrow in (True, False)]
        for bits in FINE_BITS
    ]
    if not plan.stored:
        return [[Widths(bits, clipped, STORED_BITS[0]) for bits in BITS for clipped in clips], *fine]
    narrow = [[Widths(bits, clipped, rows) for clipped in clips] for rows in STORED_BITS for bits in BITS]
    return narrow + fine


class _Run:
    """One search: what is known of the network, the trials that were measured, and the first problem of another."""

    def __init__(self, request: Search) -> None:
        self._request = request
        self.plan = planned(request.model)
        self._listed = cache(lambda: planned(request.model, listed=True))
        self.observed = observe(request.model, self.plan, request.samples)
        self.measured = list[Trial]()
        self._begun: list[tuple[AshlarRecipe, int, bool]] = []
        self.problem: UnsupportedModelError | TooCostlyError | None = None

    def trials(self, group: Sequence[Widths]) -> Iterator[Trial]:
        """The recipes of a group that are possible, without those that begin as another one did."""
        for given, widths in product(input_recipes(self.plan, self.observed, fine=group[0].fine), group):
            self._refuse_late()
            begin = self._recipe(given, widths), widths.rows, widths.narrow
            if begin in self._begun:
                continue
            self._begun.append(begin)
            try:
                trial = self.trial(given, widths)
                if self._request.limits is not None:
                    self._request.limits.refuse_costly(estimate(trial.shape).work())
                yield trial
            except (UnsupportedModelError, TooCostlyError) as err:
                self.problem = self.problem or err

    def trial(self, given: InputRecipe, widths: Widths) -> Trial:
        """A recipe with these widths, with as much saturation and as few rows of stored tables as it needs.

        Raises:
            UnsupportedModelError: no such recipe keeps within the limits.
        """
        while True:
            recipe = self._recipe(given, widths)
            draft = drafted(self._plan_for(given), recipe)
            tall = first_too_tall(constraints_of(draft), widths.rows)
            relieved = None if tall is None else _relieved(draft, recipe, widths, *tall)
            if relieved is None:
                break
            widths = relieved
        shape = assemble(draft, recipe, self._request.visibility).shape
        name = f"input {given.bits}, activations {widths.bits}{' clipped' if widths.clipped else ''}"
        return _with_chunks(self._request, Trial(name, recipe, draft, shape, float("inf")))

    def _recipe(self, given: InputRecipe, widths: Widths) -> AshlarRecipe:
        return Chooser(self._plan_for(given), self.observed, widths, given).recipe(max(self._request.chunk_bits))

    def _plan_for(self, given: InputRecipe) -> Plan:
        return self.plan if isinstance(given.scale, int) else self._listed()

    def first_within(self, trials: Sequence[Trial]) -> Trial | None:
        """The first of these trials that is within the budget; each is measured on few samples before it is on all."""
        request, count = self._request, len(self._request.samples)
        budget = request.budget.with_margin(count)
        for trial in trials:
            self._refuse_late()
            self.measured.append(_measured(request, trial, min(FEW, count)))
            if count > FEW and _relaxed(budget).met_by(_fidelity(self.measured[-1])):
                self.measured[-1] = _measured(request, trial, count)
            elif count > FEW:
                continue
            if budget.met_by(_fidelity(self.measured[-1])):
                return self.measured[-1]
        return None

    def _refuse_late(self) -> None:
        if self._request.limits is not None:
            self._request.limits.refuse_late(len(self.measured))


def _different(trials: Iterable[Trial]) -> Iterator[Trial]:
    seen: list[AshlarRecipe] = []
    for trial in trials:
        if trial.recipe not in seen:
            seen.append(trial.recipe)
            yield trial


def _missed(request: Search, measured: list[Trial]) -> BudgetError:
    """What the best of the recipes lacks, and what would admit it."""
    best, count = min(measured, key=lambda trial: _fidelity(trial).decisive_error), len(request.samples)
    shortfall = request.budget.with_margin(count).shortfall(_fidelity(best))
    cure = "Allow more with --max-error or --min-agreement"
    if request.budget.met_by(_fidelity(best)):
        cure = (
            f"Give more than {count} calibration samples: the best recipe keeps the budget, but not the margin for few"
        )
    elif request.effort == "quick":
        cure = "Search with --effort normal, which tries finer recipes"
    return BudgetError(
        f"None of {len(measured)} recipes meets the budget; the best is {best.name!r}. {shortfall}".strip(),
        f"{cure}; or use the engine ezkl.",
        tuple(measured),
    )


def _fidelity(trial: Trial) -> Fidelity:
    if trial.fidelity is None:
        raise TypeError("a trial was not measured")
    return trial.fidelity


def _relaxed(budget: Budget) -> Budget:
    return replace(
        budget,
        min_agreement=max(0.0, budget.min_agreement - SLACK_AGREEMENT),
        max_error=min(1.0, SLACK_ERROR * budget.max_error),
        max_absolute_error=None,
        max_accuracy_drop=None,
    )


def _measured(request: Search, trial: Trial, count: int) -> Trial:
    """The trial with its fidelity on the first samples."""
    samples = request.samples[:count]
    integers = quantised(samples, trial.recipe.input)
    answers = request.forward(trial.draft)(integers)
    specs = [
        spec.model_copy(update={"scale": output.scale})
        for spec, output in zip(request.outputs, trial.draft.outputs, strict=True)
    ]
    listed = [[output[at].tolist() for output in answers] for at in range(count)]
    labels = None if request.labels is None or count < len(request.samples) else request.labels
    reference = {name: array[:count] for name, array in request.reference.items()}
    return replace(trial, fidelity=measure(specs, listed, reference, labels=labels))


def quantised(samples: NDArray[np.generic], recipe: InputRecipe) -> NDArray[np.int64]:
    """The integers of inputs (D2), [N, elements], moved into the range of the recipe."""
    values = np.rint(np.ldexp(samples.astype(np.float64), np.array(recipe.scales, np.int64))).astype(np.int64)
    return np.clip(values, *recipe.limits).reshape(len(samples), -1)


def _with_chunks(request: Search, trial: Trial) -> Trial:
    """The trial with the size of chunks that costs least."""
    choice = chunks.best(trial.shape, request.chunk_bits, request.objective)
    recipe = trial.recipe.model_copy(update={"chunk_bits": choice.bits})
    return replace(trial, recipe=recipe, shape=replace(trial.shape, chunk_bits=choice.bits), cost=choice.cost)


def _relieved(draft: Draft, recipe: AshlarRecipe, widths: Widths, name: str, bits: int) -> Widths | None:
    """Widths with which a block whose table is this much too tall reads or holds less; None if there are none."""
    [block] = (block for block in draft.blocks if block.name == name)
    if block.table.kind is TableKind.STORED:
        lowered = widths.lowered.get(name, 0) + bits
        return replace(widths, lowered={**widths.lowered, name: lowered}) if lowered <= MAX_LOWERED else None
    if name not in recipe.activations:
        return None
    if widths.narrow:
        less = widths.narrowed.get(name, 0) + 1
        return replace(widths, narrowed={**widths.narrowed, name: less}) if less <= MAX_NARROWED else None
    d = widths.saturate.get(name, 0) + 1
    if d >= block.table.width or block.shift + d > MAX_SHIFT:
        return None
    return replace(widths, saturate={**widths.saturate, name: d})
