"""A report as PDF, on A4, with embedded fonts. Needs reportlab, the extra `report`.

Its paragraphs read a small markup language, so every text is escaped; a character that the font lacks is written as its
code point. Equal reports give equal bytes.
"""

from __future__ import annotations

import io
from functools import cache, singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

import reportlab
from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import KeepTogether, SimpleDocTemplate, Spacer, TableStyle
from reportlab.platypus import Paragraph as Text
from reportlab.platypus import Table as Grid

from zkinfer.verifier.report.content import printable
from zkinfer.verifier.report.layout import (
    TITLE,
    Block,
    Command,
    Facts,
    Figure,
    Heading,
    Items,
    Marks,
    Paragraph,
    sections,
    summary,
)
from zkinfer.verifier.report.values import Bars, Picture, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable

    from zkinfer.verifier.report.content import Outcome, Report

    _Look = tuple[str, tuple[int, int], tuple[int, int], *tuple[Any, ...]]

_WIDTH: Final = A4[0] - 40 * mm
_MAX_CELL: Final = 2000  # characters: a row of a table must fit a page
_CUT: Final = " [cut here; the other forms of this report have all of it]"
_INK, _SOFT, _LINE, _BAR, _STRONG = map(HexColor, ("#1d1f24", "#5b606b", "#dedbd2", "#a9b4c2", "#2c4a6e"))
_TONES: dict[Outcome, tuple[str, str, str]] = {
    "valid": ("Valid", "#1f6f4a", "#e6f1ea"),
    "forgeable": ("Forgeable", "#8a5a00", "#fbf0d9"),
    "refused": ("Refused", "#a32a2a", "#f9e8e6"),
}
_FONT, _BOLD = "ReportSans", "ReportSans-Bold"
_FILES: Final = {_FONT: "Vera.ttf", _BOLD: "VeraBd.ttf"}


def pdf_bytes(report: Report) -> bytes:
    """The report as a PDF document."""
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=20 * mm,
        bottomMargin=20 * mm,
        title=f"{TITLE}: {_known(dict(report.facts)['attestation'])}",
        author=report.made_by,
        lang="en",
        invariant=1,
    )
    footer = _Footer(f"{report.made_by}, {report.made_at:%Y-%m-%d %H:%M:%S} UTC")
    document.build(list(_story(report)), onFirstPage=footer, onLaterPages=footer)
    return buffer.getvalue()


class _Footer:
    """Writes who made the report and the number of the page."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont(_FONT, 7.5)
        canvas.setFillColor(_SOFT)
        canvas.drawString(20 * mm, 12 * mm, self._text)
        canvas.drawRightString(A4[0] - 20 * mm, 12 * mm, f"page {document.page}")


def _style(
    size: float,
    *,
    bold: bool = False,
    color: Color = _INK,
    before: float = 0,
    after: float = 4,
    right: bool = False,
    above: bool = False,
) -> ParagraphStyle:
    """A style; text that stands `above` something stays on its page."""
    return ParagraphStyle(
        "",
        fontName=_BOLD if bold else _FONT,
        fontSize=size,
        leading=1.45 * size,
        textColor=color,
        spaceBefore=before,
        spaceAfter=after,
        alignment=2 if right else 0,  # as reportlab numbers them
        splitLongWords=1,
        keepWithNext=above,
    )


_BODY, _SMALL, _NOTE = _style(9), _style(8, after=0), _style(8, color=_SOFT, after=0)
_STRESSED = _style(8, bold=True, after=0)
_RIGHT = _style(8, after=0, right=True)
_H2, _H3 = _style(14, bold=True, after=6, before=16, above=True), _style(9.5, bold=True, after=4, before=8, above=True)


@cache
def _glyphs() -> frozenset[int]:
    """The characters of the font, which is registered with its bold face."""
    folder = Path(reportlab.__file__).parent / "fonts"
    fonts = {name: TTFont(name, str(folder / file)) for name, file in _FILES.items()}
    for font in fonts.values():
        registerFont(font)
    return frozenset(fonts[_FONT].face.charToGlyph)


def _known(text: object) -> str:
    """Text of characters that the font has; others as their code points."""
    glyphs = _glyphs()
    return "".join(char if ord(char) in glyphs else f"[U+{ord(char):04X}]" for char in printable(text))


def _text(text: object, style: ParagraphStyle = _BODY, *, prefix: str = "") -> Text:
    """A paragraph of foreign text, after our own markup."""
    shown = _known(text)
    return Text(prefix + escape(shown if len(shown) <= _MAX_CELL else shown[:_MAX_CELL] + _CUT), style)


def _story(report: Report) -> Iterable[Flowable]:
    word, tone, wash = _TONES[report.outcome]
    yield _text(TITLE, _style(8.5, color=_SOFT, after=6))
    verdict = [
        _text(word, _style(24, bold=True, color=HexColor(tone), after=6)),
        _text(report.sentence, _style(10.5, after=8)),
        *(flowable for block in summary(report) for flowable in _block(block)),
    ]
    look: list[_Look] = [("BACKGROUND", (0, 0), (-1, -1), HexColor(wash)), *_padding(12, 4)]
    yield Grid([[one] for one in verdict], colWidths=[_WIDTH], style=TableStyle(look))
    for part in sections(report):
        yield _text(part.title, _H2)
        for block in part.blocks:
            yield from _block(block)


def _padding(side: float, end: float) -> list[_Look]:
    look = {
        "LEFTPADDING": side,
        "RIGHTPADDING": side,
        "TOPPADDING": end,
        "BOTTOMPADDING": end,
        "VALIGN": "TOP",
    }
    return [(name, (0, 0), (-1, -1), value) for name, value in look.items()]


def _grid(rows: Sequence[list[Any]], widths: Sequence[float | None], *, head: int = 0) -> Grid:
    """Rows with a line below each; the first `head` are repeated on every page."""
    look: list[_Look] = [("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE), *_padding(3, 3)]
    return Grid(rows, colWidths=widths, style=TableStyle(look), repeatRows=head, hAlign="LEFT")


@singledispatch
def _block(block: Block) -> Iterable[Flowable]:
    raise TypeError(f"no form for {type(block).__name__}")


@_block.register(Paragraph)
def _paragraph(block: Paragraph) -> Iterable[Flowable]:
    yield _text(block.text, prefix="<b>Note.</b> " if block.warning else "")


@_block.register(Heading)
def _heading(block: Heading) -> Iterable[Flowable]:
    yield _text(block.text, _H3)


@_block.register(Marks)
def _marks(block: Marks) -> Iterable[Flowable]:
    rows = []
    for number, mark in enumerate(block.rows, 1):
        claim = [_text(mark.claim, _SMALL), *([_text(mark.evidence, _NOTE)] if mark.evidence else [])]
        start = [_text(f"{number}.", _NOTE)] if block.numbered else []
        rows.append([*start, claim, _text(mark.word, _RIGHT)])
    edge = 9 * mm if block.numbered else 24
    yield _grid(rows, (*([edge] if block.numbered else []), _WIDTH - edge - 24 * mm, 24 * mm))


@_block.register(Facts)
def _facts(block: Facts) -> Iterable[Flowable]:
    rows = [[_text(name, _NOTE), _text(value, _SMALL)] for name, value in block.rows]
    yield _grid(rows, (40 * mm, _WIDTH - 40 * mm))


@_block.register(Items)
def _items(block: Items) -> Iterable[Flowable]:
    rows = [[[_text(title, _STRESSED), _text(text, _NOTE)]] for title, text in block.rows]
    yield _grid(rows, (_WIDTH - 24,))


@_block.register(Command)
def _command(block: Command) -> Iterable[Flowable]:
    yield _text(block.text, _style(8, after=8))


@_block.register(Figure)
def _figure(block: Figure) -> Iterable[Flowable]:
    caption = _text(block.caption, _style(8, color=_SOFT, before=6, after=3, above=True))
    if isinstance(block.view, Picture):
        yield KeepTogether([caption, _picture(block.view), _text(block.view.note, _NOTE), Spacer(1, 6)])
    elif isinstance(block.view, Bars):
        yield KeepTogether([caption, _bars(block.view), _text(block.view.note, _NOTE), Spacer(1, 6)])
    else:
        yield from (caption, _cells(block.view), _text(block.view.note, _NOTE), Spacer(1, 6))


def _picture(view: Picture) -> Drawing:
    side = min(2.4 * mm, 40 * mm / len(view.pixels[0]))
    drawing = Drawing(side * len(view.pixels[0]), side * len(view.pixels))
    for y, row in enumerate(reversed(view.pixels)):
        for x, (red, green, blue) in enumerate(row):
            drawing.add(_box(x * side, y * side, side, side, Color(red / 255, green / 255, blue / 255)))
    return drawing


def _box(x: float, y: float, width: float, height: float, color: Color) -> Rect:
    """A filled rectangle."""
    box = Rect(x, y, width, height)
    box.fillColor, box.strokeColor, box.strokeWidth = color, color, 0.1
    return box


def _bars(view: Bars) -> Grid:
    width = 70 * mm
    rows = [[_text(view.label, _NOTE), "", _text(view.kind, _style(8, color=_SOFT, after=0, right=True))]]
    for bar in view.rows:
        drawing = Drawing(width, 7)
        length = max(bar.length * width, 0.7 if bar.length else 0)
        color = _STRONG if bar.largest else _BAR
        if length:
            drawing.add(_box(bar.start * width, 1, length, 6, color))
        rows.append([_text(bar.label, _SMALL), drawing, _text(bar.text, _RIGHT)])
    return Grid(rows, colWidths=(38 * mm, width + 4, 26 * mm), style=TableStyle(_padding(2, 1.5)), hAlign="LEFT")


def _cells(view: Table) -> Grid:
    head = [_text(name, _NOTE) for name in view.columns]
    rows = [[_text(cell, _SMALL) for cell in row] for row in view.rows]
    width = min(_WIDTH / len(head), 45 * mm)
    return _grid([head, *rows], [width] * len(head), head=1)
