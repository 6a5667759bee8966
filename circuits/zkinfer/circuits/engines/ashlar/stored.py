"""Stored tables: a real function at rational points, rounded to integers (rule D5)."""

from __future__ import annotations

import math
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
_CLEAR = 1e-6  # from a tie: far more than a double is off, for numbers below 2^15
_LIMIT = 1 << 15
_HUGE = 10**60  # of which a double exists
_UNDEFINED = _LIMIT  # in place of a value


class StoredTable:
    """The rows of one stored table, each computed once.

    Args:
        table: a draft's table of kind STORED.
    """

    def __init__(self, table: Table) -> None:
        if table.kind is not TableKind.STORED or table.function is None:
            raise EngineError("A stored table has no function.", "This is an error of zkinfer: report it.")
        self._table, self._function = table, table.function
        self._first, self._rows = 0, np.empty(0, np.int64)  # those computed so far, without gaps

    def at(self, q: int) -> int | None:
        """The value of row `q`, None where the function is undefined.

        Raises:
            UnsupportedModelError: the value is too close to a tie to be rounded, or too large. So does every method.
        """
        value = int(self._computed(q, q)[0])
        return None if value == _UNDEFINED else value

    def image(self, low: int, high: int, name: str) -> tuple[int, int]:
        """The least and the largest value of rows `low` to `high`.

        Raises:
            UnsupportedModelError: the function is undefined at one of them; the message names the block `name`.
        """
        values = self._computed(low, high)
        if (missing := np.flatnonzero(values == _UNDEFINED)).size:
            at = self._argument(low + int(missing[0]))
            raise UnsupportedModelError(
                f"The activation of {name!r} is undefined at {float(at):.6g}, which its input may reach.",
                "Clip its input to where the function is defined.",
            )
        return int(values.min()), int(values.max())

    def column(self, k: int) -> NDArray[np.int64]:
        """All `2^k` rows from `q = -2^(k-1)` on; 0 where the function is undefined."""
        half = 1 << (k - 1)
        return _defined(self._computed(-half, half - 1))

    def look_up(self, q: NDArray[np.int64]) -> NDArray[np.int64]:
        """The values of an array of rows; 0 where the function is undefined."""
        low = int(q.min())
        return _defined(self._computed(low, int(q.max()))[q - low])

    def _computed(self, low: int, high: int) -> NDArray[np.int64]:
        """Rows `low` to `high`."""
        first, end = self._first, self._first + len(self._rows)
        if not first < end:
            first = end = low
        before, behind = (
            np.array([self._row(q) for q in range(*ends)], np.int64) for ends in ((low, first), (end, high + 1))
        )
        if before.size or behind.size:
            self._first, self._rows = min(low, first), np.concatenate([before, self._rows, behind])
        return self._rows[low - self._first : high + 1 - self._first]

    def _row(self, q: int) -> int:
        return self._round(self._function.value(self._argument(q)), q)

    def _argument(self, q: int) -> Fraction:
        return _scaled(Fraction(q), -self._table.q_scale)

    def _round(self, value: object, q: int) -> int:
        if value is None:
            return _UNDEFINED
        if not isinstance(value, (int, Fraction, Decimal)) or (isinstance(value, Decimal) and not value.is_finite()):
            raise EngineError(
                f"The function {self._function.identity!r} has no number at row {q}.", "Report this error of zkinfer."
            )
        low, high = self._limits()
        rounded = min(max(self._nearest(value, q), low), high)
        if abs(rounded) >= _LIMIT:
            raise UnsupportedModelError(
                f"A table of the activation {self._function.identity!r} holds {rounded}.",
                "Lower the scale and width of its output.",
            )
        return rounded

    def _nearest(self, value: Fraction | Decimal | int, q: int) -> int:
        """The value at the table's scale as an integer, half to even; beyond every width it may be any beyond."""
        near = math.ldexp(min(max(value, -_HUGE), _HUGE), self._table.scale)
        if abs(near) >= 2 * _LIMIT or abs(near - math.floor(near) - 0.5) > _CLEAR:
            return round(near)
        exact, (low, high) = _scaled(Fraction(value), self._table.scale), self._limits()
        if isinstance(value, Decimal) and low <= exact <= high:
            self._refuse_tie(exact, q)
        return round(exact)  # half to even, for a Fraction

    def _limits(self) -> tuple[int, int]:
        return -(1 << self._table.width), (1 << self._table.width) - 1

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


def _defined(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values, with 0 for undefined ones."""
    return np.where(values == _UNDEFINED, 0, values)


def _scaled(value: Fraction, bits: int) -> Fraction:
    """value 2^bits."""
    return value * (1 << bits) if bits >= 0 else value / (1 << -bits)
