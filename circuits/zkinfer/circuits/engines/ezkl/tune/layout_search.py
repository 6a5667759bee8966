"""The cheapest layout for given scales: numbers of rows and columns, and the decomposition of integers into digits.

Work grows with columns times 2^log_rows, used or not. A smaller base reduces the minimum number of rows but takes more
digits ("legs") for the same range, so more cells; fewer inner columns halve the columns and double the rows. Every
sensible combination is estimated, and the engine lays out the best few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ezkl.cost import work_of
from zkinfer.circuits.engines.ezkl.instances import LIMB_BITS as CONTEXT_BITS
from zkinfer.circuits.engines.ezkl.layout import layout_of, min_log_rows
from zkinfer.circuits.engines.ezkl.run_args import (
    INNER_COLUMNS,
    MAX_LOG_ROWS,
    MIN_LOG_ROWS,
    RESERVED_ROWS,
    EzklArguments,
    max_decomposition_bits,
    max_input_bits,
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

MIN_SCALE, MAX_SCALE = 2, 14
HEADROOM_BITS = 2  # the range is at least four times that of the calibration samples
MIN_BITS = CONTEXT_BITS  # the context is range-checked like all inputs
_FREE_HEADROOM_BITS = 6  # the headroom to use if it costs nothing
_LOOKUP_MARGIN = 2  # lookup tables are this many times wider than calibration needs
_MAX_BASE, _MAX_LEGS = 1 << 16, 8
_FINALISTS = 2
_MIN_SHARE = 0.7  # of a sketch's assignments: other numbers of inner columns can take fewer
_TYPICAL = Scales(7, 7, 3)
_WORTH_OF_CONSTANTS = 2.0  # a factor of the price
_TOLERANCE = {"latency": 1.33, "gas": 1.02, "memory": 1.02}  # factors of the best price that count as equally good


@dataclass(frozen=True, slots=True)
class Fitted:
    """Complete run arguments for one trial of scales, and the work of the resulting circuit."""

    trial: Trial
    arguments: EzklArguments
    work: Work
    columns: int

    def __str__(self) -> str:
        return f"{self.trial.scales}, 2^{self.arguments.logrows} x {self.columns}"

    @property
    def headroom(self) -> float:
        """The factor by which integers may exceed those of calibration before a proof fails."""
        return float(self.arguments.integer_limit) / 2.0**self.trial.bits


@dataclass(frozen=True, slots=True)
class _Sketch:
    """An estimated layout under these arguments, from the engine's settings for the same number of legs."""

    settings: dict[str, Any]
    arguments: EzklArguments
    work: Work

    @property
    def floor(self) -> Work:
        """A practical lower bound of the work of the engine's own layout."""
        fewer = self.settings | {"total_assignments": int(_MIN_SHARE * self.settings["total_assignments"])}
        return work_of(layout_of(fewer, self.arguments))


def fit(process: EzklProcess, request: TuneRequest, trial: Trial, objectives: Iterable[Objective] = ()) -> list[Fitted]:
    """The best arguments for these scales, by the request's objective or by each of several; empty if none is sound.

    If every circuit exceeds the memory limit of the request, the smallest is returned, so that the caller can report
    its figures.

    Raises:
        UnsupportedModelError: the available trusted setups are too small, or the integers too wide for an input's type.
    """
    _refuse_wide(request, trial)
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
    """The cheapest of the best few per size, as laid out by the engine."""
    found: list[Fitted] = []
    for sketch in _best_of_each_size(sketches, request):
        if _is_beaten(sketch, cheapest(found, request), request):
            continue
        [settings] = process.settings(request.network, [sketch.arguments], folder)
        if settings is not None and (layout := layout_of(settings, sketch.arguments)).fits():
            found.append(Fitted(trial, sketch.arguments, work_of(layout), layout.columns))
    return found


def _is_beaten(sketch: _Sketch, best: Fitted | None, request: TuneRequest) -> bool:
    """Whether a sketch cannot come close to the best circuit so far, so that laying it out is unnecessary."""
    if best is None:
        return False
    objective = _objective(best.work, request)
    return sketch.floor.by(objective) > _TOLERANCE[objective] * best.work.by(objective)


def survey(process: EzklProcess, request: TuneRequest) -> Work:
    """Approximate lower bound of the work of any circuit of this network, without the slow forward passes.

    Raises:
        UnsupportedModelError: the available trusted setups are too small.
    """
    candidates = list(_candidates(request, _TYPICAL, 0, None))
    with private_directory() as folder:
        sketches = _sketched(process, request, candidates, folder)
    if not sketches:
        raise EngineError("The engine finds no layout for this network.", "Make the model smaller, or report it.")
    return min((sketch.work for sketch in sketches), key=lambda work: _price(work, request))


def why_unsound(process: EzklProcess, request: TuneRequest, trial: Trial) -> list[str]:
    """Why `fit` finds no sound circuit, and the cure; empty if the engine itself has no layout."""
    arguments = next(_candidates(request, trial.scales, trial.bits, _lookups(trial)), None)
    return [] if arguments is None else process.why_unsound(request, arguments)


def log_rows_without_tables(process: EzklProcess, request: TuneRequest, fitted: Fitted) -> int | None:
    """log2 of the rows that the same scales would take if tables of functions were short; None if these decide nothing.

    Raises:
        UnsupportedModelError: the available trusted setups are too small.
    """
    seen = _lookups(fitted.trial)
    if seen is None or 2 * _LOOKUP_MARGIN * (seen[1] - seen[0]) <= fitted.arguments.rows:
        return None
    candidates = list(_candidates(request, fitted.trial.scales, fitted.trial.bits, (0, 0)))
    with private_directory() as folder:
        sketches = _sketched(process, request, candidates, folder)
    rows = min(sketches, key=lambda sketch: _price(sketch.work, request)).arguments.logrows
    return rows if rows < fitted.arguments.logrows else None


def price(fitted: Fitted, request: TuneRequest) -> tuple[bool, float]:
    """Sort key: circuits within the memory limit first, by the objective; the others by memory."""
    return _price(fitted.work, request)


def _price(work: Work, request: TuneRequest) -> tuple[bool, float]:
    return _is_too_large(work, request), work.by(_objective(work, request))


def _objective(work: Work, request: TuneRequest) -> Objective:
    return "memory" if _is_too_large(work, request) else request.objective


def _is_too_large(work: Work, request: TuneRequest) -> bool:
    """Whether the work exceeds the user's limit; free memory never affects the choice, which must be reproducible."""
    return request.max_memory is not None and work.memory_bytes > request.max_memory


def cheapest(found: Sequence[Fitted], request: TuneRequest) -> Fitted | None:
    """The preferred circuit among those nearly as cheap as the best: the most faithful one, then the widest.

    Among these, a relative saving of gas (or of time, if gas is the objective) offsets an equal relative cost. Circuits
    that hold more of the model's constants are preferred up to twice the cost.
    """
    if not found:
        return None
    found = _holding_most(found, request)
    too_large, least = min(price(fitted, request) for fitted in found)
    first: Objective = "memory" if too_large else request.objective
    near = [fitted for fitted in found if price(fitted, request) <= (too_large, least * _TOLERANCE[first])]
    second: Objective = "gas" if first == "latency" else "latency"
    return min(
        near,
        key=lambda one: (one.work.by(first) * one.work.by(second), one.trial.fidelity.decisive_error, -one.headroom),
    )


def _holding_most(found: Sequence[Fitted], request: TuneRequest) -> list[Fitted]:
    """Those that lose the fewest constants, unless they cost more than that is worth."""
    too_large, least = min(price(fitted, request) for fitted in found)
    affordable = [fitted for fitted in found if price(fitted, request) <= (too_large, least * _WORTH_OF_CONSTANTS)]
    fewest = min(len(fitted.trial.missing_bits) for fitted in affordable)
    return [fitted for fitted in affordable if len(fitted.trial.missing_bits) == fewest]


def _best_of_each_size(sketches: Sequence[_Sketch], request: TuneRequest) -> list[_Sketch]:
    """The best few per number of rows: near the minimum, the engine rejects some programs that seem to fit."""
    by_size: dict[int, list[_Sketch]] = {}
    for sketch in sorted(sketches, key=lambda sketch: _price(sketch.work, request)):
        by_size.setdefault(sketch.arguments.logrows, []).append(sketch)
    return [sketch for same in by_size.values() for sketch in same[:_FINALISTS]]


def _candidates(
    request: TuneRequest, scales: Scales, bits: int, seen_lookups: tuple[int, int] | None
) -> Iterator[EzklArguments]:
    max_bits = min(max_decomposition_bits(scales.multiplier), max_input_bits(spec.dtype for spec in request.inputs))
    for log_rows in range(MIN_LOG_ROWS, MAX_LOG_ROWS + 1):
        decomposition = _decomposition(max(bits + HEADROOM_BITS, MIN_BITS), log_rows, max_bits)
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


def _refuse_wide(request: TuneRequest, trial: Trial) -> None:
    bits = trial.bits + HEADROOM_BITS
    held = next((spec for spec in request.inputs if bits >= max_input_bits([spec.dtype])), None)
    if held is not None and bits < max_decomposition_bits(trial.scales.multiplier):
        raise UnsupportedModelError(
            f"The circuit needs integers of {bits} bits, so that nothing would hold the input {held.describe()} to the "
            f"range of {held.dtype}.",
            "Let the model take int64 or float32 instead.",
        )


def _decomposition(bits: int, log_rows: int, max_bits: int) -> tuple[int, int] | None:
    """Base and number of legs: the fewest whose table fits the rows, with a power of two as the base if possible.

    For any number of legs, all but one of `max_bits` can be used.
    """
    largest = min((1 << log_rows) - RESERVED_ROWS, _MAX_BASE)
    if bits >= max_bits or largest < 2:
        return None
    legs = math.ceil(bits / math.log2(largest))
    if legs > _MAX_LEGS:
        return None
    wanted = min(bits + _FREE_HEADROOM_BITS, max_bits) // legs
    power = min(wanted, largest.bit_length() - 1)
    return (1 << power if power * legs >= bits else min(largest, int(2.0 ** (max_bits / legs)))), legs


def _lookups(trial: Trial) -> tuple[int, int] | None:
    return trial.lookups if trial.settings["required_lookups"] else None


def _lookup_range(seen: tuple[int, int], log_rows: int) -> tuple[int, int]:
    """The range seen in calibration with a margin, widened at both ends into rows that would otherwise be unused."""
    low, high = (_LOOKUP_MARGIN * end for end in seen)
    usable = (1 << log_rows) - RESERVED_ROWS
    parts = -(-(high - low + 1) // usable)
    spare = (parts * usable - 1 - (high - low)) // 2
    return (low - spare, high + spare)


def _sketched(
    process: EzklProcess, request: TuneRequest, candidates: Sequence[EzklArguments], folder: Path
) -> list[_Sketch]:
    """Estimated layouts: assignments depend on the legs, and hardly on the number of inner columns."""
    legs = {arguments.decomp_legs: _for_sketch(arguments) for arguments in candidates}
    guides = dict(zip(legs, process.sketch(request.network, list(legs.values()), folder), strict=True))
    fitting = [
        _Sketch(settings, arguments, work_of(layout))
        for arguments in candidates
        if (settings := guides[arguments.decomp_legs]) is not None
        and min_log_rows(settings) <= arguments.logrows
        and (layout := layout_of(settings, arguments)).fits()
    ]
    needed = min((sketch.arguments.logrows for sketch in fitting), default=0)
    if needed > request.max_setup_size:
        raise UnsupportedModelError(
            f"The model needs 2^{needed} rows; the largest available trusted setup has 2^{request.max_setup_size}.",
            f"Run `zkinfer setup fetch {needed}` and compile with a real ceremony (insecure-dev has no larger setup), "
            "or use a smaller model.",
        )
    return [sketch for sketch in fitting if sketch.arguments.logrows <= request.max_setup_size]


def _for_sketch(arguments: EzklArguments) -> EzklArguments:
    """The arguments with enough rows for any program: assignments do not depend on them."""
    return arguments.model_copy(update={"logrows": MAX_LOG_ROWS, "num_inner_cols": INNER_COLUMNS[0]})


def can_be_narrower(fitted: Fitted) -> bool:
    """Whether smaller integers could make the circuit cheaper: not if the context alone determines the range."""
    needed = fitted.trial.bits + HEADROOM_BITS
    return needed > MIN_BITS or bool(fitted.trial.settings["required_lookups"])


def neighbours(fitted: Fitted) -> Iterator[Scales]:
    """Smaller scales if they could be cheaper, and larger ones if the range has room for them."""
    changes = [(-1, 0), (0, -1)] if can_be_narrower(fitted) else []
    scales = fitted.trial.scales
    spare = math.floor(math.log2(fitted.headroom)) - HEADROOM_BITS
    if spare >= 1:  # each factor of a product adds its bits
        step = max(1, spare // (scales.multiplier + 1))
        changes += [(step, step)]
    for change in changes:
        inputs, params = scales.input + change[0], scales.param + change[1]
        if min(inputs, params) >= MIN_SCALE and max(inputs, params) <= MAX_SCALE:
            yield replace(scales, input=inputs, param=params)
