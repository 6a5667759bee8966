"""Padding cells: masks, bounds of WALK, and what may be left unbounded because nobody reads it (section 1.6).

A place of a box beyond the valid size of one of its factors is padding. Terms must not carry anything from there to a
valid place, so padding is kept at 0 where it is read (rule Z), and left as it comes where it is not (rule U).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ashlar.constraints import Constraint, Network, broken, ranges, valid_size, weights_of
from zkinfer.circuits.engines.ashlar.draft import Axis, AxisKind, Factor, Span, Term
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class _Reader:
    """A term that reads a block, and whether rule U spares the constraint that it belongs to."""

    factors: tuple[Factor, ...]
    term: Term
    spared: bool


def masked(network: Network, nonzero: Collection[int]) -> Network:
    """The network with all masks and bounds.

    Args:
        network: its WALK axes have no bounds, its terms no masks over padding.
        nonzero: the blocks whose table has T(0) != 0.

    Raises:
        UnsupportedModelError: a window reaches padding cells of such a block.
    """
    readers: defaultdict[int, list[_Reader]] = defaultdict(list)

    def finish(constraint: Constraint, *, spared: bool) -> Constraint:
        done = replace(
            constraint, terms=tuple(_bounded(constraint, t, network, nonzero, spared) for t in constraint.terms)
        )
        for term in done.terms:
            if term.source is not None:
                readers[term.source].append(_Reader(done.factors, term, spared))
        return done

    outputs = tuple(finish(output, spared=False) for output in network.outputs)
    blocks = list(network.blocks)
    for number in range(len(blocks), 0, -1):
        factors = network.factors(number)
        spared = all(_leaves_padding(reader, factors) for reader in readers[number])
        blocks[number - 1] = finish(blocks[number - 1], spared=spared)
    return replace(network, blocks=tuple(blocks), outputs=outputs)


def has_padding(factor: Factor) -> bool:
    """Whether a factor's box has places beyond its size."""
    return factor.size != 1 << factor.bits


def _leaves_padding(reader: _Reader, source: Sequence[Factor]) -> bool:
    """Whether a reader carries no padding cell of its source to a place where it matters (rule U)."""
    for factor, whole in _padded(source):
        axes = _axes_on(reader.term, whole)
        if _reach(reader.term, reader.factors, axes, whole) >= factor.size:
            return False
        copies = any(axis.kind is AxisKind.EQ and axis.o and axis.weight is None for axis in axes)
        if (copies and not reader.spared) or any(axis.kind is AxisKind.WALK and axis.g for axis in axes):
            return False
    return True


def _bounded(constraint: Constraint, term: Term, network: Network, nonzero: Collection[int], spared: bool) -> Term:
    """A term with the bounds and masks that its constraint needs."""
    source = network.factors(term.source) if term.source is not None else ()
    if term.source in nonzero:
        _refuse_reached_padding(constraint, term, network)
    axes = []
    for axis in term.axes:
        fills = _fills_padding(constraint, axis, source, nonzero=term.source in nonzero)
        if axis.kind is AxisKind.WALK or (fills and not spared):
            axes.append(replace(axis, kind=AxisKind.WALK, bound=_bound(constraint, axis.o, spared)))
        else:
            axes.append(axis)
    if not spared:
        axes += _masks(constraint, term)
    return replace(term, axes=tuple(axes))


def _fills_padding(constraint: Constraint, axis: Axis, source: Sequence[Factor], *, nonzero: bool) -> bool:
    """Whether an axis copies something else than 0 to padding of the constraint: from valid places or from padding."""
    if axis.kind is not AxisKind.EQ or axis.o is None or axis.i is None or axis.weight is not None:
        return False
    ours, theirs = valid_size(constraint.factors, axis.o), valid_size(source, axis.i)
    if ours > theirs:
        raise broken(constraint.name, "copies more places than its source has")
    return ours < 1 << axis.o.bits and (nonzero or ours < theirs)


def _bound(constraint: Constraint, span: Span | None, spared: bool) -> int:
    """The bound of a WALK on these bits of the constraint's box."""
    return 1 << (span.bits if span else 0) if spared else valid_size(constraint.factors, span)


def _masks(constraint: Constraint, term: Term) -> Iterator[Axis]:
    """A mask for each padded factor that no axis of the term looks at."""
    for factor, whole in _padded(constraint.factors):
        spans = [axis.o for axis in term.axes if axis.o and _holds(whole, axis.o)]
        if not spans:
            yield Axis(AxisKind.MASK, o=whole, bound=factor.size)
        elif sum(span.bits for span in spans) < whole.bits or factor.size % (
            1 << max(s.first for s in spans) - whole.first
        ):
            raise broken(constraint.name, "cuts a dimension at a place that is no edge of its padding")


def _refuse_reached_padding(constraint: Constraint, term: Term, network: Network) -> None:
    """Raise if WALK or FREE reads padding of a block whose table has T(0) != 0 (rule Z)."""
    number = term.source or 0
    for factor, whole in _padded(network.factors(number)):
        axes = _axes_on(term, whole)
        windows = any(axis.kind in (AxisKind.WALK, AxisKind.FREE, AxisKind.FIX) for axis in axes)
        if windows and _reach(term, constraint.factors, axes, whole) >= factor.size:
            name = network.blocks[number - 1].name
            raise UnsupportedModelError(
                f"{constraint.name!r} reads beyond the edge of {name!r}, whose activation is not 0 at 0.",
                f"Make the size {factor.size} a power of two, pad less, or take an activation with f(0) = 0.",
            )


def _padded(factors: Sequence[Factor]) -> Iterator[tuple[Factor, Span]]:
    return (pair for pair in zip(factors, ranges(factors), strict=True) if has_padding(pair[0]))


def _axes_on(term: Term, whole: Span) -> list[Axis]:
    """The axes of a term on one factor of its source."""
    return [axis for axis in term.axes if axis.i and _holds(whole, axis.i)]


def _holds(whole: Span, span: Span) -> bool:
    return span.bits > 0 and whole.first <= span.first < whole.first + whole.bits


def _reach(term: Term, factors: Sequence[Factor], axes: Sequence[Axis], whole: Span) -> int:
    """The largest index of a source's factor that a valid place of the reader relates to a weight that exists."""
    return sum(_largest(term, factors, axis) << ((axis.i.first if axis.i else 0) - whole.first) for axis in axes)


def _largest(term: Term, factors: Sequence[Factor], axis: Axis) -> int:
    """The largest value of an axis's bits of the source."""
    weights = weights_of(term).shape[axis.weight] if axis.weight is not None else None
    if axis.kind is AxisKind.FREE:
        return (1 << (axis.i.bits if axis.i else 0)) - 1
    if axis.kind is AxisKind.FIX:
        return axis.constant
    if axis.kind is AxisKind.WALK:
        return ((valid_size(factors, axis.o) - 1) << axis.k) + (weights or 1) - 1 + axis.g
    sizes = [size for size in (weights, valid_size(factors, axis.o) if axis.o else None) if size is not None]
    return min(sizes) - 1
