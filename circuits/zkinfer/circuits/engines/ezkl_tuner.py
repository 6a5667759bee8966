"""Choosing run arguments for ezkl: the smallest scale that keeps the accuracy, in the fewest rows.

Work grows with 2^logrows, whatever is used of it. So the decomposition base, whose table must fit in the rows, is
chosen together with logrows, and lookup tables take what the calibration needs and then the rows that are free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zkinfer.circuits.engines.ezkl_arguments import (
    MAX_BLOCK_BITS,
    MAX_LOG_ROWS,
    RESERVED_ROWS,
    EzklArguments,
    log_rows_least,
    log_rows_needed,
)
from zkinfer.circuits.errors import EngineError, RangeError, UnsupportedModelError
from zkinfer.circuits.fidelity import measure
from zkinfer.circuits.scratch import private_directory
from zkinfer.circuits.tensors import quantise_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zkinfer.circuits.engines.base import Progress, RunArguments, TuneRequest
    from zkinfer.circuits.engines.ezkl_process import EzklProcess, Forward
    from zkinfer.circuits.fidelity import Fidelity
    from zkinfer.circuits.tensors import Visibility

_SCALES = (7, 9, 11, 13)
_BASES = (512, 1024, 4096, 16384)
_HEADROOM_BITS = 13  # of an intermediate value above its two scales: 8,192 before a range check fails
_WIDE = (-(1 << 20), 1 << 20)
_MARGIN = 2  # lookup tables reach this many times further than calibration did


def tune(process: EzklProcess, request: TuneRequest, progress: Progress) -> RunArguments:
    """Walk up the scales until the budget is met; raises EngineError with the best result if none meets it."""
    best = "none could run"
    for step, scale in enumerate(_SCALES):
        progress(step / len(_SCALES))
        try:
            arguments, fidelity = _try_scale(process, request, scale)
        except RangeError:
            continue
        if request.budget.met_by(fidelity):
            return arguments.to_run_arguments()
        best = f"scale {scale}: {request.budget.shortfall(fidelity).removesuffix('.')}"
    raise EngineError(
        f"No settings keep the model's accuracy within the budget ({best}).",
        "Allow more: --min-agreement, --max-error, --max-absolute-error, --max-accuracy-drop; or give calibration data "
        "of the model's real kind.",
    )


def _try_scale(process: EzklProcess, request: TuneRequest, scale: int) -> tuple[EzklArguments, Fidelity]:
    with private_directory() as folder:
        arguments = _cheapest(process, request, scale, folder)
        built = process.build(request.network, request.inputs, request.outputs, arguments, folder)
        batch = quantise_batch(request.samples, built.inputs)
        answer = process.forward(folder, batch, len(request.outputs))
    fidelity = measure(built.outputs, answer.outputs, request.reference, labels=request.labels)
    return _fit_lookups(arguments, answer, request, built.settings), fidelity


def _cheapest(process: EzklProcess, request: TuneRequest, scale: int, folder: Path) -> EzklArguments:
    """Among the bases, the one whose program takes the fewest rows as a power of two, then the fewest rows."""
    candidates = list(_decompositions(scale, request.inputs[0].visibility))
    found = process.settings(request.network, candidates, folder)
    sizes = [
        (log_rows_needed(settings, arguments.without_lookups()), int(settings["num_rows"]), place)
        for place, (settings, arguments) in enumerate(zip(found, candidates, strict=True))
    ]
    _, _, place = min(sizes)
    chosen = candidates[place]
    return chosen.model_copy(update={"logrows": _affordable(found[place], chosen.without_lookups(), request)})


def _decompositions(scale: int, visibility: Visibility) -> Iterator[EzklArguments]:
    for base in _BASES:
        bits = base.bit_length() - 1
        legs = -(-(2 * scale + _HEADROOM_BITS) // bits)
        yield EzklArguments(
            input_scale=scale,
            param_scale=scale,
            decomp_base=base,
            decomp_legs=legs,
            lookup_range=_WIDE,
            logrows=17,
            input_visibility=visibility,
        )


def _affordable(settings: dict[str, Any], arguments: EzklArguments, request: TuneRequest) -> int:
    """One block of columns where the setup at hand allows, else more blocks of fewer rows."""
    wanted, least, largest = (
        log_rows_needed(settings, arguments),
        log_rows_least(settings),
        min(request.max_log_rows, MAX_LOG_ROWS),
    )
    if least > largest or wanted > largest + MAX_BLOCK_BITS:
        raise UnsupportedModelError(
            f"The model needs 2^{wanted} rows, and the largest trusted setup at hand has 2^{largest}.",
            f"Run `zkinfer setup fetch {wanted}`, or use a smaller model.",
        )
    return min(wanted, largest)


def _fit_lookups(
    arguments: EzklArguments, seen: Forward, request: TuneRequest, settings: dict[str, Any]
) -> EzklArguments:
    """Cover what calibration reached with a margin, then widen both ends into the rows that are paid for anyway."""
    if not settings["required_lookups"]:
        return arguments.without_lookups()
    low, high = _MARGIN * seen.lookup_low, _MARGIN * seen.lookup_high
    needed = arguments.model_copy(update={"lookup_range": (low, high)})
    log_rows = _affordable(settings, needed, request)
    spare = max(0, (1 << log_rows) - RESERVED_ROWS - 1 - (high - low)) // 2
    return needed.model_copy(update={"logrows": log_rows, "lookup_range": (low - spare, high + spare)})
