"""Given scales, the cheapest circuit: how many rows and columns, and which decomposition.

Work grows with columns times 2^log_rows, whatever is used of them. A smaller base lets the rows shrink to what the
program needs, and takes more digits ("legs") for the same range, so more rows; fewer inner columns halve the columns
and double the rows. All sensible combinations are laid out on paper, the best few are asked of the engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zkinfer.circuits.context import LIMB_BITS as CONTEXT_BITS
from zkinfer.circuits.engines.ezkl.cost import work_of
from zkinfer.circuits.engines.ezkl.layout import layout_of, log_rows_least
from zkinfer.circuits.engines.ezkl.run_args import (
    INNER_COLUMNS,
    MAX_LOG_ROWS,
    MIN_LOG_ROWS,
    RESERVED_ROWS,
    EzklArguments,
    reach_of,
)
from zkinfer.circuits.engines.ezkl.tune.trials import Scales
from zkinfer.circuits.errors import EngineError, UnsupportedModelError
from zkinfer.circuits.storage import private_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from zkinfer.circuits.cost import Objective, Work
    from zkinfer.circuits.engines.base import TuneRequest
    from zkinfer.circuits.engines.ezkl.client import EzklProcess
    from zkinfer.circuits.engines.ezkl.tune.trials import Trial

HEADROOM_BITS = 2  # the range reaches at least four times beyond what calibration saw
LEAST_BITS = CONTEXT_BITS  # which are range-checked like all inputs
_WELCOME_BITS = 6  # and further where that costs nothing
_LOOKUP_MARGIN = 2  # lookup tables reach this many times further than calibration did
_MAX_BASE, _MAX_LEGS = 1 << 16, 8
_FINALISTS = 2
_FEWEST = 0.7  # of what a sketch assigns: with another number of inner columns it can be less
_TYPICAL = Scales(7, 7, 3)
_NEARLY = {"latency": 1.33, "gas": 1.02, "memory": 1.02}  # of the best price: what counts as just as good


@dataclass(frozen=True, slots=True)
class Fitted:
    """Complete arguments for one trial of scales, and the work of the circuit they give."""

    trial: Trial
    arguments: EzklArguments
    work: Work
    columns: int

    def __str__(self) -> str:
        return f"{self.trial.scales}, 2^{self.arguments.logrows} x {self.columns}"

    @property
    def headroom(self) -> float:
        """How many times larger than in calibration an integer may be before proving refuses it."""
        return float(self.arguments.integer_limit) / 2.0**self.trial.bits


@dataclass(frozen=True, slots=True)
class _Sketch:
    """A layout on paper: of the settings that the engine has for as many legs, under these arguments."""

    settings: dict[str, Any]
    arguments: EzklArguments
    work: Work

    @property
    def floor(self) -> Work:
        """What the engine's own layout can hardly fall below."""
        fewer = self.settings | {"total_assignments": int(_FEWEST * self.settings["total_assignments"])}
        return work_of(layout_of(fewer, self.arguments))


def fit(process: EzklProcess, request: TuneRequest, trial: Trial, objectives: Iterable[Objective] = ()) -> list[Fitted]:
    """The best arguments for these scales, by the request's objective or by each of several; none where none is sound.

    Where every circuit needs more memory than the request allows, the one that needs least is returned, for the
    caller to refuse with its numbers.

    Raises:
        UnsupportedModelError: the trusted setups at hand are too small.
    """
    candidates = list(_candidates(request, trial.scales, trial.bits, _lookups(trial)))
    found: dict[EzklArguments, Fitted] = {}
    with private_directory() as folder:
        sketches = _sketched(process, request, candidates, folder)
        for objective in objectives or (request.objective,):
            asked = replace(request, objective=objective)
            best = cheapest(_laid_out(process, asked, trial, sketches, folder), asked)
            if best is not None:
                found.setdefault(best.arguments, best)
    return list(found.values())


def _laid_out(
    process: EzklProcess,
    request: TuneRequest,
    trial: Trial,
    sketches: Sequence[_Sketch],
    folder: Path,
) -> list[Fitted]:
    """Of the best few of each size, the cheapest as the engine itself lays them out."""
    found: list[Fitted] = []
    for sketch in _best_of_each_size(sketches, request):
        if _is_beaten(sketch, cheapest(found, request), request):
            continue
        [settings] = process.settings(request.network, [sketch.arguments], folder)
        if settings is not None and (layout := layout_of(settings, sketch.arguments)).fits():
            found.append(Fitted(trial, sketch.arguments, work_of(layout), layout.columns))
    return found


def _is_beaten(sketch: _Sketch, best: Fitted | None, request: TuneRequest) -> bool:
    """Whether a circuit cannot be nearly as cheap as the best one so far, so that the engine need not be asked."""
    if best is None:
        return False
    objective = _objective(best.work, request)
    return sketch.floor.by(objective) > _NEARLY[objective] * best.work.by(objective)


def survey(process: EzklProcess, request: TuneRequest) -> Work:
    """About the least work that a circuit of this network takes, before any forward pass, which may take long.

    Raises:
        UnsupportedModelError: the trusted setups at hand are too small.
    """
    candidates = list(_candidates(request, _TYPICAL, 0, None))
    with private_directory() as folder:
        sketches = _sketched(process, request, candidates, folder)
    if not sketches:
        raise EngineError("The engine can make no circuit of this network.")
    return min((sketch.work for sketch in sketches), key=lambda work: _price(work, request))


def price(fitted: Fitted, request: TuneRequest) -> tuple[bool, float]:
    """What is compared: circuits that fit the memory first, by the objective; the others by their memory."""
    return _price(fitted.work, request)


def _price(work: Work, request: TuneRequest) -> tuple[bool, float]:
    return _is_too_large(work, request), work.by(_objective(work, request))


def _objective(work: Work, request: TuneRequest) -> Objective:
    return "memory" if _is_too_large(work, request) else request.objective


def _is_too_large(work: Work, request: TuneRequest) -> bool:
    """By what the user asked for; what happens to be free decides nothing, or no compilation could be repeated."""
    return request.max_memory is not None and work.memory_bytes > request.max_memory


def cheapest(found: Sequence[Fitted], request: TuneRequest) -> Fitted | None:
    """Of those that cost nearly as little as the best one; then the most faithful, the widest.

    Among these a part less of gas (or time, where gas is the objective) is worth as large a part more of the objective.
    """
    if not found:
        return None
    too_large, least = min(price(fitted, request) for fitted in found)
    first: Objective = "memory" if too_large else request.objective
    near = [fitted for fitted in found if price(fitted, request) <= (too_large, least * _NEARLY[first])]
    second: Objective = "gas" if first == "latency" else "latency"
    return min(
        near, key=lambda one: (one.work.by(first) * one.work.by(second), one.trial.fidelity.error_p99, -one.headroom)
    )


def _best_of_each_size(sketches: Sequence[_Sketch], request: TuneRequest) -> list[_Sketch]:
    """For every number of rows the best few: with too few rows the engine refuses some programs that seem to fit."""
    by_size: dict[int, list[_Sketch]] = {}
    for sketch in sorted(sketches, key=lambda sketch: _price(sketch.work, request)):
        by_size.setdefault(sketch.arguments.logrows, []).append(sketch)
    return [sketch for same in by_size.values() for sketch in same[:_FINALISTS]]


def _candidates(
    request: TuneRequest, scales: Scales, bits: int, seen_lookups: tuple[int, int] | None
) -> Iterator[EzklArguments]:
    for log_rows in range(MIN_LOG_ROWS, MAX_LOG_ROWS + 1):
        decomposition = _decomposition(max(bits + HEADROOM_BITS, LEAST_BITS), log_rows, reach_of(scales.multiplier))
        if decomposition is None:
            continue
        for inner in INNER_COLUMNS:
            yield EzklArguments(
                input_scale=scales.input,
                param_scale=scales.param,
                scale_rebase_multiplier=scales.multiplier,
                decomp_base=decomposition[0],
                decomp_legs=decomposition[1],
                lookup_range=(0, 0) if seen_lookups is None else _lookup_range(seen_lookups, log_rows),
                logrows=log_rows,
                num_inner_cols=inner,
                input_visibility=request.inputs[0].visibility,
            )


def _decomposition(bits: int, log_rows: int, reach: int) -> tuple[int, int] | None:
    """The fewest legs whose table fits the rows; then a power of two where one reaches as far.

    Of the bits that arguments may reach, all but one can be asked for, whatever the legs.
    """
    largest = min((1 << log_rows) - RESERVED_ROWS, _MAX_BASE)
    if bits >= reach or largest < 2:
        return None
    legs = math.ceil(bits / math.log2(largest))
    if legs > _MAX_LEGS:
        return None
    wanted = min(bits + _WELCOME_BITS, reach) // legs
    power = min(wanted, largest.bit_length() - 1)
    return (1 << power if power * legs >= bits else min(largest, int(2.0 ** (reach / legs)))), legs


def _lookups(trial: Trial) -> tuple[int, int] | None:
    return trial.lookups if trial.settings["required_lookups"] else None


def _lookup_range(seen: tuple[int, int], log_rows: int) -> tuple[int, int]:
    """What calibration reached, with a margin, then both ends widened into the rows that are paid for anyway."""
    low, high = (_LOOKUP_MARGIN * end for end in seen)
    usable = (1 << log_rows) - RESERVED_ROWS
    parts = -(-(high - low + 1) // usable)
    spare = (parts * usable - 1 - (high - low)) // 2
    return (low - spare, high + spare)


def _sketched(
    process: EzklProcess, request: TuneRequest, candidates: Sequence[EzklArguments], folder: Path
) -> list[_Sketch]:
    """Layouts on paper: what is assigned depends on the legs, and hardly on the number of inner columns."""
    legs = {arguments.decomp_legs: _for_sketch(arguments) for arguments in candidates}
    guides = dict(zip(legs, process.sketch(request.network, list(legs.values()), folder), strict=True))
    fitting = [
        _Sketch(settings, arguments, work_of(layout))
        for arguments in candidates
        if (settings := guides[arguments.decomp_legs]) is not None
        and log_rows_least(settings) <= arguments.logrows
        and (layout := layout_of(settings, arguments)).fits()
    ]
    needed = min((sketch.arguments.logrows for sketch in fitting), default=0)
    if needed > request.max_log_rows:
        raise UnsupportedModelError(
            f"The model needs 2^{needed} rows, and the largest trusted setup at hand has 2^{request.max_log_rows}.",
            f"Run `zkinfer setup fetch {needed}` and compile with a real ceremony (insecure-dev goes no further), or "
            "use a smaller model.",
        )
    return [sketch for sketch in fitting if sketch.arguments.logrows <= request.max_log_rows]


def _for_sketch(arguments: EzklArguments) -> EzklArguments:
    """With rows enough for any program: its assignments do not depend on them."""
    return arguments.model_copy(update={"logrows": MAX_LOG_ROWS, "num_inner_cols": INNER_COLUMNS[0]})
