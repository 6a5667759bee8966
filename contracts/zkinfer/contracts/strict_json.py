"""Strict reader of foreign JSON: size, depth and number of values are limited before the parser sees the document.

The counterpart of `zkinfer.circuits.canonical` for this package, which imports no other package of zkinfer. The limits
do not depend on the interpreter's recursion limit, which a library may have raised beyond the end of the C stack.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 1 << 18
# A string, closed or not (possessive, so that no input makes it scan twice), or a bracket.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
_STEP: Final = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


class StrictJsonError(ValueError):
    """The document is not JSON, is ambiguous, or exceeds a limit."""


def loads(data: bytes, *, max_bytes: int = MAX_BYTES, max_values: int = MAX_VALUES) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a JSON document in UTF-8.

    Args:
        data: the document.
        max_bytes: upper limit of its size.
        max_values: upper limit of the values in it; millions of small ones take gigabytes as objects.

    Raises:
        StrictJsonError: a limit is exceeded, the document is not JSON, or it holds a duplicate key, NaN or an infinity.
    """
    if len(data) > max_bytes:
        raise StrictJsonError(f"{len(data):,} bytes exceed the limit of {max_bytes:,}")
    _require_limits(data, max_values)
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except StrictJsonError:
        raise
    except ValueError as err:  # not UTF-8, not JSON, or an integer beyond the interpreter's limit of digits
        raise StrictJsonError(str(err)) from err


def _require_limits(data: bytes, max_values: int) -> None:
    brackets = data.count(b"[") + data.count(b"{")
    if brackets + data.count(b",") > max_values:
        raise StrictJsonError(f"more than {max_values:,} values")
    depth = 0
    for token in _TOKEN.finditer(data) if brackets > MAX_DEPTH else ():
        depth += _STEP.get(token[0], 0)
        if depth > MAX_DEPTH:
            raise StrictJsonError(f"nested deeper than {MAX_DEPTH} levels")


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(items)
    if len(document) != len(items):
        raise StrictJsonError("a duplicate key in an object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise StrictJsonError(f"{name} is not JSON")
