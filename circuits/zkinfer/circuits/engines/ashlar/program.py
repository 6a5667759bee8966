"""The records of a program, and their bytes (section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ashlar.draft import AxisKind, Factor, Span
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

WORD = 32
MAX_DIMENSIONS = 8
NO_SOURCE = 0xFFFF
_TOO_LARGE = "Make the model smaller."


@dataclass(frozen=True, slots=True)
class AxisRecord:
    """One axis. Absent ranges are None; `g` is the constant of FIX; `bound` is 0 where the kind has none."""

    kind: AxisKind
    o: Span | None = None
    i: Span | None = None
    weight_bits: int = 0
    k: int = 0
    g: int = 0
    bound: int = 0

    def encode(self) -> bytes:
        """Its 16 bytes."""
        spans = (number for span in (self.o, self.i) for number in _range(span))
        return _bytes(1, self.kind.value, *spans, self.weight_bits, self.k, 0) + _signed(self.g) + _bytes(4, self.bound)


@dataclass(frozen=True, slots=True)
class TileRecord:
    """Weights in one power-of-two box: its place in F, and a span for each axis that has bits of weights."""

    offset: int
    spans: tuple[Span, ...]

    @property
    def bits(self) -> int:
        """log2 of its size."""
        return sum(span.bits for span in self.spans)

    def encode(self) -> bytes:
        """Its bytes: the place, then start and bits of each span."""
        return _bytes(4, self.offset) + b"".join(_bytes(4, span.first) + _bytes(1, span.bits) for span in self.spans)


@dataclass(frozen=True, slots=True)
class TermRecord:
    """A term; without tiles it is of kind 2, without a source of kind 3."""

    source: int | None
    coefficient: int
    axes: tuple[AxisRecord, ...]
    tiles: tuple[TileRecord, ...] = ()

    @property
    def kind(self) -> int:
        """1 weights times cells, 2 cells, 3 weights."""
        if self.source is None:
            return 3
        return 1 if self.tiles else 2

    def encode(self) -> bytes:
        """Its bytes, axes and tiles included."""
        source = NO_SOURCE if self.source is None else self.source
        head = _bytes(1, self.kind, len(self.axes)) + _bytes(2, source) + _signed(self.coefficient)
        tiles = b"" if self.kind == 2 else _bytes(2, len(self.tiles))
        axes = b"".join(axis.encode() for axis in self.axes)
        return head + axes + tiles + b"".join(tile.encode() for tile in self.tiles)


@dataclass(frozen=True, slots=True)
class TableRecord:
    """A table; `width` is 0 for RANGE and STORED, `weights_offset` for all but STORED."""

    kind: int
    k: int
    width: int
    offset: int
    weights_offset: int = 0

    def encode(self) -> bytes:
        """Its 12 bytes."""
        return _bytes(1, self.kind, self.k, self.width, 0) + _bytes(4, self.offset, self.weights_offset)


@dataclass(frozen=True, slots=True)
class InputRecord:
    """The input block."""

    factors: tuple[Factor, ...]
    table: int
    offset: int

    def encode(self) -> bytes:
        """Its bytes; the batch is 1."""
        dimensions = _dimensions(self.factors)
        head = _bytes(1, box_bits(self.factors), self.table, len(dimensions), 0)
        return head + _bytes(4, self.offset) + b"".join(dimensions)


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A hidden block."""

    name: str
    bits: int
    table: int
    shift: int
    offset: int
    terms: tuple[TermRecord, ...]

    def encode(self) -> bytes:
        """Its bytes, terms included."""
        _refuse_many_terms(self.name, self.terms)
        head = _bytes(1, self.bits, self.table, self.shift, len(self.terms)) + _bytes(4, self.offset)
        return head + b"".join(term.encode() for term in self.terms)


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """An output."""

    name: str
    factors: tuple[Factor, ...]
    terms: tuple[TermRecord, ...]

    def encode(self) -> bytes:
        """Its bytes, terms included."""
        _refuse_many_terms(self.name, self.terms)
        dimensions = _dimensions(self.factors)
        head = _bytes(1, box_bits(self.factors), len(self.terms), len(dimensions), 0)
        return head + b"".join(dimensions) + b"".join(term.encode() for term in self.terms)


@dataclass(frozen=True)
class Program:
    """All records; `tables[0]` is RANGE, `blocks[i - 1]` block i. `n` and `n_t` are log2 of the cells and of the rows.

    `weights` is the length of F in use.
    """

    input: InputRecord
    tables: tuple[TableRecord, ...]
    blocks: tuple[BlockRecord, ...]
    outputs: tuple[OutputRecord, ...]
    n: int
    n_t: int
    weights: int

    def encode(self) -> bytes:
        """The program's bytes, padded to words.

        Raises:
            UnsupportedModelError: a number does not fit its field.
        """
        return self._encoded

    @cached_property  # a search asks for the size of one program under many sizes of chunks
    def _encoded(self) -> bytes:
        if max(len(self.tables) - 0xFF, len(self.blocks) - 0xFFFE, len(self.outputs) - 0xFFFF) > 0:
            raise UnsupportedModelError("The model has more tables, layers or outputs than a program can.", _TOO_LARGE)
        groups = (self.tables, self.blocks, self.outputs)
        data = self.input.encode() + b"".join(record.encode() for group in groups for record in group)
        return data + bytes(-len(data) % WORD)


def box_bits(factors: Sequence[Factor]) -> int:
    """Bits of an index of a box."""
    return sum(factor.bits for factor in factors)


def _dimensions(factors: Sequence[Factor]) -> list[bytes]:
    """DIM records, of which there is one at least."""
    if len(factors) > MAX_DIMENSIONS:
        raise UnsupportedModelError(
            f"An input or output has {len(factors)} dimensions, more than {MAX_DIMENSIONS}.", "Reshape it."
        )
    return [_bytes(4, factor.size) + _bytes(1, factor.bits) for factor in factors or (Factor(1),)]


def _range(span: Span | None) -> tuple[int, int]:
    return (span.first, span.bits) if span and span.bits else (0, 0)


def _bytes(width: int, *numbers: int) -> bytes:
    return b"".join(number.to_bytes(width, "big") for number in numbers)


def _signed(number: int) -> bytes:
    return number.to_bytes(4, "big", signed=True)


def _refuse_many_terms(name: str, terms: Sequence[TermRecord]) -> None:
    if len(terms) > 0xFF:
        raise UnsupportedModelError(f"{name!r} adds {len(terms)} terms, more than 255.", "Add them in several steps.")
    for term in terms:
        if not -(1 << 31) <= term.coefficient < 1 << 31:
            raise UnsupportedModelError(
                f"A factor of {name!r} is {term.coefficient}, which does not fit 32 bits.",
                "Lower its exponent, or bring the scales of what it adds closer together.",
            )
        if len(term.tiles) > 0xFFFF:
            raise UnsupportedModelError(f"{name!r} has {len(term.tiles)} tiles, more than 65,535.", "Name fewer axes.")
