"""Read a series from a JSON document, with its numbers exactly as they are written there."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from zkinfer.contracts import strict_json
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.observations import observation_of
from zkinfer.oracle.selectors import Selector

if TYPE_CHECKING:
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.recipes import Recipe

MAX_BYTES = 1 << 22


class DocumentSource(Protocol):
    """A source of JSON documents."""

    @property
    def origin(self) -> str:
        """Where the documents come from, without secrets."""
        ...

    def fetch(self) -> bytes:
        """The document now; raises SourceError if it cannot be read."""
        ...


def series_in(source: DocumentSource, select: str) -> list[str]:
    """The numbers at a path of a source's document, oldest first; raises SourceError if there is no such series."""
    if not select:
        raise SourceError("The recipe selects nothing from a document.", "Is it for a source on a chain?")
    data = source.fetch()
    try:
        strict_json.loads(data, max_bytes=MAX_BYTES)
        document = json.loads(data, parse_float=Decimal, parse_int=Decimal)
    except ValueError as err:
        raise SourceError(f"The source at {source.origin} is not strict JSON: {str(err)[:200]}.") from err
    return Selector.parse(select).texts(document)


def observe_document(source: DocumentSource, recipe: Recipe, now: int) -> Observation:
    """The observation of a series at a time in Unix seconds.

    Raises SourceError as `series_in`, and as `zkinfer.oracle.observations.observation_of`.
    """
    texts = series_in(source, recipe.select)
    return observation_of(recipe, texts, observed_at=now, origin=source.origin)
