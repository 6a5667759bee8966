"""Where the numbers of a series are in a JSON document: a small, strict subset of JSONPath.

    prices[*].close      the member `close` of each element of the member `prices`
    result[0].rows[*][4] element 4 of each row
    [*][4]               the same for a document that is a list

A path has names, indices, and `[*]` exactly once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from zkinfer.oracle.errors import RecipeError, SourceError

_STEP = re.compile(r"(?:^|(?!^)\.)(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\[(?P<index>0|[1-9][0-9]{0,5})\]|(?P<every>\[\*\])")
EVERY = None
Step = str | int | None
"""The name of a member, an index, or EVERY element."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A path to many numbers."""

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a path; raises RecipeError if it is malformed, or has not exactly one `[*]`."""
        steps: list[Step] = []
        place = 0
        while place < len(text):
            found = _STEP.match(text, place)
            if found is None:
                raise RecipeError(
                    f"The path {text[:80]!r} is malformed at {text[place : place + 20]!r}.",
                    "Write it as prices[*].close: names, [0] for an element, [*] for every element.",
                )
            steps.append(_step(found))
            place = found.end()
        if steps.count(EVERY) != 1:
            raise RecipeError(f"The path {text[:80]!r} needs [*] exactly once.", "Write it as prices[*].close.")
        return cls(tuple(steps))

    def texts(self, document: Any) -> list[str]:  # noqa: ANN401 - any JSON value
        """The selected numbers as they are written in the document, in its order.

        Args:
            document: parsed with numbers as Decimal.

        Raises:
            SourceError: the document has no such place, or holds something other than a number there.
        """
        at = self.steps.index(EVERY)
        rows = _follow(document, self.steps[:at])
        if not isinstance(rows, list):
            raise SourceError("The source has no list where the recipe's path has [*].", "Check `select`.")
        return [_number(_follow(row, self.steps[at + 1 :])) for row in rows]


def _step(found: re.Match[str]) -> Step:
    if found["every"]:
        return EVERY
    return found["name"] or int(found["index"])


def _follow(value: Any, steps: tuple[Step, ...]) -> Any:  # noqa: ANN401 - any JSON value
    for step in steps:
        fits = isinstance(value, dict) if isinstance(step, str) else isinstance(value, list)
        try:
            value = value[step] if fits else None
        except LookupError:
            value = None
        if value is None:
            raise SourceError(f"The source has nothing at {step!r} of the recipe's path.", "Check `select`.")
    return value


def _number(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str):
        return value
    raise SourceError(f"The source holds {str(value)[:40]!r} where the recipe's path leads.", "A number is needed.")
