"""The parts of Add, Sub, Sum and Neg, and of products with constants (section 1.6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.lowering.axes import Axes, broadcast, copied_axes, padded, unreadable
from zkinfer.circuits.engines.ashlar.lowering.network import varying
from zkinfer.circuits.engines.ashlar.lowering.operators import ConvMaker, MatrixMaker, ordered_for
from zkinfer.circuits.engines.ashlar.lowering.plan import (
    Constant,
    Copied,
    Part,
    Reading,
    Scaled,
    Weighted,
    WeightedPart,
)
from zkinfer.circuits.engines.ashlar.lowering.refusals import refuse_product
from zkinfer.circuits.engines.ashlar.lowering.views import Dim, View, refined, size_of
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.lowering.network import Network, Node

    Floats = NDArray[np.float64]
    Dims = tuple[Dim, ...]


@dataclass(slots=True)
class SumMaker:
    """Add, Sub, Sum and Neg: makers merged into it, views and constants, each with its sign, in the order of inputs."""

    label: str
    dims: tuple[tuple[int, ...], ...]
    operands: tuple[tuple[MatrixMaker | ConvMaker | View | NDArray[np.float64], int], ...]

    def parts(self, o: Dims) -> tuple[Part, ...]:
        """One part for each operand."""
        return tuple(part for operand, sign in self.operands for part in self._parts(operand, sign, o))

    def _parts(
        self, operand: MatrixMaker | ConvMaker | View | NDArray[np.float64], sign: int, o: Dims
    ) -> Iterator[Part]:
        if isinstance(operand, View):
            yield Copied(Reading(operand.block, operand.pooled), copied_axes(o, operand, self.label), sign)
        elif isinstance(operand, np.ndarray):
            yield Constant(broadcast(operand, o, self.label), sign)
        else:
            yield from replace(operand, sign=sign).parts(ordered_for(operand, o))


@dataclass(slots=True)
class ProductMaker:
    """Mul or Div by a constant."""

    label: str
    key: str
    dims: tuple[tuple[int, ...], ...]
    source: View
    values: Floats
    divides: bool

    def parts(self, o: Dims) -> tuple[Part, ...]:
        """A factor for all, or weights along the dimensions in which it varies."""
        reading = Reading(self.source.block, self.source.pooled)
        values = varying(self.values, len(o))
        if values is None:
            raise unreadable(self.label)
        if values.size == 1:
            number = Fraction(float(values.reshape(())))
            factor = 1 / number if self.divides else number
            return (Scaled(self.key, reading, copied_axes(o, self.source, self.label), factor),)
        axes = Axes(self.label)
        for mine, theirs, size in zip(o, padded(self.source, len(o)), values.shape, strict=True):
            if size_of(theirs) == 1 and size > 1:
                axes.block(mine)
            elif size_of(theirs) > 1:
                axes.copy(mine, theirs, weighted=size > 1)
        with np.errstate(divide="ignore"):
            weights = 1 / values if self.divides else values
        flat = weights.reshape(-1, 1)
        return (Weighted(self.key, (WeightedPart(reading, tuple(axes.found), flat, tuple(axes.sizes)),)),)


def common_factors(node: Node, views: Sequence[View], network: Network) -> tuple[tuple[int, ...], ...]:
    """The factors to which all operands of full size along a dimension can be cut.

    Raises:
        UnsupportedModelError: there are none.
    """
    shape, dims = network.shapes[node.output], []
    for axis, size in enumerate(shape):
        full = [dim for view in views if size_of(dim := padded(view, len(shape))[axis]) == size > 1]
        found = refined(full) if full else (size,)
        if found is None:
            raise unreadable(node.label)
        dims.append(found)
    return tuple(dims)


def product_maker(node: Node, source: View, network: Network) -> ProductMaker:
    """Mul or Div by a constant.

    Raises:
        UnsupportedModelError: both operands are computed, or the divisor is, or has a 0.
    """
    constants = [at for at, name in enumerate(node.inputs) if name in network.constants]
    if len(constants) != 1 or (node.op == "Div" and constants == [0]):
        raise refuse_product(node)
    values = network.constants[node.inputs[constants[0]]].astype(np.float64)
    if node.op == "Div" and not values.all():
        raise UnsupportedModelError(f"{node.label} divides by 0.", "Export the model again.")
    rank = len(network.shapes[node.output])
    dims = [
        tuple(place.size for place in dim) if size_of(dim) == size else (size,)
        for dim, size in zip(padded(source, rank), network.shapes[node.output], strict=True)
    ]
    return ProductMaker(node.label, node.output, tuple(dims), source, values, node.op == "Div")
