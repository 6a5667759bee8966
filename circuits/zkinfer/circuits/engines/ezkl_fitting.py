"""Given scales, the cheapest circuit: how many rows and columns, and which decomposition.

Work grows with columns times 2^log_rows, whatever is used of them. A smaller base lets the rows shrink to what the
program needs, and takes more digits ("legs") for the same range, so more rows; fewer inner columns halve the columns
and double the rows. All sensible combinations are laid out on paper, the best few are asked of the engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.context import LIMB_BITS as CONTEXT_BITS
from zkinfer.circuits.engines.ezkl_arguments import (
    INNER_COLUMNS,
    MAX_LOG_ROWS,
    MIN_LOG_ROWS,
    RESERVED_ROWS,
    EzklArguments,
    reach_of,
)
from zkinfer.circuits.engines.ezkl_cost import work_of
from zkinfer.circuits.engines.ezkl_layout import layout_of, log_rows_least
from zkinfer.circuits.engines.ezkl_trials import Scales
from zkinfer.circuits.errors import EngineError, UnsupportedModelError
from zkinfer.circuits.scratch import private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from zkinfer.circuits.cost import Objective, Work
    from zkinfer.circuits.engines.base import TuneRequest
    from zkinfer.circuits.engines.ezkl_process import EzklProcess
    from zkinfer.circuits.engines.ezkl_trials import Trial

HEADROOM_BITS = 2  # the range reaches at least four times beyond what calibration saw
LEAST_BITS = CONTEXT_BITS  # which are range-checked like all inputs
_WELCOME_BITS = 6  # and further where that costs nothing
_LOOKUP_MARGIN = 2  # lookup tables reach this many times further than calibration did
_MAX_BASE, _MAX_LEGS = 1 << 16, 8
_FINALISTS = 2
_TYPICAL = Scales(7, 7, 3)
_NEARLY = {"latency": 1.33, "gas": 1.02, "memory": 1.02}  # of the best price: what counts as just as good


@dataclass(frozen=True, slots=True)
class Fitted:
    """Complete arguments for one trial of scales, and the work of the circuit they give."""

    trial: Trial
    arguments: EzklArguments
    work: Work

    @property
    def headroom(self) -> float:
        """How many times larger than in calibration an integer may be before proving refuses it."""
        return float(self.arguments.integer_limit) / 2.0**self.trial.bits


def fit(process: EzklProcess, request: TuneRequest, trial: Trial) -> Fitted | None:
    """The best arguments for these scales; None where no sound circuit holds them.

    Where every circuit needs more memory than the request allows, the one that needs least is returned, for the
    caller to refuse with its numbers.

    Raises:
        UnsupportedModelError: the trusted setups at hand are too small.
    """
    candidates = list(_candidates(request, trial.scales, trial.bits, _lookups(trial)))
    with private_directory() as folder:
        sketched = _sketched(process, request, candidates, folder)
        best = _best_of_each_size(sketched, request)
        exact = process.settings(request.network, best, folder)
    found = [
        Fitted(trial, arguments, work_of(layout_of(settings, arguments)))
        for arguments, settings in zip(best, exact, strict=True)
        if settings is not None and layout_of(settings, arguments).fits()
    ]
    return cheapest(found, request)


def survey(process: EzklProcess, request: TuneRequest) -> Work:
    """About the least work that a circuit of this network takes, before any forward pass, which may take long.

    Raises:
        UnsupportedModelError: the trusted setups at hand are too small.
    """
    candidates = list(_candidates(request, _TYPICAL, 0, None))
    with private_directory() as folder:
        sketched = _sketched(process, request, candidates, folder)
    if not sketched:
        raise EngineError("The engine can make no circuit of this network.")
    return min((work for _, work in sketched), key=lambda work: _price(work, request))


def price(fitted: Fitted, request: TuneRequest) -> tuple[bool, float]:
    """What is compared: circuits that fit the memory first, by the objective; the others by their memory."""
    return _price(fitted.work, request)


def _price(work: Work, request: TuneRequest) -> tuple[bool, float]:
    too_large = work.memory_bytes > request.max_memory
    return too_large, work.by("memory" if too_large else request.objective)


def cheapest(found: Sequence[Fitted], request: TuneRequest) -> Fitted | None:
    """Of those that cost nearly as little as the best: the least gas (or time), the most faithful, the widest."""
    if not found:
        return None
    too_large, least = min(price(fitted, request) for fitted in found)
    first: Objective = "memory" if too_large else request.objective
    near = [fitted for fitted in found if price(fitted, request) <= (too_large, least * _NEARLY[first])]
    second: Objective = "gas" if first == "latency" else "latency"
    return min(near, key=lambda one: (one.work.by(second), one.trial.fidelity.error_p99, -one.headroom))


def _best_of_each_size(sketched: Sequence[tuple[EzklArguments, Work]], request: TuneRequest) -> list[EzklArguments]:
    """For every number of rows the best few: with too few rows the engine refuses some programs that seem to fit."""
    by_size: dict[int, list[tuple[EzklArguments, Work]]] = {}
    for sketch in sorted(sketched, key=lambda sketch: _price(sketch[1], request)):
        by_size.setdefault(sketch[0].logrows, []).append(sketch)
    return [arguments for sketches in by_size.values() for arguments, _ in sketches[:_FINALISTS]]


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
) -> list[tuple[EzklArguments, Work]]:
    """Layouts on paper: what is assigned depends on the legs, and hardly on the number of inner columns."""
    legs = {arguments.decomp_legs: _for_sketch(arguments) for arguments in candidates}
    guides = dict(zip(legs, process.sketch(request.network, list(legs.values()), folder), strict=True))
    fitting = [
        (arguments, layout_of(settings, arguments))
        for arguments in candidates
        if (settings := guides[arguments.decomp_legs]) is not None and log_rows_least(settings) <= arguments.logrows
    ]
    fitting = [(arguments, layout) for arguments, layout in fitting if layout.fits()]
    needed = min((arguments.logrows for arguments, _ in fitting), default=0)
    if needed > request.max_log_rows:
        raise UnsupportedModelError(
            f"The model needs 2^{needed} rows, and the largest trusted setup at hand has 2^{request.max_log_rows}.",
            f"Run `zkinfer setup fetch {needed}`, or use a smaller model.",
        )
    return [(one, work_of(layout)) for one, layout in fitting if one.logrows <= request.max_log_rows]


def _for_sketch(arguments: EzklArguments) -> EzklArguments:
    """With rows enough for any program: its assignments do not depend on them."""
    return arguments.model_copy(update={"logrows": MAX_LOG_ROWS, "num_inner_cols": INNER_COLUMNS[0]})
