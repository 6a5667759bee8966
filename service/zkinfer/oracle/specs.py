"""The feed file: a feed's specification, its recipe and its signers, as `zkinfer oracle init` writes it.

The feed's id follows from the specification, which names the recipe by its digest; both are checked when the file is
read. The signers are not part of the id: the owner can choose others.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import JsonError
from zkinfer.circuits.statement import Address, Word
from zkinfer.circuits.storage import read_file, write_atomically
from zkinfer.contracts.errors import FeedFormatError
from zkinfer.contracts.feed_formats import NO_CONFIG, FeedSpec, SignerConfig, feed_id
from zkinfer.oracle.errors import RecipeError
from zkinfer.oracle.recipes import Recipe, first_problem

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 16
_LARGE = ("least", "most", "tolerance")
"""Numbers that JSON parsers could round, written as text."""
Number = Annotated[str, Field(pattern=r"^(0|-?[1-9][0-9]{0,57})$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class _SpecPart(_Part):
    listing: Word
    recipe: Word
    owner: Address
    source: Address
    output: int
    scale: int
    decimals: int
    least: Number
    most: Number
    tolerance: Number
    tick: int
    heartbeat: int
    max_age: int
    description: str


class _File(_Part):
    format: Literal["zkinfer-feed/1"] = "zkinfer-feed/1"
    feed_id: Word
    spec: _SpecPart
    recipe: Recipe
    signers: tuple[Address, ...] = ()
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class FeedFile:
    """A feed, as its operators know it.

    Args:
        spec: what its id commits to.
        recipe: the document that the specification names.
        config: the signers that its owner chose last; None if none were, or a contract gives the inputs.

    Raises:
        RecipeError: the specification names another recipe, or there are signers beside a source on a chain.
    """

    spec: FeedSpec
    recipe: Recipe
    config: SignerConfig | None = None

    def __post_init__(self) -> None:
        if self.spec.recipe != self.recipe.digest:
            raise RecipeError(
                f"The specification names the recipe {self.spec.recipe}; this one is {self.recipe.digest}.",
                "A feed with another recipe is another feed: zkinfer oracle init",
            )
        if self.config is not None and not self.spec.signed:
            raise RecipeError("A contract gives this feed's inputs, so it has no signers.")

    @property
    def id(self) -> str:
        """The feed's id, the same on every chain."""
        return feed_id(self.spec)

    @property
    def config_digest(self) -> str:
        """The signers' digest as reports name it.

        Raises RecipeError if signers give the inputs and none were chosen.
        """
        if not self.spec.signed:
            return NO_CONFIG
        if self.config is None:
            raise RecipeError("No signers were chosen for the feed.", "Choose them: zkinfer oracle create --signers")
        return self.config.digest

    def with_signers(self, config: SignerConfig) -> FeedFile:
        """The same feed with other signers."""
        return replace(self, config=config)

    def to_bytes(self) -> bytes:
        """The file: JSON with a line for each field."""
        values: dict[str, Any] = asdict(self.spec)
        large = {name: str(values[name]) for name in _LARGE}
        part = _SpecPart(**{**values, **large})
        signers = () if self.config is None else self.config.signers
        threshold = 0 if self.config is None else self.config.threshold
        file = _File(feed_id=self.id, spec=part, recipe=self.recipe, signers=signers, threshold=threshold)
        left_out = {"signers", "threshold"} if self.config is None else None
        return (json.dumps(file.model_dump(mode="json", by_alias=True, exclude=left_out), indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> FeedFile:
        """Read a feed file, in any layout of its JSON.

        Raises:
            RecipeError: it is not strict JSON, a field is wrong, or its id or recipe digest does not follow from it.
        """
        try:
            canonical.load(data, max_bytes=MAX_BYTES, what="feed file")
            file = _File.model_validate_json(data)
            values = file.spec.model_dump()
            spec = FeedSpec(**{**values, **{name: int(values[name]) for name in _LARGE}})
            config = SignerConfig(file.signers, file.threshold) if file.signers else None
        except (JsonError, ValidationError, RecipeError, FeedFormatError) as err:
            raise RecipeError(
                f"The feed file is invalid: {first_problem(err)}.", "Make one: zkinfer oracle init"
            ) from err
        found = cls(spec, file.recipe, config)
        if found.id != file.feed_id:
            raise RecipeError(
                f"The feed file names the feed {file.feed_id}, and its specification gives {found.id}.",
                "It was edited. Another specification is another feed: zkinfer oracle init",
            )
        return found


def read_feed(path: Path) -> FeedFile:
    """Read a feed file; raises InputError if it cannot be read, or RecipeError as `FeedFile.from_bytes`."""
    cure = "Make a feed file with `zkinfer oracle init`."
    return FeedFile.from_bytes(read_file(path, max_bytes=MAX_BYTES, cure=cure))


def write_feed(path: Path, feed: FeedFile) -> None:
    """Write a feed file, in place of one that is there; raises InputError if it cannot be written."""
    write_atomically(path, feed.to_bytes())
