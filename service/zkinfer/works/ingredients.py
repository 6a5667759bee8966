"""What a file was made from, as ingredients of its C2PA credentials: credit that travels with the file.

An ingredient names a file and its digest. The file's own credentials are not copied: whoever signs would have to parse
a stranger's file beside the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zkinfer.works.content import Content
    from zkinfer.works.statement import Parent

ORIGINAL: Final = "original"
"""The role of a file that was changed into this one, or became a part of it."""


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A file, and as what it was used: `original`, `model`, `prompt`..."""

    role: str
    content: Content


def ingredients_of(parents: Iterable[Parent], files: Iterable[Content]) -> tuple[Ingredient, ...]:
    """The parents whose files are given; the others are named in the certificate alone."""
    by_digest = {one.sha256: one for one in files}
    return tuple(Ingredient(one.role, by_digest[one.sha256]) for one in parents if one.sha256 in by_digest)


def edited(ingredients: Sequence[Ingredient]) -> bool:
    """Whether the work is a changed copy of one original, so that C2PA sees an edit instead of a new picture."""
    return sum(one.role == ORIGINAL for one in ingredients) == 1


def to_c2pa(ingredients: Sequence[Ingredient]) -> list[dict[str, Any]]:
    """The ingredients of a manifest: `parentOf` for one original, `componentOf` for several, `inputTo` for all else."""
    of_original = "parentOf" if edited(ingredients) else "componentOf"
    return [
        {
            "title": one.content.path.name,
            "format": one.content.media_type,
            "instance_id": f"sha256:{one.content.sha256}",
            "relationship": of_original if one.role == ORIGINAL else "inputTo",
            "description": one.role,
        }
        for one in ingredients
    ]
