"""Calls that stay open for long, kept to a share of all: they must leave room for those that are answered at once.

Nor may one caller take the whole share: each may hold as many as are still free. Alone, that is half; the more there
are who hold many, the less each gets, and whoever comes last finds room.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.service.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_AGAIN_AFTER = 5.0


class Lingering:
    """Counts streams, and callers who wait for a proof. Belongs to one event loop.

    Args:
        most: of them at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def is_full(self, caller: str) -> bool:
        """Whether one more of this caller would be too many."""
        return self._open[caller] >= self._most - self._open.total()

    @contextmanager
    def one(self, caller: str) -> Iterator[None]:
        """One more of a caller while the block runs; raises TooManyRequestsError where that is too many."""
        if self.is_full(caller):
            raise TooManyRequestsError(
                "Too many callers keep a stream open or wait for a proof.",
                "Close a stream, or ask for the operation from time to time.",
                _AGAIN_AFTER,
            )
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            self._open += Counter()  # forgets who holds none
