"""How often an identity may call: a bucket of tokens for each, filled evenly, holding one second's worth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from zkinfer.service.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable

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
