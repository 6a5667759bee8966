"""Stored tables: a real function at rational points, rounded to integers (rule D5)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import Table, TableKind
from zkinfer.circuits.errors import EngineError, UnsupportedModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIE = Fraction(1, 2)
_LEAST_DISTANCE = Fraction(1, 10**30)
_LIMIT = 1 << 15


class StoredTable:
    """The rows of one stored table, each computed once.

    Args:
        table: a draft's table of kind STORED.
    """

    def __init__(self, table: Table) -> None:
        if table.kind is not TableKind.STORED or table.function is None:
            raise EngineError("A stored table has no function.", "This is an error of zkinfer: report it.")
        self._table, self._function = table, table.function
        self._rows: dict[int, int | None] = {}

    def at(self, q: int) -> int | None:
        """The value of row `q`, None where the function is undefined.

        Raises:
            UnsupportedModelError: the value is too close to a tie to be rounded, or too large.
        """
        if q not in self._rows:
            self._rows[q] = self._round(self._function.value(self._argument(q)), q)
        return self._rows[q]

    def image(self, low: int, high: int, name: str) -> tuple[int, int]:
        """The least and the largest value of rows `low` to `high`.

        Raises:
            UnsupportedModelError: the function is undefined at one of them; the message names the block `name`.
        """
        values = [self.at(q) for q in range(low, high + 1)]
        if None in values:
            at = self._argument(low + values.index(None))
            raise UnsupportedModelError(
                f"The activation of {name!r} is undefined at {float(at):.6g}, which its input may reach.",
                "Clip its input to where the function is defined.",
            )
        known = [value for value in values if value is not None]
        return min(known), max(known)

    def column(self, k: int) -> NDArray[np.int64]:
        """All `2^k` rows from `q = -2^(k-1)` on; 0 where the function is undefined."""
        half = 1 << (k - 1)
        return np.array([self.at(q) or 0 for q in range(-half, half)], np.int64)

    def look_up(self, q: NDArray[np.int64]) -> NDArray[np.int64]:
        """The values of an array of rows; 0 where the function is undefined."""
        rows, places = np.unique(q, return_inverse=True)
        values = np.array([self.at(int(row)) or 0 for row in rows], np.int64)
        return values[places].reshape(q.shape)

    def _argument(self, q: int) -> Fraction:
        return _scaled(Fraction(q), -self._table.q_scale)

    def _round(self, value: object, q: int) -> int | None:
        if value is None:
            return None
        if not isinstance(value, (int, Fraction, Decimal)) or (isinstance(value, Decimal) and not value.is_finite()):
            raise EngineError(
                f"The function {self._function.identity!r} has no number at row {q}.", "Report this error of zkinfer."
            )
        width = self._table.width
        exact = _scaled(Fraction(value), self._table.scale)
        low, high = -(1 << width), (1 << width) - 1
        if isinstance(value, Decimal) and low <= exact <= high:
            self._refuse_tie(exact, q)
        rounded = min(max(round(exact), low), high)  # round of a Fraction is half to even
        if abs(rounded) >= _LIMIT:
            raise UnsupportedModelError(
                f"A table of the activation {self._function.identity!r} holds {rounded}.",
                "Lower the scale and width of its output.",
            )
        return rounded

    def _refuse_tie(self, exact: Fraction, q: int) -> None:
        if abs(exact - exact.__floor__() - _TIE) <= _LEAST_DISTANCE:
            raise UnsupportedModelError(
                f"Row {q} of the activation {self._function.identity!r} is too close to a tie to be rounded.",
                "Change the scale of its input or of its output.",
            )


@lru_cache(maxsize=16)
def stored_table(table: Table) -> StoredTable:
    """The rows of a draft's table; they are kept, since a search for a recipe asks for the same ones many times."""
    return StoredTable(table)


def _scaled(value: Fraction, bits: int) -> Fraction:
    """value 2^bits."""
    return value * (1 << bits) if bits >= 0 else value / (1 << -bits)
