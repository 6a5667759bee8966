"""The verifying key: header, points and program, decoded from bytes (sections 4.1 and 4.2).

Decoding follows the records and requires the reserved bytes to be 0. Whether the numbers fit together is decided by
`wellformed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from zkinfer.circuits.digest import keccak256
from zkinfer.verifier.ashlar.errors import MalformedKeyError

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = b"zkinfer.ashlar.1"
WORD, POINT, TAU_G2 = 32, 64, 128
MAX_WORDS = 767
PUBLIC, HASHED, PRIVATE = 0, 1, 2
"""Input modes."""
RANGE, CLAMP_U, CLAMP_S, STORED, EXCESS = 0, 1, 2, 3, 4
"""Kinds of tables."""
WEIGHTED_CELLS, CELLS, WEIGHTS = 1, 2, 3
"""Kinds of terms."""
EQ, WALK, MASK, FREE, FIX = 1, 2, 3, 4, 5
"""Kinds of axes."""
NO_SOURCE = 0xFFFF

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class Header:
    """Word 0 of a key; names as in section 4.2, `s` is the largest shift S, `nb` is nB."""

    profile: int
    mode: int
    n: int
    nt: int
    nb: int
    c: int
    s: int
    tables: int
    hidden: int
    outputs: int
    chunks: int
    words: int


@dataclass(frozen=True, slots=True)
class Dim:
    """A dimension of a tensor in a box: its valid size, and its bits."""

    size: int
    bits: int


@dataclass(frozen=True, slots=True)
class Range:
    """A range of bits of an index; absent if it has none."""

    first: int
    bits: int

    @property
    def places(self) -> slice:
        """The range as a slice of the coordinates of a point."""
        return slice(self.first, self.first + self.bits)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a term: its ranges of bits of `o` and `i`, and its number of bits of the weight index."""

    kind: int
    o: Range
    i: Range
    w: int
    k: int
    g: int
    bound: int


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a weight tensor: its place in F, and (start, bits) for each axis with weights."""

    offset: int
    spans: tuple[tuple[int, int], ...]

    @property
    def bits(self) -> int:
        """The tile has 2^bits weights."""
        return sum(bits for _, bits in self.spans)


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a constraint; `source` is a block's index, or `NO_SOURCE`."""

    kind: int
    source: int
    coef: int
    axes: tuple[Axis, ...]
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table of 2^k rows from `offset` on; `column` is the place of a stored table's values in F."""

    kind: int
    k: int
    b: int
    offset: int
    column: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block of cells: the input (which has dimensions, and no terms) or a hidden block."""

    bits: int
    table: int
    offset: int
    shift: int
    terms: tuple[Term, ...]
    dims: tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """An output: the sum of its terms, not requantised."""

    bits: int
    dims: tuple[Dim, ...]
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """The proved function: tables by tag, and blocks by index, the input first."""

    tables: tuple[Table, ...]
    blocks: tuple[Block, ...]
    outputs: tuple[Output, ...]

    @property
    def hidden(self) -> tuple[Block, ...]:
        """The blocks that are computed."""
        return self.blocks[1:]

    @property
    def constraints(self) -> tuple[Block | Output, ...]:
        """Hidden blocks, then outputs: the identities that are numbered from 0."""
        return (*self.hidden, *self.outputs)


@dataclass(frozen=True, slots=True)
class KeyBytes:
    """A decoded key. `weights` are the encoded commitments to the chunks of F."""

    header: Header
    tau_g2: bytes
    weights: bytes
    program: Program
    digest: bytes


def decode_key(key: bytes) -> KeyBytes:
    """Decode a key; checks its lengths and reserved bytes (parts of W1 and W9), and that version 1 knows its codes.

    Raises:
        MalformedKeyError: the bytes are no sequence of the records that the header announces.
    """
    if len(key) > MAX_WORDS * WORD:
        raise MalformedKeyError("W1", f"its {len(key)} bytes are more than {MAX_WORDS} words.")
    header = _header(key[:WORD])
    points = 5 * WORD + header.chunks * POINT
    if len(key) != points + header.words * WORD:
        raise MalformedKeyError("W1", f"its {len(key)} bytes are not those that its header counts.")
    program = _program(key[points:], header)
    return KeyBytes(header, key[WORD : 5 * WORD], key[5 * WORD : points], program, keccak256(key).value)


def _header(word: bytes) -> Header:
    if word[:16] != MAGIC:
        raise MalformedKeyError("W1", "it does not begin with the text of version 1.")
    read = _Reader(word[16:])
    header = Header(*(read.number(1) for _ in range(8)), *(read.number(2) for _ in range(4)))
    if header.profile == 2:
        raise MalformedKeyError("W2", "it is of the hiding profile, which this version does not verify.")
    if header.profile != 1 or header.mode > PRIVATE:
        raise MalformedKeyError("W2", f"profile {header.profile} or mode {header.mode} is unknown.")
    return header


class _Reader:
    """Reads records from the start of the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        taken = self.data[self.place : self.place + count]
        if len(taken) != count:
            raise MalformedKeyError("W1", "a record ends behind the program's end.")
        self.place += count
        return taken

    def number(self, count: int) -> int:
        """The next unsigned integer."""
        return int.from_bytes(self.take(count), "big")

    def signed(self) -> int:
        """The next 32-bit integer in two's complement."""
        return int.from_bytes(self.take(4), "big", signed=True)

    def reserved(self) -> None:
        """The next byte, which must be 0."""
        if self.number(1):
            raise MalformedKeyError("W9", f"the reserved byte {self.place - 1} of the program is not 0.")

    def known(self, codes: tuple[int, ...], rule: str, what: str) -> int:
        """The next byte, which must be one of the codes."""
        code = self.number(1)
        if code not in codes:
            raise MalformedKeyError(rule, f"{what} {code} is unknown.")
        return code


def _program(data: bytes, header: Header) -> Program:
    read = _Reader(data)
    first = _input(read)
    tables = _many(header.tables, read, _table)
    hidden = _many(header.hidden, read, _hidden)
    outputs = _many(header.outputs, read, _output)
    rest = data[read.place :]
    if len(rest) >= WORD or any(rest):
        raise MalformedKeyError("W1", "the program does not end with less than a word of zeros.")
    return Program(tables, (first, *hidden), outputs)


def _many(count: int, read: _Reader, record: Callable[[_Reader], _Record]) -> tuple[_Record, ...]:
    return tuple(record(read) for _ in range(count))


def _input(read: _Reader) -> Block:
    bits, table, rank, batch = (read.number(1) for _ in range(4))
    if batch:
        raise MalformedKeyError("W4", "it is for batches, which this version does not verify.")
    offset = read.number(4)
    return Block(bits, table, offset, shift=0, terms=(), dims=_many(rank, read, _dim))


def _dim(read: _Reader) -> Dim:
    return Dim(read.number(4), read.number(1))


def _table(read: _Reader) -> Table:
    kind = read.known((RANGE, CLAMP_U, CLAMP_S, STORED, EXCESS), "W5", "table kind")
    k, b = read.number(1), read.number(1)
    read.reserved()
    return Table(kind, k, b, read.number(4), read.number(4))


def _hidden(read: _Reader) -> Block:
    bits, table, shift, terms = (read.number(1) for _ in range(4))
    offset = read.number(4)
    return Block(bits, table, offset, shift, _many(terms, read, _term), dims=())


def _output(read: _Reader) -> Output:
    bits, terms, rank = (read.number(1) for _ in range(3))
    read.reserved()
    dims = _many(rank, read, _dim)
    return Output(bits, dims, _many(terms, read, _term))


def _term(read: _Reader) -> Term:
    kind = read.known((WEIGHTED_CELLS, CELLS, WEIGHTS), "W7", "term kind")
    count, source, coef = read.number(1), read.number(2), read.signed()
    axes = _many(count, read, _axis)
    spans = sum(axis.w > 0 for axis in axes)
    tiles = () if kind == CELLS else tuple(_tile(read, spans) for _ in range(read.number(2)))
    return Term(kind, source, coef, axes, tiles)


def _axis(read: _Reader) -> Axis:
    kind = read.known((EQ, WALK, MASK, FREE, FIX), "W7", "axis kind")
    o, i = Range(read.number(1), read.number(1)), Range(read.number(1), read.number(1))
    w, k = read.number(1), read.number(1)
    read.reserved()
    return Axis(kind, o, i, w, k, read.signed(), read.number(4))


def _tile(read: _Reader, spans: int) -> Tile:
    return Tile(read.number(4), tuple((read.number(4), read.number(1)) for _ in range(spans)))
