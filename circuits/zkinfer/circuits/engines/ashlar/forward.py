"""The exact integer forward pass of a draft on plain tensors: no boxes, no masks, no layout.

A term is a contraction of its source with its weights. Each factor is split into the digits that its axes look at; what
lies beyond a valid size does not exist here, and counts as 0. Sums that stay below 2^53 run in float64, where BLAS is
fast and exact; others in int64, which wraps, but ends right since every z is below 2^60.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import EXACT, AxisKind, Span, Table, TableKind, element_count
from zkinfer.circuits.engines.ashlar.stored import stored_table
from zkinfer.circuits.errors import DataError, RangeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.draft import Axis, Block, Draft, Factor, Term

    Integers = NDArray[np.int64]

_EXACT_FLOATS = 1 << 53
_BATCH_CELLS = 1 << 22  # numbers in the largest array, for samples that are computed together


class ForwardPass:
    """A draft, prepared for many samples.

    Args:
        draft: the network.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        factors = [draft.input.factors, *(block.factors for block in draft.blocks)]
        self._blocks = [[_Contraction(t, block.factors, factors) for t in block.terms] for block in draft.blocks]
        self._outputs = [[_Contraction(t, output.factors, factors) for t in output.terms] for output in draft.outputs]
        widths = [term.width for terms in (*self._blocks, *self._outputs) for term in terms]
        self._batch = max(1, _BATCH_CELLS // max(*widths, *(element_count(each) for each in factors)))

    def run(self, inputs: Integers) -> list[Integers]:
        """The outputs, `[samples, elements]` each, row-major.

        Args:
            inputs: `[samples, ...]`, with the elements of the input in row-major order.

        Raises:
            DataError: the number of elements is wrong.
            RangeError: an element is outside the input's range.
        """
        parts = [
            self._outputs_of(self.trace(inputs[at : at + self._batch])) for at in range(0, len(inputs), self._batch)
        ]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def trace(self, inputs: Integers) -> list[Integers]:
        """The values y of every block of the draft, the input first: `[samples, *sizes of its factors]`."""
        values = [self._accepted(inputs)]
        for block, terms in zip(self._draft.blocks, self._blocks, strict=True):
            z = _sum(terms, values, block.factors)
            q = (z + (1 << block.shift >> 1)) >> block.shift
            values.append(self._applied(block, q))
        return values

    def _outputs_of(self, values: Sequence[Integers]) -> list[Integers]:
        pairs = zip(self._draft.outputs, self._outputs, strict=True)
        return [_sum(terms, values, output.factors).reshape(len(values[0]), -1) for output, terms in pairs]

    def _accepted(self, inputs: Integers) -> Integers:
        block = self._draft.input
        sizes = [factor.size for factor in block.factors]
        if inputs[0].size != element_count(block.factors):
            raise DataError(f"A sample has {inputs[0].size} elements; the input {block.name!r} has shape {sizes}.")
        bad = np.argwhere(inputs != _clamped(block.table, inputs))
        if len(bad):
            value = inputs[tuple(bad[0])]
            raise RangeError(
                f"The integer {value} of input {block.name!r} is outside the range that the circuit was compiled for.",
                "Check the input's magnitude, or compile again with calibration data that covers it.",
            )
        return inputs.reshape(len(inputs), *sizes).astype(np.int64)

    def _applied(self, block: Block, q: Integers) -> Integers:
        table = block.table
        return stored_table(table).look_up(q) if table.kind is TableKind.STORED else _clamped(table, q)


def _clamped(table: Table, q: Integers) -> Integers:
    """The value of a clamp; one whose width follows from bounds takes nothing away but negative values."""
    if table.image_of is not None:
        return q
    if table.width == EXACT:
        return np.maximum(q, 0) if table.kind is TableKind.CLAMP_U else q
    low = 0 if table.kind is TableKind.CLAMP_U else -(1 << table.width)
    return np.clip(q, low, (1 << table.width) - 1)


def _sum(terms: Sequence[_Contraction], values: Sequence[Integers], factors: Sequence[Factor]) -> Integers:
    """z: `[samples, *sizes]`."""
    total = np.zeros([len(values[0]), *(factor.size for factor in factors)], np.int64)
    for term in terms:
        total += term.apply(values)
    return total


@dataclass(frozen=True, slots=True)
class _Digit:
    """Bits of a factor between edges of axes, and the number of values that they take in valid places."""

    span: Span
    size: int


@dataclass(frozen=True, slots=True)
class _Part:
    """An axis, or the part of one that looks at a single digit of `o`, of `i` or of both."""

    axis: Axis
    o: _Digit | None
    i: _Digit | None
    weights: int | None  # size of the weights along it

    @property
    def places(self) -> int:
        """Values of `o` along this axis; of an axis without `o`, values that it sums over."""
        sizes = [each.size for each in (self.o, self.i) if each]
        if self.axis.kind is AxisKind.WALK:
            return self.o.size if self.o else 1
        return min([*sizes, *([] if self.weights is None else [self.weights])], default=1)


class _Contraction:
    """One term, as a sum over products of digits of its source and of its weights."""

    def __init__(self, term: Term, factors: Sequence[Factor], sources: Sequence[Sequence[Factor]]) -> None:
        inner = sources[term.source] if term.source is not None else ()
        edges = _edges(term.axes, factors, inner)
        self._term = term
        self._o, self._i = (_digits(held, cuts) for held, cuts in zip((factors, inner), edges, strict=True))
        self._sizes = [factor.size for factor in factors]
        self._parts = [part for axis in term.axes for part in self._cut(axis)]
        self._labels = {id(part): label for label, part in enumerate(self._parts, 1)}
        self._read = self._order([part for part in self._parts if part.i], "i")
        self._kept = [part for part in self._read if part.axis.kind in (AxisKind.EQ, AxisKind.WALK)]
        shown = [part for part in self._parts if part.o and part.axis.kind in (AxisKind.EQ, AxisKind.WALK)]
        self._shown = self._order(shown, "o")
        self._walks = [part for part in self._parts if part.axis.kind is AxisKind.WALK]

    @property
    def width(self) -> int:
        """Numbers of one sample in the largest array, in which each place has a window of the source."""
        windows = [part.weights or 1 for part in self._walks]
        return math.prod([*windows, *(part.places for part in self._kept)])

    def apply(self, values: Sequence[Integers]) -> Integers:
        """What the term adds: `[samples or 1, *sizes or 1]`."""
        source = self._term.source
        cells = np.ones(1, np.int64) if source is None else self._reduced(self._split(values[source]))
        weights = np.array(self._term.coefficient) if self._term.weights is None else self._term.weights
        largest = _largest(cells) * _largest(weights) * weights.size
        cells = cells.astype(np.float64 if largest < _EXACT_FLOATS else np.int64)
        return self._joined(self._product(cells, weights).astype(np.int64))

    def _cut(self, axis: Axis) -> Iterator[_Part]:
        """The parts of an axis; one that looks at whole factors of both sides has one for each digit."""
        weights = None if axis.weight is None or self._term.weights is None else self._term.weights.shape[axis.weight]
        ours, theirs = (_inside(digits, span) for digits, span in ((self._o, axis.o), (self._i, axis.i)))
        low = axis.i.first if axis.i else 0
        for at in range(max(len(ours), len(theirs), 1)):
            o, i = (group[at] if at < len(group) else None for group in (ours, theirs))
            constant = axis.constant >> (i.span.first - low) & ((1 << i.span.bits) - 1) if i else 0
            yield _Part(replace(axis, constant=constant), o, i, weights)

    def _order(self, parts: Sequence[_Part], which: str) -> list[_Part]:
        """The parts by their place in a box, highest bits first."""
        return sorted(parts, key=lambda part: -getattr(part, which).span.first)

    def _split(self, cells: Integers) -> Integers:
        """`[samples, *factors]` as `[samples, *digits]`, filled up with zeros."""
        pads, shape = [(0, 0)], []
        for digits, size in zip(self._i, cells.shape[1:], strict=True):
            pads.append((0, math.prod(digit.size for digit in digits) - size))
            shape += [digit.size for digit in digits if digit.span.bits]
        return np.pad(cells, pads).reshape(len(cells), *shape)

    def _reduced(self, cells: Integers) -> Integers:
        """The cells without the digits that FREE sums over and FIX chooses."""
        for at, part in reversed(list(enumerate(self._read, 1))):
            if part.axis.kind is AxisKind.FREE:
                cells = cells.sum(axis=at)
            elif part.axis.kind is AxisKind.FIX:
                there = np.arange(cells.shape[at]) == part.axis.constant
                cells = cells.compress(there, axis=at).sum(axis=at)
        return cells

    def _product(self, cells: NDArray[Any], weights: Integers) -> NDArray[Any]:
        """The contraction: `[samples or 1, *digits of o that axes look at]`."""
        names, at = [0], 1
        for part in [*self._kept, *(part for part in self._walks if part.i is None)]:
            label = self._labels[id(part)]
            if part.axis.kind is AxisKind.WALK:
                cells = _windows(cells if part.i else cells[..., None], at, part)
                names += [label, self._kernel_label(part)]
            else:
                cells = cells.take(range(part.places), axis=at)
                names.append(label)
            at = len(names)
        weights, labels = self._named(weights)
        shown = [0, *(self._labels[id(part)] for part in self._shown)]
        value = np.einsum(cells, names, weights.astype(cells.dtype), labels, shown, optimize=True)
        return np.pad(value, [(0, 0), *((0, part.o.size - part.places if part.o else 0) for part in self._shown)])

    def _kernel_label(self, part: _Part) -> int:
        """The label of a WALK axis's places of the weights, of which there is one if it has no weights."""
        return len(self._parts) + self._labels[id(part)]

    def _named(self, weights: Integers) -> tuple[Integers, list[int]]:
        """The weights, cut to the places that exist, with the labels of their dimensions."""
        if self._term.weights is None:
            return weights, []
        labels = [2 * len(self._parts) + 1 + dimension for dimension in range(weights.ndim)]
        for part in self._parts:
            dimension = part.axis.weight
            if dimension is None:
                continue
            if part.axis.kind is AxisKind.WALK:
                labels[dimension] = self._kernel_label(part)
            else:
                labels[dimension] = self._labels[id(part)]
                weights = weights.take(range(part.places), axis=dimension)
        return weights, labels

    def _joined(self, total: Integers) -> Integers:
        """`[samples, *digits]` as `[samples, *factors]`, of size 1 along factors that no axis looks at."""
        known = {part.o.span: part for part in self._parts if part.o}
        masks = {
            part.o.span: part.axis.bound or 0 for part in self._parts if part.o and part.axis.kind is AxisKind.MASK
        }
        full, shape = [len(total)], [len(total)]
        seen = iter(total.shape[1:])
        dims = [len(total)]
        for digits in self._o:
            used = any(digit.span in known for digit in digits)
            shown = {part.o.span for part in self._shown if part.o}
            dims += [next(seen) if digit.span in shown else 1 for digit in digits]
            full += [digit.size if used else 1 for digit in digits]
            shape.append(math.prod(digit.size for digit in digits) if used else 1)
        total = np.broadcast_to(total.reshape(dims), full)
        for at, digit in enumerate((digit for digits in self._o for digit in digits), 1):
            if digit.span in masks:
                below = np.arange(digit.size) < masks[digit.span]
                total = total * below.reshape([-1 if axis == at else 1 for axis in range(total.ndim)])
        joined = total.reshape(shape)
        return joined[(slice(None), *(slice(size) for size in self._sizes))]


def _windows(cells: NDArray[Any], at: int, part: _Part) -> NDArray[Any]:
    """The dimension `at` of a source as each place `o` sees it: cells 2^k o + d + g for all d, 0 if there is none."""
    starts = (np.arange(part.places) << part.axis.k) + part.axis.g
    places = starts[:, None] + np.arange(part.weights or 1)
    there = (places >= 0) & (places < cells.shape[at])
    seen: NDArray[Any] = cells.take(np.where(there, places, 0), axis=at)
    if not there.all():
        seen *= there.reshape([*there.shape, *[1] * (cells.ndim - 1 - at)])
    return seen


def _largest(array: Integers) -> int:
    return max(abs(int(array.max())), abs(int(array.min())))


def _edges(axes: Sequence[Axis], factors: Sequence[Factor], inner: Sequence[Factor]) -> tuple[set[int], set[int]]:
    """The bits of `o` and of `i` where digits end; an axis that looks at both is cut alike on both sides."""
    ours, theirs = (_ends(held) for held in (factors, inner))
    for axis in axes:
        ours |= {axis.o.first, axis.o.first + axis.o.bits} if axis.o else set()
        theirs |= {axis.i.first, axis.i.first + axis.i.bits} if axis.i else set()
    for axis in axes:
        if axis.kind is AxisKind.EQ and axis.o and axis.i:
            within = {edge - axis.o.first for edge in ours} | {edge - axis.i.first for edge in theirs}
            cuts = {edge for edge in within if 0 < edge < axis.o.bits}
            ours |= {axis.o.first + edge for edge in cuts}
            theirs |= {axis.i.first + edge for edge in cuts}
    return ours, theirs


def _ends(factors: Sequence[Factor]) -> set[int]:
    ends, bit = {0}, 0
    for factor in reversed(factors):
        bit += factor.bits
        ends.add(bit)
    return ends


def _digits(factors: Sequence[Factor], edges: set[int]) -> list[list[_Digit]]:
    """The digits of each factor, highest first; a factor of size 1 has one digit of no bits."""
    found: list[list[_Digit]] = []
    first = sum(factor.bits for factor in factors)
    for factor in factors:
        first -= factor.bits
        cuts = sorted({edge for edge in edges if first <= edge <= first + factor.bits} | {first, first + factor.bits})
        spans = [Span(low, high - low) for low, high in pairwise(cuts)] or [Span(first, 0)]
        top = spans[-1]
        sizes = [*(1 << span.bits for span in spans[:-1]), -(-factor.size >> (top.first - first))]
        found.append([_Digit(span, size) for span, size in zip(spans, sizes, strict=True)][::-1])
    return found


def _inside(groups: Sequence[Sequence[_Digit]], span: Span | None) -> list[_Digit]:
    """The digits within a range, highest first."""
    if span is None or not span.bits:
        return []
    end = span.first + span.bits
    digits = [digit for group in groups for digit in group if digit.span.bits]
    return [digit for digit in digits if span.first <= digit.span.first and digit.span.first + digit.span.bits <= end]
