"""Axes of a term, from the places of its block and of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import Axis, AxisKind, Span
from zkinfer.circuits.engines.ashlar.lowering.network import varying
from zkinfer.circuits.engines.ashlar.lowering.plan import Bias
from zkinfer.circuits.engines.ashlar.lowering.views import Dim, View, aligned, joined, size_of
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.lowering.linear import Window

    Floats = NDArray[np.float64]
    Dims = tuple[Dim, ...]

_LAYOUT = "Change the layout before this node, for instance to channel counts that are multiples of a power of two."


class Axes:
    """Axes of a term under construction, and the sizes of its weights' dimensions."""

    def __init__(self, label: str) -> None:
        self.found: list[Axis] = []
        self.sizes: list[int] = []
        self._label = label

    def copy(self, o: Dim, i: Dim, *, weighted: bool = False) -> None:
        """Places of the block that are those of the source; `weighted` if weights vary along them."""
        pairs = aligned(o, i)
        if pairs is None or any(mine.bits != theirs.bits for mine, theirs in pairs):
            raise unreadable(self._label)
        for mine, theirs in pairs:
            self._equal(mine.span, theirs.span, mine.size if weighted else None)

    def block(self, dim: Dim) -> range:
        """Places of the block that weights vary along; returns the weights' dimensions."""
        start = len(self.sizes)
        for place in dim:
            self._equal(place.span, None, place.size)
        return range(start, len(self.sizes))

    def source(self, dim: Dim) -> range:
        """Places of the source that are summed over with weights; returns the weights' dimensions."""
        start = len(self.sizes)
        for place in dim:
            self._equal(None, place.span, place.size)
        return range(start, len(self.sizes))

    def walk(self, o: Dim, i: Dim, window: Window) -> None:
        """Places of a convolution along one axis."""
        mine, theirs = joined(o), joined(i)
        if mine is None or theirs is None:
            raise unreadable(self._label)
        self.sizes.append(window.kernel)
        self.found.append(
            Axis(AxisKind.WALK, mine.span, theirs.span, len(self.sizes) - 1, k=window.log_stride, g=-window.pad)
        )

    def free(self, spans: Iterable[Span]) -> None:
        """Bits of the source that are summed over."""
        self.found += [Axis(AxisKind.FREE, i=span) for span in spans if span.bits]

    def _equal(self, o: Span | None, i: Span | None, size: int | None) -> None:
        if o is None and i is None:
            return
        if size is None:
            self.found.append(Axis(AxisKind.EQ, o, i))
            return
        self.sizes.append(size)
        self.found.append(Axis(AxisKind.EQ, o, i, weight=len(self.sizes) - 1))


def unreadable(label: str) -> UnsupportedModelError:
    """The refusal of a layout that cannot be read as it lies."""
    return UnsupportedModelError(
        f"{label} cannot read its operand through the Reshape or Transpose before it.", _LAYOUT
    )


def padded(view: View, rank: int) -> Dims:
    """The view's dimensions with leading ones of size 1."""
    return ((),) * (rank - len(view.dims)) + view.dims


def copied_axes(o: Dims, view: View, label: str) -> tuple[Axis, ...]:
    """A broadcast operand: it fills the dimensions that it has no places in."""
    axes = Axes(label)
    for mine, theirs in zip(o, padded(view, len(o)), strict=True):
        if size_of(theirs) > 1:
            axes.copy(mine, theirs)
    axes.free(view.free)
    return tuple(axes.found)


def broadcast(array: Floats, o: Dims, label: str) -> Bias:
    """A constant operand: weights along the dimensions in which it varies."""
    values = varying(array, len(o))
    if values is None:
        raise unreadable(label)
    axes = Axes(label)
    for dim, size in zip(o, values.shape, strict=True):
        if size > 1:
            axes.block(dim)
    return Bias(tuple(axes.found), values.reshape(axes.sizes).astype(np.float64))
