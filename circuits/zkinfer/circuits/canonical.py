"""Strict and canonical JSON: every document has exactly one encoding, and ambiguous input is rejected.

Parsers differ in how they treat duplicate keys, NaN and key order, and such differences have been exploited to show
one document to a checker and another to a user. Documents are written in one canonical form, and signed or hashed
documents are accepted in that form only. The limits do not depend on the interpreter's recursion limit.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NoReturn

from zkinfer.circuits.errors import JsonError

MAX_DEPTH = 32
MAX_VALUES = 1 << 18
# A string, closed or not (possessive, so that no input makes it scan twice), or a bracket.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)


def dump(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Encode JSON as ASCII with sorted keys and no spaces; raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def load(data: bytes, *, max_bytes: int, what: str, max_values: int = MAX_VALUES) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON strictly.

    Args:
        data: the document; must be UTF-8 without a byte-order mark.
        max_bytes: upper limit of its size.
        what: the document's name in error messages, for instance "manifest".
        max_values: upper limit of the number of values; millions of small ones take gigabytes as objects.

    Raises:
        JsonError: too large, not UTF-8, not JSON, nested too deeply, a duplicate key, NaN or an infinity.
    """
    if len(data) > max_bytes:
        raise JsonError(f"The {what} has {len(data):,} bytes, over the limit of {max_bytes:,}.")
    _refuse_hostile(data, what, max_values)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as err:
        raise JsonError(f"The {what} is not UTF-8 text (byte {err.start}).") from err
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique(what),
            parse_constant=_no_constant(what),
            parse_float=_finite(what),
        )
    except json.JSONDecodeError as err:
        problem = err.msg.removesuffix(" at")  # as in "Unterminated string starting at"
        raise JsonError(f"The {what} is not JSON: {problem} at line {err.lineno}, column {err.colno}.") from err
    except ValueError as err:  # an integer literal beyond the interpreter's digit limit
        raise JsonError(f"The {what} holds a number that is too long.") from err
    return value


def load_canonical(data: bytes, *, max_bytes: int, what: str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON strictly, and accept only the encoding that `dump` writes."""
    value = load(data, max_bytes=max_bytes, what=what)
    if dump(value) != data:
        raise JsonError(
            f"The {what} is not in canonical form.",
            "It was edited or written by other software: keys must be sorted, without spaces and final newline.",
        )
    return value


def _unique(what: str) -> Any:  # noqa: ANN401 - a hook for json.loads
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            duplicate = Counter(name for name, _ in items).most_common(1)[0][0]
            raise JsonError(f"The {what} holds the key {duplicate[:80]!r} twice in one object.")
        return result

    return pairs


def _no_constant(what: str) -> Any:  # noqa: ANN401 - a hook for json.loads
    def constant(name: str) -> NoReturn:
        raise JsonError(f"The {what} holds {name}, which is not JSON.")

    return constant


def _finite(what: str) -> Any:  # noqa: ANN401 - a hook for json.loads
    def number(text: str) -> float:
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise JsonError(f"The {what} holds {text[:40]}, which overflows a 64-bit float.")
        return value

    return number


def _refuse_hostile(data: bytes, what: str, max_values: int) -> None:
    """Check the limits of depth and number of values before the parser runs."""
    brackets = data.count(b"[") + data.count(b"{")
    if brackets + data.count(b",") > max_values:
        raise JsonError(f"The {what} holds more than {max_values:,} values.")
    depth = 0
    for token in _TOKEN.finditer(data) if brackets > MAX_DEPTH else ():
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth > MAX_DEPTH:
            raise JsonError(f"The {what} is nested deeper than {MAX_DEPTH} levels.")
