"""Whole files: what the frontend's normal form becomes, and what Ashlar does not support."""

import json

import numpy as np
import onnx
import pytest
from tests.paths import ROOT
from tests.unit.circuits.engines.ashlar.lowering.networks import model, whole

from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.ashlar.lowering.pipeline import LOWERING, lower, plan, supports, unsupported
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import worker
from zkinfer.circuits.frontend.load import load

ZOO = ROOT / "tests/assets/zoo"
PLANNED = {
    "batch_norm": ["v4"],
    "conv_average": ["v4"],
    "conv_max": ["v4", "v5[1]", "v5[2]", "v5"],
    "dense": ["v4"],
    "gelu": ["v11"],
    "leaky_relu": ["v4"],
    "lightgbm_regressor": ["v_1[tests]", "v_1[leaves]"],
    "residual": ["v4", "v8", "v9"],
    "sigmoid": ["v4"],
    "sklearn_forest_regressor": ["v_1[tests]", "v_1[leaves]"],
    "sklearn_linear": [],
    "tanh": ["v4"],
    "xgboost_regressor": ["v_1[tests]", "v_1[leaves]"],
}
REFUSED = {
    "attention": "MatMul",
    "layer_norm": "LayerNormalization",
    "lstm": "LSTM",
    "sklearn_logistic": "ArgMax",
    "sklearn_normalizer": "ReduceL2",
    "softmax": "Softmax",
}


def normal_form(name):
    path = ZOO / f"{name}.onnx"
    return worker.normal_form(load(path, sha256_file(path)), {}, 1, LOWERING).model


@pytest.mark.parametrize("name", sorted(PLANNED))
def test_models_of_the_zoo_are_planned(name):
    assert [block.name for block in plan(normal_form(name)).blocks] == PLANNED[name]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_models_of_the_zoo_are_refused_by_operator(name):
    with pytest.raises(UnsupportedModelError, match=REFUSED[name]) as caught:
        plan(normal_form(name))
    assert caught.value.cure


def test_trees_stay_in_the_normal_form():
    operators = [(node.domain, node.op_type) for node in normal_form("sklearn_forest_regressor").graph.node]
    assert operators == [("ai.onnx.ml", "TreeEnsembleRegressor"), ("", "Reshape")]


@pytest.mark.parametrize(
    "operator", ["Softmax", "LogSoftmax", "Sin", "Floor", "LpNormalization", "Hardmax", "ReduceSum"]
)
def test_findings_name_the_node(operator):
    graph = model([1, 4], "y", ("MatMul", "x w", "u"), (operator, "u", "y"), w=whole(1, 4, 4))
    [(node, problem)] = unsupported(graph)
    assert node.op_type == operator
    assert f"{operator} 'y'" in problem.cause
    assert problem.cure


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([("Gather", "x i", "y", {"axis": 1})], {"i": np.array([0, 2])}),
        ([("Slice", "x i j k", "y")], {"i": np.array([0]), "j": np.array([2]), "k": np.array([1])}),
        ([("Pad", "x i", "y")], {"i": np.array([0, 0, 0, 1])}),
        ([("Expand", "x i", "y")], {"i": np.array([3, 4])}),
        ([("Tile", "x i", "y")], {"i": np.array([1, 2])}),
        ([("ReduceMean", "x", "y", {"axes": [1]})], {}),
        ([("PRelu", "x s", "y")], {"s": whole(1, 4)}),
        ([("Split", "x", "y z", {"axis": 1})], {}),
    ],
)
def test_operators_that_move_choose_or_reduce_are_refused(nodes, constants):
    outputs = nodes[0][2]
    with pytest.raises(UnsupportedModelError, match=rf"{nodes[0][0]} 'y'") as caught:
        plan(model([1, 4], outputs, *nodes, **constants))
    assert caught.value.cure


def test_two_inputs_are_refused():
    graph = model([1, 4], "y", ("Add", "x z", "y"))
    graph.graph.input.append(onnx.helper.make_tensor_value_info("z", 1, [1, 4]))
    with pytest.raises(UnsupportedModelError, match="2 inputs, and an Ashlar circuit has one"):
        plan(graph)


def test_list_of_scales_keeps_the_dimensions_of_the_input():
    graph = model([1, 1, 4], "y", ("Flatten", "x", "f"), ("MatMul", "f w", "y"), w=whole(1, 4, 2))
    assert [factor.size for factor in plan(graph).input.factors] == [1, 4]
    assert [factor.size for factor in plan(graph, listed=True).input.factors] == [1, 1, 4]
    assert plan(graph, listed=True).input.listed


@pytest.mark.parametrize(
    "readers", [[("Relu", "x", "y")], [("Transpose", "x", "t", {"perm": [1, 0]}), ("MatMul", "t w", "y")]]
)
def test_readers_that_do_not_sum_over_the_features_take_one_scale(readers):
    used = {"w": whole(1, 1, 2)} if len(readers) > 1 else {}
    assert not plan(model([1, 4], "y", *readers, **used)).input.listed


def test_supported_file_has_no_findings():
    path = ZOO / "dense.onnx"
    assert json.loads(supports(str(path), str(sha256_file(path)))) == {"found": []}


def test_unsupported_file_has_a_finding_with_the_name_of_its_node():
    path = ZOO / "softmax.onnx"
    [finding] = json.loads(supports(str(path), str(sha256_file(path))))["found"]
    assert "Softmax" in finding["cause"]
    assert finding["node"]


def test_lowering_writes_the_same_bytes_for_every_visibility(tmp_path):
    path = ZOO / "xgboost_regressor.onnx"
    digests = set()
    for visibility in ("public", "hashed"):
        out = tmp_path / f"{visibility}.onnx"
        answer = json.loads(lower(str(path), str(sha256_file(path)), str(out), {}, visibility))
        assert answer["sha256"] == str(sha256_file(out))
        digests.add(answer["sha256"])
        assert plan(onnx.load(out)).weights
    assert len(digests) == 1


def test_lowering_refuses_by_the_names_of_the_file(tmp_path):
    path = ZOO / "layer_norm.onnx"
    with pytest.raises(UnsupportedModelError, match="LayerNormalization"):
        lower(str(path), str(sha256_file(path)), str(tmp_path / "out.onnx"), {}, "public")


def test_plan_is_the_same_twice():
    first, second = (plan(normal_form("conv_max")) for _ in range(2))
    axes = [[part.axes for block in one.blocks[1:] for part in block.parts] for one in (first, second)]
    assert axes[0] == axes[1]
    assert (first.clamps, first.weights) == (second.clamps, second.weights)
