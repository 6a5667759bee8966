"""Drafts written by hand: dense layers, convolutions, pools and sums, as a lowering makes them."""

from fractions import Fraction

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import (
    Axis,
    AxisKind,
    Block,
    Draft,
    Factor,
    InputBlock,
    Output,
    Span,
    StoredFunction,
    Table,
    TableKind,
    Term,
)
from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe

EQ, WALK, FREE, FIX = AxisKind.EQ, AxisKind.WALK, AxisKind.FREE, AxisKind.FIX


def recipe(chunk_bits=6):
    return AshlarRecipe.parse(
        {
            "semantics": 1,
            "profile": "plain",
            "chunkBits": chunk_bits,
            "input": {"scale": 0, "bits": 4, "signed": True},
            "activations": {},
            "weights": {},
        }
    )


def factors(*sizes):
    return tuple(Factor(size) for size in sizes)


def span(of, number):
    """The bits of a factor."""
    return Span(sum(factor.bits for factor in of[number + 1 :]), of[number].bits)


def relu(width):
    return Table(TableKind.CLAMP_U, width)


def clamp(width):
    return Table(TableKind.CLAMP_S, width)


def stored(value, *, width, q_scale=0, scale=0, name="f"):
    return Table(TableKind.STORED, width, StoredFunction(name, value), q_scale, scale)


def plus_one(x):
    return x + 1


def square(x):
    return Fraction(x) ** 2


def entry(*sizes, bits=4, signed=True, scales=(0,)):
    return InputBlock("x", factors(*sizes), clamp(bits - 1) if signed else relu(bits), scales)


def dense(source, of, weights, bias=None, *, leading=0, tiled=(), onto=None):
    """Weights `[out, *summed factors]`; the first `leading` factors are copied. The last factor of `onto` is out."""
    weights = np.asarray(weights, np.int64)
    onto = onto or (*of[:leading], Factor(len(weights)))
    out = span(onto, len(onto) - 1)
    axes = [Axis(EQ, o=span(onto, n), i=span(of, n)) for n in range(leading)]
    axes.append(Axis(EQ, o=out, weight=0))
    axes += [Axis(EQ, i=span(of, n), weight=1 + n - leading) for n in range(leading, len(of))]
    terms = [Term(source, tuple(axes), weights=weights, tiled=frozenset(tiled))]
    return onto, [*terms, *([] if bias is None else [bias_of(onto, len(onto) - 1, bias)])]


def bias_of(onto, number, bias):
    """A bias along one factor, broadcast along the others."""
    return Term(None, (Axis(EQ, o=span(onto, number), weight=0),), weights=np.asarray(bias, np.int64))


def convolution(source, of, weights, bias=None, *, stride_bits=0, pads=(0, 0), groups=1, ends=(0, 0)):
    """Weights `[out, in, kh, kw]` on factors (channels, height, width), or (group, channel, height, width)."""
    weights = np.asarray(weights, np.int64)
    height, width = (
        Factor((of[-2 + n].size + pads[n] + ends[n] - weights.shape[-2 + n] >> stride_bits) + 1) for n in (0, 1)
    )
    if groups == 1:
        onto = (Factor(len(weights)), height, width)
        axes = [Axis(EQ, o=span(onto, 0), weight=0), Axis(EQ, i=span(of, 0), weight=1)]
    else:
        out = len(weights) // groups
        weights = weights.reshape(groups, out, *weights.shape[1:])
        onto = (Factor(groups), *([Factor(out)] if out > 1 else []), height, width)
        axes = [Axis(EQ, o=span(onto, 0), i=span(of, 0), weight=0)]
        axes += [Axis(EQ, o=span(onto, 1), weight=1)] if out > 1 else []
        axes += [Axis(EQ, i=span(of, 1), weight=2)] if len(of) == 4 else []
    spatial = weights.ndim - 2
    for n in (0, 1):
        ours, theirs = span(onto, len(onto) - 2 + n), span(of, len(of) - 2 + n)
        axes.append(Axis(WALK, o=ours, i=theirs, weight=spatial + n, k=stride_bits, g=-pads[n]))
    terms = [Term(source, tuple(axes), weights=weights)]
    if bias is not None:
        terms.append(bias_of(onto, 0, bias))
    return onto, terms


def copied(source, of, coefficient=1):
    """A term that copies place to place."""
    axes = tuple(Axis(EQ, o=span(of, n), i=span(of, n)) for n in range(len(of)))
    return Term(source, axes, coefficient=coefficient)


def summed_windows(source, of, bits=1):
    """A pool over windows of 2^bits in the last two factors."""
    onto = (*of[:-2], *(Factor(factor.size >> bits) for factor in of[-2:]))
    axes = [Axis(EQ, o=span(onto, n), i=span(of, n)) for n in range(len(of) - 2)]
    for n in (len(of) - 2, len(of) - 1):
        whole, ours = span(of, n), span(onto, n)
        high = Span(whole.first + bits, whole.bits - bits)
        kind = EQ if high.bits == ours.bits and of[n].size == onto[n].size << bits else WALK
        axes += [Axis(kind, o=ours, i=high), Axis(FREE, i=Span(whole.first, bits))]
    return onto, [Term(source, tuple(axes))]


def network(entry_block, blocks, outputs):
    """A draft from `(factors, terms, shift, table[, saturation])` for each block and `(factors, terms)` of outputs."""
    hidden = tuple(
        Block(f"h{n}", of, shift, table, tuple(terms), *rest)
        for n, (of, terms, shift, table, *rest) in enumerate(blocks, 1)
    )
    ends = tuple(Output(f"out{n}", of, 0, tuple(terms)) for n, (of, terms) in enumerate(outputs))
    return Draft(entry_block, hidden, ends)


def random(seed, low, high, *shape):
    return np.random.default_rng(seed).integers(low, high + 1, shape)


def layers(*sizes, bits=9, shift=12, width=8, weight=2047, tiled=()):
    """A perceptron with Relu between dense layers, with random weights of the usual size."""
    block, blocks = entry(sizes[0], bits=bits, signed=False), []
    of = block.factors
    for number, size in enumerate(sizes[1:]):
        weights = random(number, -weight, weight, size, of[0].size)
        of, terms = dense(number, of, weights, random(100 + number, -weight, weight, size), tiled=tiled)
        blocks.append((of, terms, shift, relu(width)))
    return network(block, blocks[:-1], [blocks[-1][:2]])


def lenet():
    """LeNet-5 on 28x28 pixels: sum-pools folded into what follows, the first dense layer cut into tiles."""
    block = entry(1, 28, 28, bits=8, signed=False)
    first, conv = convolution(
        0, block.factors, random(1, -900, 900, 6, 1, 5, 5), random(2, -99, 99, 6), pads=(2, 2), ends=(2, 2)
    )
    second = factors(16, 10, 10)
    axes = [Axis(EQ, o=span(second, 0), weight=0), Axis(EQ, i=span(first, 0), weight=1)]
    for n in (1, 2):
        high, low = Span(span(first, n).first + 1, 4), Span(span(first, n).first, 1)
        axes += [Axis(WALK, o=span(second, n), i=high, weight=1 + n), Axis(FREE, i=low)]
    pooled = [
        Term(1, tuple(axes), weights=random(3, -300, 300, 16, 6, 5, 5)),
        bias_of(second, 0, random(4, -99, 99, 16)),
    ]
    third = factors(120)
    axes = [Axis(EQ, o=span(third, 0), weight=0), Axis(EQ, i=span(second, 0), weight=1)]
    for n in (1, 2):
        high, low = Span(span(second, n).first + 1, 3), Span(span(second, n).first, 1)
        axes += [Axis(EQ, i=high, weight=1 + n), Axis(FREE, i=low)]
    wide = Term(2, tuple(axes), weights=random(5, -200, 200, 120, 16, 5, 5), tiled=frozenset({2, 3}))
    fourth, dense_4 = dense(3, third, random(6, -900, 900, 84, 120), random(7, -99, 99, 84))
    last, dense_5 = dense(4, fourth, random(8, -900, 900, 10, 84), random(9, -99, 99, 10))
    hidden = [
        (first, conv, 11, relu(8)),
        (second, pooled, 13, relu(8)),
        (third, [wide, bias_of(third, 0, random(10, -99, 99, 120))], 13, relu(8)),
        (fourth, dense_4, 12, relu(8)),
    ]
    return network(block, hidden, [(last, dense_5)])
