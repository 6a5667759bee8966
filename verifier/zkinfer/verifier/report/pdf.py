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
from reportlab.graphics.shapes import Circle, Drawing, PolyLine, Rect
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import BaseDocTemplate, CondPageBreak, Frame, KeepTogether, PageTemplate, Spacer, TableStyle
from reportlab.platypus import Paragraph as Text
from reportlab.platypus import Table as Grid

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
from zkinfer.verifier.report.layout import OUTCOMES, TITLE, WRITTEN_BY, sections, summary
from zkinfer.verifier.report.values import Bars, Picture, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable

    from zkinfer.verifier.report.content import Outcome, Report
    from zkinfer.verifier.report.language import Words

    _Look = tuple[str, tuple[int, int], tuple[int, int], *tuple[Any, ...]]

_MARGIN: Final = 20 * mm
_WIDTH: Final = A4[0] - 2 * _MARGIN
_INSET: Final = 14  # of the text in the box of the verdict
_MAX_CELL: Final = 2000  # characters: a row of a table must fit a page
_CUT: Final = " [cut here; the other forms of this report have all of it]"
_ROOM: Final = 35 * mm  # below a heading, or it moves to the next page
_INK, _SOFT, _LINE, _BAR, _STRONG = map(HexColor, ("#1d1f24", "#5b606b", "#dedbd2", "#a9b4c2", "#2c4a6e"))
_WARN, _WARN_WASH, _WASH, _FAILED = map(HexColor, ("#8a5a00", "#fbf0d9", "#f1efe8", "#a32a2a"))
_SIGN_COLORS: Final = {"✓": HexColor("#1f6f4a"), "~": _WARN}
_TONES: dict[Outcome, tuple[str, str]] = {
    "valid": ("#1f6f4a", "#e6f1ea"),
    "forgeable": ("#8a5a00", "#fbf0d9"),
    "refused": ("#a32a2a", "#f9e8e6"),
}
# A tick, an exclamation mark and a cross, in a box of 26 points.
_SIGNS: Final[dict[Outcome, tuple[tuple[float, ...], ...]]] = {
    "valid": ((7.5, 12.5, 11.5, 8.5, 19, 17.5),),
    "forgeable": ((13, 19.5, 13, 11), (13, 6.9, 13, 6.5)),
    "refused": ((8, 8, 18, 18), (18, 8, 8, 18)),
}
_FONT, _BOLD = "ReportSans", "ReportSans-Bold"
_FILES: Final = {_FONT: "Vera.ttf", _BOLD: "VeraBd.ttf"}


def pdf_bytes(report: Report, language: str = ENGLISH) -> bytes:
    """The report as a PDF document; raises InputError for an unknown language."""
    words = words_of(language)
    buffer = io.BytesIO()
    document = BaseDocTemplate(
        buffer,
        pagesize=A4,
        title=f"{words.text(TITLE)}: {_known(dict(report.facts)['attestation'])}",
        author=report.made_by,
        lang=language,
        invariant=1,
    )
    made = f"{words.text(WRITTEN_BY)} {report.made_by}, {report.made_at:%Y-%m-%d %H:%M:%S} UTC"
    footer = _Footer(made, words.text("page"))
    frame = Frame(_MARGIN, _MARGIN, _WIDTH, A4[1] - 2 * _MARGIN, *(0, 0, 0, 0))
    document.addPageTemplates(PageTemplate(frames=[frame], onPage=footer))
    document.build(list(_story(report, words)))
    return buffer.getvalue()


class _Footer:
    """Writes who made the report and the number of the page."""

    def __init__(self, text: str, page: str) -> None:
        self._text, self._page = text, page

    def __call__(self, canvas: Canvas, document: BaseDocTemplate) -> None:
        canvas.setFont(_FONT, 7.5)
        canvas.setFillColor(_SOFT)
        canvas.drawString(_MARGIN, 12 * mm, self._text)
        canvas.drawRightString(A4[0] - _MARGIN, 12 * mm, f"{self._page} {document.page}")


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


def _story(report: Report, words: Words) -> Iterable[Flowable]:
    yield _text(f"{words.text(TITLE)}, {report.made_at:%Y-%m-%d}", _style(8.5, color=_SOFT, after=8))
    yield from _verdict(report, words)
    for part in words.sections(sections(report)):
        above: list[Flowable] = [_text(part.title, _H2)]
        for block in part.blocks:
            found = list(_block(block))
            if isinstance(block, Heading):
                above += found
            elif isinstance(block, Figure) and not isinstance(block.view, Table):
                yield KeepTogether([*above, *found])
                above = []
            else:
                yield from (*([CondPageBreak(_ROOM)] if above else []), *above, *found)
                above = []


def _verdict(report: Report, words: Words) -> Iterable[Flowable]:
    """A box with the verdict, its sentence and the properties."""
    word, (tone, wash) = words.text(OUTCOMES[report.outcome]), _TONES[report.outcome]
    title = _text(word, _style(24, bold=True, color=HexColor(tone), after=0))
    head = Grid([[_seal(report.outcome, HexColor(tone)), title]], colWidths=(34, _WIDTH - 34 - 2 * _INSET))
    head.setStyle(TableStyle(_padding(0, 2)))
    rows = [
        head,
        _text(report.sentences[words.language], _style(10.5, after=4)),
        *(flowable for block in words.blocks(summary(report)) for flowable in _block(block, _WIDTH - 2 * _INSET)),
    ]
    look: list[_Look] = [
        ("BACKGROUND", (0, 0), (-1, -1), HexColor(wash)),
        *_padding(_INSET, 4),
        ("TOPPADDING", (0, 0), (-1, 0), 12),
        ("BOTTOMPADDING", (0, -1), (-1, -1), 12),
    ]
    yield Grid([[one] for one in rows], colWidths=[_WIDTH], style=TableStyle(look))


def _seal(outcome: Outcome, tone: Color) -> Drawing:
    """A circle with the sign of the outcome, of 26 by 26 points."""
    drawing = Drawing(26, 26)
    drawing.add(Circle(13, 13, 12, fillColor=None, strokeColor=tone, strokeWidth=1.6))
    for line in _SIGNS[outcome]:
        drawing.add(PolyLine(list(line), strokeColor=tone, strokeWidth=1.8, strokeLineCap=1, strokeLineJoin=1))
    return drawing


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
    look: list[_Look] = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE),
        *_padding(0, 3.5),
        ("RIGHTPADDING", (0, 0), (-2, -1), 6),
    ]
    return Grid(rows, colWidths=widths, style=TableStyle(look), repeatRows=head, hAlign="LEFT", spaceAfter=6)


@singledispatch
def _block(block: Block, width: float = _WIDTH) -> Iterable[Flowable]:
    raise TypeError(f"no form for {type(block).__name__} of {width} points")


@_block.register(Paragraph)
def _paragraph(block: Paragraph, width: float = _WIDTH) -> Iterable[Flowable]:
    if not block.warning:
        yield _text(block.text)
        return
    look: list[_Look] = [
        ("LINEBEFORE", (0, 0), (0, -1), 2, _WARN),
        ("BACKGROUND", (0, 0), (-1, -1), _WARN_WASH),
        *_padding(8, 4),
    ]
    note = _text(block.text, _style(9, after=0))
    yield Grid([[note]], colWidths=(width,), style=TableStyle(look), hAlign="LEFT", spaceBefore=3, spaceAfter=6)


@_block.register(Heading)
def _heading(block: Heading, _width: float = _WIDTH) -> Iterable[Flowable]:
    yield _text(block.text, _H3)


@_block.register(Marks)
def _marks(block: Marks, width: float = _WIDTH) -> Iterable[Flowable]:
    rows = []
    for number, mark in enumerate(block.rows, 1):
        claim = [_text(mark.claim, _SMALL), *([_text(mark.evidence, _NOTE)] if mark.evidence else [])]
        start = [_text(f"{number}", _NOTE)] if block.numbered else []
        color = _FAILED if mark.status == "failed" else _SIGN_COLORS.get(mark.sign, _SOFT)
        rows.append([*start, claim, _text(mark.word, _style(8, bold=True, color=color, after=0, right=True))])
    edge = 8 * mm if block.numbered else 0
    yield _grid(rows, (*([edge] if block.numbered else []), width - edge - 24 * mm, 24 * mm))


@_block.register(Facts)
def _facts(block: Facts, width: float = _WIDTH) -> Iterable[Flowable]:
    rows = [[_text(name, _NOTE), _text(value, _SMALL)] for name, value in block.rows]
    yield _grid(rows, (40 * mm, width - 40 * mm))


@_block.register(Items)
def _items(block: Items, width: float = _WIDTH) -> Iterable[Flowable]:
    rows = [[[_text(title, _STRESSED), _text(text, _NOTE)]] for title, text in block.rows]
    yield _grid(rows, (width,))


@_block.register(Command)
def _command(block: Command, width: float = _WIDTH) -> Iterable[Flowable]:
    look: list[_Look] = [("BACKGROUND", (0, 0), (-1, -1), _WASH), *_padding(8, 6)]
    text = _text(block.text, _style(8, after=0))
    yield Grid([[text]], colWidths=(width,), style=TableStyle(look), hAlign="LEFT", spaceAfter=8)


@_block.register(Figure)
def _figure(block: Figure, width: float = _WIDTH) -> Iterable[Flowable]:
    yield _text(block.caption, _style(8, color=_SOFT, before=6, after=3, above=True))
    if isinstance(block.view, Picture):
        yield from (_picture(block.view), Spacer(1, 3))
    else:
        yield _bars(block.view) if isinstance(block.view, Bars) else _cells(block.view, width)
    yield from (_text(block.view.note, _NOTE), Spacer(1, 6))


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
    return Grid(rows, colWidths=(38 * mm, width + 4, 26 * mm), style=TableStyle(_padding(0, 1.5)), hAlign="LEFT")


def _cells(view: Table, width: float) -> Grid:
    head = [_text(name, _NOTE) for name in view.columns]
    rows = [[_text(cell, _SMALL) for cell in row] for row in view.rows]
    column = min(width / len(head), 45 * mm)
    return _grid([head, *rows], [column] * len(head), head=1)
