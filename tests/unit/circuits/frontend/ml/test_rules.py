"""Linear models and pipeline steps agree with onnxruntime, or are refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from onnx import helper, numpy_helper
from tests.unit.circuits.frontend.ml import classic

from zkinfer.circuits.engines.ezkl.lowering.fuse_scales import is_free
from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.frontend import worker
from zkinfer.circuits.frontend.analyse import describe
from zkinfer.circuits.frontend.passes.pipeline import Lowering
from zkinfer.circuits.frontend.validate import refuse_problems

ROWS = np.array([[0.5, -1.25, 2.0], [0.0, 0.0, 0.0], [-3.0, 0.25, 0.5], [4.0, 4.0, -4.0]], dtype=np.float32)
THREE = {"coefficients": [1.0, -2.0, 0.5, 0.25, 1.0, 3.0, -1.0, 0.0, 2.0], "intercepts": [0.5, 0.0, -0.25]}
MIRRORED = {"coefficients": [-1.0, 2.0, -0.5, 1.0, -2.0, 0.5], "intercepts": [0.25, -0.25]}
SOFTMAX = "SOFTMAX"
ONE = {"coefficients": [1.0, -2.0, 0.5], "intercepts": [0.25]}
LINEAR = {"coefficients": [1.0, -2.0, 0.5], "intercepts": [0.25], "targets": 1}


def agree(model, normal):
    pairs = zip(*(classic.answers(one, ROWS) for one in (model, normal(model, N=len(ROWS)))), strict=True)
    return all(wanted.dtype == found.dtype and np.allclose(wanted, found, atol=1e-6) for wanted, found in pairs)


@pytest.mark.parametrize(
    ("numbers", "labels"), [(THREE, [0, 1, 2]), (THREE, [4, 2, 9]), (MIRRORED, [0, 1]), (ONE, [0, 1]), (ONE, [5, -5])]
)
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
def test_linear_classifier_agrees_with_onnxruntime(numbers, labels, transform, normal):
    model = classic.classified("LinearClassifier", classlabels_ints=labels, post_transform=transform, **numbers)
    assert agree(model, normal)


def test_mirrored_scores_need_one_sigmoid(normal):
    model = classic.classified("LinearClassifier", classlabels_ints=[0, 1], post_transform="LOGISTIC", **MIRRORED)
    weights = {tensor.name: tensor.dims for tensor in normal(model).graph.initializer}
    assert [3, 1] in [list(dims) for dims in weights.values()]


@pytest.mark.parametrize(
    "model",
    [
        classic.scored("LinearRegressor", **LINEAR),
        classic.scored("LinearRegressor", coefficients=THREE["coefficients"], targets=3),
        classic.scored("Scaler", offset=[1.0, 2.0, -0.5], scale=[0.5, 2.0, 1.0]),
        classic.scored("Scaler", offset=[1.0], scale=[0.5]),
        classic.scored("Normalizer", norm="L1"),
        classic.scored("Normalizer", norm="L2"),
        classic.scored("Imputer", imputed_value_floats=[1.0], replaced_value_float=float("nan")),
    ],
    ids=lambda model: model.graph.node[0].op_type,
)  # fmt: skip
def test_rewritten_pipeline_step_agrees_with_onnxruntime(model, normal):
    assert agree(model, normal)


@pytest.mark.parametrize("opset", [9, 13, 18])
def test_softmax_is_not_divided_by_its_sum(opset, normal, kinds):
    nodes = [
        classic.operator(
            "LinearClassifier", ("label", "s"), classlabels_ints=[0, 1, 2], post_transform=SOFTMAX, **THREE
        ),
        classic.operator("Normalizer", inputs=("s",), norm="L1"),
    ]
    model = classic.graph(nodes, [classic.port("label", classic.INT64), classic.port("y")], opset=opset)
    assert agree(model, normal)
    assert "Div" not in kinds(normal(model))


def test_independent_sigmoids_are_normalised_by_their_sum(normal, kinds):
    nodes = [
        classic.operator(
            "LinearClassifier", ("label", "s"), classlabels_ints=[0, 1, 2], post_transform="LOGISTIC", **THREE
        ),
        classic.operator("Normalizer", inputs=("s",), norm="L1"),
    ]
    assert kinds(normal(classic.graph(nodes, [classic.port("y")])))["Div"] == 1


@pytest.mark.parametrize("classes", [[4, 2, 9], [0, 1, 2]])
def test_label_is_looked_up_among_the_classes(classes, normal):
    nodes = [
        helper.make_node("ArgMax", ["x"], ["place"], axis=1),
        classic.operator("ArrayFeatureExtractor", inputs=("classes", "place")),
    ]
    model = classic.graph(nodes, [classic.port("y", classic.INT64)])
    model.graph.initializer.append(numpy_helper.from_array(np.array(classes, dtype=np.int64), "classes"))
    assert agree(model, normal)


def test_columns_are_extracted(normal):
    model = classic.graph([classic.operator("ArrayFeatureExtractor", inputs=("x", "places"))], [classic.port("y")])
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 0], dtype=np.int64), "places"))
    assert agree(model, normal)


def mapped(**changes):
    model = classic.classified("LinearClassifier", classlabels_ints=[0, 1, 2], **THREE)
    model.graph.node.append(classic.operator("ZipMap", ("maps",), ("y",), classlabels_int64s=[0, 1, 2], **changes))
    kind = helper.make_map_type_proto(classic.INT64, helper.make_tensor_type_proto(classic.FLOAT, None))
    del model.graph.output[1]
    model.graph.output.append(helper.make_value_info("maps", helper.make_sequence_type_proto(kind)))
    return model


def test_score_map_becomes_a_tensor_in_class_order(normal):
    model = mapped()
    wanted = [[row[label] for label in (0, 1, 2)] for row in classic.answers(model, ROWS)[1]]
    assert np.allclose(classic.answers(normal(model, N=len(ROWS)), ROWS)[1], wanted, atol=1e-6)


def test_score_map_is_reported_as_a_tensor_and_counted_as_an_operator(tmp_path):
    model = mapped()
    summary = describe(model, worker.Digest("sha256", bytes(32)), 1)
    assert [port.dtype for port in summary.outputs] == ["int64", "float32"]
    assert (summary.operators["ZipMap"], summary.problems) == (1, ())


def test_score_map_with_several_outputs_is_refused():
    model = mapped()
    model.graph.node[1].output.append("more")
    with pytest.raises(ModelError, match="must have one input and one output"):
        refuse_problems(worker.as_tensors(model))


@pytest.mark.parametrize("opset", [0, 8, 20])
def test_default_opset_version_is_resolved(opset, normal):
    """XGBoost's exporter declares none, LightGBM's an old one, and scikit-learn's may declare one twice."""
    model = classic.graph([classic.operator("LinearRegressor", **LINEAR)], [classic.port("y")], opset=opset)
    model.opset_import.append(model.opset_import[-1])
    assert agree(model, normal)


def test_two_default_opset_versions_are_refused(normal):
    model = classic.scored("LinearRegressor", **LINEAR)
    model.opset_import.append(helper.make_opsetid("", 15))
    with pytest.raises(ModelError, match="exactly one version"):
        normal(model)


@pytest.mark.parametrize("name", ["LinearClassifier", "TreeEnsembleClassifier"])
def test_string_labels_are_refused_with_advice(name, normal):
    with pytest.raises(UnsupportedModelError, match=r"returns string labels.*LabelEncoder"):
        normal(classic.classified(name, classlabels_strings=["yes", "no"]))


@pytest.mark.parametrize("name", ["SVMClassifier", "LabelEncoder", "OneHotEncoder", "Nonsense"])
def test_other_classical_operator_is_refused_with_advice(name, normal):
    with pytest.raises(UnsupportedModelError, match=f"{name}.*trees or linear models.*hummingbird"):
        normal(classic.scored(name))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (classic.scored("LinearRegressor", **LINEAR | {"coefficients": [1.0]}), "1 coefficients and 1 intercepts"),
        (classic.scored("LinearRegressor", **LINEAR | {"intercepts": [1.0, 2.0]}), "2 intercepts"),
        (classic.scored("LinearRegressor", **LINEAR | {"targets": -1}), "coefficients"),
        (classic.scored("LinearRegressor", **LINEAR | {"targets": 1 << 60}), "coefficients"),
        (classic.scored("LinearRegressor", **LINEAR | {"intercepts": [float("nan")]}), "NaN or infinity in intercepts"),
        (classic.scored("LinearRegressor", **LINEAR, post_transform="SOFTMAX"), "SOFTMAX.*Use one of NONE"),
        (classic.classified("LinearClassifier", classlabels_ints=[0], **ONE), "fewer than two classes"),
        (classic.classified("LinearClassifier", classlabels_ints=[0, 1], **THREE), "3 intercepts for 2 classes"),
        (classic.classified("LinearClassifier", classlabels_ints=[0, 1, 2], **ONE), "1 intercepts for 3 classes"),
        (classic.classified("LinearClassifier", classlabels_ints=[0, 1], coefficients=[1.0]), "0 intercepts"),
        (classic.classified("LinearClassifier", classlabels_ints=[0, 1], post_transform="SOFTMAX", **ONE), "SOFTMAX"),
        (classic.classified("LinearClassifier", classlabels_ints=[0, 1], post_transform="PROBIT", **ONE), "PROBIT"),
        (classic.scored("Scaler", offset=[0.0, 1.0], scale=[1.0]), "2 numbers for 3 features"),
        (classic.scored("Scaler", offset=[0.0], scale=[float("inf")]), "NaN or infinity in scale"),
        (classic.scored("Scaler", scale=[1.0]), "0 numbers for 3 features"),
        (classic.scored("Normalizer", norm="MAX"), "norm 'MAX'.*Use L1 or L2"),
        (classic.scored("Imputer", imputed_value_floats=[1.0], replaced_value_float=-1.0), "replaces a number"),
        (classic.scored("Imputer", imputed_value_int64s=[1], replaced_value_int64=3), "replaces a number"),
    ],
)  # fmt: skip
def test_inconsistent_attributes_are_refused(model, reason, normal):
    with pytest.raises(ModelError, match=reason):
        normal(model)


def test_value_of_unknown_shape_is_refused(normal):
    model = classic.graph(
        [helper.make_node("Compress", ["x", "keep"], ["some"], axis=1), classic.operator("Scaler", inputs=("some",),
         offset=[0.0], scale=[1.0])],
        [classic.port("y")],
    )  # fmt: skip
    model.graph.initializer.append(numpy_helper.from_array(np.array([True, False, True]), "keep"))
    with pytest.raises(UnsupportedModelError, match="unknown shape"):
        normal(model)


def test_long_chain_is_refused_early(normal):
    names = ["x", *(f"s{number}" for number in range(40)), "y"]
    nodes = [
        classic.operator("Scaler", (after,), (before,), offset=[0.0], scale=[1.0])
        for before, after in itertools.pairwise(names)
    ]
    with pytest.raises(UnsupportedModelError, match="too long a chain"):
        normal(classic.graph(nodes, [classic.port("y")]))


def pipeline_of(*nodes, outputs=("label", "y"), **constants):
    """A pipeline as skl2onnx writes it, on an input of three features that differ in range."""
    ports = [classic.port(name, classic.INT64 if name == "label" else classic.FLOAT) for name in outputs]
    model = classic.graph(list(nodes), ports)
    model.graph.initializer.extend(numpy_helper.from_array(np.array(a, np.float32), n) for n, a in constants.items())
    return model


SCALER = {"offset": [56000.0, 48.0, 0.3], "scale": [3e-5, 0.06, 7.0]}
CLASSIFIER = classic.operator(
    "LinearClassifier", ("label", "y"), ("s",), classlabels_ints=[0, 1], post_transform="LOGISTIC", **MIRRORED
)
PIPELINES = {
    "StandardScaler, LogisticRegression": pipeline_of(classic.operator("Scaler", ("s",), **SCALER), CLASSIFIER),
    "MinMaxScaler, LogisticRegression": pipeline_of(
        helper.make_node("Cast", ["x"], ["f"], to=classic.FLOAT),
        helper.make_node("Mul", ["f", "scale"], ["m"]),
        helper.make_node("Add", ["m", "least"], ["s"]),
        CLASSIFIER,
        scale=[4e-6, 0.016, 1.3],
        least=[-0.04, -0.29, -0.01],
    ),
    "SimpleImputer, StandardScaler, LinearRegression": pipeline_of(
        classic.operator("Imputer", ("i",), imputed_value_floats=[1.0], replaced_value_float=float("nan")),
        classic.operator("Scaler", ("s",), ("i",), **SCALER),
        classic.operator("LinearRegressor", ("y",), ("s",), **LINEAR),
        outputs=("y",),
    ),
    "StandardScaler, MLPRegressor": pipeline_of(
        classic.operator("Scaler", ("s",), **SCALER),
        helper.make_node("Cast", ["s"], ["c"], to=classic.FLOAT),
        helper.make_node("MatMul", ["c", "w"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
        outputs=("y",),
        w=np.linspace(-1, 1, 12).reshape(3, 4),
        b=[0.5, 0.0, -0.5, 1.0],
        v=[[1.0], [-1.0], [0.5], [2.0]],
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_scaler_before_a_model_needs_no_product(name, normal):
    model = PIPELINES[name]
    result = normal(model, N=1)
    numbers = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.graph.initializer}
    assert [is_free(numbers[node.input[1]]) for node in result.graph.node if node.op_type == "Mul"] == [True]
    for row in np.array([[[30_000.0, 20.0, 0.1]], [[90_000.0, 70.0, 0.7]]], np.float32):
        for wanted, found in zip(classic.answers(model, row), classic.answers(result, row), strict=True):
            assert np.allclose(wanted, found, atol=1e-5)


KEEPING = Lowering(keep_trees=True)


def kept(model, **dimensions):
    return worker.normal_form(model, dimensions, 1, KEEPING).model


@pytest.mark.parametrize(
    "model",
    [
        classic.regressor(),
        classic.regressor(aggregate_function="AVERAGE", base_values=[0.5]),
        classic.classifier(),
        classic.classifier(labels=(0, 1, 2), ids=(0, 1, 2), post_transform="SOFTMAX"),
    ],
)
def test_tree_ensembles_stay_where_a_lowering_keeps_them(model):
    result = kept(model)
    [tree] = [node for node in result.graph.node if node.domain == "ai.onnx.ml"]
    assert tree.op_type == "TreeEnsembleRegressor"
    assert "post_transform" not in {entry.name for entry in tree.attribute}
    assert agree(model, kept)


def test_trees_become_tensor_arithmetic_unless_they_are_kept(normal):
    assert {node.domain for node in normal(classic.regressor()).graph.node} == {""}
    assert [entry.domain for entry in kept(classic.regressor()).opset_import] == ["", "ai.onnx.ml"]


def test_kept_trees_are_checked_like_others():
    with pytest.raises(ModelError, match="a child that does not exist"):
        kept(classic.regressor(nodes_truenodeids=[9, 0, 3, 0, 0]))


def test_kept_trees_may_follow_other_operators():
    first = classic.operator("Scaler", ("scaled",), offset=[0.5], scale=[2.0])
    second = next(iter(classic.regressor().graph.node))
    second.input[0] = "scaled"
    model = classic.graph([first, second], [classic.port("y")])
    assert "TreeEnsembleRegressor" in {node.op_type for node in kept(model).graph.node}
    assert agree(model, kept)
