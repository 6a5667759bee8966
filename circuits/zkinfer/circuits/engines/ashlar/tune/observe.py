"""What a network's values are like over calibration samples. Imported in the child only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx

from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.graph import replace_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.lowering.plan import Plan

_RARE = 1e-4  # the share of numbers that clipping at the percentile touches
_LOWEST, _HIGHEST = -40, 80  # binary exponents that are told apart


@dataclass(slots=True)
class Spread:
    """The largest magnitude of a value, and how often its numbers have which binary exponent."""

    largest: float = 0.0
    negative: bool = False
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_HIGHEST - _LOWEST + 1, np.int64))

    def add(self, array: NDArray[np.generic]) -> None:
        """Count the numbers of one sample."""
        values = np.asarray(array, dtype=np.float64).ravel()
        self.largest = max(self.largest, float(np.abs(values).max(initial=0.0)))
        self.negative |= bool((values < 0).any())
        exponents = np.clip(np.frexp(values[values != 0])[1], _LOWEST, _HIGHEST) - _LOWEST
        self.counts += np.bincount(exponents, minlength=len(self.counts))

    @property
    def usual(self) -> float:
        """The largest power of two that all numbers but one in ten thousand are below; at most `largest`."""
        total, rare = int(self.counts.sum()), 0
        for at in range(len(self.counts) - 1, -1, -1):
            rare += int(self.counts[at])
            if rare > _RARE * total:
                return min(self.largest, 2.0 ** (at + _LOWEST))
        return self.largest


@dataclass(frozen=True, slots=True)
class Observed:
    """Values by name, and the input of all samples, `[N, *shape]`."""

    spreads: Mapping[str, Spread]
    inputs: NDArray[np.generic]

    @property
    def has_rare(self) -> bool:
        """Whether a value has so few large numbers that they may be clipped."""
        return any(spread.usual < spread.largest for spread in self.spreads.values())


def observe(model: onnx.ModelProto, plan: Plan, inputs: NDArray[np.generic]) -> Observed:
    """Run the network in floats, and look at the values behind each activation.

    Args:
        model: the normal form.
        plan: what it becomes.
        inputs: `[N, *shape]`.

    Raises:
        ModelError: the network fails on a sample.
    """
    names = list(
        dict.fromkeys(name for block in plan.blocks if block.given is None for name in (block.name, block.before))
    )
    spreads = {name: Spread() for name in names}
    for values in _values(model, names, inputs):
        for name, array in values.items():
            spreads[name].add(array)
    return Observed(spreads, inputs)


def _values(
    model: onnx.ModelProto, names: Sequence[str], inputs: NDArray[np.generic]
) -> Iterator[dict[str, NDArray[np.generic]]]:
    """The named values of each sample."""
    if not names:
        return
    source, shown = model.graph.input[0].name, onnx.ModelProto()
    shown.CopyFrom(model)
    replace_all(shown.graph.output, [onnx.ValueInfoProto(name=name) for name in names if name != source])
    session = runtime.Session(shown)
    for sample in inputs:
        found = session.run({source: sample})
        yield {name: found.get(name, sample) for name in names}
