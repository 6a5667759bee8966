"""Tree ensembles: read from the file, in both forms, and compared with onnxruntime decision by decision."""

from fractions import Fraction

import numpy as np
import pytest
from onnx import helper
from tests.unit.circuits.engines.ashlar.lowering.networks import ML, assert_exact, floats, inputs_of, integers, model

from zkinfer.circuits.engines.ashlar.lowering.network import Network
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.engines.ashlar.lowering.trees import Test as Node
from zkinfer.circuits.engines.ashlar.lowering.trees import read_ensemble
from zkinfer.circuits.errors import ModelError, UnsupportedModelError

MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"]


class Grower:
    """Random trees as attributes of a TreeEnsembleRegressor."""

    def __init__(self, seed, *, features=3, targets=2, modes=MODES[:1], whole=True):
        self.rng, self.features, self.targets, self.modes, self.whole = (
            np.random.default_rng(seed),
            features,
            targets,
            modes,
            whole,
        )
        self.nodes = {
            name: [] for name in ("treeids", "nodeids", "featureids", "truenodeids", "falsenodeids", "modes", "values")
        }
        self.leaves = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}

    def tree(self, number, depth, *, full=False):
        count = iter(range(1 << 20))
        self._grow(number, next(count), depth, count, full=full)

    def _grow(self, tree, node, depth, count, *, full):
        leaf = depth == 0 or (not full and node > 0 and self.rng.random() < 0.3)
        at = len(self.nodes["treeids"])
        values = (tree, node, 0, 0, 0, "LEAF", 0.0)
        for name, value in zip(self.nodes, values, strict=True):
            self.nodes[name].append(value)
        if leaf:
            for target in range(self.targets):
                for name, value in zip(
                    self.leaves, (tree, node, target, float(self.rng.integers(-20, 21))), strict=True
                ):
                    self.leaves[name].append(value)
            return
        self.nodes["featureids"][at] = int(self.rng.integers(self.features))
        self.nodes["values"][at] = float(self.rng.integers(-6, 7)) + (0 if self.whole else 0.5)
        self.nodes["modes"][at] = str(self.rng.choice(self.modes))
        for side in ("truenodeids", "falsenodeids"):
            child = next(count)
            self.nodes[side][at] = child
            self._grow(tree, child, depth - 1, count, full=full)

    def attributes(self, **more):
        return (
            {f"nodes_{name}": values for name, values in self.nodes.items()}
            | {f"target_{name}": values for name, values in self.leaves.items()}
            | {"n_targets": self.targets}
            | more
        )


def forest(seed, depths, *, full=False, after=(), rows=1, attributes=None, **given):
    grower = Grower(seed, **given)
    for number, depth in enumerate(depths):
        grower.tree(number, depth, full=full)
    output = "y" if not after else "t"
    node = ("TreeEnsembleRegressor", "x", output, grower.attributes(**(attributes or {})))
    return model([rows, grower.features], "y", node, *after)


def ensemble(graph):
    network = Network(graph)
    return read_ensemble(network.nodes[0], network)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("modes", [MODES[:1], MODES])
def test_every_decision_is_that_of_the_float_model(seed, modes):
    assert_exact(forest(seed, [3, 1, 4], modes=modes), count=40)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("scale", [0, 2])
def test_thresholds_between_and_on_the_grid(whole, scale):
    assert_exact(forest(3, [4, 4], whole=whole), count=60, scale=scale, bits=6, low=-31, high=31)


@pytest.mark.parametrize(
    ("features", "depths", "levels"), [(3, [4, 4, 4], True), (54, [6, 6], True), (2, [7, 7, 7, 7], True)]
)
def test_form_with_fewer_weights_is_taken(features, depths, levels):
    graph = forest(1, depths, full=True, features=features)
    assert ensemble(graph).by_levels is levels
    assert_exact(graph, count=8, boxes=features < 10 and len(depths) < 4)


def test_dense_form_where_one_tree_is_deep():
    graph = forest(2, [9, 1, 1, 1, 1])
    assert not ensemble(graph).by_levels
    assert_exact(graph, count=20, boxes=False)


@pytest.mark.parametrize("depths", [[1], [2, 1, 1], [0, 3], [5]])
def test_shallow_leaves_and_single_leaves(depths):
    assert_exact(forest(4, depths, targets=1), count=40)


def test_base_values_are_the_bias():
    graph = forest(5, [3, 2], attributes={"base_values": [3.0, -7.0]})
    assert_exact(graph, count=10)
    [part] = plan(graph).outputs[0].parts
    assert part.bias.values.tolist() == [3, -7]


def test_average_divides_the_values():
    graph = forest(5, [3, 2, 2, 3], attributes={"aggregate_function": "AVERAGE"})
    assert_exact(graph, count=10, exponent=2)


def test_activation_behind_the_sum_is_its_table():
    graph = forest(6, [3, 3], targets=1, after=[("Relu", "t", "y")])
    assert [block.name for block in plan(graph).blocks] == ["t[tests]", "t[leaves]", "y"]
    assert_exact(graph, count=20)


def test_trees_read_an_activation():
    grower = Grower(7)
    grower.tree(0, 3)
    nodes = [("Relu", "x", "u"), ("TreeEnsembleRegressor", "u", "y", grower.attributes())]
    assert_exact(model([1, 3], "y", *nodes), count=20, width=4)


def test_rows_of_a_batch_are_decided_apart():
    assert_exact(forest(8, [3, 4], rows=3), count=6)


def test_features_have_scales_of_their_own():
    graph = forest(9, [4, 4], whole=False)
    scales = [0, 1, 3]
    inputs = inputs_of(graph, 40, -40, 40)
    [answer] = integers(graph, inputs, listed=True, scale=scales, bits=7)
    [wanted] = floats(graph, np.ldexp(inputs.astype(np.float64), -np.array(scales)))
    np.testing.assert_array_equal(answer, wanted)


def test_thresholds_beyond_the_inputs_are_moved_to_their_edge():
    test = Node(0, Fraction(1000), strict=True)
    assert (test.least(0, -8, 7), test.least(3, -8, 7)) == (8, 8)
    assert Node(0, Fraction(-1000), strict=True).least(0, -8, 7) == -8


@pytest.mark.parametrize(
    ("threshold", "strict", "least"),
    [
        (Fraction(3), True, 4),
        (Fraction(3), False, 3),
        (Fraction(7, 2), True, 4),
        (Fraction(7, 2), False, 4),
        (Fraction(-1, 2), True, 0),
    ],
)
def test_least_integer_that_passes(threshold, strict, least):
    assert Node(0, threshold, strict).least(0, -8, 7) == least


def test_scale_refines_the_least_integer():
    assert Node(0, Fraction(7, 2), strict=True).least(1, -64, 63) == 8
    assert Node(0, Fraction(7, 2), strict=True).least(-1, -64, 63) == 2


def test_nodes_are_numbered_in_the_order_of_the_file():
    given_ = {
        "nodes_treeids": [1, 0, 1, 0, 1, 0],
        "nodes_nodeids": [9, 2, 4, 7, 5, 1],
        "nodes_featureids": [0, 0, 0, 1, 0, 0],
        "nodes_truenodeids": [4, 0, 0, 2, 0, 0],
        "nodes_falsenodeids": [5, 0, 0, 1, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [1.0, 0, 0, 2.0, 0, 0],
        "target_treeids": [1, 1, 0, 0],
        "target_nodeids": [4, 5, 2, 1],
        "target_ids": [0, 0, 0, 0],
        "target_weights": [10.0, 20.0, 30.0, 40.0],
        "n_targets": 1,
    }
    with pytest.raises(ModelError):  # the first node of tree 0 is a leaf, and the file is no forest
        ensemble(model([1, 2], "y", ("TreeEnsembleRegressor", "x", "y", given_)))
    order = [0, 3, 2, 4, 5, 1]  # roots first
    given_ |= {name: [values[at] for at in order] for name, values in given_.items() if name.startswith("nodes_")}
    first, second = ensemble(model([1, 2], "y", ("TreeEnsembleRegressor", "x", "y", given_))).trees
    assert [leaf.row for leaf in first.leaves] != [leaf.row for leaf in second.leaves]
    assert [leaf.steps for leaf in first.leaves] == [((0, 0),), ((0, 1),)]
    assert [leaf.steps for leaf in second.leaves] == [((0, 1),), ((0, 0),)]


def test_test_for_equality_is_refused():
    with pytest.raises(UnsupportedModelError, match="tests for equality"):
        plan(forest(1, [2], modes=["BRANCH_EQ"]))


@pytest.mark.parametrize("function", ["MIN", "MAX"])
def test_other_aggregates_are_refused(function):
    with pytest.raises(UnsupportedModelError, match="something else than sum or average"):
        plan(forest(1, [2], attributes={"aggregate_function": function}))


def test_transformed_scores_are_refused():
    with pytest.raises(UnsupportedModelError, match="transforms its scores"):
        plan(forest(1, [2], attributes={"post_transform": "LOGISTIC"}))


def test_inputs_of_more_than_fourteen_bits_are_refused():
    graph = forest(1, [2])
    inputs = inputs_of(graph, 2, -7, 7)
    integers(graph, inputs, bits=14)
    with pytest.raises(UnsupportedModelError, match=r"reads 'x' with 15 bits.*14 bits at most"):
        integers(graph, inputs, bits=15)


def test_flat_ensembles_are_read_too():
    tensor = lambda name, kind, values: helper.make_tensor(name, kind, [len(values)], values)  # noqa: E731
    given_ = {
        "nodes_featureids": [0, 1, 0],
        "nodes_splits": tensor("s", 1, [0.0, 2.0, -3.0]),
        "nodes_modes": tensor("m", 2, [0, 1, 2]),
        "nodes_truenodeids": [1, 0, 2],
        "nodes_trueleafs": [0, 1, 1],
        "nodes_falsenodeids": [2, 1, 3],
        "nodes_falseleafs": [0, 1, 1],
        "leaf_targetids": [0, 0, 0, 0],
        "leaf_weights": tensor("w", 1, [1.0, 2.0, 4.0, 8.0]),
        "tree_roots": [0],
        "n_targets": 1,
    }
    graph = model([1, 2], "y", ("TreeEnsemble", "x", "y", given_))
    next(entry for entry in graph.opset_import if entry.domain == ML).version = 5
    inputs = inputs_of(graph, 30, -7, 7)
    [answer] = integers(graph, inputs)

    def walked(a, b):
        if a <= 0:
            return 1 if b < 2 else 2
        return 4 if a >= -3 else 8

    assert answer.ravel().tolist() == [walked(*row.ravel()) for row in inputs]


def test_trees_over_a_concat_are_refused():
    grower = Grower(1, features=6)
    grower.tree(0, 2)
    nodes = [("Concat", "x x", "c", {"axis": 1}), ("TreeEnsembleRegressor", "c", "y", grower.attributes())]
    with pytest.raises(UnsupportedModelError, match="reads a Concat"):
        plan(model([1, 3], "y", *nodes))
