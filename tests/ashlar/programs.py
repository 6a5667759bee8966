"""Random well-formed programs with all kinds of terms, axes, tables and tiles, small enough for the slow prover.

Tables are as large as the values of one input need, not of all: an honest proof of that input exists, which is enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from tests.ashlar.keys import program_bytes
from tests.ashlar.relations import positions, relation, rows

from zkinfer.verifier.ashlar.program import (
    CELLS,
    CLAMP_S,
    CLAMP_U,
    EQ,
    EXCESS,
    FIX,
    FREE,
    HASHED,
    MASK,
    NO_SOURCE,
    RANGE,
    STORED,
    WALK,
    WEIGHTED_CELLS,
    WEIGHTS,
    Axis,
    Block,
    Dim,
    Header,
    Output,
    Program,
    Range,
    Table,
    Term,
    Tile,
)

NONE = Range(0, 0)


@dataclass(frozen=True)
class Example:
    """A program with its header and weights, and an input within its range."""

    header: Header
    program: Program
    weights: tuple[int, ...]
    inputs: tuple[int, ...]


def axis(kind, o=NONE, i=NONE, w=0, k=0, g=0, bound=0):
    return Axis(kind, o, i, w, k, g, bound)


def random_example(seed, mode=None):
    """The example of a seed; the same one every time."""
    return _Maker(Random(seed)).example(mode)


def gemm_of_range(kind, b, inputs, *, mode=0, weights=(1, -2, 3, 0, -5, 4, -6, 7, 2, 2, -1, 0, 4, 0, 5, 6)):
    """A product of up to eight inputs with a matrix of two rows; the input's table is a clamp of the width b."""
    dim = _dim(len(inputs))
    tables = (Table(RANGE, 1, 0, 1 << (b + 1), 0), Table(kind, b + 1, b, 0, 0))
    block = Block(dim.bits, 1, 0, 0, (), (dim,))
    axes = (axis(EQ, o=Range(0, 1), w=1), axis(EQ, i=Range(0, dim.bits), w=dim.bits))
    term = Term(WEIGHTED_CELLS, 0, 1, axes, (Tile(0, ((0, 1), (0, dim.bits))),))
    program = Program(tables, (block,), (Output(1, (Dim(2, 1),), (term,)),))
    nt = b + 2
    chunks = -(-len(weights) // 16)
    nb = max(4, _log(max((3 << dim.bits) + (1 << nt), chunks << 4)))
    header = Header(1, mode, dim.bits, nt, nb, 4, 1, 2, 0, 1, chunks, len(program_bytes(program)) // 32)
    return Example(header, program, weights, inputs)


def saturated(key, weights, inputs):
    """The vector mlp with its hidden block in two (section 1.5): the first has an EXCESS table and the same tiles."""
    first, block = key.program.blocks
    excess = replace(block, table=3, offset=12)
    less = Term(CELLS, 1, -(1 << block.shift), (axis(EQ, o=Range(0, 2), i=Range(0, 2)),), ())
    output = key.program.outputs[0]
    output = replace(output, terms=(replace(output.terms[0], source=2), output.terms[1]))
    tables = (*key.program.tables, Table(EXCESS, 4, 2, 96, 0))
    blocks = (first, excess, replace(block, terms=(*block.terms, less)))
    program = Program(tables, blocks, (output,))
    header = replace(key.header, hidden=2, tables=4, words=len(program_bytes(program)) // 32)
    return Example(header, program, weights, inputs)


class _Maker:
    def __init__(self, rng):
        self.rng = rng
        self.blocks, self.values, self.tables, self.columns, self.weights = [], [], [], [], []
        self.shift = rng.randint(1, 3)
        self.tables.append(Table(RANGE, self.shift, 0, 0, 0))

    def example(self, mode):
        rng = self.rng
        inputs = self._input()
        for _ in range(rng.randint(0, 3)):
            self._hidden()
        outputs = [self._output() for _ in range(rng.randint(1, 2))]
        tables = self._placed_tables()
        blocks, cells = _placed(self.blocks, "bits")
        n, nt = _log(cells), _log(max(table.offset + (1 << table.k) for table in tables))
        n, nt = n + rng.choice((0, 0, 0, 2)), nt + rng.choice((0, 0, 0, 1))
        mode, c = rng.randrange(3) if mode is None else mode, rng.randint(4, 6)
        lengths = [(3 << n) + (1 << nt), (2 << n) + (1 << nt), -(-len(self.weights) >> c) << c]
        lengths += [1 << blocks[0].bits] if mode == HASHED else []
        program = Program(tables, blocks, tuple(outputs))
        header = Header(
            1,
            mode,
            n,
            nt,
            max(c, _log(max(lengths))),
            c,
            self.shift,
            len(tables),
            len(blocks) - 1,
            len(outputs),
            -(-len(self.weights) >> c),
            len(program_bytes(program)) // 32,
        )
        return Example(header, program, tuple(self.weights), inputs)

    def _input(self):
        rng = self.rng
        dims = tuple(_dim(rng.randint(1, 4)) for _ in range(rng.randint(1, 3)))
        kind, b = rng.choice((CLAMP_U, CLAMP_S)), rng.choice((1, 2, 3, 3))
        self.tables.append(Table(kind, b + 1 + rng.randint(0, 1), b, 0, 0))
        low, high = 0 if kind == CLAMP_U else -(1 << b), (1 << b) - 1
        box = [0] * (1 << sum(dim.bits for dim in dims))
        for position in positions(dims):
            box[position] = rng.choice((low, high, rng.randint(low, high)))
        self.blocks.append(Block(sum(dim.bits for dim in dims), 1, 0, 0, (), dims))
        self.values.append(box)
        return tuple(box[position] for position in positions(dims))

    def _hidden(self):
        rng, bits = self.rng, self.rng.randint(0, 4)
        terms, z = self._terms(bits)
        shift = rng.randint(0, self.shift)
        q = [((value << (self.shift - shift)) + (1 << (self.shift - 1))) >> self.shift for value in z]
        k = max(1, *(max(v, -v - 1).bit_length() + 1 for v in q)) + rng.randint(0, 1)
        kind = rng.choice((CLAMP_U, CLAMP_S, EXCESS, STORED)) if k <= 6 else rng.choice((CLAMP_U, CLAMP_S))
        if k > 9:
            return
        b = 0 if kind == STORED else rng.randint(0, min(k - 1, 4))
        column = 0
        if kind == STORED:
            column = self._place([rng.randint(-9, 9) for _ in range(1 << k)])
        self.tables.append(Table(kind, k, b, 0, column))
        table = dict(rows(self.tables[-1], self.weights))
        self.blocks.append(Block(bits, len(self.tables) - 1, 0, shift, terms, ()))
        self.values.append([table[v] for v in q])

    def _output(self):
        dims = tuple(_dim(self.rng.randint(1, 5)) for _ in range(self.rng.randint(1, 2)))
        bits = sum(dim.bits for dim in dims)
        terms, z = self._terms(bits)
        valid = set(positions(dims))
        if any(value for o, value in enumerate(z) if o not in valid):  # padding of outputs is 0, or there is no proof
            dims = tuple(_dim(1 << dim.bits) for dim in dims)
        return Output(bits, dims, terms)

    def _terms(self, bits):
        terms, z = [], [0] * (1 << bits)
        for _ in range(self.rng.randint(1, 3)):
            term = self._term(bits)
            for o, i, w in relation(term, bits):
                cell = 1 if term.kind == WEIGHTS else self.values[term.source][i]
                z[o] += (term.coef if w is None else self.weights[w]) * cell
            terms.append(term)
        return tuple(terms), z

    def _term(self, bits):
        rng = self.rng
        kind = rng.choice((WEIGHTED_CELLS, WEIGHTED_CELLS, CELLS, WEIGHTS))
        source = NO_SOURCE if kind == WEIGHTS else rng.randrange(len(self.blocks))
        o, i = self._ranges(bits), [] if kind == WEIGHTS else self._ranges(self.blocks[source].bits)
        axes = []
        while i:
            axes.append(self._axis_of_cells(i.pop(), o, weights=kind == WEIGHTED_CELLS))
        for free in o:
            choice = rng.randrange(3)
            if choice == 0 and kind != CELLS:
                axes.append(axis(EQ, o=free, w=free.bits))
            elif choice == 1 and free.bits:
                axes.append(axis(MASK, o=free, bound=rng.randint(1, (1 << free.bits) - 1)))
            elif choice == 2 and kind != WEIGHTS:
                axes.append(self._walk(NONE, free, weights=kind == WEIGHTED_CELLS))
        if kind != WEIGHTS and rng.random() < 0.1:
            axes.append(self._walk(NONE, NONE, weights=kind == WEIGHTED_CELLS))
        axes.sort(key=lambda x: x.kind == WALK)
        coef = rng.choice((1, -1, 2, -3)) if kind == CELLS else 1
        return Term(kind, source, coef, tuple(axes), () if kind == CELLS else self._tiles(axes))

    def _ranges(self, bits):
        """The bits of an index as ranges, in random order."""
        ranges, first = [], 0
        while first < bits:
            count = self.rng.randint(1, min(2, bits - first))
            ranges.append(Range(first, count))
            first += count
        self.rng.shuffle(ranges)
        return ranges

    def _axis_of_cells(self, i, o, weights):
        rng = self.rng
        partner = next((place for place, x in enumerate(o) if x.bits == i.bits), None)
        choice = rng.randrange(6)
        if choice in {0, 1} and partner is not None:
            return axis(EQ, o=o.pop(partner), i=i, w=i.bits if weights and choice else 0)
        if choice == 2 and weights:
            return axis(EQ, i=i, w=i.bits)
        if choice == 3:
            return axis(FIX, i=i, g=rng.randrange(1 << i.bits))
        if choice == 4:
            return axis(FREE, i=i)
        return self._walk(i, o.pop() if o else NONE, weights)

    def _walk(self, i, o, weights):
        rng = self.rng
        w = rng.randint(0, 2) if weights else 0
        bound = rng.randint(1, 1 << o.bits)
        return axis(WALK, o=o, i=i, w=w, k=rng.randint(0, 2), g=rng.randint(-3, 0 if w else 3), bound=bound)

    def _tiles(self, axes):
        """The whole tensor, or its parts along one axis, of which some may be left out."""
        weighted = [x for x in axes if x.w]
        spans = [[(0, x.w)] for x in weighted]
        cut = [place for place, x in enumerate(weighted) if x.kind != WALK]
        if cut and self.rng.random() < 0.5:
            place = self.rng.choice(cut)
            half = weighted[place].w - 1
            parts = [(0, half), (1 << half, half)]
            spans[place] = self.rng.choice((parts, parts[:1], parts[1:], parts[::-1]))
        wholes = [()]
        for choices in spans:
            wholes = [(*whole, span) for whole in wholes for span in choices]
        sizes = [1 << sum(bits for _, bits in whole) for whole in wholes]
        return tuple(
            Tile(self._place([self.rng.randint(-3, 3) for _ in range(size)]), whole)
            for whole, size in zip(wholes, sizes, strict=True)
        )

    def _place(self, values):
        """Lay weights out in F, aligned to their number; returns where."""
        offset = -(-len(self.weights) // len(values)) * len(values)
        self.weights += [0] * (offset - len(self.weights)) + values
        return offset

    def _placed_tables(self):
        return _placed(self.tables, "k")[0]


def _placed(records, bits):
    """Records with offsets, the largest first; and where they end."""
    place, offsets = 0, {}
    for number, record in sorted(enumerate(records), key=lambda x: -getattr(x[1], bits)):
        offsets[number] = place
        place += 1 << getattr(record, bits)
    return tuple(replace(record, offset=offsets[number]) for number, record in enumerate(records)), place


def _dim(size):
    return Dim(size, (size - 1).bit_length())


def _log(length):
    return max(1, (length - 1).bit_length())
