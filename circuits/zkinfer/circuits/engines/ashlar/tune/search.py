"""Try recipes from the cheapest on, and take the first that meets the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.assembly import Assembly, assemble
from zkinfer.circuits.engines.ashlar.constraints import MAX_SHIFT
from zkinfer.circuits.engines.ashlar.cost import estimate
from zkinfer.circuits.engines.ashlar.draft import Axis, AxisKind, Draft, Output, Span, TableKind, Term
from zkinfer.circuits.engines.ashlar.forward import ForwardPass
from zkinfer.circuits.engines.ashlar.key import MAX_KEY_WORDS
from zkinfer.circuits.engines.ashlar.lowering.drafts import draft as drafted
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan as planned
from zkinfer.circuits.engines.ashlar.tune.choose import Chooser, Widths, input_recipes
from zkinfer.circuits.engines.ashlar.tune.observe import observe
from zkinfer.circuits.errors import BudgetError, UnsupportedModelError
from zkinfer.circuits.fidelity import Fidelity, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.cost import Objective
    from zkinfer.circuits.engines.ashlar.draft import Block
    from zkinfer.circuits.engines.ashlar.key import Shape
    from zkinfer.circuits.engines.ashlar.lowering.plan import Plan
    from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe, InputRecipe
    from zkinfer.circuits.engines.ashlar.tune.observe import Observed
    from zkinfer.circuits.fidelity import Budget
    from zkinfer.circuits.samples import Labels
    from zkinfer.circuits.tensors import TensorSpec, Visibility

    # The outputs, [N, elements] each, of integers [N, elements].
    Forward = Callable[[NDArray[np.int64]], Sequence[NDArray[np.int64]]]

BITS, FINE_BITS = (7, 8, 9, 10), (11, 12, 13)
STORED_BITS = (13, 15)  # of the rows of stored tables
SLACK_AGREEMENT, SLACK_ERROR = 0.03, 1.5  # of a first look, so that it refuses nothing that all samples may admit
MAX_LOWERED, MAX_NARROWED = 12, 3
_GAS, _MEMORY = 4e5, 1e8  # that count as one second
_SHORT = 0.5  # seconds
FEW = 64  # samples on which most recipes are judged; the choice is judged on all


@dataclass(frozen=True, slots=True)
class Trial:
    """A recipe and what became of it; `fidelity` is None until it is measured."""

    name: str
    recipe: AshlarRecipe
    draft: Draft
    assembly: Assembly
    cost: float
    fidelity: Fidelity | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What a recipe is chosen for.

    `samples` are inputs [N, *shape] of the normal form, `reference` the float model's outputs by name. `chunk_bits` are
    the sizes of chunks to choose from; `forward` prepares the exact integer pass of a draft.
    """

    model: onnx.ModelProto
    outputs: Sequence[TensorSpec]
    samples: NDArray[np.generic]
    reference: Mapping[str, NDArray[np.generic]]
    budget: Budget
    chunk_bits: Sequence[int]
    objective: Objective = "latency"
    labels: Labels | None = None
    visibility: Visibility = "public"
    forward: Callable[[Draft], Forward] = lambda draft: ForwardPass(draft).run


def search(request: Search) -> tuple[Trial, list[Trial]]:
    """The cheapest recipe within the budget, and all that were measured.

    Raises:
        BudgetError: none is within the budget; the message has the best.
        UnsupportedModelError: no recipe keeps within the limits of sections 1.5 and 2.3.
    """
    model = planned(request.model)
    observed = observe(request.model, model, request.samples)
    measured, problem = list[Trial](), None
    for group in _groups(model):
        trials = list[Trial]()
        givens = input_recipes(model, observed, fine=group[0].fine)
        plans = [model if isinstance(given.scale, int) else planned(request.model, listed=True) for given in givens]
        for (given, plan), widths in product(zip(givens, plans, strict=True), group):
            try:
                trials.append(_trial(request, plan, observed, given, widths))
            except UnsupportedModelError as err:
                problem = problem or err
        best = _cheapest(request, sorted(_different(trials), key=lambda trial: trial.cost), measured)
        if best is not None:
            return best, measured
    if not measured:
        raise problem or UnsupportedModelError("No recipe was tried.")
    raise _missed(request, measured)


def _groups(plan: Plan) -> list[list[Widths]]:
    """What is tried together; stored tables take a second each, so that narrow ones are tried first.

    Fine ones come last: few networks need them, whose outputs hardly vary or whose best answers lie close together.
    """
    fine = [
        [Widths(bits, clipped=False, rows=STORED_BITS[-1], fine=True, narrow=narrow) for narrow in (True, False)]
        for bits in FINE_BITS
    ]
    if not plan.stored:
        return [[Widths(bits, clipped, STORED_BITS[0]) for bits in BITS for clipped in (False, True)], *fine]
    narrow = [[Widths(bits, clipped, rows) for clipped in (False, True)] for rows in STORED_BITS for bits in BITS]
    return narrow + fine


def cheapest(request: Search) -> Trial:
    """The first recipe of a search, which is not measured: a rough lower bound of the cost, within a moment.

    Raises:
        UnsupportedModelError: it does not keep within the limits of sections 1.5 and 2.3.
    """
    model = planned(request.model)
    observed = observe(request.model, model, request.samples)
    given = input_recipes(model, observed)[0]
    plan = model if isinstance(given.scale, int) else planned(request.model, listed=True)
    return _trial(request, plan, observed, given, next(iter(next(iter(_groups(model))))))


def _different(trials: Sequence[Trial]) -> Iterator[Trial]:
    seen: list[AshlarRecipe] = []
    for trial in trials:
        if trial.recipe not in seen:
            seen.append(trial.recipe)
            yield trial


def _cheapest(request: Search, trials: Sequence[Trial], measured: list[Trial]) -> Trial | None:
    """The first of these trials that is within the budget; each is measured on few samples before it is on all."""
    budget, count = request.budget.with_margin(len(request.samples)), len(request.samples)
    for trial in trials:
        measured.append(_measured(request, trial, min(FEW, count)))
        if count > FEW and _relaxed(budget).met_by(_fidelity(measured[-1])):
            measured[-1] = _measured(request, trial, count)
        elif count > FEW:
            continue
        if budget.met_by(_fidelity(measured[-1])):
            return replace(measured[-1], assembly=assemble(trial.draft, trial.recipe, request.visibility))
    return None


def _missed(request: Search, measured: list[Trial]) -> BudgetError:
    best = min(measured, key=lambda trial: _fidelity(trial).decisive_error)
    budget = request.budget.with_margin(len(request.samples))
    return BudgetError(
        f"No recipe meets the budget. {budget.shortfall(_fidelity(best))}".strip(),
        "Allow a larger error, give more calibration samples, or use the engine ezkl.",
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


def _trial(request: Search, plan: Plan, observed: Observed, given: InputRecipe, widths: Widths) -> Trial:
    """A recipe with these widths, with as much saturation and as few rows of stored tables as it needs.

    Raises:
        UnsupportedModelError: no such recipe keeps within the limits.
    """
    while True:
        recipe = Chooser(plan, observed, widths, given).recipe(max(request.chunk_bits))
        draft = drafted(plan, recipe)
        try:
            assembly = assemble(draft, recipe, request.visibility)
        except UnsupportedModelError as err:
            widths = _relieved(draft, recipe, widths, err)
            continue
        tall = dict(_tall(draft, assembly, widths.rows))
        if not tall:
            break
        widths = replace(
            widths, lowered={**widths.lowered, **{n: widths.lowered.get(n, 0) + k for n, k in tall.items()}}
        )
    costs = {bits: _cost(replace(assembly.shape, chunk_bits=bits), request.objective) for bits in request.chunk_bits}
    best = min(costs, key=lambda bits: (costs[bits], bits))
    recipe = recipe.model_copy(update={"chunk_bits": best})
    name = f"input {given.bits}, activations {widths.bits}{' clipped' if widths.clipped else ''}"
    return Trial(name, recipe, draft, assembly, costs[best])


def _cost(shape: Shape, objective: Objective) -> float:
    """What is minimised: seconds and gas together, since smaller chunks save the one and cost the other."""
    found = estimate(shape)
    if shape.key_words > MAX_KEY_WORDS:
        return math.inf
    if objective == "memory":
        return found.memory_bytes / _MEMORY
    seconds, gas = _felt(found.seconds), found.transaction / _GAS
    return seconds + gas if objective == "latency" else gas + seconds / 8


def _felt(seconds: float) -> float:
    """Seconds up to a half; beyond that only their ratio counts, or gas would be spent on a wait that stays long."""
    return seconds if seconds <= _SHORT else _SHORT * (1 + math.log(seconds / _SHORT))


def _tall(draft: Draft, assembly: Assembly, rows: int) -> Iterator[tuple[str, int]]:
    """The blocks whose stored tables have too many rows, and the bits to save."""
    number = 0
    for block in draft.blocks:
        number += 1 if block.saturation is None else 2
        bits = assembly.bounds.blocks[number].k - rows
        if block.table.kind is TableKind.STORED and bits > 0:
            yield block.name, bits


def _relieved(draft: Draft, recipe: AshlarRecipe, widths: Widths, problem: UnsupportedModelError) -> Widths:
    """Widths with which the first block that exceeds a limit reads or holds less."""
    first = _first_failing(draft, recipe)
    if first is None or first.shift > MAX_SHIFT:
        raise problem
    if widths.narrow and first.name in recipe.activations and first.table.kind is not TableKind.STORED:
        less = widths.narrowed.get(first.name, 0) + 1
        if less > MAX_NARROWED:
            raise problem
        return replace(widths, narrowed={**widths.narrowed, first.name: less})
    name, d = first.name, widths.saturate.get(first.name, 0) + 1
    if first.table.kind is TableKind.STORED:
        lowered = widths.lowered.get(name, 0) + 1
        if lowered > MAX_LOWERED:
            raise problem
        return replace(widths, lowered={**widths.lowered, name: lowered})
    if name not in recipe.activations or d >= first.table.width or first.shift + d > MAX_SHIFT:
        raise problem
    return replace(widths, saturate={**widths.saturate, name: d})


def _first_failing(draft: Draft, recipe: AshlarRecipe) -> Block | None:
    """The first block that keeps the part of the network up to it from being assembled; None if it is no block."""
    good, bad = 0, len(draft.blocks) + 1
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            assemble(_up_to(draft, middle), recipe)
            good = middle
        except UnsupportedModelError:
            bad = middle
    return draft.blocks[good] if good < len(draft.blocks) else None


def _up_to(draft: Draft, count: int) -> Draft:
    """The first blocks, of which the last is the output."""
    last, bits = draft.blocks[count - 1], sum(factor.bits for factor in draft.blocks[count - 1].factors)
    whole = Span(0, bits)
    axes = (Axis(AxisKind.EQ, whole, whole),) if bits else ()
    output = Output(last.name, last.factors, 0, (Term(count, axes),))
    return Draft(draft.input, draft.blocks[:count], (output,))
