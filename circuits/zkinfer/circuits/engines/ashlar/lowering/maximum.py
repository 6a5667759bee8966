"""MaxPool by pairs: max(u, v) = v + relu(u - v), one bit of one axis at a time (section 1.6)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ashlar.draft import Axis, AxisKind, Span
from zkinfer.circuits.engines.ashlar.lowering.axes import Axes, unreadable
from zkinfer.circuits.engines.ashlar.lowering.plan import Copied, PlannedBlock, Reading
from zkinfer.circuits.engines.ashlar.lowering.views import Dim, Place, View, joined, natural, sizes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.engines.ashlar.lowering.network import Node


@dataclass(frozen=True, slots=True)
class _Summand:
    """A view that the maximum so far is a sum of: bits at fixed values, and how the other bits relate to the block."""

    block: str
    dims: tuple[Dim, ...]
    fixed: tuple[Axis, ...] = ()
    walked: frozenset[int] = frozenset()

    def at(self, axis: int, value: int, *, odd: bool, o: tuple[Dim, ...], label: str) -> _Summand:
        """The even (0) or odd (1) places along an axis."""
        place = joined(self.dims[axis])
        if place is None:
            raise unreadable(label)
        high = Place(place.size // 2, place.first + 1, place.bits - 1)
        mine = joined(o[axis])
        walks = odd or mine is None or mine.bits != high.bits
        return replace(
            self,
            dims=tuple(((high,) if high.bits else ()) if at == axis else dim for at, dim in enumerate(self.dims)),
            fixed=(*self.fixed, Axis(AxisKind.FIX, i=Span(place.first, 1), constant=value)),
            walked=self.walked | {axis} if walks else self.walked - {axis},
        )

    def term(self, o: tuple[Dim, ...], coefficient: int, label: str) -> Copied:
        """The view as a term of a block."""
        axes = Axes(label)
        axes.found += self.fixed
        for axis, (mine, theirs) in enumerate(zip(o, self.dims, strict=True)):
            if axis in self.walked:
                spans = [place.span if (place := joined(dim)) is not None else None for dim in (mine, theirs)]
                axes.found.append(Axis(AxisKind.WALK, spans[0], spans[1]))
            else:
                axes.copy(mine, theirs)
        return Copied(Reading(self.block), tuple(axes.found), coefficient)


def blocks_of(node: Node, name: str, source: View, logs: tuple[int, ...]) -> Iterator[PlannedBlock]:
    """The blocks of a MaxPool, the last one without an activation; `name` is that of its value."""
    parts = [_Summand(source.block, source.dims)]
    sizes = [list(dim) for dim in sizes_of(source.dims)]
    steps = [axis for axis, log in enumerate(logs, start=len(source.dims) - len(logs)) for _ in range(log)]
    for number, axis in enumerate(steps, start=1):
        size = math.prod(sizes[axis])
        sizes[axis] = [size // 2]
        view = natural(f"{name}[{number}]", sizes)
        even, odd = (
            [one.at(axis, value, odd=bool(size % 2), o=view.dims, label=node.label) for one in parts]
            for value in (0, 1)
        )
        terms = [one.term(view.dims, sign, node.label) for half, sign in ((even, 1), (odd, -1)) for one in half]
        yield PlannedBlock(view.block, view.block, view.factors, tuple(terms), given="difference", source=source.block)
        parts = [_Summand(view.block, view.dims), *odd]
    view = natural(name, sizes)
    terms = [one.term(view.dims, 1, node.label) for one in parts]
    yield PlannedBlock(name, node.output, view.factors, tuple(terms), given="maximum", source=source.block)


def last_dims(source: View, logs: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The factors of the last block."""
    kept = len(source.dims) - len(logs)
    spatial = zip(source.dims[kept:], source.shape[kept:], logs, strict=True)
    return [
        *sizes_of(source.dims[:kept]),
        *((size >> log,) if log else sizes_of([dim])[0] for dim, size, log in spatial),
    ]
