"""A suggestion for a misspelt name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str]) -> str:
    """`Did you mean 'modelIs'?`, if one of the known names is close, whatever its case; else empty."""
    by_lower = {one.lower(): one for one in known}
    found = get_close_matches(name[:80].lower(), by_lower, n=1)
    return f"Did you mean {by_lower[found[0]]!r}?" if found else ""
