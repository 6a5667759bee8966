"""A report as one HTML file: no network, no foreign script or style, readable on paper and by a screen reader.

The policy in the file allows exactly its own style and script, by their digests. Without script only the buttons for
copying are missing.
"""

from __future__ import annotations

import base64
import hashlib
import html
from functools import singledispatch
from importlib.resources import files
from typing import TYPE_CHECKING

from zkinfer.verifier.report.blocks import (
    Block,
    Command,
    Facts,
    Figure,
    Heading,
    Items,
    Mark,
    Marks,
    Paragraph,
)
from zkinfer.verifier.report.content import printable
from zkinfer.verifier.report.language import ENGLISH, Untranslated, words_of
from zkinfer.verifier.report.layout import OUTCOMES, TITLE, WRITTEN_BY, sections, summary
from zkinfer.verifier.report.values import Bars, Picture, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zkinfer.verifier.report.blocks import Section
    from zkinfer.verifier.report.content import Outcome, Report
    from zkinfer.verifier.report.language import Words

# A tick, a warning sign and a cross, in a box of 24.
_SIGNS: dict[Outcome, str] = {
    "valid": "M5 12.5l4.5 4.5L19 7.5",
    "forgeable": "M12 5v9M12 18.2v.3",
    "refused": "M6.5 6.5l11 11M17.5 6.5l-11 11",
}


def html_bytes(report: Report, language: str = ENGLISH) -> bytes:
    """The report as a self-contained HTML document; raises InputError for an unknown language."""
    words = words_of(language)
    style, script = _resource("report.css"), _resource("report.js")
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts, outcome = words.sections(sections(report)), words.text(OUTCOMES[report.outcome])
    title = f"{outcome}: {_text(dict(report.facts)['attestation'])} – {words.text(TITLE)}"
    return "\n".join(
        (
            "<!doctype html>",
            f'<html lang="{language}" data-outcome="{report.outcome}">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_text(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{title}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            f'<a class="skip" href="#verdict">{words.text("Skip to the verdict")}</a>',
            _header(report, words),
            _contents(parts, words),
            "<main>",
            _verdict(report, words),
            *map(_section, parts),
            "</main>",
            _footer(report, words),
            _status(words),
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        )
    ).encode()


def _resource(name: str) -> str:
    return files("zkinfer.verifier.report").joinpath(name).read_text("utf-8")


def _source(text: str) -> str:
    """How a policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(text: object) -> str:
    return html.escape(printable(text))


def _foreign(text: object) -> str:
    """Text that may be written from right to left, apart from what is beside it; English is marked among others."""
    mark = f' lang="{ENGLISH}"' if isinstance(text, Untranslated) else ""
    return f"<bdi{mark}>{_text(text)}</bdi>"


def _header(report: Report, words: Words) -> str:
    kind = f"{words.text(TITLE)}, {report.made_at:%Y-%m-%d}"
    return f'<header><p class="brand">zkinfer</p><p class="kind">{kind}</p></header>'


def _footer(report: Report, words: Words) -> str:
    made = f"{words.text(WRITTEN_BY)} {_text(report.made_by)}, {report.made_at:%Y-%m-%d %H:%M:%S} UTC."
    return f"<footer><p>{made} {words.text('This file loads nothing and sends nothing.')}</p></footer>"


def _status(words: Words) -> str:
    """Where the script says that a text was copied."""
    said = f'data-copied="{_text(words.text("Copied"))}" data-selected="{_text(words.text("Selected"))}"'
    return f'<p id="copied" class="hidden" role="status" {said}></p>'


def _contents(parts: Iterable[Section], words: Words) -> str:
    links = "".join(f'<li><a href="#{part.name}">{_text(part.title)}</a></li>' for part in parts)
    return f'<nav aria-label="{_text(words.text("Contents"))}"><ol>{links}</ol></nav>'


def _verdict(report: Report, words: Words) -> str:
    sign = f'<path d="{_SIGNS[report.outcome]}"/>'
    return (
        '<section id="verdict" aria-labelledby="verdict-title">'
        f'<svg class="seal" viewBox="0 0 24 24" aria-hidden="true" focusable="false">'
        f'<circle cx="12" cy="12" r="11"/>{sign}</svg>'
        f'<h1 id="verdict-title">{words.text(OUTCOMES[report.outcome])}</h1>'
        f'<p class="sentence">{_foreign(report.sentences[words.language])}</p>'
        + "".join(map(_block, words.blocks(summary(report))))
        + "</section>"
    )


def _section(part: Section) -> str:
    return (
        f'<section id="{part.name}" aria-labelledby="{part.name}-title">'
        f'<h2 id="{part.name}-title">{_text(part.title)}</h2>' + "".join(map(_block, part.blocks)) + "</section>"
    )


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(f"no form for {type(block).__name__}")


@_block.register(Paragraph)
def _paragraph(block: Paragraph) -> str:
    return f'<p class="warning">{_foreign(block.text)}</p>' if block.warning else f"<p>{_foreign(block.text)}</p>"


@_block.register(Heading)
def _heading(block: Heading) -> str:
    return f"<h3>{_foreign(block.text)}</h3>"


@_block.register(Marks)
def _marks(block: Marks) -> str:
    # Some screen readers leave out lists without bullets, unless their role is named.
    if not block.numbered:
        return f'<ul class="marks" role="list">{"".join(map(_mark, block.rows))}</ul>'
    rows = (_mark(mark, f'<span class="place">{place}</span>') for place, mark in enumerate(block.rows, 1))
    return f'<ol class="steps" role="list">{"".join(rows)}</ol>'


def _mark(mark: Mark, start: str = "") -> str:
    evidence = f'<span class="evidence">{_foreign(mark.evidence)}</span>' if mark.evidence else ""
    return (
        f'<li class="{mark.status}">{start}'
        f'<span class="mark"><span aria-hidden="true">{mark.sign}</span>{_text(mark.word)}</span>'
        f'<span class="claim">{_foreign(mark.claim)}</span>{evidence}</li>'
    )


@_block.register(Facts)
def _facts(block: Facts) -> str:
    button = block.button if block.digests else ""
    rows = "".join(
        f"<div><dt>{_foreign(name)}</dt><dd>{_copyable(name, value, button) if button else _foreign(value)}</dd></div>"
        for name, value in block.rows
    )
    return f'<dl class="{"digests" if block.digests else "facts"}">{rows}</dl>'


def _copyable(name: str, value: str, button: str) -> str:
    return f"<code>{_foreign(value)}</code>{_button(name, button)}"


def _button(name: str, label: str) -> str:
    """A button that copies the text beside it; only the script shows it, and its label names the text."""
    return f'<button type="button" aria-label="{_text(label)}: {_text(name)}" hidden>{_text(label)}</button>'


@_block.register(Items)
def _items(block: Items) -> str:
    rows = "".join(
        f"<li><strong>{_foreign(title)}</strong>" + (f"<span>{_foreign(text)}</span>" if text else "") + "</li>"
        for title, text in block.rows
    )
    return f'<ul class="points" role="list">{rows}</ul>'


@_block.register(Command)
def _command(block: Command) -> str:
    return f'<div class="command"><code>{_foreign(block.text)}</code>{_button(block.name, block.button)}</div>'


@_block.register(Figure)
def _figure(block: Figure) -> str:
    if isinstance(block.view, Picture):
        return _picture(block.caption, block.view)
    return _bars(block.caption, block.view) if isinstance(block.view, Bars) else _table(block.caption, block.view)


def _bars(caption: str, view: Bars) -> str:
    rows = "".join(
        f'<tr class="{"largest" if bar.largest else "other"}"><th scope="row">{_foreign(bar.label)}</th>'
        '<td class="bar"><svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect x="{1000 * bar.start:.0f}" width="{max(1000 * bar.length, 2 if bar.length else 0):.0f}" height="10"/>'
        f'</svg></td><td class="number">{_foreign(bar.text)}</td></tr>'
        for bar in view.rows
    )
    label, kind = _text(view.label), _text(view.kind)
    head = f'<tr><th scope="col">{label}</th><td></td><th scope="col" class="number">{kind}</th></tr>'
    return _scrolled(caption, head, rows, "bars") + _note(view)


def _table(caption: str, view: Table) -> str:
    head = "".join(f'<th scope="col">{_foreign(name)}</th>' for name in view.columns)
    rows = "".join(f"<tr>{_cells(row)}</tr>" for row in view.rows)
    return _scrolled(caption, f"<tr>{head}</tr>", rows, "cells") + _note(view)


def _note(view: Bars | Table) -> str:
    return f'<p class="note">{_foreign(view.note)}</p>' if view.note else ""


def _cells(row: Sequence[str]) -> str:
    return f'<th scope="row">{_foreign(row[0])}</th>' + "".join(f"<td>{_foreign(cell)}</td>" for cell in row[1:])


def _scrolled(caption: str, head: str, rows: str, kind: str) -> str:
    """A table; a wide one scrolls by itself, also by keyboard."""
    return (
        f'<div class="scroll" role="group" aria-label="{_text(caption)}" tabindex="0"><table class="{kind}">'
        f"<caption>{_foreign(caption)}</caption><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
    )


def _picture(caption: str, view: Picture) -> str:
    height, width = len(view.pixels), len(view.pixels[0])
    # The stroke closes the seams that viewers of printed pages draw between neighbours.
    paths = "".join(
        f'<path fill="#{colour}" stroke="#{colour}" stroke-width=".05" d="{runs}"/>'
        for colour, runs in _runs(view).items()
    )
    name = _text(f"{caption}: a picture of {view.note}")
    return (
        f'<figure><svg class="picture" role="img" aria-label="{name}" viewBox="0 0 {width} {height}" '
        f'shape-rendering="crispEdges">{paths}</svg>'
        f"<figcaption>{_foreign(caption)}; {_text(view.note)}</figcaption></figure>"
    )


def _runs(view: Picture) -> dict[str, str]:
    """The pixels of each colour as one path of runs."""
    paths: dict[str, str] = {}
    for y, row in enumerate(view.pixels):
        x = 0
        while x < len(row):
            end = next((place for place in range(x, len(row)) if row[place] != row[x]), len(row))
            red, green, blue = row[x]
            colour = f"{red:02x}{green:02x}{blue:02x}"
            paths[colour] = paths.get(colour, "") + f"M{x} {y}h{end - x}v1h{x - end}z"
            x = end
    return paths
