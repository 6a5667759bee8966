"""Averages over windows and maps, and who may pool how (section 1.6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import Axis, AxisKind, Span
from zkinfer.circuits.engines.ashlar.lowering.axes import Axes, unreadable
from zkinfer.circuits.engines.ashlar.lowering.linear import Linear
from zkinfer.circuits.engines.ashlar.lowering.operators import ConvMaker
from zkinfer.circuits.engines.ashlar.lowering.plan import Copied, Part, Reading, Scaled
from zkinfer.circuits.engines.ashlar.lowering.views import Dim, Place, View, joined, size_of, sizes_of
from zkinfer.circuits.engines.ashlar.lowering.weights import begins, windows_of
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from zkinfer.circuits.engines.ashlar.lowering.network import Network, Node

    Dims = tuple[Dim, ...]

_POOL = "Use windows and strides of the same power of two, without padding, a Conv with a stride, or the engine ezkl."


def kernel_of(node: Node) -> tuple[int, ...]:
    """The sides of a pool's window."""
    return tuple(int(one) for one in node.attributes.get("kernel_shape", ()))


def logs_of(node: Node, network: Network) -> tuple[int, ...] | None:
    """The p of each axis whose window and stride are 2^p, without padding; None if the pool is no such one.

    A global pool has no window, and is always a block.
    """
    if node.op == "GlobalAveragePool":
        return None
    sizes, kernel = network.shapes[node.inputs[0]][2:], kernel_of(node)
    strides = [int(one) for one in node.attributes.get("strides", [1] * len(kernel))]
    plain = list(kernel) == strides and all(side & (side - 1) == 0 for side in kernel)
    if not plain or has_padding(node, sizes, kernel, strides) or rounds_up(node, network):
        return None
    return tuple(side.bit_length() - 1 for side in kernel)


def has_padding(node: Node, sizes: tuple[int, ...], kernel: tuple[int, ...], strides: list[int]) -> bool:
    """Whether a pool pads its input at all."""
    if node.attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        return any(
            (-(-size // stride) - 1) * stride + side > size
            for size, side, stride in zip(sizes, kernel, strides, strict=True)
        )
    return any(begins(node, sizes, kernel, strides)) or any(node.attributes.get("pads", ()))


def rounds_up(node: Node, network: Network) -> bool:
    """Whether the pool has windows that are not whole, by `ceil_mode`."""
    if not node.attributes.get("ceil_mode", 0):
        return False
    sizes, out, kernel = network.shapes[node.inputs[0]][2:], network.shapes[node.output][2:], kernel_of(node)
    strides = node.attributes.get("strides", [1] * len(kernel))
    return any(
        (count - 1) * stride + side > size
        for size, count, side, stride in zip(sizes, out, kernel, strides, strict=True)
    )


def refuse_pool(node: Node, why: str) -> UnsupportedModelError:
    """The refusal of a pool."""
    return UnsupportedModelError(f"{node.label} {why}.", _POOL)


@dataclass(slots=True)
class PoolMaker:
    """An average over windows of 2^p places (`logs`), or over whole maps (`logs` None), or a copy (`logs` empty)."""

    label: str
    key: str
    source: View
    out: tuple[int, ...]
    logs: tuple[int, ...] | None

    @property
    def dims(self) -> tuple[tuple[int, ...], ...]:
        """Batch and channels are the source's."""
        kept = len(self.source.dims) - len(self.out)
        return (*sizes_of(self.source.dims[:kept]), *((size,) for size in self.out))

    def parts(self, o: Dims) -> tuple[Part, ...]:
        """Sums; windows whose places are a power of two need no factor."""
        view, kept = self.source, len(self.source.dims) - len(self.out)
        axes = Axes(self.label)
        for mine, theirs in zip(o[:kept], view.dims[:kept], strict=True):
            axes.copy(mine, theirs)
        spatial = view.dims[kept:]
        places = math.prod(size_of(dim) for dim in spatial)
        if self.logs is None:
            axes.free(place.span for dim in spatial for place in dim if place.span)
        else:
            for mine, dim, log in zip(o[kept:], spatial, self.logs, strict=True):
                axes.found += windowed(mine, dim, log, self.label)
        axes.free(view.free)
        if self.logs is None and places & (places - 1):
            return (Scaled(self.key, Reading(view.block, view.pooled), tuple(axes.found), Fraction(1, places)),)
        added = places.bit_length() - 1 if self.logs is None else sum(self.logs)
        return (Copied(Reading(view.block, view.pooled + added), tuple(axes.found)),)


def windowed(o: Dim, i: Dim, log: int, label: str) -> list[Axis]:
    """The axes of sums over windows of 2^log places; a remainder is left out by a WALK, which has a bound."""
    mine, theirs = joined(o), joined(i)
    if mine is None or theirs is None:
        raise unreadable(label)
    axes = [Axis(AxisKind.FREE, i=Span(theirs.first, log))] if log else []
    high = Place(theirs.size >> log, theirs.first + log, theirs.bits - log)
    exact = theirs.size == high.size << log and high.bits == mine.bits
    if mine.bits or high.bits:
        axes.append(Axis(AxisKind.EQ if exact else AxisKind.WALK, mine.span, high.span))
    return axes


def average_maker(node: Node, source: View, network: Network) -> PoolMaker | ConvMaker:
    """An AveragePool or GlobalAveragePool that has a block of its own.

    Raises:
        UnsupportedModelError: its windows differ in size.
    """
    out = network.shapes[node.output][2:]
    if node.op == "GlobalAveragePool":
        return PoolMaker(node.label, node.output, source, out, None)
    logs, sizes, kernel = logs_of(node, network), source.shape[2:], kernel_of(node)
    if logs is not None:
        return PoolMaker(node.label, node.output, source, out, logs)
    strides = [int(one) for one in node.attributes.get("strides", [1] * len(kernel))]
    if has_padding(node, sizes, kernel, strides) and not node.attributes.get("count_include_pad", 0):
        raise refuse_pool(node, "averages over windows of unlike size, since it leaves its padding out")
    if rounds_up(node, network):
        raise refuse_pool(node, "has windows that are cut off, by ceil_mode")
    weights = np.ones((source.shape[1], 1, *kernel))
    linear = Linear(weights, None, 1, groups=source.shape[1], windows=windows_of(node, sizes, kernel))
    return ConvMaker(node.label, node.output, linear, source, out, exact=Fraction(1, math.prod(kernel)))
