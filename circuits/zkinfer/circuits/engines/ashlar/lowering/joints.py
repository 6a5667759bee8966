"""How layout operators change views and Concats, and who can read an average as a view (passes 5 and 8)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ashlar.draft import Span
from zkinfer.circuits.engines.ashlar.lowering.network import VIEWS
from zkinfer.circuits.engines.ashlar.lowering.views import Place, View, joined
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from zkinfer.circuits.engines.ashlar.lowering.network import Network, Node


@dataclass(frozen=True, slots=True)
class Joint:
    """A Concat: views side by side along one axis."""

    axis: int
    parts: tuple[View, ...]


def parts_along(source: View | Joint, axis: int, label: str) -> tuple[View, ...]:
    """The views that a sum over an axis reads."""
    if isinstance(source, View):
        return (source,)
    if source.axis != axis:
        raise UnsupportedModelError(
            f"{label} reads a Concat, but does not sum over its axis.", "Concatenate along the features or channels."
        )
    return source.parts


def viewed(node: Node, source: View | Joint, network: Network) -> View | Joint:
    """The result of a layout operator.

    Raises:
        UnsupportedModelError: a Reshape cuts a dimension at no power of two, or the parts of a Concat apart.
    """
    result = _viewed(node, source, network)
    if result is None:
        raise UnsupportedModelError(
            f"{node.label} changes the layout from {list(network.shapes[node.inputs[0]])} to "
            f"{list(network.shapes[node.output])}, which cuts a dimension at no power of two.",
            "Cut dimensions so that the inner part is a power of two, or leave this operator out.",
        )
    return result


def _viewed(node: Node, source: View | Joint, network: Network) -> View | Joint | None:
    shape = network.shapes[node.output]
    if node.op == "Transpose":
        order = [int(axis) for axis in node.attributes.get("perm", reversed(range(len(shape))))]
        if isinstance(source, View):
            return source.transposed(order)
        return Joint(order.index(source.axis), tuple(part.transposed(order) for part in source.parts))
    if isinstance(source, View):
        return source.reshaped(shape)
    return _reshaped(source, network.shapes[node.inputs[0]], shape)


def _reshaped(joint: Joint, old: tuple[int, ...], new: tuple[int, ...]) -> Joint | None:
    """A Concat whose axis becomes the outermost part of another."""
    before = math.prod(old[: joint.axis])
    for axis, size in enumerate(new):
        if math.prod(new[:axis]) != before or size % old[joint.axis]:
            continue
        inner = size // old[joint.axis]
        shapes = [(*new[:axis], part.shape[joint.axis] * inner, *new[axis + 1 :]) for part in joint.parts]
        parts = [part.reshaped(shape) for part, shape in zip(joint.parts, shapes, strict=True)]
        known = tuple(part for part in parts if part is not None)
        return Joint(axis, known) if len(known) == len(parts) else None
    return None


def pooled_view(source: View, logs: tuple[int, ...]) -> View | None:
    """A view whose readers sum over the low bits of the last axes; None where an axis is no single range of bits."""
    kept, dims, free = len(source.dims) - len(logs), list(source.dims), list(source.free)
    for axis, log in enumerate(logs, start=kept):
        place = joined(source.dims[axis])
        if place is None:
            return None
        high = Place(place.size >> log, place.first + log, place.bits - log)
        dims[axis] = (high,) if high.bits else ()
        free += [Span(place.first, log)] if log else []
    return replace(source, dims=tuple(dims), free=tuple(free), pooled=source.pooled + sum(logs))


def absorbed(value: str, view: View, source: View, logs: tuple[int, ...], network: Network) -> bool:
    """Whether every reader of an average, through views, sums over its places, or is a Conv over whole windows."""
    kept = len(source.dims) - len(logs)
    whole = all(size % (1 << log) == 0 for size, log in zip(source.shape[kept:], logs, strict=True))
    bits = {bit for dim in view.dims[kept:] for place in dim for bit in range(place.first, place.first + place.bits)}
    return _absorbed(value, view, frozenset(bits), network, whole=whole)


def _absorbed(value: str, view: View, bits: frozenset[int], network: Network, *, whole: bool) -> bool:
    readers = network.readers(value)
    if value in network.output_values or not readers:
        return False
    for reader in readers:
        if reader.op in VIEWS:
            moved = _viewed(reader, view, network)
            taken = isinstance(moved, View) and _absorbed(reader.output, moved, bits, network, whole=whole)
        elif reader.linear is None:
            taken = False
        elif reader.linear.windows:
            taken = whole
        else:
            others = (dim for axis, dim in enumerate(view.dims) if axis != reader.linear.summed)
            taken = not any(
                place.first <= bit < place.first + place.bits for dim in others for place in dim for bit in bits
            )
        if not taken:
            return False
    return True
