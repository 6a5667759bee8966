"""The recipe of a feed: how observed numbers become the integers that its model reads.

A recipe is a versioned document in canonical JSON. Its keccak256 is part of the feed's id, so a feed with another
recipe is another feed. All arithmetic is exact and rounds down, so every operator, auditor and contract gets the same
integers from the same numbers.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.errors import DataError, JsonError
from zkinfer.circuits.tensors import MAX_RANK
from zkinfer.oracle.errors import RecipeError, SourceError
from zkinfer.oracle.selectors import Selector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.manifest import Circuit

MAX_BYTES = 1 << 14
MAX_COUNT = 4096
MAX_DIGITS = 60
"""Digits of the longest number that a source may hold."""
_PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
Form = Literal["level", "return"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Encoding(_Part):
    """How the model's input holds numbers, copied from its circuit.

    Args:
        scale: fractional bits of an integer.
        width: bytes of an integer in a statement.
        signed: whether they are in two's complement.
        shape: of the model's only input.
    """

    scale: Annotated[int, Field(ge=0, le=64)]
    width: Literal[1, 2, 4, 8]
    signed: bool
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_COUNT)], ...], Field(max_length=MAX_RANK)]

    @classmethod
    def of(cls, circuit: Circuit) -> Encoding:
        """The encoding of a circuit with one public input.

        Raises:
            RecipeError: the inputs are several, hashed or private, have a scale for each feature, or are too many.
        """
        program = circuit.manifest.program
        if len(program.inputs) != 1 or program.layout.visibility != "public":
            raise RecipeError(
                f"{circuit.folder} has {len(program.inputs)} inputs, {program.layout.visibility}.",
                "A feed needs a model with one public input.",
            )
        tensor = program.inputs[0]
        try:
            layout = program.layout
            fields = {"scale": tensor.common_scale, "width": layout.input_width, "signed": layout.signed}
            return cls.model_validate({**fields, "shape": tensor.shape})
        except (DataError, ValidationError) as err:
            raise RecipeError(
                f"The input {tensor.describe_scaled()} of {circuit.folder} cannot be filled from a series.",
                "It needs one scale from 2^0 to 2^64 for all elements.",
            ) from err

    @property
    def size(self) -> int:
        """How many integers the input has."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest integer of this width."""
        bits = 8 * self.width
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if self.signed else (0, (1 << bits) - 1)

    def pack(self, integers: Sequence[int]) -> bytes:
        """The inputs of a statement; raises SourceError if an integer does not fit the width."""
        least, most = self.limits
        for place, one in enumerate(integers):
            if not least <= one <= most:
                raise SourceError(
                    f"Input {place} of the model is {one}, and it holds {least} to {most}.",
                    "The source is out of the range that the circuit was compiled for.",
                )
        return b"".join(one.to_bytes(self.width, "big", signed=self.signed) for one in integers)


class Recipe(_Part):
    """How the last numbers of a series become a model's input.

    Args:
        count: how many numbers the model reads.
        select: where they are in a document of the source; empty if the source is a contract.
        bounds: the least and the largest number that is accepted from a source, as decimal text.
        form: `level`, the numbers themselves, or `return`, the change of each against the one before it, for which one
            more number is observed.
        encoding: of the model's input.
        tolerance: the largest relative difference between two operators' numbers, as decimal text.
    """

    format: Literal["zkinfer-feed-recipe/1"] = "zkinfer-feed-recipe/1"
    kind: Literal["series"] = "series"
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    select: Annotated[str, Field(max_length=256)]
    bounds: tuple[str, str]
    form: Form
    encoding: Encoding
    tolerance: str

    @field_validator("bounds", "tolerance")
    @classmethod
    def _are_plain_decimals(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for text in (value,) if isinstance(value, str) else value:
            if not is_plain_number(text):
                raise ValueError(f"{text[:80]!r} is not a decimal number in its shortest form")
        return value

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        least, most = self.limits
        if least > most or (self.form == "return" and least <= 0):
            raise ValueError("bounds must be ordered, and positive for returns")
        if not 0 <= Fraction(self.tolerance) < 1:
            raise ValueError("a tolerance is at least 0 and below 1")
        if self.count != self.encoding.size:
            raise ValueError(f"the model reads {self.encoding.size} numbers, and the recipe gives {self.count}")
        if self.select:
            Selector.parse(self.select)
        return self

    @classmethod
    def make(cls, **fields: object) -> Recipe:
        """A recipe with these fields; raises RecipeError, which names the wrong one."""
        try:
            return cls.model_validate(fields)
        except (ValidationError, RecipeError) as err:
            raise RecipeError(f"The recipe is invalid: {first_problem(err)}.") from err

    @classmethod
    def from_bytes(cls, data: bytes) -> Recipe:
        """Read what `to_bytes` writes; raises RecipeError for anything else."""
        try:
            canonical.load_canonical(data, max_bytes=MAX_BYTES, what="recipe")
            recipe = cls.model_validate_json(data)
        except (JsonError, ValidationError, RecipeError) as err:
            raise RecipeError(
                f"The file is not a recipe: {first_problem(err)}.", "`zkinfer oracle init` writes one."
            ) from err
        if recipe.to_bytes() != data:
            raise RecipeError("The recipe writes a field in a form that is not canonical.")
        return recipe

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical.dump(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """keccak256 of the document, with 0x: the recipe in the feed's id."""
        return "0x" + keccak256(self.to_bytes()).hex

    @property
    def observed(self) -> int:
        """How many numbers of the series an observation holds."""
        return self.count + (self.form == "return")

    @property
    def limits(self) -> tuple[Fraction, Fraction]:
        """The bounds as numbers."""
        return Fraction(self.bounds[0]), Fraction(self.bounds[1])

    def require_circuit(self, circuit: Circuit) -> None:
        """Return if the recipe is for this circuit's input; raise RecipeError if not."""
        if Encoding.of(circuit) != self.encoding:
            raise RecipeError(
                f"The recipe is for another input than that of {circuit.folder}.",
                "A feed with another circuit is another feed: zkinfer oracle init",
            )

    def require_numbers(self, numbers: Sequence[Fraction]) -> None:
        """Return if these numbers can be used; raise SourceError, which names the first that cannot, if not."""
        if len(numbers) != self.observed:
            raise SourceError(f"The recipe needs {self.observed} numbers; there are {len(numbers)}.")
        least, most = self.limits
        for place, one in enumerate(numbers):
            if not least <= one <= most:
                raise SourceError(
                    f"Number {place} of the source is {float(one):.10g}, outside the recipe's bounds, "
                    f"{self.bounds[0]} to {self.bounds[1]}.",
                    "It is refused, not clamped. Check the source.",
                )

    def integers(self, numbers: Sequence[Fraction]) -> list[int]:
        """The model's input for numbers of the series, oldest first.

        Level: floor(x * 2^scale). Return: floor((x - before) / before * 2^scale).

        Raises:
            SourceError: there are too few numbers, or one is out of bounds.
        """
        self.require_numbers(numbers)
        unit = 1 << self.encoding.scale
        if self.form == "level":
            return [number * unit // 1 for number in numbers]
        return [(number - before) * unit // before for before, number in pairwise(numbers)]

    def inputs(self, numbers: Sequence[Fraction]) -> bytes:
        """The packed integers of a statement; raises SourceError as `integers`, or if one does not fit the width."""
        return self.encoding.pack(self.integers(numbers))

    def agrees(self, mine: Sequence[Fraction], other: Sequence[Fraction]) -> bool:
        """Whether two observations are within the tolerance of each other, number by number.

        The difference is relative to `mine`; so beside a 0 only a 0 is.
        """
        allowed = Fraction(self.tolerance)
        pairs = zip(mine, other, strict=False)
        return len(mine) == len(other) and all(abs(a - b) <= allowed * abs(a) for a, b in pairs)


def plain_number(text: str) -> str:
    """The shortest decimal text of a number that may have an exponent, a sign and zeros at the end.

    Raises SourceError for anything else, and for numbers of more than 60 characters in that form.
    """
    if len(text) <= MAX_DIGITS and _NUMBER.fullmatch(text):
        whole, _, part = format(Decimal(text), "f").partition(".")
        part = part.rstrip("0")
        sign, digits = whole[: whole.startswith("-")], whole.lstrip("-").lstrip("0") or "0"
        shortest = (sign if digits != "0" or part else "") + digits + (f".{part}" if part else "")
        if len(shortest) <= MAX_DIGITS:
            return shortest
    raise SourceError(f"{text[:80]!r} is not a number of at most {MAX_DIGITS} characters.", "Check `select`.")


def is_plain_number(text: str) -> bool:
    """Whether a text is what `plain_number` returns for it."""
    return len(text) <= MAX_DIGITS and bool(_PLAIN.fullmatch(text)) and text != "-0"


def first_problem(err: Exception) -> str:
    """The first problem that a validation found, in a few words."""
    if isinstance(err, ValidationError):
        first = err.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:80]
        return f"{place or 'as a whole'}: {first['msg'][:200]}"
    return str(getattr(err, "cause", err)).rstrip(".")
