"""Calls that stay open for long, kept to a share of all: they must leave room for those that are answered at once."""

from __future__ import annotations

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
        self._open = 0

    @property
    def is_full(self) -> bool:
        """Whether one more would be too many."""
        return self._open >= self._most

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more while the block runs; raises TooManyRequestsError where that is too many."""
        if self.is_full:
            raise TooManyRequestsError(
                "Too many callers keep a stream open or wait for a proof.",
                "Close a stream, or ask for the operation from time to time.",
                _AGAIN_AFTER,
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
