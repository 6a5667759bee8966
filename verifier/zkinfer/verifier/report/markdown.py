"""A report as Markdown, for issues, wikis and archives of text."""

from __future__ import annotations

import re
from functools import singledispatch
from typing import TYPE_CHECKING

from zkinfer.verifier.report.blocks import (
    Block,
    Command,
    Facts,
    Figure,
    Heading,
    Items,
    Marks,
    Paragraph,
)
from zkinfer.verifier.report.content import printable
from zkinfer.verifier.report.language import ENGLISH, words_of
from zkinfer.verifier.report.layout import TITLE, WRITTEN_BY, sections, summary
from zkinfer.verifier.report.values import Bars, Picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zkinfer.verifier.report.content import Report
    from zkinfer.verifier.report.values import Bar

# What may start markup, a link, an entity or HTML anywhere; and at the start of a line a heading, a list or a rule.
_MARKUP = re.compile(r"([\\`*_\[\]<>|~&$@]|:(?=\S)|(?<=www)\.)", re.IGNORECASE)
_START = re.compile(r"^(\s*)([-+#=]|\d+(?=[.)]))")
_SHADES = " ░▒▓█"
_BAR_CELLS, _MAX_COLUMNS = 20, 48


def markdown_bytes(report: Report, language: str = ENGLISH) -> bytes:
    """The report as Markdown with tables, in UTF-8; raises InputError for an unknown language."""
    words = words_of(language)
    lines = [f"# {words.text(TITLE)}", "", f"**{_text(report.sentences[language])}**", ""]
    for block in words.blocks(summary(report)):
        lines += [*_block(block), ""]
    for part in words.sections(sections(report)):
        lines += [f"## {_text(part.title)}", ""]
        for block in part.blocks:
            lines += [*_block(block), ""]
    made = f"{words.text(WRITTEN_BY)} {_text(report.made_by)}, {report.made_at:%Y-%m-%d %H:%M:%S} UTC"
    lines += ["---", "", made, ""]
    return "\n".join(lines).encode()


def _text(text: object) -> str:
    """Text on one line, without markup."""
    return _START.sub(_escaped_start, _MARKUP.sub(r"\\\1", printable(text)))


def _escaped_start(found: re.Match[str]) -> str:
    space, start = found.groups()
    return f"{space}{start}\\" if start.isdecimal() else f"{space}\\{start}"


def _code(text: object) -> str:
    """Text in a code span that no backtick in it can end."""
    shown = printable(text)
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    padding = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


@singledispatch
def _block(block: Block) -> Iterable[str]:
    raise TypeError(f"no form for {type(block).__name__}")


@_block.register(Paragraph)
def _paragraph(block: Paragraph) -> Iterable[str]:
    yield f"> **Note.** {_text(block.text)}" if block.warning else _text(block.text)


@_block.register(Heading)
def _heading(block: Heading) -> Iterable[str]:
    yield f"### {_text(block.text)}"


@_block.register(Marks)
def _marks(block: Marks) -> Iterable[str]:
    for number, mark in enumerate(block.rows, 1):
        line = f"{_text(mark.sign)} **{mark.word}** {_text(mark.claim)}"
        evidence = _text(mark.evidence)
        if block.numbered:
            yield f"{number}. {line}{f': {evidence}' if evidence else ''}"
        else:
            yield f"- {line}"
            yield from ([f"  <br>{evidence}"] if evidence else [])


@_block.register(Facts)
def _facts(block: Facts) -> Iterable[str]:
    for name, value in block.rows:
        yield f"- {_text(name)}: {_code(value) if block.digests else _text(value)}"


@_block.register(Items)
def _items(block: Items) -> Iterable[str]:
    for title, text in block.rows:
        yield f"- **{_text(title)}**" + (f" {_text(text)}" if text else "")


@_block.register(Command)
def _command(block: Command) -> Iterable[str]:
    fence = "`" * max(3, max(map(len, re.findall("`+", block.text)), default=0) + 1)
    yield from (f"{fence}console", printable(block.text), fence)


@_block.register(Figure)
def _figure(block: Figure) -> Iterable[str]:
    if isinstance(block.view, Picture):
        yield from (f"{_text(block.caption)}; {_text(block.view.note)}", "", "```text", *_drawn(block.view), "```")
        return
    yield from (_text(block.caption), "")
    if isinstance(block.view, Bars):
        yield from _rows((block.view.label, block.view.kind, ""), map(_bar_cells, block.view.rows))
    else:
        yield from _rows(block.view.columns, block.view.rows)
    if block.view.note:
        yield from ("", _text(block.view.note))


def _bar_cells(bar: Bar) -> tuple[str, str, str]:
    cells = max(round(bar.length * _BAR_CELLS), 1 if bar.length else 0)
    return bar.label, bar.text, "█" * cells + (" largest" if bar.largest else "")


def _rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(map(_text, columns))} |"
    yield "|" + " --- |" * len(columns)
    for row in rows:
        yield f"| {' | '.join(map(_text, row))} |"


def _drawn(view: Picture) -> list[str]:
    """The picture in shades, two characters for each pixel; large ones are thinned."""
    step = -(-len(view.pixels[0]) // _MAX_COLUMNS)
    return [
        "".join(_SHADES[round(sum(pixel) / 765 * (len(_SHADES) - 1))] * 2 for pixel in row[::step])
        for row in view.pixels[::step]
    ]
