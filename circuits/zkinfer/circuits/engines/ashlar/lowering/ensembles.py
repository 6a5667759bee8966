"""The blocks of a tree ensemble: tests, then indicators of leaves; what follows sums the leaves' values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import Factor
from zkinfer.circuits.engines.ashlar.lowering.axes import Axes
from zkinfer.circuits.engines.ashlar.lowering.plan import (
    Bias,
    Exact,
    Part,
    PlannedBlock,
    Reading,
    Thresholds,
    Weighted,
    WeightedPart,
)
from zkinfer.circuits.engines.ashlar.lowering.views import Dim, View, natural, sizes_of
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.engines.ashlar.lowering.network import Node
    from zkinfer.circuits.engines.ashlar.lowering.trees import Ensemble


@dataclass(slots=True)
class LeafMaker:
    """Leaf values times indicators, plus the base values."""

    label: str
    key: str
    ensemble: Ensemble
    source: View

    @property
    def dims(self) -> tuple[tuple[int, ...], ...]:
        """Leading dimensions of the features, then the scores."""
        return (*sizes_of(self.source.dims[:-2]), (self.ensemble.scores,))

    def parts(self, o: tuple[Dim, ...]) -> tuple[Part, ...]:
        """One term and, if there are base values, a bias."""
        axes, ensemble = Axes(self.label), self.ensemble
        for mine, theirs in zip(o[:-1], self.source.dims[:-2], strict=True):
            axes.copy(mine, theirs)
        axes.block(o[-1])
        axes.source((*self.source.dims[-2], *self.source.dims[-1]))
        values = ensemble.leaf_values().reshape(ensemble.scores, -1)
        part = WeightedPart(Reading(self.source.block), tuple(axes.found), values, tuple(axes.sizes))
        bias = None
        if ensemble.base is not None:
            scores = Axes(self.label)
            scores.block(o[-1])
            bias = Bias(tuple(scores.found), ensemble.base.reshape(scores.sizes))
        return (Weighted(self.key, (part,), bias),)


def blocks_of(node: Node, ensemble: Ensemble, source: View) -> tuple[list[PlannedBlock], LeafMaker]:
    """The blocks of tests and of indicators, and the maker of the sums.

    Raises:
        UnsupportedModelError: the features are an average that is not stored.
    """
    if source.free or source.pooled:
        raise UnsupportedModelError(f"{node.label} reads an average that is not stored.", "Use a Gemm before it.")
    leading = sizes_of(source.dims[:-1])
    tests = natural(f"{node.output}[tests]", [*leading, (len(ensemble.trees),), (ensemble.sizes[0],)])
    leaves = natural(f"{node.output}[leaves]", [*leading, (len(ensemble.trees),), (ensemble.sizes[1],)])
    first = tuple(_tests(node.label, ensemble, source, tests))
    second = tuple(
        _levels(ensemble, tests, leaves) if ensemble.by_levels else _dense(node.label, ensemble, tests, leaves)
    )
    blocks = [
        PlannedBlock(view.block, view.block, view.factors, parts, given="bit", source=source.block)
        for view, parts in ((tests, first), (leaves, second))
    ]
    return blocks, LeafMaker(node.label, node.output, ensemble, leaves)


def _tests(label: str, ensemble: Ensemble, source: View, view: View) -> Iterator[Part]:
    """Each inner node's feature, less its threshold."""
    axes = Axes(label)
    for mine, theirs in zip(view.dims[:-2], source.dims[:-1], strict=True):
        axes.copy(mine, theirs)
    axes.block((*view.dims[-2], *view.dims[-1]))
    axes.source(source.dims[-1])
    yield Exact(source.block, tuple(axes.found), weights=ensemble.selection().reshape(axes.sizes))
    bias = Axes(label)
    bias.block((*view.dims[-2], *view.dims[-1]))
    yield Thresholds(source.block, tuple(bias.found), tuple(bias.sizes), ensemble)


def _dense(label: str, ensemble: Ensemble, tests: View, leaves: View) -> Iterator[Part]:
    """The satisfied tests on each leaf's path, less all but one of them."""
    signs, added = ensemble.dense_steps()
    axes = Axes(label)
    for mine, theirs in zip(leaves.dims[:-2], tests.dims[:-2], strict=True):
        axes.copy(mine, theirs)
    axes.copy(leaves.dims[-2], tests.dims[-2], weighted=True)
    axes.block(leaves.dims[-1])
    axes.source(tests.dims[-1])
    yield Exact(tests.block, tuple(axes.found), weights=signs.reshape(axes.sizes))
    bias = Axes(label)
    bias.block((*leaves.dims[-2], *leaves.dims[-1]))
    yield Exact(None, tuple(bias.found), weights=added.reshape(bias.sizes))


def _levels(ensemble: Ensemble, tests: View, leaves: View) -> Iterator[Part]:
    """The same, one level of the trees after the other."""
    leading = Axes("a tree ensemble")
    for mine, theirs in zip(leaves.dims[:-2], tests.dims[:-2], strict=True):
        leading.copy(mine, theirs)
    for level in range(ensemble.depth):
        for coefficient, axes in ensemble.level_axes(Factor(len(ensemble.trees)).bits, level):
            yield Exact(tests.block, (*leading.found, *axes), coefficient)
    places = Axes("a tree ensemble")
    places.block(leaves.dims[-1])
    ones = [1 - place.bit_count() for place in range(1 << ensemble.depth)]
    yield Exact(None, tuple(places.found), weights=np.array(ones, np.int64))
