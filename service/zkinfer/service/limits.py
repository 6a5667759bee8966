"""Limits on callers: how many calls per second, and how many at a time.

A concurrency limit is shared fairly: a caller may hold as many slots as are still free. A single caller gets half of
them; the more callers hold slots, the fewer each gets, and there is always room for a new caller.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.service.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zkinfer.service.identity import Identity


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
    """Slots that callers hold while they are served. Belongs to one event loop.

    Args:
        most: slots in all.
        refusal: makes the error for a caller who gets no slot.
    """

    def __init__(self, most: int, refusal: Callable[[], TooManyRequestsError]) -> None:
        self._most = most
        self._refusal = refusal
        self._held: Counter[str] = Counter()

    def is_full(self, caller: str) -> bool:
        """Whether this caller gets no further slot."""
        return self._held[caller] >= self._most - self._held.total()

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Hold a slot while the block runs; raises TooManyRequestsError if this caller gets none."""
        if self.is_full(caller):
            raise self._refusal()
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            self._held += Counter()  # drops callers without slots
