"""Places that are kept to a number, such as those of calls that stay open for long.

Nor may one caller take them all: each may hold as many as are still free. Alone, that is half; the more there are who
hold many, the less each gets, and whoever comes last finds room.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.service.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
