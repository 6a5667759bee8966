"""Limits on callers (calls per second, concurrent calls), and the estimated cost of proofs, which is limited per job.

Slots and memory are shared fairly: a caller may hold at most as much as is still free. A single caller gets half; the
more callers hold a share, the smaller each share is, and there is always room for a new caller. When no share is left
for a caller, a `ConcurrencyLimiter` rejects the call and a `MemoryBudget` delays it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from zkinfer.circuits.cost import REFERENCE_SPEED
from zkinfer.circuits.errors import EngineError, InputError
from zkinfer.circuits.home import known_speed
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


def too_many_streams() -> TooManyRequestsError:
    """The error for request streams beyond the limit."""
    return TooManyRequestsError(
        "Too many request streams are open, of all callers or of this one.",
        "Send the requests in fewer streams, or as single calls.",
        5.0,
    )


class _Holdings:
    """Who holds how many of a number of units, and whether a caller may hold more."""

    def __init__(self, units: int) -> None:
        self._units = units
        self._held: Counter[str] = Counter()

    def allow(self, caller: str, units: int) -> bool:
        return self._held[caller] + units <= self._units - self._held.total() - (units - 1)

    def add(self, caller: str, units: int) -> None:
        self._held[caller] += units

    def remove(self, caller: str, units: int) -> None:
        self._held[caller] -= units
        self._held += Counter()  # drops callers that hold nothing

    def largest(self) -> str | None:
        """The caller that holds most."""
        return max(self._held, key=self._held.__getitem__, default=None)


class ConcurrencyLimiter:
    """Slots that callers hold while being served. Belongs to one event loop.

    Args:
        max_slots: of all callers together.
        rejection: makes the error for a caller that gets no slot.
    """

    def __init__(self, max_slots: int, rejection: Callable[[], TooManyRequestsError]) -> None:
        self._holdings = _Holdings(max_slots)
        self._rejection = rejection

    def is_full(self, caller: str) -> bool:
        """Whether this caller gets no further slot."""
        return not self._holdings.allow(caller, 1)

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Hold a slot while the block runs; raises TooManyRequestsError if this caller gets none."""
        if self.is_full(caller):
            raise self._rejection()
        self._holdings.add(caller, 1)
        try:
            yield
        finally:
            self._holdings.remove(caller, 1)


@dataclass(eq=False, slots=True)
class _Waiter:
    caller: str
    units: int
    admitted: asyncio.Future[None]


class MemoryBudget:
    """Memory (or any other unit) held by callers; a caller without a share waits. Belongs to one event loop.

    A caller whose waiting requests do not fit never delays another caller.

    Args:
        units: of all callers together.
        newest_first: admit the newest waiting request of a caller first, which serves prompt requests however many
            others are stuck; by default the oldest one.
    """

    def __init__(self, units: int, *, newest_first: bool = False) -> None:
        self._largest = max(1, units // 4)
        self._holdings = _Holdings(units)
        self._newest_first = newest_first
        self._waiting: list[_Waiter] = []

    @property
    def busiest(self) -> str | None:
        """The caller that holds most; None if no caller holds anything."""
        return self._holdings.largest()

    def must_wait(self, caller: str, units: int = 1) -> bool:
        """Whether `acquire` would wait now."""
        overtaking = not self._newest_first and any(one.caller == caller for one in self._waiting)
        return overtaking or not self._holdings.allow(caller, min(units, self._largest))

    async def acquire(self, caller: str, units: int = 1) -> Share:
        """Wait for a share and take it. More than a quarter of the budget counts as a quarter, so it gets its turn.

        Cancelling the wait, as a time limit does, takes nothing.
        """
        units = min(units, self._largest)
        if self.must_wait(caller, units):
            await self._wait(_Waiter(caller, units, asyncio.get_running_loop().create_future()))
        else:
            self._holdings.add(caller, units)
        return Share(self, caller, units)

    async def _wait(self, waiter: _Waiter) -> None:
        self._waiting.append(waiter)
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                self._admit()  # those behind it
            else:  # admitted at the same time
                self.give_back(waiter.caller, waiter.units)
            raise

    def give_back(self, caller: str, units: int) -> None:
        """Return units, and admit those who wait for them; called by `Share.release`."""
        self._holdings.remove(caller, units)
        self._admit()

    def _admit(self) -> None:
        blocked: set[str] = set()
        for waiter in list(reversed(self._waiting) if self._newest_first else self._waiting):
            if waiter.admitted.done():  # cancelled: it removes itself
                continue
            if waiter.caller in blocked or not self._holdings.allow(waiter.caller, waiter.units):
                blocked.add(waiter.caller)
                continue
            self._waiting.remove(waiter)
            self._holdings.add(waiter.caller, waiter.units)
            waiter.admitted.set_result(None)


class Share:
    """A caller's part of a `MemoryBudget`, held until `release`, or until the end of a `with` block."""

    __slots__ = ("_budget", "_caller", "_units")

    def __init__(self, budget: MemoryBudget, caller: str, units: int) -> None:
        self._budget = budget
        self._caller = caller
        self._units = units

    def release(self) -> None:
        """Return the share; no effect the second time."""
        units, self._units = self._units, 0
        if units:
            self._budget.give_back(self._caller, units)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
