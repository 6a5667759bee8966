"""Hostile attributes are refused with an error of ours or have no effect; nothing else is raised."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tests.unit.circuits.frontend.ml import classic

from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.frontend.graph import copy

VALUES = {
    "integer": 7,
    "zero": 0,
    "negative": -1,
    "fraction": 0.5,
    "no number": float("nan"),
    "word": "odd",
    "no text": b"\xff\xfe",
    "integers": [3, 1, 4],
    "too many": [1] * 9,
    "negatives": [-5] * 4,
    "astronomic": [1 << 40] * 4,
    "fractions": [0.5],
    "words": ["a"],
    "tensor": numpy_helper.from_array(np.zeros((2, 0), np.float32)),
}
LINEAR = {"coefficients": [1.0, 2.0, 3.0], "intercepts": [0.5]}
CLASSICAL = {
    "trees": classic.regressor(),
    "tree classes": classic.classifier(),
    "linear": classic.scored("LinearRegressor", **LINEAR),
    "linear classes": classic.classified("LinearClassifier", classlabels_ints=[0, 1], **LINEAR),
    "scaler": classic.scored("Scaler", offset=[0.0], scale=[1.0]),
    "normalizer": classic.scored("Normalizer", norm="L2"),
    "imputer": classic.scored("Imputer", imputed_value_floats=[1.0]),
}
PLAIN = [
    "Conv<kernel_shape=[2,2], strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=1>(x, k)",
    'Conv<auto_pad="SAME_UPPER">(x, k)',
    "ConvTranspose<kernel_shape=[2,2], strides=[1,1], pads=[0,0,0,0]>(x, k)",
    "MaxPool<kernel_shape=[2,2], strides=[2,2], pads=[1,1,1,1], ceil_mode=0>(x)",
    "AveragePool<kernel_shape=[2,2], strides=[2,2], pads=[1,1,1,1], count_include_pad=0>(x)",
    "Transpose<perm=[0,2,1,3]>(x)",
    "Softmax<axis=1>(x)",
    "Concat<axis=1>(x, x)",
    "Flatten<axis=1>(x)",
    "ReduceMean<axes=[1], keepdims=1>(x)",
    "SpaceToDepth<blocksize=2>(x)",
    "Celu<alpha=0.5>(x)",
    "HardSigmoid<alpha=0.2, beta=0.5>(x)",
    "BatchNormalization<epsilon=0.1>(x, b, b, b, b)",
    'Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , s)',
    'Einsum<equation="abcd,abcd->ab">(x, x)',
]
CONSTANTS = "<float[2,2,2,2] k = {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}, float[2] b = {1,2}, float[4] s = {1,1,2,2}>"


def mangled(model):
    """Variants of a model with one attribute changed: a label, whether the type changed, and the model."""
    for place, attribute in enumerate(model.graph.node[0].attribute):
        for name, value in VALUES.items():
            other = helper.make_attribute(attribute.name, value)
            changed = copy(model)
            changed.graph.node[0].attribute[place].CopyFrom(other)
            yield f"{attribute.name}: {name}", other.type != attribute.type, changed


def outcome(normal, model):
    try:
        normal(model)
    except ModelError as err:
        return err
    return None


@pytest.fixture
def plain(model):
    def call(body):
        made = model(f"y = {body}", "float[1,2,4,4] x", "float[1] y", CONSTANTS)
        made.graph.output[0].type.tensor_type.ClearField("shape")
        return made

    return call


@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_attribute_of_the_wrong_type_is_refused(name, normal):
    for what, is_other, model in mangled(CLASSICAL[name]):
        refusal = outcome(normal, model)
        assert refusal is not None or not is_other, what


@pytest.mark.parametrize("body", PLAIN, ids=lambda body: body.partition("<")[0])
def test_attribute_of_the_wrong_type_is_refused(body, plain, normal):
    normal(plain(body))
    for what, is_other, model in mangled(plain(body)):
        refusal = outcome(normal, model)
        assert refusal is not None or not is_other, what


@pytest.mark.parametrize("name", ["trees", "tree classes", "linear", "linear classes", "scaler"])
def test_classical_operator_without_any_attribute_is_refused(name, normal):
    bare = copy(CLASSICAL[name])
    del bare.graph.node[0].attribute[:]
    with pytest.raises(ModelError, match=r"classlabels|fewer than two|differ in length|coefficients|numbers"):
        normal(bare)


@pytest.mark.parametrize("size", [2, 1 << 20, 1 << 40, (1 << 63) - 1])
def test_average_of_padding_only_is_refused_at_any_size(plain, normal, size):
    model = plain("AveragePool<kernel_shape=[2,2], pads=[1,1,1,1]>(x)")
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "pads":
            attribute.CopyFrom(helper.make_attribute("pads", [size, 0, 0, 0]))
    with pytest.raises(ModelError, match=r"automatic padding|has shape|do not fit"):
        normal(model)


def test_average_with_padding_along_one_axis_is_accepted(plain, normal, kinds):
    model = plain("AveragePool<kernel_shape=[3,1], pads=[1,0,1,0]>(x)")
    assert kinds(normal(model)) == {"AveragePool": 1, "Mul": 1}


def test_duplicate_attribute_is_refused(plain, normal):
    model = plain("Softmax<axis=1>(x)")
    model.graph.node[0].attribute.append(helper.make_attribute("axis", 2))
    with pytest.raises(ModelError, match="inconsistent"):
        normal(model)


def test_attribute_reference_outside_a_function_is_refused(plain, normal):
    model = plain("Softmax<axis=1>(x)")
    model.graph.node[0].attribute[0].ref_attr_name = "elsewhere"
    with pytest.raises(ModelError, match="refers to a function's attribute outside of one"):
        normal(model)


def test_graph_attribute_is_refused(plain, normal):
    model = plain("Softmax<axis=1>(x)")
    body = onnx.helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", body))
    with pytest.raises(UnsupportedModelError, match="holds a subgraph"):
        normal(model)
