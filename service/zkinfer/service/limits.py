"""Places that are kept to a number, such as those of calls that stay open for long.

Nor may one caller take them all: each may hold as many as are still free. Alone, that is half; the more there are who
hold many, the less each gets, and whoever comes last finds room.
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


class Rates:
    """Counts calls by identity. Names are bounded by those who have a token or a certificate.

    Args:
        calls_per_second: for identities whose rights do not say; None bounds nothing.
        clock: seconds that only go forward.
    """

    def __init__(self, calls_per_second: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._default = calls_per_second
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def count(self, identity: Identity) -> None:
        """Count one call; raises TooManyRequestsError if it is one too many."""
        rate = identity.rights.calls_per_second or self._default
        if rate is None:
            return
        now, size = self._clock(), max(1.0, rate)
        level, since = self._buckets.get(identity.name, (size, now))
        level = min(size, level + (now - since) * rate)
        if level < 1.0:
            raise TooManyRequestsError(
                f"{identity.name} may make {rate:g} calls per second.", "Wait a little.", (1.0 - level) / rate
            )
        self._buckets[identity.name] = (level - 1.0, now)


def too_many_calls() -> TooManyRequestsError:
    """For places of calls."""
    return TooManyRequestsError(
        "The server serves as many calls as it may, of all callers or of one.", "Try again in a moment."
    )


def too_many_linger() -> TooManyRequestsError:
    """For places of streams, and of callers who wait for a proof."""
    return TooManyRequestsError(
        "Too many callers keep a stream open or wait for a proof.",
        "Close a stream, or ask for the operation from time to time.",
        5.0,
    )


def too_many_watchers() -> TooManyRequestsError:
    """For places of those who watch the server's health."""
    return TooManyRequestsError("Too many watch the server's health.", "Check it from time to time.", 5.0)


class Shares:
    """Places, and who holds how many. Belongs to one event loop.

    Args:
        most: of them at a time.
        refusal: what is said where there is none.
    """

    def __init__(self, most: int, refusal: Callable[[], TooManyRequestsError]) -> None:
        self._most = most
        self._refusal = refusal
        self._held: Counter[str] = Counter()

    def is_full(self, caller: str) -> bool:
        """Whether one more of this caller would be too many."""
        return self._held[caller] >= self._most - self._held.total()

    @contextmanager
    def one(self, caller: str) -> Iterator[None]:
        """One more of a caller while the block runs; raises TooManyRequestsError where that is too many."""
        if self.is_full(caller):
            raise self._refusal()
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            self._held += Counter()  # forgets who holds none
