"""The blocks that the sections of a report consist of; the forms for readers write them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from zkinfer.verifier.errors import Status
    from zkinfer.verifier.report.values import Bars, Picture, Table

BUTTON: Final = "Copy"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or a few; a warning stands out."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a part of a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A claim that holds or does not, with the sign and the word for it, and its evidence."""

    status: Status
    sign: str
    word: str
    claim: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Marks:
    """Lines that each hold or do not; numbered if they are steps."""

    rows: tuple[Mark, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values; the values of digests are for copying, with a button where there are buttons."""

    rows: tuple[tuple[str, str], ...]
    digests: bool = False
    button: str = BUTTON


@dataclass(frozen=True, slots=True)
class Items:
    """Points, each with an explanation that may be empty."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command line for copying, and what the button calls it."""

    text: str
    name: str = "the command"
    button: str = BUTTON


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture, bars or a table, with its caption."""

    caption: str
    view: Picture | Bars | Table


Block: TypeAlias = Paragraph | Heading | Marks | Facts | Items | Command | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """One section; `name` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]
