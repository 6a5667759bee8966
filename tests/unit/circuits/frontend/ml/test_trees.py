"""Trees: accepted forests agree with onnxruntime, bit for bit where only leaves are summed; others are refused."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tests.unit.circuits.frontend.ml import classic

from zkinfer.circuits.errors import ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.ml import trees
from zkinfer.circuits.frontend.prune import serialised

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
GRID = [-1.0, 0.0, 0.5]
EVERY = np.array(list(itertools.product([-1.0, -0.25, 0.0, 0.5, 2.0], repeat=3)), dtype=np.float32)


def random_forest(seed, modes, trees=4, depth=4):
    """Attributes of a forest with small integer weights, so that sums are exact in any order."""
    rng = random.Random(seed)
    nodes, leaves = [], []

    def grow(tree, level):
        number = sum(1 for node in nodes if node[0] == tree)
        nodes.append([tree, number, 0, 0.0, "LEAF", 0, 0])
        if level == depth or rng.random() < 0.2:
            leaves.append((tree, number, rng.randrange(2), float(rng.randrange(9))))
            return number
        place = len(nodes) - 1
        yes, no = grow(tree, level + 1), grow(tree, level + 1)
        nodes[place] = [tree, number, rng.randrange(3), rng.choice(GRID), rng.choice(modes), yes, no]
        return number

    for tree in range(trees):
        grow(tree, 0)
    names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    given = {f"nodes_{name}": list(column) for name, column in zip(names, zip(*nodes, strict=True), strict=True)}
    columns = zip(*leaves, strict=True)
    return given | {f"target_{name}": list(column) for name, column in
                    zip(("treeids", "nodeids", "ids", "weights"), columns, strict=True)}  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), modes=st.lists(st.sampled_from(MODES), min_size=1, max_size=3))
def test_forest_agrees_with_onnxruntime_at_and_around_every_threshold(seed, modes, normal):
    attributes = random_forest(seed, modes)
    if set(attributes["nodes_modes"]) == {"LEAF"}:
        return
    model = classic.scored("TreeEnsembleRegressor", n_targets=2, **attributes)
    wanted, found = (classic.answers(one, EVERY)[0] for one in (model, normal(model, N=len(EVERY))))
    assert np.array_equal(wanted, found)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE])
def test_value_equal_to_a_threshold_takes_the_right_branch(mode, kind, normal):
    modes = [mode, "LEAF", mode, "LEAF", "LEAF"]
    model = classic.classifier(nodes_modes=modes, nodes_values=[1.0, 0.0, -1.0, 0.0, 0.0])
    model.graph.input[0].type.tensor_type.elem_type = kind
    rows = np.array(list(itertools.product([-2, -1, 0, 1, 2], repeat=3)))
    rows = rows.astype(helper.tensor_dtype_to_np_dtype(kind))
    assert np.array_equal(classic.answers(model, rows)[1], classic.answers(normal(model, N=len(rows)), rows)[1])


SCALE, OFFSET = np.array([3e-5, 0.07, 310.0], np.float32), np.array([56000.0, -3.1, 0.02], np.float32)


def behind_a_scaler(attributes):
    scaler = classic.operator("Scaler", ("s",), offset=OFFSET.tolist(), scale=SCALE.tolist())
    forest = classic.operator("TreeEnsembleRegressor", ("y",), ("s",), n_targets=2, **attributes)
    return classic.graph([scaler, forest], [classic.port("y")])


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), modes=st.lists(st.sampled_from(MODES[:4]), min_size=1, max_size=3))
def test_forest_behind_a_scaler_agrees_with_onnxruntime_at_and_around_every_threshold(seed, modes, normal):
    attributes = random_forest(seed, modes)
    if set(attributes["nodes_modes"]) == {"LEAF"}:
        return
    near = (np.array(GRID, np.float32)[:, None] / SCALE + OFFSET).astype(np.float32)
    steps = np.arange(-4, 5)[:, None, None]
    values = (near.view(np.int32) + steps).astype(np.int32).view(np.float32).reshape(-1, 3)
    rows = np.random.default_rng(seed).permuted(np.tile(values, (8, 1)), axis=0)
    model = behind_a_scaler(attributes)
    result = normal(model, N=len(rows))
    assert np.array_equal(classic.answers(model, rows)[0], classic.answers(result, rows)[0])
    used = {name for node in result.graph.node for name in node.input}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.graph.initializer}
    assert not any(np.array_equal(array.ravel(), SCALE) for name, array in constants.items() if name in used)


def test_scaler_before_tests_for_equality_is_kept(normal, kinds):
    attributes = random_forest(3, ["BRANCH_EQ"])
    assert "Mul" in kinds(normal(behind_a_scaler(attributes)))


@pytest.mark.parametrize("scale", [[-3e-5, 0.07, 310.0], [0.0, 0.07, 310.0]])
def test_scaler_that_does_not_increase_is_kept(scale, normal):
    attributes = random_forest(5, ["BRANCH_LEQ"])
    scaler = classic.operator("Scaler", ("s",), offset=OFFSET.tolist(), scale=scale)
    forest = classic.operator("TreeEnsembleRegressor", ("y",), ("s",), n_targets=2, **attributes)
    model = classic.graph([scaler, forest], [classic.port("y")])
    rows = (np.array(GRID, np.float32)[:, None] / SCALE + OFFSET).astype(np.float32)
    assert np.array_equal(classic.answers(model, rows)[0], classic.answers(normal(model, N=3), rows)[0])


def test_repeated_comparison_is_computed_once(normal, kinds):
    stumps = [[tree, number, 0, 0.5, mode, 1, 2] for tree in range(9) for number, mode in
              enumerate(["BRANCH_LT", "LEAF", "LEAF"])]  # fmt: skip
    names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    nodes = {f"nodes_{name}": list(column) for name, column in zip(names, zip(*stumps, strict=True), strict=True)}
    leaves = [(tree, number) for tree in range(9) for number in (1, 2)]
    model = classic.scored(
        "TreeEnsembleRegressor", n_targets=1, **nodes,
        target_treeids=[tree for tree, _ in leaves], target_nodeids=[number for _, number in leaves],
        target_ids=[0] * 18, target_weights=[1.0] * 18,
    )  # fmt: skip
    result = normal(model)
    compared = next(node for node in result.graph.node if node.op_type == "Less")
    sizes = {tensor.name: list(tensor.dims) for tensor in result.graph.initializer}
    assert (kinds(result)["Less"], sizes[compared.input[1]]) == (1, [1])


def test_deep_tree_needs_one_comparison_per_level(normal, kinds):
    depth = 5
    inner, every = 2**depth - 1, 2 ** (depth + 1) - 1
    model = classic.scored(
        "TreeEnsembleRegressor", n_targets=1, nodes_treeids=[0] * every, nodes_nodeids=list(range(every)),
        nodes_featureids=[number % 3 for number in range(every)], nodes_values=[number / 8 for number in range(every)],
        nodes_modes=["BRANCH_LEQ"] * inner + ["LEAF"] * (every - inner),
        nodes_truenodeids=[2 * number + 1 for number in range(inner)] + [0] * (every - inner),
        nodes_falsenodeids=[2 * number + 2 for number in range(inner)] + [0] * (every - inner),
        target_treeids=[0] * (every - inner), target_nodeids=list(range(inner, every)),
        target_ids=[0] * (every - inner), target_weights=[float(number) for number in range(every - inner)],
    )  # fmt: skip
    assert kinds(normal(model))["Greater"] == depth


def test_single_leaf_tree_adds_its_weight(normal):
    attributes = {name: [*values, values[1]] for name, values in classic.TREE.items()}
    attributes |= {"nodes_treeids": [0] * 5 + [1], "nodes_nodeids": [0, 1, 2, 3, 4, 0]}
    leaves = {name: [*values, values[0]] for name, values in classic.weights("target").items()}
    leaves |= {"target_treeids": [0, 0, 0, 1], "target_nodeids": [1, 3, 4, 0]}
    model = classic.scored("TreeEnsembleRegressor", n_targets=1, base_values=[8.0], **attributes, **leaves)
    assert classic.answers(normal(model, N=1), EVERY[:1])[0] == classic.answers(model, EVERY[:1])[0] == 10.0


@pytest.mark.parametrize("function", ["SUM", "AVERAGE"])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_regressor_aggregates_and_transforms(function, transform, normal):
    both = {"target_treeids": [0] * 6, "target_nodeids": [1, 3, 4] * 2, "target_ids": [0] * 3 + [1] * 3}
    both |= {"target_weights": [1.0, 2.0, 4.0, 0.5, -1.0, 0.0], "base_values": [0.5, 0.25], "n_targets": 2}
    model = classic.regressor(aggregate_function=function, post_transform=transform, **both)
    wanted, found = (classic.answers(one, EVERY)[0] for one in (model, normal(model, N=len(EVERY))))
    assert np.allclose(wanted, found, atol=1e-6)


@pytest.mark.parametrize("labels", [(0, 1), (7, -3)])
@pytest.mark.parametrize("values", [(0.25, 0.75, 1.0), (-0.25, 0.75, 0.0)])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
@pytest.mark.parametrize("base", [{}, {"base_values": [0.125]}])
def test_two_classes_with_one_score_agree_with_onnxruntime(labels, values, transform, base, normal):
    model = classic.classifier(labels, values, post_transform=transform, **base)
    for wanted, found in zip(*(classic.answers(m, EVERY) for m in (model, normal(model, N=len(EVERY)))), strict=True):
        assert np.allclose(wanted, found, atol=1e-6)


@pytest.mark.parametrize("labels", [(0, 1, 2), (5, 3, 9)])
def test_several_classes_agree_with_onnxruntime(labels, normal):
    model = classic.classifier(labels, ids=(0, 1, 2), post_transform="SOFTMAX", base_values=[0.5, 0.0, 0.0])
    for wanted, found in zip(*(classic.answers(m, EVERY) for m in (model, normal(model, N=len(EVERY)))), strict=True):
        assert np.allclose(wanted, found, atol=1e-6)


def flat(**changes):
    """`classic.TREE` as a TreeEnsemble of ai.onnx.ml 5."""
    given = {
        "n_targets": 1, "tree_roots": [0], "nodes_featureids": [0, 1],
        "nodes_splits": np.array([0.5, -1.0], dtype=np.float32), "nodes_modes": np.array([0, 0], dtype=np.uint8),
        "nodes_truenodeids": [0, 1], "nodes_trueleafs": [1, 1],
        "nodes_falsenodeids": [1, 2], "nodes_falseleafs": [0, 1],
        "leaf_targetids": [0, 0, 0], "leaf_weights": np.array([1.0, 2.0, 4.0], dtype=np.float32), **changes,
    }  # fmt: skip
    held = {name: numpy_helper.from_array(one) if isinstance(one, np.ndarray) else one for name, one in given.items()}
    node = classic.operator("TreeEnsemble", **held)
    return classic.graph([node], [classic.port("y")], version=5)


def test_flat_ensemble_agrees_with_onnxruntime(normal):
    model = flat()
    assert np.array_equal(*(classic.answers(one, EVERY)[0] for one in (model, normal(model, N=len(EVERY)))))


def test_normal_form_of_a_forest_is_deterministic(normal):
    model = classic.scored("TreeEnsembleRegressor", n_targets=2, **random_forest(5, MODES))
    assert serialised(normal(model)) == serialised(normal(model))


def test_wrong_threshold_is_detected_by_probes(normal, monkeypatch):
    """Four random inputs miss it; values at the thresholds reveal it."""
    monkeypatch.setattr(trees, "_finite", lambda values, name: np.asarray(values, dtype=np.float32) + np.float32(1e-3))
    monkeypatch.setattr(runtime, "SAMPLES", 0)
    with pytest.raises(ModelError, match="changes the model's output"):
        normal(classic.regressor())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nodes_values": [0.5]}, "nodes_.*differ in length"),
        ({"nodes_modes": None}, "nodes_.*differ in length"),
        ({"target_weights": [1.0]}, "target_.*differ in length"),
        ({"target_weights": None}, "target_.*differ in length"),
        ({"nodes_nodeids": [0, 1, 2, 2, 4]}, "one id for two nodes"),
        ({"nodes_truenodeids": [9, 0, 3, 0, 0]}, "child that does not exist"),
        ({"nodes_truenodeids": [-1, 0, 3, 0, 0]}, "child that does not exist"),
        ({"nodes_falsenodeids": [2, 0, 0, 0, 0]}, "reached twice"),
        ({"nodes_falsenodeids": [2, 0, 3, 0, 0]}, "reached twice"),
        ({"nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF", "LEAF", "LEAF"]}, "never reached"),
        ({"nodes_featureids": [-1, 0, 1, 0, 0]}, "column of the input -1"),
        ({"nodes_featureids": [0, 0, 3, 0, 0]}, "column of the input 3"),
        ({"nodes_values": [float("nan"), 0.0, 0.0, 0.0, 0.0]}, "NaN or infinity"),
        ({"nodes_values": [float("inf"), 0.0, 0.0, 0.0, 0.0]}, "NaN or infinity"),
        ({"target_weights": [1.0, float("-inf"), 0.0]}, "NaN or infinity"),
        ({"base_values": [float("nan")]}, "NaN or infinity"),
        ({"base_values": [1.0, 2.0]}, "2 base values for 1 scores"),
        ({"target_ids": [0, 0, 1]}, "a score 1"),
        ({"target_ids": [0, 0, -1]}, "a score -1"),
        ({"target_nodeids": [1, 3, 2]}, "is not a leaf, or has two weights"),
        ({"target_nodeids": [1, 3, 3]}, "is not a leaf, or has two weights"),
        ({"target_treeids": [0, 0, 8]}, "is not a leaf, or has two weights"),
        ({"n_targets": 0}, "has 0 scores"),
        ({"n_targets": 1 << 40}, "scores"),
    ],
)  # fmt: skip
def test_malformed_forest_is_refused(changes, reason, normal):
    with pytest.raises(ModelError, match=reason):
        normal(classic.regressor(**changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"nodes_modes": ["BRANCH_MEMBER", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"]},
            "test 'BRANCH_MEMBER' is not supported",
        ),
        ({"aggregate_function": "MIN"}, "MIN.*sums or averages"),
        ({"post_transform": "PROBIT"}, "PROBIT.*Use one of NONE"),
        ({"post_transform": "SOFTMAX_ZERO"}, "SOFTMAX_ZERO"),
    ],
)
def test_unsupported_form_is_refused(changes, reason, normal):
    with pytest.raises(UnsupportedModelError, match=reason):
        normal(classic.regressor(**changes))


@pytest.mark.parametrize(
    ("model", "kind", "reason"),
    [
        (classic.classifier(ids=(0, 1, 0)), UnsupportedModelError, "separate scores for two classes"),
        (classic.classifier(ids=(1, 1, 1)), UnsupportedModelError, "separate scores for two classes"),
        (classic.classifier((4,)), ModelError, "fewer than two classes"),
        (classic.classifier(post_transform="SOFTMAX"), UnsupportedModelError, "SOFTMAX.*Use one of NONE, LOGISTIC"),
        (flat(nodes_modes=np.array([0, 6], dtype=np.uint8)), UnsupportedModelError, "test 'mode 6' is not supported"),
        (flat(nodes_trueleafs=[0, 1]), ModelError, "reached twice"),
        (flat(nodes_falsenodeids=[2, 2]), ModelError, "a node 2 of 2"),
        (flat(nodes_truenodeids=[3, 1]), ModelError, "a leaf 3 of 3"),
        (flat(tree_roots=[-1]), ModelError, "a root -1"),
        (flat(tree_roots=[1]), ModelError, "never reached"),
        (flat(leaf_targetids=[0, 0, 2]), ModelError, "a score 2"),
        (flat(post_transform=1), UnsupportedModelError, "transforms its scores"),
        (flat(aggregate_function=2), UnsupportedModelError, "MIN or MAX"),
    ],
)
def test_malformed_or_unsupported_classifier_is_refused(model, kind, reason, normal):
    with pytest.raises(kind, match=reason):
        normal(model)


def test_equality_before_opset_11_is_refused(normal):
    node = classic.regressor(nodes_modes=["BRANCH_EQ", "LEAF", "BRANCH_NEQ", "LEAF", "LEAF"]).graph.node[0]
    with pytest.raises(UnsupportedModelError, match=r"tests for equality.*opset_version=17"):
        normal(classic.graph([node], [classic.port("y")], opset=9))


def test_too_deep_chain_is_refused(normal, monkeypatch):
    monkeypatch.setattr(trees, "MAX_DEPTH", 1)
    with pytest.raises(ModelTooLargeError, match=r"deeper than 1.*max_depth"):
        normal(classic.regressor())


def test_forest_of_too_many_nodes_is_refused(normal, monkeypatch):
    monkeypatch.setattr(trees, "MAX_TREE_NODES", 4)
    with pytest.raises(ModelTooLargeError, match="more than 4 nodes"):
        normal(classic.regressor())


def test_matrix_of_too_many_weights_is_refused(normal, monkeypatch):
    monkeypatch.setattr(trees, "MAX_WEIGHTS", 5)
    with pytest.raises(ModelTooLargeError, match="3 leaves for 2 scores"):
        normal(classic.regressor(n_targets=2))


def test_forest_of_leaves_only_is_refused(normal):
    one = {name: values[1:2] for name, values in classic.TREE.items()}
    leaf = {name: values[:1] for name, values in classic.weights("target").items()}
    with pytest.raises(UnsupportedModelError, match="has no tests"):
        normal(classic.scored("TreeEnsembleRegressor", n_targets=1, **one, **leaf))


def test_input_of_the_wrong_rank_is_refused(normal):
    model = classic.scored("Scaler", offset=[0.0], scale=[1.0])
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 1, 1]))
    with pytest.raises(UnsupportedModelError, match="instead of rows of features"):
        normal(model)
