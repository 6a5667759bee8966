"""A draft's constraints, one for each block and output of the program, each axis within one factor.

Saturation is expanded to two blocks (section 1.5), so sources are numbered as in the program. A lowering that breaks
its side of the interface is found here, before anything is computed from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import EXACT, Axis, AxisKind, Factor, Span, Table, TableKind, Term
from zkinfer.circuits.errors import EngineError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.draft import Block, Draft, InputBlock

MAX_SHIFT = 16
MAX_BOX_BITS = 24
_MAX_STRIDE_BITS, _MAX_PADDING, _MAX_KERNEL = 4, 127, 127


@dataclass(frozen=True, slots=True)
class Constraint:
    """A hidden block, or an output if `table` is None.

    `excess` is the d of section 1.5 in the second block of a pair, whose last term takes away what the first finds.
    """

    name: str
    factors: tuple[Factor, ...]
    terms: tuple[Term, ...]
    table: Table | None = None
    shift: int = 0
    excess: int | None = None

    @property
    def bits(self) -> int:
        """Bits of an index of the box."""
        return sum(factor.bits for factor in self.factors)


@dataclass(frozen=True, slots=True)
class Network:
    """The constraints of a program: block 0 is `input`, block i is `blocks[i - 1]`."""

    input: InputBlock
    blocks: tuple[Constraint, ...]
    outputs: tuple[Constraint, ...]

    def factors(self, block: int) -> tuple[Factor, ...]:
        """The factors of a block, outermost first."""
        return self.blocks[block - 1].factors if block else self.input.factors


def expand(draft: Draft) -> Network:
    """The constraints of a draft.

    Raises:
        UnsupportedModelError: saturation in two blocks is asked for where section 1.5 does not allow it, or a block
            has no terms left.
        EngineError: the draft contradicts itself.
    """
    blocks: list[Constraint] = []
    places = {0: 0}
    factors = [draft.input.factors]
    for number, block in enumerate(draft.blocks, 1):
        terms = _terms(block.name, block.factors, block.terms, factors, places)
        table = block.table
        if table.image_of is not None:
            table = replace(table, image_of=places[table.image_of])
        whole = Constraint(block.name, block.factors, terms, table, block.shift)
        blocks += [whole] if block.saturation is None else _pair(whole, block, len(blocks) + 1)
        places[number] = len(blocks)
        factors.append(block.factors)
    outputs = tuple(
        Constraint(one.name, one.factors, _terms(one.name, one.factors, one.terms, factors, places))
        for one in draft.outputs
    )
    return Network(draft.input, tuple(blocks), outputs)


def ranges(factors: Sequence[Factor]) -> list[Span]:
    """The bits of each factor in an index of the box."""
    first, spans = sum(factor.bits for factor in factors), []
    for factor in factors:
        first -= factor.bits
        spans.append(Span(first, factor.bits))
    return spans


def within(factors: Sequence[Factor], span: Span) -> tuple[Factor, Span]:
    """The factor that holds these bits, and the factor's own bits."""
    for factor, whole in zip(factors, ranges(factors), strict=True):
        if whole.first <= span.first and span.first + span.bits <= whole.first + whole.bits and whole.bits:
            return factor, whole
    raise broken("a block", "has an axis that no factor holds")


def valid_size(factors: Sequence[Factor], span: Span | None) -> int:
    """The number of values that these bits take in valid places: the rounded-up quotient, in the highest bits."""
    if span is None or not span.bits:
        return 1
    factor, whole = within(factors, span)
    if span.first + span.bits < whole.first + whole.bits:
        return 1 << span.bits
    return -(-factor.size >> (span.first - whole.first))


def weight_bits(term: Term, axis: Axis) -> int:
    """Bits of the axis's index of the weights."""
    if axis.weight is None:
        return 0
    if axis.kind is AxisKind.WALK:
        size: int = weights_of(term).shape[axis.weight]
        return (size - 1).bit_length()
    span = axis.o or axis.i
    return span.bits if span else 0


def weights_of(term: Term) -> NDArray[np.int64]:
    """The weights of a term of kind 1 or 3."""
    if term.weights is None:
        raise broken("a block", "has a term without weights that needs them")
    return term.weights


def boxed(tensor: NDArray[Any], bits: Sequence[int]) -> NDArray[Any]:
    """A tensor with each dimension filled up with zeros to a power of two."""
    box = np.zeros([1 << each for each in bits], tensor.dtype)
    box[tuple(slice(size) for size in tensor.shape)] = tensor
    return box


def broken(name: str, what: str) -> EngineError:
    """The error of a lowering that breaks its side of the interface."""
    return EngineError(f"The lowering of {name!r} {what}.", "This is an error of zkinfer: report it with the model.")


def _pair(whole: Constraint, block: Block, first: int) -> list[Constraint]:
    """The blocks A and B of section 1.5; A becomes block number `first` of the program."""
    d, table, shift = block.saturation or 0, block.table, block.shift
    if table.kind not in (TableKind.CLAMP_U, TableKind.CLAMP_S) or table.width == EXACT or table.image_of is not None:
        raise UnsupportedModelError(
            f"{block.name!r} cannot be saturated in two blocks: its table is no clamp of the recipe.",
            "Remove it from `saturate`.",
        )
    if not 1 <= d < table.width or shift + d > MAX_SHIFT:
        most = min(table.width - 1, MAX_SHIFT - shift)
        raise UnsupportedModelError(
            f"{block.name!r} cannot be saturated with d = {d}: b is {table.width} and the shift {shift}.",
            f"Choose d from 1 to {most}." if most > 0 else "Lower the exponent of its weights.",
        )
    excess = Table(TableKind.EXCESS, table.width - d + 1)
    axes = tuple(Axis(AxisKind.EQ, o=span, i=span) for span in ranges(whole.factors) if span.bits)
    rest = Term(first, axes, coefficient=-(1 << (shift + d)))
    return [
        replace(whole, table=excess, shift=shift + d),
        replace(whole, terms=(*whole.terms, rest), excess=d),
    ]


def _terms(
    name: str,
    factors: tuple[Factor, ...],
    terms: Iterable[Term],
    sources: Sequence[tuple[Factor, ...]],
    places: dict[int, int],
) -> tuple[Term, ...]:
    """The terms with axes cut at factors and sources renumbered; those with a coefficient of 0 are left out."""
    kept = []
    for term in terms:
        if term.kind == 2 and not term.coefficient:
            continue
        if term.source is not None and term.source not in places:
            raise broken(name, "reads a block that does not precede it")
        inner = sources[term.source] if term.source is not None else ()
        axes = tuple(part for axis in term.axes for part in _cut(axis, factors, inner) if _matters(term, part))
        source = None if term.source is None else places[term.source]
        kept.append(replace(term, axes=axes, source=source))
        _check(name, kept[-1], factors, inner)
    if not kept:
        raise UnsupportedModelError(
            f"Nothing is left of {name!r}: its constants are 0 at their scale.", "Raise the exponent of its weights."
        )
    if sum(factor.bits for factor in factors) > MAX_BOX_BITS:
        raise UnsupportedModelError(f"{name!r} takes more than 2^{MAX_BOX_BITS} cells.", "Make this layer smaller.")
    return tuple(kept)


def _cut(axis: Axis, factors: Sequence[Factor], inner: Sequence[Factor]) -> Iterator[Axis]:
    """The parts of an axis between the edges of factors; axes with weights, WALK and MASK have one part."""
    given = axis.o or axis.i
    unequal = axis.o is not None and axis.i is not None and axis.o.bits != axis.i.bits
    if axis.weight is not None or axis.kind in (AxisKind.WALK, AxisKind.MASK) or given is None or unequal:
        yield axis
        return
    edges = {0, given.bits}
    for span, held in ((axis.o, factors), (axis.i, inner)):
        if span is not None:
            edges |= {one.first - span.first for one in ranges(held) if 0 < one.first - span.first < span.bits}
    cuts = sorted(edges)
    for low, high in reversed(list(pairwise(cuts))):
        o, i = (None if span is None else Span(span.first + low, high - low) for span in (axis.o, axis.i))
        constant = axis.constant >> low & ((1 << (high - low)) - 1)
        yield replace(axis, o=o, i=i, constant=constant)


def _matters(term: Term, axis: Axis) -> bool:
    """Whether an axis is a condition at all: it has bits, or it is a WALK that never holds."""
    bits = any(span is not None and span.bits for span in (axis.o, axis.i)) or weight_bits(term, axis) > 0
    return bits or (axis.kind is AxisKind.WALK and axis.g != 0)


def _check(name: str, term: Term, factors: Sequence[Factor], inner: Sequence[Factor]) -> None:
    """Raise unless the term is well formed (W7)."""
    for axis in term.axes:
        _check_axis(name, term, axis)
        for span, held in ((axis.o, factors), (axis.i, inner)):
            if span is not None and span.bits:
                within(held, span)
    _check_weights(name, term)
    for which, held in (("o", factors), ("i", inner)):
        taken = [bit for axis in term.axes if (span := getattr(axis, which)) for bit in _bits(span)]
        box = sum(factor.bits for factor in held)
        if len(taken) != len(set(taken)) or (which == "i" and set(taken) != set(range(box))):
            raise broken(name, f"does not name each bit of {which} once")


def _bits(span: Span) -> range:
    return range(span.first, span.first + span.bits)


def _check_axis(name: str, term: Term, axis: Axis) -> None:
    given = [span.bits for span in (axis.o, axis.i) if span is not None]
    known = {
        AxisKind.EQ: len(given) + (axis.weight is not None) >= 2 and len(set(given)) == 1,
        AxisKind.MASK: axis.o is not None and axis.i is None and axis.weight is None and bool(axis.bound),
        AxisKind.FREE: axis.o is None and axis.i is not None and axis.weight is None,
        AxisKind.FIX: axis.o is None and axis.i is not None and axis.weight is None,
        AxisKind.WALK: term.source is not None,
    }
    if not known[axis.kind]:
        raise broken(name, f"has an axis {axis.kind.name} with ranges that it cannot have")
    if axis.kind is AxisKind.WALK:
        _check_walk(name, term, axis)


def _check_walk(name: str, term: Term, axis: Axis) -> None:
    size = 1 if axis.weight is None else weights_of(term).shape[axis.weight]
    if axis.k > _MAX_STRIDE_BITS or abs(axis.g) > _MAX_PADDING or size > _MAX_KERNEL:
        raise UnsupportedModelError(
            f"{name!r} has a stride above 16, or a padding or a kernel above 127.", "Use smaller ones."
        )
    if axis.g > 0 and size > 1:
        raise broken(name, "shifts a kernel forwards")


def _check_weights(name: str, term: Term) -> None:
    """Each dimension belongs to one axis, which has a place for each index; bias has no source to walk over."""
    named = [axis.weight for axis in term.axes if axis.weight is not None]
    if term.kind != 2 and term.coefficient != 1:
        raise broken(name, "has a factor beside its weights")
    if (term.kind == 2) != (term.weights is None) or (term.weights is None and named):
        raise broken(name, "has weights where its kind has none, or none where it needs them")
    if term.weights is None:
        return
    shape = term.weights.shape
    left = [size for dimension, size in enumerate(shape) if dimension not in named]
    if len(set(named)) != len(named) or any(size != 1 for size in left) or not term.weights.size:
        raise broken(name, "does not name each dimension of its weights once")
    for axis in term.axes:
        if axis.weight is not None and shape[axis.weight] > 1 << weight_bits(term, axis):
            raise broken(name, "has more weights along an axis than places")
