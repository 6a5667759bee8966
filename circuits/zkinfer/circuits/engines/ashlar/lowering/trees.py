"""Tree ensembles as three constraints: tests, indicators of leaves, and sums of their values (section 1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import Axis, AxisKind, Factor, Span
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend.ml import trees as shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.lowering.network import Network, Node
    from zkinfer.circuits.frontend.ml.trees import Forest

Steps = tuple[tuple[int, int], ...]
OPERATORS = frozenset({"TreeEnsemble", "TreeEnsembleRegressor"})
MAX_LEVEL_BITS = 20
_AVERAGE = (b"AVERAGE", 0)
_SUM = (b"SUM", 1)


@dataclass(frozen=True, slots=True)
class Test:
    """An inner node: its bit is [x > threshold] if `strict`, else [x >= threshold]."""

    feature: int
    threshold: Fraction
    strict: bool

    def least(self, scale: int, low: int, high: int) -> int:
        """The least integer that passes, at a scale, moved into `low` to `high` + 1.

        A threshold that is not strict is rounded to the nearest integer, as inputs are, so that an input that equals it
        passes; only halves, which lie between integers, are rounded up.
        """
        up, down = self.threshold.numerator << max(scale, 0), self.threshold.denominator << max(-scale, 0)
        least = up // down + 1 if self.strict else (2 * up + down) // (2 * down)
        return min(max(least, low), high + 1)


@dataclass(frozen=True, slots=True)
class Leaf:
    """The steps from the root, as inner node and bit, and the leaf's row of values."""

    steps: Steps
    row: int


@dataclass(frozen=True, slots=True)
class Tree:
    """Inner nodes and leaves in the order of the file; `paths` are the steps to each inner node."""

    tests: tuple[Test, ...]
    paths: tuple[tuple[int, ...], ...]
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class Ensemble:
    """Trees over a number of features; `values` are [leaves, scores], and `base` [scores], in float64."""

    trees: tuple[Tree, ...]
    features: int
    values: NDArray[np.float64]
    base: NDArray[np.float64] | None

    @cached_property
    def depth(self) -> int:
        """The largest depth, at least 1."""
        return max(1, *(len(leaf.steps) for tree in self.trees for leaf in tree.leaves))

    @property
    def scores(self) -> int:
        """The number of results."""
        return int(self.values.shape[1])

    @cached_property
    def by_levels(self) -> bool:
        """Whether indicators are computed level by level: the form with fewer weights, the dense one if equal."""
        trees = Factor(len(self.trees))
        if self.depth + trees.bits > MAX_LEVEL_BITS:
            return False
        count, features, scores = (1 << Factor(n).bits for n in (len(self.trees), self.features, self.scores))
        places = 1 << self.depth
        tests, leaves = (1 << Factor(size).bits for size in self.dense_sizes)
        dense = count * tests * (features + 1) + count * leaves * (tests + 1) + scores * count * leaves
        levels = count * places * (features + 1) + places + scores * count * places
        return levels < dense

    @cached_property
    def dense_sizes(self) -> tuple[int, int]:
        """The largest number of inner nodes of a tree, and of leaves."""
        tests = max(1, *(len(tree.tests) for tree in self.trees))
        return tests, max(1, *(len(tree.leaves) for tree in self.trees))

    @property
    def sizes(self) -> tuple[int, int]:
        """The places for inner nodes and for leaves in each tree."""
        return (1 << self.depth, 1 << self.depth) if self.by_levels else self.dense_sizes

    def test_places(self) -> Iterator[tuple[int, int, Test]]:
        """Tree, place and test of each inner node."""
        by_levels = self.by_levels
        for number, tree in enumerate(self.trees):
            for place, (test, path) in enumerate(zip(tree.tests, tree.paths, strict=True)):
                yield number, (1 << len(path)) + _joined(path) if by_levels else place, test

    def leaf_places(self) -> Iterator[tuple[int, int, Leaf]]:
        """Tree, place and leaf; in the form by levels, a path is followed by zeros."""
        by_levels, depth = self.by_levels, self.depth
        for number, tree in enumerate(self.trees):
            for place, leaf in enumerate(tree.leaves):
                path = [bit for _, bit in leaf.steps]
                yield number, _joined(path) << depth - len(path) if by_levels else place, leaf

    def selection(self) -> NDArray[np.int64]:
        """Which feature each inner node tests, [trees, places, features]."""
        result = np.zeros((len(self.trees), self.sizes[0], self.features), np.int64)
        for tree, place, test in self.test_places():
            result[tree, place, test.feature] = 1
        return result

    def thresholds(self, scales: Sequence[int], low: int, high: int) -> NDArray[np.int64]:
        """What the tests add to their feature, [trees, places], for inputs between these integers."""
        result = np.zeros((len(self.trees), self.sizes[0]), np.int64)
        for tree, place, test in self.test_places():
            result[tree, place] = 1 - test.least(scales[test.feature], low, high)
        return result

    def dense_steps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The signs of the bits on each leaf's path, [trees, leaves, nodes], and what is added, [trees, leaves]."""
        tests, leaves = self.dense_sizes
        signs = np.zeros((len(self.trees), leaves, tests), np.int64)
        added = np.zeros((len(self.trees), leaves), np.int64)
        for tree, place, leaf in self.leaf_places():
            added[tree, place] = 1 - sum(bit for _, bit in leaf.steps)
            for node, bit in leaf.steps:
                signs[tree, place, node] = 1 if bit else -1
        return signs, added

    def level_axes(self, trees: int, level: int) -> Iterator[tuple[int, tuple[Axis, ...]]]:
        """Coefficient and axes of the two terms of a level, inside each tree; `trees` are the bits of its number."""
        depth = self.depth
        axes = []
        if trees:
            axes.append(Axis(AxisKind.EQ, o=Span(depth, trees), i=Span(depth, trees)))
        if level:
            axes.append(Axis(AxisKind.EQ, o=Span(depth - level, level), i=Span(0, level)))
        axes.append(Axis(AxisKind.FIX, i=Span(level, depth - level), constant=1))
        yield 1, tuple(axes)
        yield -2, (*axes, Axis(AxisKind.MASK, o=Span(depth - level - 1, 1), bound=1))

    def leaf_values(self) -> NDArray[np.float64]:
        """The values of all leaves, [scores, trees, places]."""
        result = np.zeros((self.scores, len(self.trees), self.sizes[1]))
        for tree, place, leaf in self.leaf_places():
            result[:, tree, place] = self.values[leaf.row]
        return result


def read_ensemble(node: Node, network: Network) -> Ensemble:
    """The trees of a TreeEnsembleRegressor or TreeEnsemble.

    Raises:
        ModelError: the attributes do not describe trees.
        UnsupportedModelError: tests for equality, or an aggregate that is neither sum nor average.
    """
    given, shape = node.attributes, network.shapes[node.inputs[0]]
    flat = node.op == "TreeEnsemble"
    if given.get("post_transform", b"NONE") not in (b"NONE", 0):
        raise UnsupportedModelError(f"{node.label} transforms its scores.", "Normalise the model first.")
    count, features = int(given.get("n_targets", 1)), shape[-1]
    forest = (
        shared.read_flat_forest(given, count, features)
        if flat
        else shared.read_forest(given, "target", count, features)
    )
    if "Equal" in forest.comparisons:
        raise UnsupportedModelError(f"{node.label} tests for equality.", "Train without categorical features.")
    function = given.get("aggregate_function", 1 if flat else b"SUM")
    if function not in _AVERAGE + _SUM:
        raise UnsupportedModelError(
            f"{node.label} aggregates its trees by something else than sum or average.",
            "Use an ensemble that sums or averages its trees.",
        )
    values = forest.leaves.astype(np.float64)
    if function in _AVERAGE:
        values = values / len(forest.roots)
    base = shared.base_values(given, count).astype(np.float64) if _has_base(given) else None
    return Ensemble(tuple(_trees(forest)), features, values, base)


def _has_base(given: dict[str, object]) -> bool:
    return bool(given.get("base_values")) or "base_values_as_tensor" in given


def _trees(forest: Forest) -> Iterator[Tree]:
    for root in forest.roots.tolist():
        branches, leaves = list[tuple[int, int, Steps]](), list[tuple[int, int, int, Steps]]()
        todo: list[tuple[int, Steps]] = [(root, ())]
        while todo:
            number, steps = todo.pop()
            if number < 0:
                leaves.append((int(forest.leaf_positions[~number]), len(leaves), ~number, steps))
                continue
            branches.append((int(forest.branch_positions[number]), number, steps))
            holds, other = forest.children[number].tolist()
            greater = forest.comparisons[number] == "Greater"
            todo += [(other, (*steps, (number, 0 if greater else 1))), (holds, (*steps, (number, 1 if greater else 0)))]
        branches.sort()
        leaves.sort()
        places = {number: place for place, (_, number, _) in enumerate(branches)}
        yield Tree(
            tests=tuple(_test(forest, number) for _, number, _ in branches),
            paths=tuple(tuple(bit for _, bit in steps) for _, _, steps in branches),
            leaves=tuple(Leaf(tuple((places[inner], bit) for inner, bit in steps), row) for _, _, row, steps in leaves),
        )


def _test(forest: Forest, number: int) -> Test:
    threshold = Fraction(float(forest.thresholds[number]))
    return Test(int(forest.features[number]), threshold, strict=forest.comparisons[number] == "Greater")


def _joined(path: Sequence[int]) -> int:
    """Steps as a number, the first one as its highest bit."""
    number = 0
    for bit in path:
        number = 2 * number + bit
    return number
