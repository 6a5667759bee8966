"""Observations: the numbers of a series at one moment, the file that publishes them, and the model's input.

The source file is canonical JSON, named by its keccak256. With the recipe it gives the model's input again, without
the source: that is how peers and auditors check a round.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.errors import JsonError
from zkinfer.circuits.statement import Word
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.recipes import MAX_COUNT, first_problem, is_plain_number, plain_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.oracle.recipes import Recipe

MAX_BYTES = 1 << 19
Seconds = Annotated[int, Field(ge=0, lt=1 << 32)]


class SourceFile(BaseModel):
    """What was observed.

    Args:
        recipe: digest of the recipe that selected the numbers.
        observed_at: when, in Unix seconds.
        origin: where, without secrets: a host, or the name of a file.
        numbers: oldest first, as the shortest decimal text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["zkinfer-feed-source/1"] = "zkinfer-feed-source/1"
    recipe: Word
    observed_at: Seconds
    origin: Annotated[str, Field(max_length=256)]
    numbers: Annotated[tuple[str, ...], Field(max_length=MAX_COUNT + 1)]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical.dump(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` writes; raises SourceError for anything else."""
        try:
            canonical.load_canonical(data, max_bytes=MAX_BYTES, what="source file")
            found = cls.model_validate_json(data)
        except (JsonError, ValidationError) as err:
            raise SourceError(f"The file is not a feed's source file: {first_problem(err)}.") from err
        if found.to_bytes() != data or not all(is_plain_number(one) for one in found.numbers):
            raise SourceError("The source file writes a field in a form that is not canonical.")
        return found


@dataclass(frozen=True, slots=True)
class Observation:
    """The numbers of a round, and the model's input made from them.

    Args:
        observed_at: in Unix seconds.
        numbers: of the series, oldest first.
        inputs: the model's packed input.
        source_digest: identifies the source file, or the data of a contract.
        source_file: the bytes to publish; empty if the source is a contract, whose data anyone can read.
    """

    observed_at: int
    numbers: tuple[Fraction, ...]
    inputs: bytes
    source_digest: str
    source_file: bytes = b""


def observation_of(recipe: Recipe, texts: Sequence[str], *, observed_at: int, origin: str) -> Observation:
    """The observation of a series: its last numbers, as many as the recipe needs.

    Args:
        recipe: says how many, their bounds, and how they become integers.
        texts: the series as the source writes it, oldest first.
        observed_at: in Unix seconds.
        origin: where it was observed, without secrets.

    Raises:
        SourceError: there are too few numbers, one is none or out of bounds, or the model cannot hold it.
    """
    last = texts[-recipe.observed :]
    numbers = tuple(plain_number(one) for one in last)
    file = SourceFile(recipe=recipe.digest, observed_at=observed_at, origin=origin[:256], numbers=numbers)
    return replay(recipe, file.to_bytes())


def replay(recipe: Recipe, source_file: bytes) -> Observation:
    """The observation in a source file: what a peer or an auditor makes of it.

    Raises:
        SourceError: it is not a source file of this recipe, or as `observation_of`.
    """
    file = SourceFile.from_bytes(source_file)
    if file.recipe != recipe.digest:
        raise SourceError(f"The source file is for the recipe {file.recipe}, not for {recipe.digest}.")
    numbers = tuple(Fraction(one) for one in file.numbers)
    return Observation(
        observed_at=file.observed_at,
        numbers=numbers,
        inputs=recipe.inputs(numbers),
        source_digest=digest_of(source_file),
        source_file=source_file,
    )


def digest_of(source_file: bytes) -> str:
    """The name of a source file: keccak256 of its bytes, with 0x."""
    return "0x" + keccak256(source_file).hex


def require_agreement(recipe: Recipe, mine: Observation, other: Observation) -> None:
    """Return if another operator's observation is within the recipe's tolerance of one's own.

    Raises SourceError, which names the first number that differs.
    """
    if recipe.agrees(mine.numbers, other.numbers):
        return
    pairs = enumerate(zip(mine.numbers, other.numbers, strict=False))
    place = next((at for at, (a, b) in pairs if not recipe.agrees((a,), (b,))), 0)
    raise SourceError(
        f"Number {place} of the other observation is {_shown(other, place)}; here it is {_shown(mine, place)}, and "
        f"the recipe's tolerance is {recipe.tolerance}.",
        "Do the operators' sources disagree, or did the series move on between them?",
    )


def _shown(observation: Observation, place: int) -> str:
    return f"{float(observation.numbers[place]):.10g}" if place < len(observation.numbers) else "missing"
