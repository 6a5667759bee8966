"""Values of works as text and pictures: wei as ether, spans of time, fingerprints as patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.ui.work_values import ISCC_BITS

if TYPE_CHECKING:
    from zkinfer.ui.work_values import WorkIncome

_DECIMALS: Final = 18
_SPANS: Final = (("years", 31_536_000), ("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
_SIDE, _BLOCK = 16, 8


@dataclass(frozen=True, slots=True)
class IncomeRow:
    """A part of what a work received, and its share of all."""

    name: str
    share: float
    ether: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A bit of a fingerprint that is set, in a pattern of 16 by 16; one that is not sure is drawn faintly."""

    x: int
    y: int
    sure: bool


def ether(wei: str) -> str:
    """Wei as ether: exact, without zeros at the end."""
    whole, part = divmod(int(wei), 10**_DECIMALS)
    return f"{whole:,}.{part:0{_DECIMALS}}".rstrip("0").rstrip(".")


def span(seconds: int) -> tuple[str, int]:
    """A duration as a unit and a whole number of it; 0 seconds are `ever`."""
    if not seconds:
        return "ever", 0
    return next((name, seconds // unit) for name, unit in _SPANS if seconds % unit == 0)


def income_rows(income: WorkIncome) -> tuple[IncomeRow, ...]:
    """What became of the income: shared, kept, pending."""
    received = int(income.received)
    parts = {"shared": income.shared, "kept": income.kept, "pending": income.pending}
    return tuple(
        IncomeRow(name, min(1.0, int(wei) / received) if received else 0.0, ether(wei)) for name, wei in parts.items()
    )


def pattern(bits: str, sure: str) -> tuple[Dot, ...]:
    """The set bits of a fingerprint of 256 bits; empty without one.

    The bits are four blocks of 8 by 8, each by rows: top left, top right, bottom left, bottom right.
    """
    if not bits:
        return ()
    number, known = int(bits, 16), int(sure or "0x0", 16)
    dots = []
    for place in range(ISCC_BITS):
        mask = 1 << (ISCC_BITS - 1 - place)
        block, cell = divmod(place, _BLOCK * _BLOCK)
        if number & mask:
            x, y = (block % 2) * _BLOCK + cell % _BLOCK, (block // 2) * _BLOCK + cell // _BLOCK
            dots.append(Dot(x, y, bool(known & mask)))
    return tuple(dots)
