"""What a circuit costs, in the same terms for every engine, and which costs are refused before they are paid."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zkinfer.circuits.errors import EngineMemoryError, EngineTimeoutError, TooCostlyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.frontend import Workload

Objective = Literal["latency", "gas", "memory"]


_CURE = (
    "Make those layers smaller (fewer channels, larger strides, earlier pooling, a smaller input), or prove on a "
    "machine with more memory; --max-memory sets the limit, --objective memory looks for the smallest circuit."
)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one machine is with one engine, measured once (see `speeds`): `seconds = start + rate * work`.

    Large circuits keep several cores busier than small ones. The rates hold up to a `small` amount of work; from a
    `large` one on they are `gain` times as much, and between the two they go with the logarithm of the work.
    """

    keys_start: float
    keys_rate: float
    prove_start: float
    prove_rate: float
    small: float = 1.0
    large: float = 1.0
    gain: float = 1.0

    def keys_seconds(self, work: float) -> float:
        """Wall time that the keys take, whose work is given."""
        return self.keys_start + self.keys_rate * self.share(work) * work

    def prove_seconds(self, work: float) -> float:
        """Wall time that a proof takes, whose work is given."""
        return self.prove_start + self.prove_rate * self.share(work) * work

    def share(self, work: float) -> float:
        """What of the small circuits' rate a unit of so much work takes."""
        if self.small < work < self.large:
            return 1.0 + (self.gain - 1.0) * math.log(work / self.small) / math.log(self.large / self.small)
        return self.gain if work >= self.large else 1.0


REFERENCE_SPEED = Speed(keys_start=0.2, keys_rate=0.6, prove_start=0.1, prove_rate=0.6)
"""Two cores of the machine on which the engines' units of work were fitted; for bounds, not for promises."""


@dataclass(frozen=True, slots=True)
class Work:
    """The part of a cost that is the same on every machine.

    `keys` and `prove` are in an engine's own unit, about one second of one core; `memory_bytes` is the peak of either;
    `gas` is for one transaction that checks a proof on an EVM chain.
    """

    keys: float
    prove: float
    memory_bytes: int
    proving_key_bytes: int
    proof_bytes: int
    gas: int

    def at(self, speed: Speed) -> Cost:
        """The same with the seconds of wall time that it takes on a machine."""
        return Cost(
            work=self,
            keys_seconds=speed.keys_seconds(self.keys),
            prove_seconds=speed.prove_seconds(self.prove),
        )

    def by(self, objective: Objective) -> float:
        """What an objective wants small."""
        return {"latency": self.prove, "gas": float(self.gas), "memory": float(self.memory_bytes)}[objective]


@dataclass(frozen=True, slots=True)
class Cost:
    """Predicted cost on one machine: work, and seconds of wall time for the keys (once) and for each proof."""

    work: Work
    keys_seconds: float
    prove_seconds: float

    def describe(self) -> str:
        """One line for a person."""
        work = self.work
        return (
            f"keys in about {duration(self.keys_seconds)}, a proof in about {duration(self.prove_seconds)}, "
            f"{size(work.memory_bytes)} of memory, a proving key of {size(work.proving_key_bytes)}, "
            f"proofs of {work.proof_bytes:,} bytes, about {work.gas:,} gas for a bare dedicated verifier on chain"
        )


@contextmanager
def refusing_exhaustion(max_memory: int, workload: Workload) -> Iterator[None]:
    """In this block a process that runs out of memory or time before there is a cost means a model that is too costly.

    Raises:
        TooCostlyError: with the limit, and what the model computes.
    """
    try:
        yield
    except (EngineMemoryError, EngineTimeoutError) as err:
        raise TooCostlyError(
            f"Already reading or laying out this model takes more memory or time than it may: {err.cause} "
            f"{size(max_memory)} may be used. {workload.costliest_layers()}".strip(),
            _CURE,
        ) from err


def refuse_too_costly(cost: Cost, max_memory: int, workload: Workload) -> None:
    """Raise TooCostlyError where a circuit would need more memory than it may have.

    Args:
        cost: predicted.
        max_memory: bytes.
        workload: names the layers that cost most.
    """
    if cost.work.memory_bytes <= max_memory:
        return
    raise TooCostlyError(
        f"Proving this model would take about {size(cost.work.memory_bytes)} of memory and "
        f"{duration(cost.prove_seconds)} for each proof (keys: {duration(cost.keys_seconds)}); "
        f"{size(max_memory)} may be used. {workload.costliest_layers()}",
        _CURE,
    )


def size(count: float) -> str:
    """Bytes for a person."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:,.3g} {name}" if count < 999.5 * unit else f"{count / unit:,.0f} {name}"
    return f"{count:.0f} bytes"


def duration(seconds: float) -> str:
    """Seconds for a person."""
    for unit, name in ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.0f} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
