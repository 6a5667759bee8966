"""The cost of a circuit in terms that hold for every engine, and the rejection of circuits that exceed a limit."""

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
    """The speed of one machine with one engine, measured once (see `home`): `seconds = start + rate * work`.

    Large circuits use several cores better than small ones. The rates hold up to the amount of work `small`; from
    `large` on they are multiplied by `gain`, and in between they are interpolated by the logarithm of the work.
    """

    keys_start: float
    keys_rate: float
    prove_start: float
    prove_rate: float
    small: float = 1.0
    large: float = 1.0
    gain: float = 1.0

    def keys_seconds(self, work: float) -> float:
        """Wall time in seconds of key generation with this much work."""
        return self.keys_start + self.keys_rate * self.share(work) * work

    def prove_seconds(self, work: float) -> float:
        """Wall time in seconds of a proof with this much work."""
        return self.prove_start + self.prove_rate * self.share(work) * work

    def share(self, work: float) -> float:
        """The factor on the rate of small circuits at this much work."""
        if self.small < work < self.large:
            return 1.0 + (self.gain - 1.0) * math.log(work / self.small) / math.log(self.large / self.small)
        return self.gain if work >= self.large else 1.0


REFERENCE_SPEED = Speed(keys_start=0.2, keys_rate=0.6, prove_start=0.1, prove_rate=0.6)
"""The speed of two cores of the machine that the units of work were fitted on; for bounds, not for estimates."""


@dataclass(frozen=True, slots=True)
class Work:
    """The machine-independent part of a cost.

    `keys` and `prove` are in the engine's own unit, about one second of one core; `memory_bytes` is the peak of both;
    `gas` is for one transaction that verifies a proof on an EVM chain.
    """

    keys: float
    prove: float
    memory_bytes: int
    proving_key_bytes: int
    proof_bytes: int
    gas: int

    def at(self, speed: Speed) -> Cost:
        """The cost on a machine of this speed."""
        return Cost(
            work=self,
            keys_seconds=speed.keys_seconds(self.keys),
            prove_seconds=speed.prove_seconds(self.prove),
        )

    def by(self, objective: Objective) -> float:
        """The figure that an objective minimises."""
        return {"latency": self.prove, "gas": float(self.gas), "memory": float(self.memory_bytes)}[objective]


@dataclass(frozen=True, slots=True)
class Cost:
    """Predicted cost on one machine: work, and wall time in seconds for the keys (once) and for each proof."""

    work: Work
    keys_seconds: float
    prove_seconds: float

    def describe(self) -> str:
        """One line to display."""
        work = self.work
        key = f"a proving key of {size(work.proving_key_bytes)}" if work.proving_key_bytes else "no proving key"
        return (
            f"keys in about {duration(self.keys_seconds)}, a proof in about {duration(self.prove_seconds)}, "
            f"{size(work.memory_bytes)} of memory, {key}, "
            f"proofs of {work.proof_bytes:,} bytes, about {work.gas:,} gas to verify on chain"
        )


@contextmanager
def refusing_exhaustion(max_memory: int, workload: Workload, *, limited_search: bool = False) -> Iterator[None]:
    """Translate exhaustion of memory or time, before the cost of a model is known, to TooCostlyError.

    Args:
        max_memory: the limit in bytes, for the message.
        workload: the model's, for the message.
        limited_search: whether the block searches for settings for a time that the user limits.

    Raises:
        TooCostlyError: with the limit and the heaviest layers of the model.
    """
    try:
        yield
    except (EngineMemoryError, EngineTimeoutError) as err:
        if limited_search and isinstance(err, EngineTimeoutError):
            raise unfinished_search(workload) from err
        raise TooCostlyError(
            f"Reading or laying out this model exceeds the limit of memory or time: {err.cause} "
            f"{size(max_memory)} may be used. {workload.costliest_layers()}".strip(),
            _CURE,
        ) from err


def refuse_too_costly(cost: Cost, max_memory: int, workload: Workload) -> None:
    """Raise TooCostlyError if the predicted memory of a circuit exceeds the limit.

    Args:
        cost: the prediction.
        max_memory: the limit in bytes.
        workload: the model's; the message names its heaviest layers.
    """
    if cost.work.memory_bytes <= max_memory:
        return
    raise TooCostlyError(
        f"Proving this model would take about {size(cost.work.memory_bytes)} of memory and "
        f"{duration(cost.prove_seconds)} for each proof (keys: {duration(cost.keys_seconds)}); "
        f"{size(max_memory)} may be used. {workload.costliest_layers()}",
        _CURE,
    )


def unfinished_search(workload: Workload, tried: int = 0) -> TooCostlyError:
    """The error of a search that the user's limit ended before it found any settings.

    Args:
        workload: the model's; the message names its heaviest layers.
        tried: the number of settings that were tried.
    """
    return TooCostlyError(
        "The search for settings reached the limit of --search-seconds before any settings were found to meet the "
        f"accuracy budget (tried: {tried}). {workload.costliest_layers()}".strip(),
        "Allow more with --search-seconds, search less with --effort quick, or make those layers smaller.",
    )


def size(count: float) -> str:
    """A number of bytes with a readable unit."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:,.3g} {name}" if count < 999.5 * unit else f"{count / unit:,.0f} {name}"
    return f"{count:.0f} bytes"


def duration(seconds: float) -> str:
    """A number of seconds with a readable unit."""
    for unit, name in ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.0f} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
