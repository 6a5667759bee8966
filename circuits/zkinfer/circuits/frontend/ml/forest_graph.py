"""Decision forests as tensor arithmetic with few comparisons. Imported in the child only.

All trees are evaluated together, level by level. `on` is 1 for a branch on the input's path, else 0: a test splits it
into `on * test` for one child and the rest for the other. At the end, one matrix product sums the weights of the active
leaves. Products with 0 and 1 are exact and keep their scale.

Comparisons dominate the cost [measured: 13 rows each, and about 1 per branch for everything else]. A level uses
the cheaper of two forms: every distinct test of the forest once (boosted stumps repeat tests), or only the test on the
input's path, once per tree, by comparing `sum(on * (x - threshold))` with 0 (deep trees).

Quantisation preserves tests: inputs and thresholds are rounded to the same grid, so that their order is kept; only an
input within one step of a threshold can take the other branch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import onnx

from zkinfer.circuits.frontend.passes.rewrite import keeps_shape, split_constant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Draft, Facts
    from zkinfer.circuits.frontend.ml.trees import Forest

    Test = tuple[str, int, float]  # comparison, feature, threshold

_COMPARISON_ROWS = 13
_FLOAT, _INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


@dataclass(frozen=True, slots=True)
class _Level:
    """The branches of one depth: entry [t, w] is the w-th branch of tree t, or -1 if the tree has fewer.

    The children of a level form one row: all true children, all false children, and a 0. `sources` are the positions
    of the branches in the row of the level above, `leaf_positions` those of the leaves in the level's own row.
    """

    branches: NDArray[np.int64]
    sources: NDArray[np.int64]
    leaves: list[int]
    leaf_positions: list[int]


def scores_of(forest: Forest, value: str, bias: NDArray[np.float32], draft: Draft) -> str:
    """Append nodes that compute bias plus the summed leaf weights, [N, scores], from float32 [N, features]."""
    levels = list(_levels(forest))
    tests = _Tests(forest, value, levels, draft)
    children, parts, rows = "", [], []
    for level in levels:
        children = _first_children(level, tests, draft) if not children else _children(level, children, tests, draft)
        if level.leaves:
            parts.append(draft.gathered(children, np.array(level.leaf_positions)))
            rows += level.leaves
    single = forest.leaves[~forest.roots[forest.roots < 0]]  # trees that are a single leaf
    # Added one by one: the order of numpy's own sum depends on the processor.
    weights, shift = draft.constant(forest.leaves[rows]), draft.constant(reduce(np.add, single, bias))
    return draft.add("Gemm", draft.joined(parts), weights, shift)


def on_raw_features(forest: Forest, value: str, facts: Facts) -> tuple[Forest, str]:
    """The same forest before the scaler that computes `value`, and the features there; unchanged without a scaler.

    Tests of a scaled feature, (x - mean) / deviation > t, become x > t': float32 arithmetic with rounding is monotonic,
    so that there is exactly one such t', which bisection finds. The scaler then costs nothing, and small factors no
    digits.
    """
    steps: list[_Step] = []
    raw = value
    while (before := _before(facts.producers.get(raw), facts)) is not None:
        raw, step = before
        steps.insert(0, step)
    if not steps or "Equal" in forest.comparisons:
        return forest, value

    def scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
        for step in steps:
            values = step.applied(values, forest.features)
        return values

    above = np.array([comparison == "Greater" for comparison in forest.comparisons])
    thresholds = _boundaries(scaled, forest.thresholds, above)
    return (forest, value) if thresholds is None else (replace(forest, thresholds=thresholds), raw)


@dataclass(frozen=True, slots=True)
class _Step:
    """One float32 operation of a scaler with one constant for all features, or one for each."""

    operator: str
    constants: NDArray[np.float32]

    def applied(self, values: NDArray[np.float32], features: NDArray[np.int64]) -> NDArray[np.float32]:
        by = self.constants if self.constants.size == 1 else self.constants[features]
        with np.errstate(over="ignore"):
            return np.asarray(_ARITHMETIC[self.operator](values, by), dtype=np.float32)


_ARITHMETIC = {"Add": np.add, "Div": np.divide, "Mul": np.multiply, "Sub": np.subtract}


def _before(node: onnx.NodeProto | None, facts: Facts) -> tuple[str, _Step] | None:
    """The operand of an increasing operation with constants, and the operation; None for any other node."""
    if node is not None and node.op_type == "Identity":
        return node.input[0], _Step("Add", np.zeros(1, np.float32))
    found = split_constant(node, facts) if node is not None and node.op_type in _ARITHMETIC else None
    shape = None if found is None else facts.shape(found[0])
    if node is None or found is None or not shape or len(shape) != 2:
        return None
    value, array = found
    if array.size not in (1, shape[1]) or not keeps_shape(array, shape) or not np.isfinite(array).all():
        return None
    if node.op_type in ("Div", "Sub") and value != node.input[0]:
        return None
    if node.op_type in ("Div", "Mul") and not (array > 0).all():
        return None
    return value, _Step(node.op_type, np.asarray(array, np.float32).reshape(-1))


def _boundaries(
    scaled: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    thresholds: NDArray[np.float32],
    above: NDArray[np.bool_],
) -> NDArray[np.float32] | None:
    """For each threshold the float that separates the same values before scaling; None if there is none.

    That is the largest x with scaled(x) <= t for a test x > t, the smallest with scaled(x) >= t for a test x < t.
    """

    def below(ranks: NDArray[np.int64]) -> NDArray[np.bool_]:
        values = scaled(_float_of(ranks))
        return np.where(above, values <= thresholds, values < thresholds)

    low, high = (np.full(len(thresholds), sign * _LARGEST_RANK) for sign in (-1, 1))
    if not below(low).all() or below(high).any():
        return None
    while (high - low > 1).any():
        middle = (low + high) // 2
        inside = below(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return _float_of(np.where(above, low, high))


_LARGEST_RANK = 0x7F7FFFFF  # of the largest finite float32, if 0 has rank 0 and each next float the next rank


def _float_of(ranks: NDArray[np.int64]) -> NDArray[np.float32]:
    sizes = np.abs(ranks).astype(np.uint32).view(np.float32)
    return np.where(ranks < 0, -sizes, sizes)


def _levels(forest: Forest) -> Iterator[_Level]:
    trees = [[(root, 0)] for root in forest.roots.tolist() if root >= 0]
    zero = 0
    while trees:
        width = max(len(tree) for tree in trees)
        below = [list(_below(forest, tree, row, width, len(trees))) for row, tree in enumerate(trees)]
        leaves = [(~child, position) for tree in below for child, position in tree if child < 0]
        yield _Level(
            branches=_table([[branch for branch, _ in tree] for tree in trees], width, -1),
            sources=_table([[position for _, position in tree] for tree in trees], width, zero),
            leaves=[leaf for leaf, _ in leaves],
            leaf_positions=[position for _, position in leaves],
        )
        zero = 2 * len(trees) * width
        trees = [inner for tree in below if (inner := [pair for pair in tree if pair[0] >= 0])]


def _below(
    forest: Forest, tree: Sequence[tuple[int, int]], row: int, width: int, height: int
) -> Iterator[tuple[int, int]]:
    """The children of one tree's branches, with their positions."""
    for column, (branch, _) in enumerate(tree):
        for side, child in enumerate(forest.children[branch].tolist()):
            yield child, (side * height + row) * width + column


def _table(rows: Sequence[Sequence[int]], width: int, filler: int) -> NDArray[np.int64]:
    return np.array([[*row, *[filler] * (width - len(row))] for row in rows], dtype=np.int64)


class _Tests:
    """The results of tests: 1.0 if the comparison holds, else 0.0."""

    def __init__(self, forest: Forest, value: str, levels: Iterable[_Level], draft: Draft) -> None:
        self._forest, self._value, self._draft = forest, value, draft
        shared = sorted({self._test(branch) for level in levels if not self._selects(level) for branch in _real(level)})
        self._columns = {test: position for position, test in enumerate(shared)}
        self._held = draft.joined([self._compared(kind, shared) for kind in sorted({test[0] for test in shared})])
        self._results = draft.cast(self._held, _FLOAT)

    def of(self, level: _Level, on: str) -> str:
        """For branches [T, W]: [N, T, 1, W], or [N, T, 1, 1] with the one result that each tree needs."""
        if self._selects(level):
            return self._selected(level, on)
        columns = [[self._columns.get(self._test(branch), 0) for branch in row] for row in level.branches.tolist()]
        return self._draft.gathered(self._results, np.array(columns)[:, None, :])

    def of_roots(self, level: _Level) -> str:
        """The results of the root tests, [N, T], as integers."""
        columns = [self._columns[self._test(branch)] for branch in level.branches[:, 0].tolist()]
        return self._draft.gathered(self._draft.cast(self._held, _INT64), np.array(columns))

    def _test(self, branch: int) -> Test:
        forest = self._forest
        return forest.comparisons[branch], int(forest.features[branch]), float(forest.thresholds[branch])

    def _selects(self, level: _Level) -> bool:
        tests = {self._test(branch) for branch in _real(level)}
        height, width = level.branches.shape
        one_kind = len({test[0] for test in tests}) == 1
        return one_kind and width > 1 and _COMPARISON_ROWS * height + height * width < _COMPARISON_ROWS * len(tests)

    def _compared(self, kind: str, tests: Iterable[Test]) -> str:
        chosen = [test for test in tests if test[0] == kind]
        values = self._draft.gathered(self._value, np.array([feature for _, feature, _ in chosen]))
        thresholds = self._draft.constant(np.array([threshold for *_, threshold in chosen], dtype=np.float32))
        return self._draft.add(kind, values, thresholds)

    def _selected(self, level: _Level, on: str) -> str:
        """Exact: only one product per tree is not 0, and a float32 difference has the right sign."""
        branches = level.branches[:, :, None]  # entries of -1 read the last branch and are multiplied by 0
        values = self._draft.gathered(self._value, self._forest.features[branches])
        thresholds = self._draft.constant(self._forest.thresholds[branches])
        above = self._draft.add("MatMul", on, self._draft.add("Sub", values, thresholds))
        kind = self._forest.comparisons[int(level.branches[0, 0])]
        held = self._draft.add(kind, above, self._draft.constant(np.zeros((), dtype=np.float32)))
        return self._draft.cast(held, _FLOAT)


def _real(level: _Level) -> list[int]:
    branches: list[int] = level.branches[level.branches >= 0].tolist()
    return branches


def _first_children(level: _Level, tests: _Tests, draft: Draft) -> str:
    """Compute 1 - test in integers: a float 1 would add its scale to every product."""
    test = tests.of_roots(level)
    one = draft.constant(np.ones((), dtype=np.int64))
    rest = draft.add("Sub", one, test)
    return _row(draft.cast(test, _FLOAT), draft.cast(rest, _FLOAT), draft)


def _children(level: _Level, above: str, tests: _Tests, draft: Draft) -> str:
    on = draft.gathered(above, level.sources[:, None, :])
    taken = draft.add("Mul", on, tests.of(level, on))
    rest = draft.add("Sub", on, taken)
    return _row(draft.add("Flatten", taken, axis=1), draft.add("Flatten", rest, axis=1), draft)


def _row(taken: str, rest: str, draft: Draft) -> str:
    some = draft.gathered(taken, np.zeros(1, dtype=np.int64))
    return draft.joined([taken, rest, draft.add("Sub", some, some)])
