"""Limits on callers (calls per second, concurrent calls), and the estimated cost of proofs, which is limited per job.

A concurrency limit is shared fairly: a caller may hold as many slots as are still free. A single caller gets half of
them; the more callers hold slots, the fewer each gets, and there is always room for a new caller.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.cost import REFERENCE_SPEED
from zkinfer.circuits.errors import EngineError, InputError
from zkinfer.circuits.speed import known_speed
from zkinfer.service.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zkinfer.circuits.cost import Speed
    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.home import Home
    from zkinfer.prover.repository import ModelVersion
    from zkinfer.service.identity import Identity


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """Peak memory and wall time of a proof; `measured` is false if the speed of a reference machine was used."""

    memory_bytes: int
    seconds: float
    measured: bool


class CostEstimator:
    """Estimates the cost of proofs, once for each circuit.

    Args:
        home: holds the speed of this machine, as measured by `zkinfer calibrate`.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._estimates: dict[Digest, CostEstimate] = {}

    def of(self, model: ModelVersion) -> CostEstimate:
        """The estimate for one proof; if the engine has none, the manifest's memory and 0 seconds, meaning unknown."""
        digest = model.circuit.digest
        if digest not in self._estimates:
            self._estimates[digest] = self._estimate(model)
        return self._estimates[digest]

    def _estimate(self, model: ModelVersion) -> CostEstimate:
        manifest = model.circuit.manifest
        speed = self._speed(model)
        try:
            work = model.engine.work(model.circuit.folder)
        except EngineError:
            return CostEstimate(manifest.cost.memory_bytes, 0.0, measured=False)
        cost = work.at(speed or REFERENCE_SPEED)
        return CostEstimate(manifest.cost.memory_bytes, cost.prove_seconds, measured=speed is not None)

    def _speed(self, model: ModelVersion) -> Speed | None:
        """The measured speed; a file that other users can write is ignored."""
        try:
            return known_speed(model.engine, self._home)
        except InputError:
            return None


class RateLimiter:
    """A token bucket for each identity. Memory is bounded by the number of identities with a token or certificate.

    Args:
        calls_per_second: for identities whose rights set no rate; None for no limit.
        clock: monotonic seconds.
    """

    def __init__(self, calls_per_second: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._default = calls_per_second
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def acquire(self, identity: Identity) -> None:
        """Count one call; raises TooManyRequestsError if it exceeds the rate."""
        rate = identity.rights.calls_per_second or self._default
        if rate is None:
            return
        now, size = self._clock(), max(1.0, rate)
        level, since = self._buckets.get(identity.name, (size, now))
        level = min(size, level + (now - since) * rate)
        if level < 1.0:
            raise TooManyRequestsError(
                f"{identity.name} may make {rate:g} calls per second.", "Wait and retry.", (1.0 - level) / rate
            )
        self._buckets[identity.name] = (level - 1.0, now)


def too_many_calls() -> TooManyRequestsError:
    """The error for calls beyond the limit."""
    return TooManyRequestsError("Too many calls are being served, of all callers or of this one.", "Retry in a moment.")


def too_many_waiting() -> TooManyRequestsError:
    """The error for streams, and for calls that wait for a proof, beyond the limit."""
    return TooManyRequestsError(
        "Too many callers keep a stream open or wait for a proof.",
        "Close a stream, or poll the operation.",
        5.0,
    )


def too_many_health_watchers() -> TooManyRequestsError:
    """The error for `Health/Watch` calls beyond the limit."""
    return TooManyRequestsError("Too many callers watch the server's health.", "Poll Health/Check instead.", 5.0)


class ConcurrencyLimiter:
    """Slots that callers hold while being served. Belongs to one event loop.

    Args:
        max_slots: of all callers together.
        rejection: makes the error for a caller that gets no slot.
    """

    def __init__(self, max_slots: int, rejection: Callable[[], TooManyRequestsError]) -> None:
        self._max_slots = max_slots
        self._rejection = rejection
        self._held: Counter[str] = Counter()

    def is_full(self, caller: str) -> bool:
        """Whether this caller gets no further slot."""
        return self._held[caller] >= self._max_slots - self._held.total()

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Hold a slot while the block runs; raises TooManyRequestsError if this caller gets none."""
        if self.is_full(caller):
            raise self._rejection()
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            self._held += Counter()  # drops callers without slots
