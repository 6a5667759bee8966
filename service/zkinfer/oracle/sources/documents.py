"""Read a series from a JSON document, with its numbers exactly as they are written there."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

from zkinfer.contracts import strict_json
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.observations import observation_of
from zkinfer.oracle.selectors import Selector

if TYPE_CHECKING:
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.recipes import Recipe

MAX_BYTES = 1 << 22


def observe_document(recipe: Recipe, data: bytes, *, observed_at: int, origin: str) -> Observation:
    """The observation of a series in a JSON document, at the recipe's `select`.

    Raises:
        SourceError: it is not strict JSON, has no such series, or as `observation_of`.
    """
    if not recipe.select:
        raise SourceError("The recipe selects nothing from a document.", "Is it for a source on a chain?")
    try:
        strict_json.loads(data, max_bytes=MAX_BYTES)
        document = json.loads(data, parse_float=Decimal, parse_int=Decimal)
    except ValueError as err:
        raise SourceError(f"The source at {origin} is not strict JSON: {str(err)[:200]}.") from err
    texts = Selector.parse(recipe.select).texts(document)
    return observation_of(recipe, texts, observed_at=observed_at, origin=origin)
