"""Read tree ensembles from attributes of ONNX operators and check that they are trees. Imported in the child only.

The attributes are untrusted: nodes may form cycles or name children that do not exist. The result is a finite forest
in which every node is reached exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from zkinfer.circuits.errors import ModelError, ModelTooLargeError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Attributes = Mapping[str, Any]

MAX_TREE_NODES = 1 << 17
MAX_DEPTH = 64
MAX_WEIGHTS = 1 << 22
_EXPORT = "Export the model again."
# Each test as a supported comparison, and whether its result is negated. This holds for all values but NaN, which
# never reaches a circuit: quantisation rejects it.
_TESTS = {
    "BRANCH_LEQ": ("Greater", True),
    "BRANCH_LT": ("Less", False),
    "BRANCH_GTE": ("Less", True),
    "BRANCH_GT": ("Greater", False),
    "BRANCH_EQ": ("Equal", False),
    "BRANCH_NEQ": ("Equal", True),
}
_NUMBERED = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees as arrays over their branches.

    Branch b continues at `children[b, 0]` if `comparisons[b]`(x[features[b]], thresholds[b]) holds, else at
    `children[b, 1]`. A negative child or root is a leaf: row `~child` of `leaves`, with one column per score. The
    positions order branches and leaves as the file lists them.
    """

    features: NDArray[np.int64]
    thresholds: NDArray[np.float32]
    comparisons: tuple[str, ...]
    children: NDArray[np.int64]
    roots: NDArray[np.int64]
    leaves: NDArray[np.float32]
    branch_positions: NDArray[np.int64]
    leaf_positions: NDArray[np.int64]


def read_forest(given: Attributes, weights: str, scores: int, features: int) -> Forest:
    """The forest of a TreeEnsembleClassifier or TreeEnsembleRegressor.

    Args:
        given: the operator's attributes.
        weights: the prefix of the leaf attributes, `class` or `target`.
        scores: the number of scores.
        features: the number of columns of the input.

    Raises:
        ModelError: the attributes do not describe a forest.
        ModelTooLargeError: too many nodes, or trees too deep.
        UnsupportedModelError: a kind of test is not supported.
    """
    nodes = _Nodes(given)
    order = nodes.walked()
    branches, leaves = ([index for index in order if nodes.is_leaf(index) is leaf] for leaf in (False, True))
    number = {index: row for row, index in enumerate(branches)} | {index: ~row for row, index in enumerate(leaves)}
    tests = [_test(nodes.modes[index]) for index in branches]
    pairs = [nodes.children(index)[::-1] if swapped else nodes.children(index) for index, (_, swapped) in
             zip(branches, tests, strict=True)]  # fmt: skip
    return _checked(
        Forest(
            features=np.array([nodes.features[index] for index in branches], dtype=np.int64),
            thresholds=nodes.values[branches],
            comparisons=tuple(comparison for comparison, _ in tests),
            children=np.array([[number[child] for child in pair] for pair in pairs], dtype=np.int64).reshape(-1, 2),
            roots=np.array([number[index] for index in nodes.roots], dtype=np.int64),
            leaves=_leaves(given, weights, scores, {nodes.key(index): ~number[index] for index in leaves}),
            branch_positions=np.array(branches, dtype=np.int64),
            leaf_positions=np.array(leaves, dtype=np.int64),
        ),
        features,
    )


def read_flat_forest(given: Attributes, scores: int, features: int) -> Forest:
    """The forest of a TreeEnsemble (ai.onnx.ml 5), whose attributes are arrays; raises as `read_forest`."""
    modes = [_numbered(int(mode)) for mode in _tensor(given, "nodes_modes").tolist()]
    names = ("nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs", "nodes_falseleafs")
    columns = [_integers(given, name) for name in names]
    thresholds = _finite(_tensor(given, "nodes_splits"), "nodes_splits")
    _same_length([modes, thresholds, *columns], "nodes_")
    ids, values = _integers(given, "leaf_targetids"), _finite(_tensor(given, "leaf_weights"), "leaf_weights")
    _same_length([ids, values], "leaf_")
    tests = [_test(mode) for mode in modes]
    leaves = _no_weights(len(ids), scores)
    for row, (column, value) in enumerate(zip(ids, values, strict=True)):
        leaves[row, _within(column, scores, "a score")] = value
    pairs = [
        [_child(child, leaf, len(modes), len(ids)) for child, leaf in ((yes, yes_leaf), (no, no_leaf))]
        for yes, no, yes_leaf, no_leaf in zip(*columns[1:], strict=True)
    ]
    children = [pair[::-1] if swapped else pair for pair, (_, swapped) in zip(pairs, tests, strict=True)]
    roots = [_within(root, len(modes), "a root") for root in _integers(given, "tree_roots")]
    _walk(roots, len(modes), lambda index: [child for child in children[index] if child >= 0])
    forest = Forest(
        features=np.array(columns[0], dtype=np.int64),
        thresholds=thresholds,
        comparisons=tuple(comparison for comparison, _ in tests),
        children=np.array(children, dtype=np.int64).reshape(-1, 2),
        roots=np.array(roots, dtype=np.int64),
        leaves=leaves,
        branch_positions=np.arange(len(modes), dtype=np.int64),
        leaf_positions=np.arange(len(ids), dtype=np.int64),
    )
    return _checked(forest, features)


class _Nodes:
    """The node lists of the older operators, which identify a node by its tree and its number in the tree."""

    def __init__(self, given: Attributes) -> None:
        names = ("treeids", "nodeids", "featureids", "truenodeids", "falsenodeids")
        self._trees, self._numbers, self.features, self._yes, self._no = (
            _integers(given, f"nodes_{name}") for name in names
        )
        self.modes: list[str] = [mode.decode("ascii", "replace") for mode in given.get("nodes_modes", [])]
        self.values = _floats(given, "nodes_values")
        _same_length(
            [self._trees, self._numbers, self.features, self._yes, self._no, self.modes, self.values], "nodes_"
        )
        keys = list(zip(self._trees, self._numbers, strict=True))
        self._indices = {key: index for index, key in enumerate(keys)}
        if len(self._indices) != len(keys):
            raise ModelError("A tree ensemble uses one id for two nodes.", _EXPORT)
        first = {tree: index for index, tree in reversed(list(enumerate(self._trees)))}
        self.roots = sorted(first.values())

    def key(self, index: int) -> tuple[int, int]:
        return self._trees[index], self._numbers[index]

    def is_leaf(self, index: int) -> bool:
        return self.modes[index] == "LEAF"

    def children(self, index: int) -> list[int]:
        tree = self._trees[index]
        found = [self._indices.get((tree, number)) for number in (self._yes[index], self._no[index])]
        if None in found:
            raise ModelError(f"Node {self.key(index)} of a tree ensemble has a child that does not exist.", _EXPORT)
        return [child for child in found if child is not None]

    def walked(self) -> list[int]:
        return _walk(self.roots, len(self.modes), lambda index: [] if self.is_leaf(index) else self.children(index))


def _walk(roots: Sequence[int], count: int, below: Callable[[int], list[int]]) -> list[int]:
    """Every node in breadth-first order; raises ModelError unless each is reached exactly once."""
    seen: set[int] = set()
    order: list[int] = []
    level, depth = list(roots), 0
    while level:
        if depth > MAX_DEPTH:
            raise ModelTooLargeError(f"A tree is deeper than {MAX_DEPTH} tests.", "Limit its depth (max_depth).")
        if len(set(level)) != len(level) or not seen.isdisjoint(level):
            raise ModelError("A tree ensemble is not a forest: a node is reached twice.", _EXPORT)
        seen.update(level)
        order += level
        level, depth = [child for index in level for child in below(index)], depth + 1
    if len(seen) != count:
        raise ModelError("A tree ensemble is not a forest: a node is never reached.", _EXPORT)
    return order


def _leaves(given: Attributes, weights: str, scores: int, rows: dict[tuple[int, int], int]) -> NDArray[np.float32]:
    trees, numbers, ids = (_integers(given, f"{weights}_{name}") for name in ("treeids", "nodeids", "ids"))
    values = _floats(given, f"{weights}_weights")
    _same_length([trees, numbers, ids, values], f"{weights}_")
    result = _no_weights(len(rows), scores)
    seen = set()
    for tree, number, column, value in zip(trees, numbers, ids, values, strict=True):
        row = rows.get((tree, number))
        if row is None or (row, column) in seen:
            raise ModelError(
                f"Node {(tree, number)} of a tree ensemble has a weight but is not a leaf, or has two weights.", _EXPORT
            )
        seen.add((row, column))
        result[row, _within(column, scores, "a score")] = value
    return result


def _no_weights(leaves: int, scores: int) -> NDArray[np.float32]:
    if leaves * scores > MAX_WEIGHTS:
        raise ModelTooLargeError(
            f"A tree ensemble has {leaves:,} leaves for {scores:,} scores.", "Train fewer or smaller trees."
        )
    return np.zeros((leaves, scores), dtype=np.float32)


def _checked(forest: Forest, features: int) -> Forest:
    for feature in forest.features.tolist():
        _within(feature, features, "a column of the input")
    if not len(forest.features):
        raise UnsupportedModelError("A tree ensemble has no tests: its output is constant.", "Train it again.")
    return forest


def _test(mode: str) -> tuple[str, bool]:
    if mode not in _TESTS:
        raise UnsupportedModelError(
            f"The tree test {mode[:40]!r} is not supported.", "Train without categorical sets and export again."
        )
    return _TESTS[mode]


def _numbered(mode: int) -> str:
    return _NUMBERED[mode] if 0 <= mode < len(_NUMBERED) else f"mode {mode}"


def _child(child: int, is_leaf: int, branches: int, leaves: int) -> int:
    if is_leaf:
        return ~_within(child, leaves, "a leaf")
    return _within(child, branches, "a node")


def _within(number: int, count: int, what: str) -> int:
    if not 0 <= number < count:
        raise ModelError(f"A tree ensemble refers to {what} {number} of {count}.", _EXPORT)
    return number


def _same_length(lists: Sequence[Any], prefix: str) -> None:
    sizes = {len(one) for one in lists}
    if len(sizes) != 1 or 0 in sizes:
        raise ModelError(f"The lists {prefix}... of a tree ensemble are missing or differ in length.", _EXPORT)
    if max(sizes) > MAX_TREE_NODES:
        raise ModelTooLargeError(
            f"A tree ensemble has more than {MAX_TREE_NODES:,} nodes.", "Train fewer or smaller trees."
        )


def _integers(given: Attributes, name: str) -> list[int]:
    return [int(value) for value in given.get(name, [])]


def _floats(given: Attributes, name: str) -> NDArray[np.float32]:
    """A list of numbers, which newer operators may store as a tensor of doubles."""
    if f"{name}_as_tensor" in given:
        return _finite(_tensor(given, f"{name}_as_tensor"), name)
    return _finite(np.array(given.get(name, []), dtype=np.float64), name)


def _tensor(given: Attributes, name: str) -> NDArray[Any]:
    if name not in given:
        raise ModelError(f"A tree ensemble lacks {name}.", _EXPORT)
    return numpy_helper.to_array(given[name]).ravel()


def _finite(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Round to float32, like the input: rounding is monotonic, so comparisons keep their results."""
    with np.errstate(over="ignore"):
        result = values.astype(np.float32)
    if not np.isfinite(result).all():
        raise ModelError(f"{name} of a tree ensemble holds NaN or infinity.", "Circuits support finite numbers only.")
    return result


def base_values(given: Attributes, scores: int) -> NDArray[np.float32]:
    """The constant added to each score; zeros if the model has none."""
    found = _floats(given, "base_values")
    if not len(found):
        return np.zeros(scores, dtype=np.float32)
    if len(found) != scores:
        raise ModelError(f"A tree ensemble has {len(found)} base values for {scores} scores.", _EXPORT)
    return found
