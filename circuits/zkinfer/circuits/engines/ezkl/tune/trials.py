"""Trials of scales on ezkl: their effect on the answers, the bit width of the integers, and the time they may take.

Also trials of the first nodes of a network, to find the one that makes the engine fail: its own errors do not name it.
That is a binary search over the number of leading nodes; each attempt has its own child process, since some nodes make
the engine panic.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import EngineCrashedError, EngineError, RangeError, UnsupportedModelError
from zkinfer.circuits.fidelity import measure
from zkinfer.circuits.storage import private_directory
from zkinfer.circuits.tensors import quantise_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from zkinfer.circuits.engines.base import TuneRequest
    from zkinfer.circuits.engines.ezkl.client import EzklProcess
    from zkinfer.circuits.fidelity import Fidelity


_WIDE_LOOKUPS = (-(1 << 20), 1 << 20)
_WIDE_BASE, _WIDE_LEGS, _WIDE_LOG_ROWS = 1 << 15, 4, 17
_MIN_SAMPLES = 8
_ROWS_PER_ELEMENT = 20  # roughly, for an activation and a rescaling
_USED_SHARE = 0.9  # of the time of a search; the rest is for the start of the process, and for its result


class TimeIsUpError(Exception):
    """The next step would exceed the time of the search."""


@dataclass(slots=True)
class Clock:
    """The time of a search: it `ends` at a monotonic time, and its `longest` step took so many seconds."""

    ends: float
    longest: float = 0.0

    @classmethod
    def of(cls, seconds: float | None) -> Clock:
        """The clock of a search that starts now; None sets no limit."""
        return cls(math.inf if seconds is None else time.monotonic() + _USED_SHARE * seconds)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time a step; raises TimeIsUpError before it if a step as long as the longest would not end in time."""
        began = time.monotonic()
        if began + self.longest > self.ends:
            raise TimeIsUpError
        yield
        self.longest = max(self.longest, time.monotonic() - began)


def count_of(request: TuneRequest) -> int:
    """The number of samples."""
    return len(next(iter(request.samples.values())))


def subset_of(request: TuneRequest, rows: int) -> TuneRequest:
    """The request with an evenly spaced subset of the samples, whose forward passes compute about this many rows."""
    workload, given = request.workload, count_of(request)
    each = workload.multiplications // 2 + _ROWS_PER_ELEMENT * workload.elements
    count = min(given, max(_MIN_SAMPLES, rows // max(1, each)))
    if count == given:
        return request
    some = np.arange(count) * given // count
    return replace(
        request,
        samples={name: array[some] for name, array in request.samples.items()},
        reference={name: array[some] for name, array in request.reference.items()},
        labels=None if request.labels is None else request.labels.of(some),
    )


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
    engine's own. `missing_bits` says, for each constant of the model that these scales round to 0, by how many bits
    they are too small.
    """

    scales: Scales
    fidelity: Fidelity
    bits: int
    lookups: tuple[int, int]
    settings: dict[str, Any]
    missing_bits: tuple[int, ...] = ()

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
        missing_bits=answer.missing_bits,
    )


def integers_of(request: TuneRequest, scales: Scales) -> list[list[list[int]]]:
    """The calibration samples, quantised as the engine does at these scales."""
    bits = [spec.common_scale + (scales.input if spec.is_float else 0) for spec in request.inputs]
    specs = [spec.model_copy(update={"scale": scale}) for spec, scale in zip(request.inputs, bits, strict=True)]
    return quantise_batch(request.samples, specs)


_PROBE_SCALES = Scales(7, 7, 3)


@contextmanager
def naming_nodes(process: EzklProcess, request: TuneRequest, *, computing: bool) -> Iterator[None]:
    """Convert an engine error inside the block into one that names the node that causes it, and the engine's reason.

    Args:
        process: for the engine's calls.
        request: the request that the engine works on in the block.
        computing: whether it computes samples; otherwise it only reads the network.

    Raises:
        UnsupportedModelError: the engine fails at a node.
        EngineError: the block's own, if no node causes it; or the engine runs out of memory or time.
    """
    try:
        yield
    except EngineError as err:
        if type(err) not in (EngineError, EngineCrashedError):  # the others have causes of their own
            raise
        with private_directory() as folder:
            found = _Probe(process, request, _sample(request) if computing else None, folder).rejected()
        if found is None:
            raise
        raise found from err


class _Probe:
    """Attempts to run the engine on the first nodes of a network."""

    def __init__(
        self, process: EzklProcess, request: TuneRequest, sample: list[list[int]] | None, folder: Path
    ) -> None:
        self._process, self._names, self._network = process, request.names, str(request.network.resolve())
        self._arguments = wide_arguments(_PROBE_SCALES, request).to_run_arguments()
        self._sample, self._folder = sample, str(folder.resolve())

    def rejected(self) -> UnsupportedModelError | None:
        """The error for the first node with which the engine fails; None if it accepts all nodes."""
        nodes: list[list[str]] = self._process.call("nodes_of", network=self._network)
        accepted, rejected = 0, len(nodes)
        reason = self._failure(rejected)
        if reason is None:
            return None
        while rejected - accepted > 1:
            middle = (accepted + rejected) // 2
            found = self._failure(middle)
            if found is None:
                accepted = middle
            else:
                rejected, reason = middle, found
        operator, value = nodes[rejected - 1]
        return UnsupportedModelError(
            f"The engine rejects {operator} {self._names.get(value, value)[:80]!r}: {reason}",
            f"Replace this {operator} by other operators (see docs/reference/operators.md), or report the model.",
        )

    def _failure(self, nodes: int) -> str | None:
        try:
            failure: str | None = self._process.call(
                "failure_of",
                network=self._network,
                nodes=nodes,
                arguments=self._arguments,
                sample=self._sample,
                folder=self._folder,
            )
        except EngineCrashedError as err:
            return err.cause
        return failure


def _sample(request: TuneRequest) -> list[list[int]]:
    """The first calibration sample, with an empty context."""
    return [[0] * LIMBS, *integers_of(request, _PROBE_SCALES)[0]]
