"""Amounts of ether as people write them."""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation
from typing import Final

_EXACT: Final = Context(prec=80)  # the default of 28 digits is too few for some amounts of wei
_COINS: Final = {"wei": 1, "gwei": 10**9, "ether": 10**18}


def parse_wei(text: str) -> int:
    """Wei: `0.01ether`, `20gwei`, `5wei` or `0`; raises ValueError for anything else, such as a bare number."""
    word = text.strip().replace(" ", "").lower()
    number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = _COINS.get(word[len(number) :], 1 if word == "0" else None)
    try:
        wei = _EXACT.multiply(Decimal(number), Decimal(unit or 1))
    except InvalidOperation:
        wei = Decimal("NaN")
    if unit is None or not (wei.is_finite() and wei >= 0 and wei == wei.to_integral_value() and wei < 1 << 96):
        raise ValueError(f"{word!r} is not an amount: write it as 0.01ether, 20gwei or 5wei")
    return int(wei)
