"""Random drafts for hypothesis: all kinds of terms and tables, odd sizes, shared sources, saturation in two blocks."""

import numpy as np
from hypothesis import strategies as st
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar.draft import EXACT, Axis, AxisKind, Draft, Factor, Span, Table, TableKind, Term


class Builder:
    """Adds blocks to a draft; `draw` is hypothesis's."""

    def __init__(self, draw):
        self.draw = draw
        rank = self.pick([1, 2, 3, 3])
        sizes = [self.number(1, 3 if rank == 3 and n == 0 else 6) for n in range(rank)]
        self.entry = d.entry(*sizes, bits=self.number(1, 4), signed=self.draw(st.booleans()))
        self.factors = [self.entry.factors]
        self.blocks = []

    def pick(self, values):
        return self.draw(st.sampled_from(values))

    def number(self, low, high):
        return self.draw(st.integers(low, high))

    def integers(self, *shape, size=7):
        return d.random(self.number(0, 1 << 16), -size, size, *shape)

    def any_source(self):
        return self.number(0, len(self.factors) - 1)

    def terms(self):
        """Factors and terms of one constraint."""
        source = self.any_source()
        makers = [self.dense, self.sums, self.scaled, self.parts, self.split, self.joined, self.cropped, self.levels]
        if len(self.factors[source]) == 3:
            makers += [self.convolution, self.convolution, self.depthwise, self.pool, self.global_pool, self.halves]
            makers += [self.pooled_dense]
        factors, terms = self.pick(makers)(source, self.factors[source])
        bias = self.draw(st.booleans())
        if bias and factors:
            axis = self.number(0, len(factors) - 1)
            terms = [*terms, d.bias_of(factors, axis, self.integers(factors[axis].size, size=40))]
        return factors, terms

    def dense(self, source, of):
        leading = self.number(0, len(of) - 1)
        sizes = [factor.size for factor in of[leading:]]
        tiled = self.pick([(), (0,), (1,), (0, 1)])
        return d.dense(source, of, self.integers(self.number(1, 6), *sizes), leading=leading, tiled=tiled)

    def sums(self, source, of):
        same = [number for number, factors in enumerate(self.factors) if factors == of]
        others = [self.pick(same) for _ in range(self.number(0, 2))]
        terms = [d.copied(each, of, self.number(-3, 3) or 1) for each in (source, *others)]
        thin = [n for n, factors in enumerate(self.factors) if factors == of[1:] and factors]
        if thin and self.draw(st.booleans()):  # a broadcast operand
            n = self.pick(thin)
            axes = tuple(Axis(d.EQ, o=d.span(of, 1 + k), i=d.span(of[1:], k)) for k in range(len(of) - 1))
            terms.append(Term(n, axes))
        return of, terms

    def scaled(self, source, of):
        axis = self.number(0, len(of) - 1)
        axes = [Axis(d.EQ, o=d.span(of, n), i=d.span(of, n), weight=0 if n == axis else None) for n in range(len(of))]
        return of, [Term(source, tuple(axes), weights=self.integers(of[axis].size))]

    def convolution(self, source, of):
        kernel = [self.number(1, min(3, factor.size)) for factor in of[1:]]
        pads = [self.number(0, size - 1) for size in kernel]
        ends = [self.number(0, size - 1) for size in kernel]
        weights = self.integers(self.number(1, 3), of[0].size, *kernel)
        return d.convolution(source, of, weights, stride_bits=self.number(0, 1), pads=pads, ends=ends)

    def depthwise(self, source, of):
        kernel = [self.number(1, min(3, factor.size)) for factor in of[1:]]
        pads = [self.number(0, size - 1) for size in kernel]
        each = self.number(1, 2)
        weights = self.integers(of[0].size * each, 1, *kernel)
        return d.convolution(source, of, weights, stride_bits=self.number(0, 2), pads=pads, groups=of[0].size)

    def pool(self, source, of):
        if min(factor.size for factor in of[1:]) < 2:
            return self.sums(source, of)
        return d.summed_windows(source, of)

    def global_pool(self, source, of):
        axes = (Axis(d.EQ, o=Span(0, of[0].bits), i=d.span(of, 0)), *(Axis(d.FREE, i=d.span(of, n)) for n in (1, 2)))
        return of[:1], [Term(source, axes, coefficient=self.number(1, 3))]

    def pooled_dense(self, source, of):
        """A pool that is folded into a dense layer."""
        if any(factor.size % 2 for factor in of[1:]):
            return self.dense(source, of)
        out = Factor(self.number(1, 4))
        axes = [Axis(d.EQ, o=Span(0, out.bits), weight=0), Axis(d.EQ, i=d.span(of, 0), weight=1)]
        for n in (1, 2):
            whole = d.span(of, n)
            axes += [
                Axis(d.EQ, i=Span(whole.first + 1, whole.bits - 1), weight=1 + n),
                Axis(d.FREE, i=Span(whole.first, 1)),
            ]
        weights = self.integers(out.size, of[0].size, *(factor.size // 2 for factor in of[1:]))
        return (out,), [Term(source, tuple(axes), weights=weights)]

    def halves(self, source, of):
        """The first step of a maximum: even minus odd places of the last factor."""
        whole, size = d.span(of, 2), of[2].size
        if size < 2:
            return self.sums(source, of)
        onto = (*of[:2], Factor(size // 2))
        kind = d.EQ if size % 2 == 0 else d.WALK
        axes = [Axis(d.EQ, o=d.span(onto, n), i=d.span(of, n)) for n in (0, 1)]
        axes.append(Axis(kind, o=d.span(onto, 2), i=Span(whole.first + 1, whole.bits - 1)))
        pick = lambda c: Axis(d.FIX, i=Span(whole.first, 1), constant=c)  # noqa: E731
        return onto, [Term(source, (*axes, pick(c)), coefficient=1 - 2 * c) for c in (0, 1)]

    def parts(self, source, of):
        """A dense layer over two blocks, as behind a Concat."""
        out = self.number(1, 6)
        onto, terms = d.dense(source, of, self.integers(out, *(factor.size for factor in of)))
        other = self.any_source()
        sizes = [factor.size for factor in self.factors[other]]
        return onto, [*terms, *d.dense(other, self.factors[other], self.integers(out, *sizes))[1]]

    def split(self, source, of):
        """A copy whose last factor is cut in two: an inner power of two."""
        size, bits = of[-1].size, self.number(1, 2)
        if size % (1 << bits):
            return self.sums(source, of)
        onto = (*of[:-1], Factor(size >> bits), Factor(1 << bits))
        return onto, [Term(source, self.halved(onto, of, bits))]

    def joined(self, source, of):
        """A copy whose last two factors become one, the inner a power of two."""
        if len(of) < 2 or of[-1].size != 1 << of[-1].bits or not of[-1].bits:
            return self.sums(source, of)
        onto = (*of[:-2], Factor(of[-2].size * of[-1].size))
        turned = [Axis(axis.kind, o=axis.i, i=axis.o) for axis in self.halved(of, onto, of[-1].bits)]
        return onto, [Term(source, tuple(turned))]

    def cropped(self, source, of):
        """A copy of the first places along the last factor."""
        least = (1 << of[-1].bits) // 2 + 1
        if of[-1].size <= least:
            return self.sums(source, of)
        onto = (*of[:-1], Factor(self.number(least, of[-1].size)))
        axes = tuple(Axis(d.EQ, o=d.span(onto, n), i=d.span(of, n)) for n in range(len(of)))
        return onto, [Term(source, axes)]

    @staticmethod
    def halved(cut, whole, bits):
        """The axes between factors of which the last two are cut from one."""
        axes = [Axis(d.EQ, o=d.span(cut, n), i=d.span(whole, n)) for n in range(len(whole) - 1)]
        top, low = len(cut) - 2, len(cut) - 1
        axes.append(Axis(d.EQ, o=d.span(cut, top), i=Span(bits, d.span(whole, len(whole) - 1).bits - bits)))
        return (*axes, Axis(d.EQ, o=d.span(cut, low), i=Span(0, bits)))

    def levels(self, source, of):
        """The sums of a tree's levels: leaves from inner nodes, both numbered by their paths."""
        depth = of[-1].bits
        if of[-1].size != 1 << depth or not depth:
            return self.sums(source, of)
        terms, copies = [], [Axis(d.EQ, o=d.span(of, n), i=d.span(of, n)) for n in range(len(of) - 1)]
        for level in range(depth):
            axes = list(copies)
            if level:
                axes.append(Axis(d.EQ, o=Span(depth - level, level), i=Span(0, level)))
            axes.append(Axis(d.FIX, i=Span(level, depth - level), constant=1))
            mask = Axis(AxisKind.MASK, o=Span(depth - level - 1, 1), bound=1)
            terms += [Term(source, tuple(axes)), Term(source, (*axes, mask), coefficient=-2)]
        return of, terms

    def table(self):
        width = self.number(0, 4)
        kind = self.number(0, 5)
        functions = [("square", d.square, 0), ("plus", d.plus_one, 0), ("minus", lambda x: 3 - x, 1)]
        if kind < 2:
            return d.relu(width)
        if kind == 2:
            return d.clamp(width)
        if kind == 3:
            return Table(self.pick([TableKind.CLAMP_U, TableKind.CLAMP_S]), EXACT)
        name, value, scale = self.pick(functions)
        return d.stored(value, width=width, q_scale=scale, scale=scale, name=name)

    def add_block(self):
        kind = self.number(0, 9)
        if kind == 0:
            return self.add_maximum()
        if kind == 1:
            return self.add_saturated()
        factors, terms = self.terms()
        return self.add(factors, terms, self.number(0, 6), self.table())

    def add(self, factors, terms, shift, table, *saturation):
        self.blocks.append((factors, terms, shift, table, *saturation))
        self.factors.append(factors)

    def add_maximum(self):
        """The maximum of two neighbours, in two blocks."""
        source = self.any_source()
        of = self.factors[source]
        if len(of) != 3 or of[2].size < 2:
            return self.add(*self.sums(source, of), 0, self.table())
        onto, halves = self.halves(source, of)
        self.add(onto, halves, 0, Table(TableKind.CLAMP_U, EXACT))
        odd = Term(source, halves[1].axes)
        return self.add(
            onto, [d.copied(len(self.factors) - 1, onto), odd], 0, Table(TableKind.CLAMP_S, EXACT, image_of=source)
        )

    def add_saturated(self):
        """A block whose table would have more than 2^16 rows."""
        source = self.any_source()
        of = self.factors[source]
        factors, terms = d.dense(source, of, self.integers(self.number(1, 6), *(f.size for f in of), size=1 << 15))
        terms.append(d.bias_of(factors, 0, self.integers(factors[0].size, size=1 << 21)))
        width = self.number(2, 5)
        table = self.pick([d.relu, d.clamp])(width)
        return self.add(factors, terms, self.number(0, 4), table, self.number(1, width - 1))


@st.composite
def random_drafts(draw, most=6):
    """A draft and a function that draws an input in range."""
    builder = Builder(draw)
    for _ in range(builder.number(1, most)):
        builder.add_block()
    outputs = [builder.terms() for _ in range(builder.number(1, 2))]
    return d.network(builder.entry, builder.blocks, outputs)


def inputs_of(draft: Draft, seed, count=1):
    """Random integers in the input's range, both ends included."""
    table = draft.input.table
    low = 0 if table.kind is TableKind.CLAMP_U else -(1 << table.width)
    size = int(np.prod([factor.size for factor in draft.input.factors]))
    return d.random(seed, low, (1 << table.width) - 1, count, size)
