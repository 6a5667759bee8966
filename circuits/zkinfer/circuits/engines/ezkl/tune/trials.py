"""Trials of scales on ezkl: their effect on the answers, and the bit width of the integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.fidelity import measure
from zkinfer.circuits.storage import private_directory
from zkinfer.circuits.tensors import quantise_batch

if TYPE_CHECKING:
    from typing import Any

    from zkinfer.circuits.engines.base import TuneRequest
    from zkinfer.circuits.engines.ezkl.client import EzklProcess
    from zkinfer.circuits.fidelity import Fidelity

_WIDE_LOOKUPS = (-(1 << 20), 1 << 20)
_WIDE_BASE, _WIDE_LEGS, _WIDE_LOG_ROWS = 1 << 15, 4, 17


@dataclass(frozen=True, slots=True)
class Scales:
    """The parameters that determine a circuit's answers: log2 of the scales of inputs and weights, and the multiple of
    the scale at which products are rescaled."""

    input: int
    param: int
    multiplier: int

    def __str__(self) -> str:
        return f"scales {self.input}/{self.param}, rescaled at {self.multiplier}x"


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of scales on the calibration samples.

    `bits` is the bit width of the largest integer; `lookups` are the extreme arguments of lookups; `settings` are the
    engine's own.
    """

    scales: Scales
    fidelity: Fidelity
    bits: int
    lookups: tuple[int, int]
    settings: dict[str, Any]

    def bits_at(self, scales: Scales) -> int:
        """An estimate for scales with the same multiplier, since the widest integer is a product."""
        growth = scales.input + scales.param - self.scales.input - self.scales.param
        return self.bits + scales.multiplier * growth // 2


def wide_arguments(scales: Scales, request: TuneRequest) -> EzklArguments:
    """Arguments with a range that no sensible model exceeds; for forward passes only."""
    return EzklArguments(
        input_scale=scales.input,
        param_scale=scales.param,
        scale_rebase_multiplier=scales.multiplier,
        decomp_base=_WIDE_BASE,
        decomp_legs=_WIDE_LEGS,
        lookup_range=_WIDE_LOOKUPS,
        logrows=_WIDE_LOG_ROWS,
        input_visibility=request.inputs[0].visibility,
    )


def try_scales(process: EzklProcess, request: TuneRequest, scales: Scales, likely_bits: int = 0) -> Trial | None:
    """Run the circuit's forward pass on the calibration samples; None if a value exceeds even the widest range.

    `likely_bits` is an initial guess of the bit width that affects the time only.
    """
    with private_directory() as folder:
        try:
            built, answer, bits = process.try_out(
                request.network,
                request.inputs,
                request.outputs,
                wide_arguments(scales, request),
                integers_of(request, scales),
                folder,
                likely_bits=likely_bits,
            )
        except RangeError:
            return None
    return Trial(
        scales=scales,
        fidelity=measure(built.outputs, answer.outputs, request.reference, labels=request.labels),
        bits=bits,
        lookups=(answer.lookup_low, answer.lookup_high),
        settings=built.settings,
    )


def integers_of(request: TuneRequest, scales: Scales) -> list[list[list[int]]]:
    """The calibration samples, quantised as the engine does at these scales."""
    specs = [spec.model_copy(update={"scale": scales.input if spec.is_float else 0}) for spec in request.inputs]
    return quantise_batch(request.samples, specs)
