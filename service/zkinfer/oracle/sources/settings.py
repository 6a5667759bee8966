"""The description of a source: a file in TOML, or a table of one.

    http = "https://api.example/eth"        # or file = "prices.json", or aggregator = "0x..." on a chain
    select = "prices[*].close"
    form = "return"

What belongs to the recipe (`select`, `count`, `form`, `bounds`, `tolerance`) is read when a feed is made; later it must
be missing or the same, since it is in the feed's id.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from zkinfer.circuits.statement import Address
from zkinfer.circuits.storage import read_file, read_private_file
from zkinfer.oracle.errors import RecipeError, SourceError
from zkinfer.oracle.recipes import Form, Recipe, first_problem, plain_number
from zkinfer.oracle.sources.aggregator import AggregatorSource, ChainAggregator
from zkinfer.oracle.sources.files import FileSource
from zkinfer.oracle.sources.http import HttpSource

if TYPE_CHECKING:
    from zkinfer.contracts.chain import Chain

MAX_BYTES = 1 << 16
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60)}


def _number(value: object) -> object:
    return plain_number(str(value)) if isinstance(value, (int, float, Decimal, str)) else value


def _share(value: object) -> object:
    if isinstance(value, str) and value.endswith("%"):
        return plain_number(str(Decimal(plain_number(value.removesuffix("%"))) / 100))
    return _number(value)


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    unit = next((one for one in _SECONDS if value.endswith(one)), None)
    if unit is None:
        raise ValueError("write a period: 3s, 500ms")
    return float(Decimal(plain_number(value.removesuffix(unit))) * _SECONDS[unit])


def _kebab(name: str) -> str:
    return name.replace("_", "-")


Plain = Annotated[str, BeforeValidator(_number)]


class SourceSettings(BaseModel):
    """Where a series comes from, and what a new recipe shall say about it.

    Args:
        http: URL of a JSON document.
        file: path of a JSON document.
        aggregator: another feed on the chain, with Chainlink's interface, that a contract reads.
        max_age: since a file was written, beyond which it is refused: `10m`. By default any age is accepted.
        timeout: of an attempt over HTTP: `3s`.
        attempts: over HTTP.
        headers_file: lines `Name: value` to send along; a private file, for keys of an API.
        unsafe_plain_http: accept http to another machine.
        select: where the numbers are in the document.
        count: how many numbers the model reads.
        form: `level` or `return`.
        bounds: the least and the largest number.
        tolerance: between operators: `0.5%`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_kebab, populate_by_name=True)

    http: str | None = None
    file: Path | None = None
    aggregator: Address | None = None
    max_age: Annotated[float | None, BeforeValidator(_seconds), Field(gt=0)] = None
    timeout: Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=60)] = 5.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    headers_file: Path | None = None
    unsafe_plain_http: bool = False
    select: str | None = None
    count: int | None = None
    form: Form | None = None
    bounds: tuple[Plain, Plain] | None = None
    tolerance: Annotated[str, BeforeValidator(_share)] | None = None

    @model_validator(mode="after")
    def _names_one_source(self) -> Self:
        if sum(one is not None for one in (self.http, self.file, self.aggregator)) != 1:
            raise ValueError("give one of http, file and aggregator")
        if self.max_age is not None and self.file is None:
            raise ValueError("max-age is for a file; nothing tells the age of another source")
        return self

    @classmethod
    def from_toml(cls, path: Path) -> SourceSettings:
        """Read a file; raises RecipeError, which names the wrong setting, or InputError if it cannot be read."""
        try:
            document = tomllib.loads(read_file(path, max_bytes=MAX_BYTES).decode(), parse_float=Decimal)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as err:
            raise RecipeError(f"{path} is not TOML: {str(err)[:200]}.") from err
        return cls.of(document)

    @classmethod
    def of(cls, table: dict[str, Any]) -> SourceSettings:
        """The settings in a table; raises RecipeError, which names the wrong one."""
        try:
            return cls.model_validate(table)
        except (ValidationError, SourceError) as err:
            raise RecipeError(f"The source is described wrongly: {first_problem(err)}.") from err

    def require_recipe(self, recipe: Recipe) -> None:
        """Return if nothing here contradicts a feed's recipe; raise RecipeError if something does."""
        for name in ("select", "count", "form", "bounds", "tolerance"):
            value = getattr(self, name)
            if value is not None and value != getattr(recipe, name):
                raise RecipeError(
                    f"The source's {name} is {value}, and the feed's recipe says {getattr(recipe, name)}.",
                    "The recipe is in the feed's id; leave it out here, or make another feed.",
                )

    def open(
        self, folder: Path, chain: Chain | None = None, *, max_age: int
    ) -> HttpSource | FileSource | AggregatorSource:
        """The source; paths are relative to a folder, and another feed is read on a chain.

        Its last answer may be `max_age` seconds old, as the contract allows it: the `maxAge` of the feed to be made.

        Raises as `open_document`, and RecipeError if the source is on a chain and none is given.
        """
        if self.aggregator is None:
            return self.open_document(folder)
        if chain is None:
            raise RecipeError("The source is on a chain.", "Name a node of the chain.")
        return AggregatorSource(ChainAggregator(chain, self.aggregator), max_age)

    def open_document(self, folder: Path) -> HttpSource | FileSource:
        """The source of documents; paths are relative to a folder.

        Raises:
            RecipeError: the source is on a chain.
            SourceError: the URL is not acceptable.
            InputError: the file of headers cannot be read, or others can read it.
        """
        if self.file is not None:
            return FileSource(folder / self.file, self.max_age)
        if self.http is None:
            raise RecipeError("The source is on a chain, and has no documents.", "A contract gives its inputs.")
        headers = {} if self.headers_file is None else _headers(folder / self.headers_file)
        return HttpSource(
            self.http,
            timeout=self.timeout,
            attempts=self.attempts,
            headers=headers,
            unsafe_plain_http=self.unsafe_plain_http,
        )


def _headers(path: Path) -> dict[str, str]:
    headers = {}
    for line in read_private_file(path, max_bytes=MAX_BYTES).decode("ascii", "replace").splitlines():
        name, colon, value = line.partition(":")
        if line.strip() and not (colon and name.strip() and value.strip() and value.strip().isprintable()):
            raise SourceError(f"{path} holds a line that is not `Name: value`.", "Write one header on each line.")
        if line.strip():
            headers[name.strip()] = value.strip()
    return headers
