"""A box interpreter of program bytes: each cell by the definition of section 1.3, from nothing but code and weights."""

from dataclasses import dataclass, field

import numpy as np

EQ, WALK, MASK, FREE, FIX = 1, 2, 3, 4, 5
RANGE, CLAMP_U, CLAMP_S, STORED, EXCESS = range(5)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def u(self, width):
        self.at += width
        return int.from_bytes(self.data[self.at - width : self.at], "big")

    def bytes(self, count):
        return [self.u(1) for _ in range(count)]

    def signed(self):
        value = self.u(4)
        return value - (1 << 32) if value >> 31 else value


@dataclass
class Term:
    kind: int
    source: int
    coefficient: int
    axes: list
    tiles: list = field(default_factory=list)


@dataclass
class Box:
    bits: int
    offset: int = 0
    table: int = 0
    shift: int | None = None
    terms: list = field(default_factory=list)
    dims: list = field(default_factory=list)

    def positions(self):
        sizes = [size for size, _ in self.dims]
        at = np.zeros(sizes, np.int64)
        first = self.bits
        for number, (size, bits) in enumerate(self.dims):
            first -= bits
            at += (np.arange(size) << first).reshape([-1 if k == number else 1 for k in range(len(sizes))])
        return at.ravel()


class Interpreter:
    """The program of a code (header and program), and F."""

    def __init__(self, code, weights):
        head = code[:32]
        assert head[:16] == b"zkinfer.ashlar.1"
        self.profile, self.mode, self.n, self.n_t, self.n_b, self.c, self.s = head[16:23]
        counts = [int.from_bytes(head[at : at + 2], "big") for at in (24, 26, 28, 30)]
        assert len(code) == 32 * (counts[3] + 1)
        self.chunks, self.weights = counts[2], [int(v) for v in weights]
        reader = Reader(code[32:])
        self.input = self.read_input(reader)
        self.tables = [(*reader.bytes(4), reader.u(4), reader.u(4)) for _ in range(head[23])]
        self.hidden = [self.read_hidden(reader) for _ in range(counts[0])]
        self.outputs = [self.read_output(reader) for _ in range(counts[1])]
        rest = reader.data[reader.at :]
        assert len(rest) < 32
        assert not any(rest)

    @staticmethod
    def dims(reader, rank):
        return [(reader.u(4), reader.u(1)) for _ in range(rank)]

    def read_input(self, reader):
        bits, table, rank, batch = reader.bytes(4)
        assert batch == 0
        return Box(bits, reader.u(4), table, dims=self.dims(reader, rank))

    def read_hidden(self, reader):
        bits, table, shift, terms = reader.bytes(4)
        box = Box(bits, reader.u(4), table, shift)
        box.terms = [self.read_term(reader) for _ in range(terms)]
        return box

    def read_output(self, reader):
        bits, terms, rank, zero = reader.bytes(4)
        assert zero == 0
        box = Box(bits, dims=self.dims(reader, rank))
        box.terms = [self.read_term(reader) for _ in range(terms)]
        return box

    @staticmethod
    def read_term(reader):
        kind, axes = reader.bytes(2)
        term = Term(kind, reader.u(2), reader.signed(), [])
        term.axes = [(*reader.bytes(8), reader.signed(), reader.u(4)) for _ in range(axes)]
        weighted = [axis for axis in term.axes if axis[5]]
        if kind != 2:
            for _ in range(reader.u(2)):
                term.tiles.append((reader.u(4), [(reader.u(4), reader.u(1)) for _ in weighted]))
        return term

    def forward(self, inputs):
        """q, r, y of every hidden block, and z of every output in valid places."""
        entry = np.zeros(1 << self.input.bits, object)
        entry[self.input.positions()] = [int(v) for v in inputs]
        values, trace = [entry], []
        for box in self.hidden:
            z = self.total(box, values)
            scaled = [(int(v) << (self.s - box.shift)) + (1 << (self.s - 1)) for v in z]
            q = [v >> self.s for v in scaled]
            r = [v & ((1 << self.s) - 1) for v in scaled]
            values.append(np.array([self.look_up(box.table, v) for v in q], object))
            trace.append((z, q, r, values[-1]))
        outputs = []
        for box in self.outputs:
            z = self.total(box, values)
            padding = np.ones(1 << box.bits, bool)
            padding[box.positions()] = False
            assert not any(z[padding]), "the padding of an output is public"
            outputs.append([int(v) for v in z[box.positions()]])
        return trace, outputs

    def look_up(self, table, q):
        kind, k, b, _, _, column = self.tables[table]
        row = q + (1 << (k - 1))
        assert 0 <= row < 1 << k, "a value outside of its table"
        if kind == STORED:
            return self.weights[column + row]
        low = 0 if kind == CLAMP_U else -(1 << b)
        y = min(max(q, low), (1 << b) - 1)
        return q - y if kind == EXCESS else y

    def total(self, box, values):
        return sum((self.term(box, term, values) for term in box.terms), np.zeros(1 << box.bits, object))

    def term(self, box, term, values):
        """The sum over all cells and weights that the axes relate to each cell, by enumeration."""
        cells = np.ones(1, object) if term.kind == 3 else values[term.source]
        o, i = np.ogrid[: 1 << box.bits, : len(cells)]
        total = np.zeros(1 << box.bits, object)
        weighted = [axis for axis in term.axes if axis[5]]
        plain = [self.holds(axis, o, i, 0) for axis in term.axes if not axis[5]]
        fixed = np.ones((len(o), len(cells)), bool)
        for each in plain:
            fixed = fixed & each
        known = [[self.holds(axis, o, i, w) for w in range(1 << axis[5])] for axis in weighted]
        for coefficient, index in self.weighted(term):
            if coefficient:
                holds = fixed
                for each, w in zip(known, index, strict=True):
                    holds = holds & each[w]
                place, source = np.nonzero(holds)
                np.add.at(total, place, coefficient * cells[source])
        return total

    def weighted(self, term):
        if term.kind == 2:
            yield term.coefficient, ()
        for offset, spans in term.tiles:
            sizes = [1 << bits for _, bits in spans]
            for at, index in enumerate(np.ndindex(*sizes)):
                yield self.weights[offset + at], [start + v for (start, _), v in zip(spans, index, strict=True)]

    @staticmethod
    def holds(axis, o, i, w):
        kind, o_first, o_bits, i_first, i_bits, w_bits, k, _, g, bound = axis
        o, i = o >> o_first & ((1 << o_bits) - 1), i >> i_first & ((1 << i_bits) - 1)
        if kind == WALK:
            return (i == (o << k) + w + g) & (o < bound)
        if kind == MASK:
            return o < bound
        if kind in (FREE, FIX):
            return (i == g) | (kind == FREE)
        given = [v for v, bits in ((o, o_bits), (i, i_bits), (w, w_bits)) if bits]
        return np.all(np.broadcast_arrays(*(v == given[0] for v in given[1:])), axis=0)
