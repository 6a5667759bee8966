"""The languages of a report: its own texts, in one TOML file each in `texts/`. English is the source, and has none.

A key is the English text itself. What quotes a file, an error or the attestation is no text of a report's own: it stays
in English, and is marked as such, so that nothing an attestation says can pass for a translated sentence.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import InputError
from zkinfer.verifier.report.blocks import Command, Facts, Figure, Heading, Items, Marks, Paragraph, Section
from zkinfer.verifier.report.values import Bars, Picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zkinfer.verifier.report.blocks import Block, Mark
    from zkinfer.verifier.report.values import Table

ENGLISH: Final = "en"


class Untranslated(str):
    """English text in a report of another language."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language, by the English ones.

    Args:
        language: its code.
        texts: empty for English.
    """

    language: str
    texts: Mapping[str, str]

    def text(self, english: str) -> str:
        """The translation; if there is none, the English text, marked unless it is a name or a number."""
        if self.language == ENGLISH:
            return english
        known = self.texts.get(english)
        return known if known is not None else Untranslated(english) if " " in english else english

    def sections(self, found: Iterable[Section]) -> tuple[Section, ...]:
        """The sections in this language."""
        return tuple(replace(one, title=self.text(one.title), blocks=self.blocks(one.blocks)) for one in found)

    def blocks(self, found: Iterable[Block]) -> tuple[Block, ...]:
        """The blocks in this language."""
        return tuple(map(self._block, found))

    def _block(self, block: Block) -> Block:
        match block:
            case Paragraph() | Heading():
                return replace(block, text=self.text(block.text))
            case Marks():
                return replace(block, rows=tuple(map(self._mark, block.rows)))
            case Facts():
                return replace(block, rows=self._pairs(block.rows), button=self.text(block.button))
            case Items():
                return replace(block, rows=self._pairs(block.rows))
            case Command():
                return replace(block, name=self.text(block.name), button=self.text(block.button))
            case Figure():
                return replace(block, caption=self.text(block.caption), view=self._view(block.view))

    def _mark(self, mark: Mark) -> Mark:
        texts = (mark.word, mark.claim, mark.evidence)
        word, claim, evidence = map(self.text, texts)
        return replace(mark, word=word, claim=claim, evidence=evidence)

    def _pairs(self, rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return tuple((self.text(name), self._value(value)) for name, value in rows)

    def _value(self, value: str) -> str:
        """A single word is a name, of a file for instance, whatever else it means."""
        return self.text(value) if " " in value else value

    def _view(self, view: Picture | Bars | Table) -> Picture | Bars | Table:
        if isinstance(view, Picture):
            return replace(view, note=self.text(view.note))
        if isinstance(view, Bars):
            return replace(view, label=self.text(view.label), kind=self.text(view.kind), note=self.text(view.note))
        own = all(name in self.texts or name.isdecimal() for name in view.columns)  # others are of the model
        columns = tuple(map(self.text, view.columns)) if own else view.columns
        return replace(view, columns=columns, note=self.text(view.note))


@cache
def languages() -> tuple[str, ...]:
    """The codes of all languages, English first."""
    found = (entry.name for entry in files("zkinfer.verifier.report").joinpath("texts").iterdir())
    return (ENGLISH, *sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


@cache
def words_of(language: str) -> Words:
    """The texts of a language; raises InputError if there is none with this code."""
    if language not in languages():
        raise InputError(
            f"There are no reports in the language {language!r:.40}.", f"Choose one of {', '.join(languages())}."
        )
    if language == ENGLISH:
        return Words(language, {})
    source = files("zkinfer.verifier.report").joinpath("texts", f"{language}.toml").read_text("utf-8")
    return Words(language, tomllib.loads(source))
