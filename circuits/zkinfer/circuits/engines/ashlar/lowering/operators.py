"""The parts of Gemm, MatMul and Conv, for any arrangement of the block's bits (section 1.6).

A *maker* knows the factors of its block, and writes its parts for given places of these factors: those of a block of
its own, of the Add that it is merged into, or of an output behind views.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.lowering.axes import Axes, unreadable
from zkinfer.circuits.engines.ashlar.lowering.joints import Joint, parts_along
from zkinfer.circuits.engines.ashlar.lowering.network import varying
from zkinfer.circuits.engines.ashlar.lowering.plan import Bias, Part, Reading, Weighted, WeightedPart
from zkinfer.circuits.engines.ashlar.lowering.views import Dim, View, natural, size_of, sizes_of, split
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.lowering.linear import Linear

    Floats = NDArray[np.float64]
    Dims = tuple[Dim, ...]


@dataclass(slots=True)
class MatrixMaker:
    """A Gemm or MatMul by a constant."""

    label: str
    key: str
    linear: Linear
    source: View | Joint
    sign: int = 1

    @property
    def dims(self) -> tuple[tuple[int, ...], ...]:
        """The factors of the block: the source's leading dimensions, then the features."""
        leading = sizes_of(self._leading(self._views[0]))
        return (*leading, (len(self.linear.weights),))

    def parts(self, o: Dims) -> tuple[Part, ...]:
        """One term for each part of a Concat, and the bias."""
        start, terms = 0, []
        for view in self._views:
            summed = view.dims[self.linear.summed]
            end = start + size_of(summed)
            terms.append(self._term(o, view, summed, self.linear.weights[:, start:end]))
            start = end
        offsets = None if self.linear.offsets is None else tuple(self.linear.offsets)
        bias = self._bias(o)
        return (Weighted(self.key, tuple(terms), bias, self.sign, offsets, tiles=True),)

    @property
    def _views(self) -> tuple[View, ...]:
        return parts_along(self.source, self.linear.summed, self.label)

    def _leading(self, view: View) -> Dims:
        return tuple(dim for axis, dim in enumerate(view.dims) if axis != self.linear.summed)

    def _term(self, o: Dims, view: View, summed: Dim, weights: Floats) -> WeightedPart:
        axes = Axes(self.label)
        for mine, theirs in zip(o[:-1], self._leading(view), strict=True):
            axes.copy(mine, theirs)
        outer, inner = axes.block(o[-1]), axes.source(summed)
        axes.free(view.free)
        return WeightedPart(
            Reading(view.block, view.pooled),
            tuple(axes.found),
            weights,
            tuple(axes.sizes),
            summed=tuple(place.span for place in summed if place.span),
            inner=frozenset(inner),
            outer=frozenset(outer),
        )

    def _bias(self, o: Dims) -> Bias | None:
        """Along the features, and along leading dimensions in which it varies."""
        if self.linear.bias is None and self.linear.offsets is None:
            return None
        bias = np.zeros(1) if self.linear.bias is None else self.linear.bias
        values, axes = varying(bias, len(o)), Axes(self.label)
        if values is None:
            raise unreadable(self.label)
        for dim, size in zip(o[:-1], values.shape[:-1], strict=True):
            if size > 1:
                axes.block(dim)
        leading = tuple(axes.sizes)
        axes.block(o[-1])
        full = np.broadcast_to(values, (*values.shape[:-1], len(self.linear.weights)))
        return Bias(tuple(axes.found), full.reshape(leading + tuple(axes.sizes[len(leading) :])))


@dataclass(slots=True)
class ConvMaker:
    """A Conv, or an average over windows as a depthwise one with one exact weight."""

    label: str
    key: str
    linear: Linear
    source: View | Joint
    out: tuple[int, ...]
    sign: int = 1
    exact: Fraction | None = None

    @property
    def dims(self) -> tuple[tuple[int, ...], ...]:
        """The factors of the block: batch, channels as (group, channel in group), places."""
        view, groups = self._views[0], self.linear.groups
        channels = (groups, len(self.linear.weights) // groups)
        kept = tuple(size for size in channels if size > 1)
        return (tuple(place.size for place in view.dims[0]), kept, *((size,) for size in self.out))

    def parts(self, o: Dims) -> tuple[Part, ...]:
        """One term for each part of a Concat, and the bias."""
        linear, start, terms = self.linear, 0, []
        channels = split(o[1], (linear.groups, len(linear.weights) // linear.groups))
        if channels is None:
            raise unreadable(self.label)
        for view in self._views:
            end = start + size_of(view.dims[1]) // linear.groups
            terms.append(self._term(o, channels, view, linear.weights[:, start:end]))
            start = end
        bias = None
        if linear.bias is not None:
            axes = Axes(self.label)
            axes.block((*channels[0], *channels[1]))
            bias = Bias(tuple(axes.found), linear.bias.reshape(axes.sizes))
        return (Weighted(self.key, tuple(terms), bias, self.sign, tiles=self.exact is None),)

    @property
    def _views(self) -> tuple[View, ...]:
        if isinstance(self.source, Joint) and self.linear.groups > 1:
            raise UnsupportedModelError(f"{self.label} reads a Concat in groups.", "Use a Conv with one group.")
        return parts_along(self.source, 1, self.label)

    def _term(self, o: Dims, channels: list[Dim], view: View, weights: Floats) -> WeightedPart:
        groups = self.linear.groups
        theirs = split(view.dims[1], (groups, size_of(view.dims[1]) // groups))
        if theirs is None:
            raise UnsupportedModelError(
                f"{self.label} has {groups} groups, but its operand's channels cannot be cut into that many.",
                "Use channels in each group, or groups before it, in a number that is a power of two.",
            )
        axes = Axes(self.label)
        axes.copy(o[0], view.dims[0])
        axes.copy(channels[0], theirs[0], weighted=True)
        outer, inner = axes.block(channels[1]), axes.source(theirs[1])
        for mine, place, window in zip(o[2:], view.dims[2:], self.linear.windows, strict=True):
            axes.walk(mine, place, window)
        axes.free(view.free)
        return WeightedPart(
            Reading(view.block, view.pooled),
            tuple(axes.found),
            weights,
            tuple(axes.sizes),
            exact=self.exact,
            inner=frozenset(inner),
            outer=frozenset(outer),
        )


def ordered_for(maker: MatrixMaker | ConvMaker, o: Sequence[Dim]) -> Dims:
    """Places of a result's dimensions as those of the maker's block."""
    if isinstance(maker, ConvMaker):
        return tuple(o)
    order, places = maker.linear.order, [*o, *([] if maker.linear.features else [()])]
    return tuple(places[order.index(axis)] for axis in range(len(order)))


def result_of(maker: MatrixMaker | ConvMaker, block: View) -> View:
    """A maker's block as its result: dimensions in the order of the operator."""
    if isinstance(maker, ConvMaker):
        return block
    order = maker.linear.order
    return block.transposed(order if maker.linear.features else order[:-1])


def shown(maker: MatrixMaker | ConvMaker) -> View:
    """A maker's result, as if it had a block of its own."""
    return result_of(maker, natural("", maker.dims))
