"""What is cut off a classifier, and what stays."""

import numpy as np
import onnx
import pytest
from onnx import parser
from tests.paths import ROOT

from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import write_scores
from zkinfer.circuits.frontend.runtime import Session
from zkinfer.circuits.frontend.scores import with_scores

ZOO = ROOT / "tests/assets/zoo"
WEIGHTS = "<float[4,3] w = {1,2,3,4,5,6,7,8,9,8,7,6}, float one = {1}, float half = {0.5}, int64[1] first = {0}>"


def cut(text, outputs):
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> g (float[1,4] x) => ({outputs}) {WEIGHTS} {{ {text} }}'
    )
    return with_scores(model)


def outputs_of(found):
    return [port.name for port in found.model.graph.output]


@pytest.mark.parametrize("end", ["p = Softmax(s)", "p = LogSoftmax(s)", "e = Identity(s) p = Softmax<axis=1>(e)"])
def test_softmax_at_the_end_is_cut_off(end):
    found = cut(f"s = MatMul(x, w) {end}", "float[1,3] p")
    assert outputs_of(found) == ["scores"]
    assert [node.op_type for node in found.model.graph.node if node.op_type != "Identity"] == ["MatMul"]


def test_label_beside_scores_is_left_out():
    found = cut("s = MatMul(x, w) label = ArgMax<axis=1>(s)", "int64[1,1] label, float[1,3] s")
    assert outputs_of(found) == ["s"]
    assert found.notes == ("'s' replaces 'label' (ArgMax), which is computed from it",)


def test_label_and_softmax_become_one_output():
    text = "s = MatMul(x, w) p = Softmax(s) i = ArgMax<axis=1>(p) label = Cast<to=6>(i)"
    assert outputs_of(cut(text, "int32[1,1] label, float[1,3] p")) == ["scores"]


def test_pair_of_probabilities_becomes_the_second_one():
    text = "s = MatMul(x, w) p = Sigmoid(s) q = Sub(one, p) both = Concat<axis=1>(q, p)"
    found = cut(text, "float[1,6] both")
    assert [node.op_type for node in found.model.graph.node] == ["MatMul", "Sigmoid"]


def test_decision_about_a_single_score_is_cut_off():
    text = "s = MatMul(x, w) g = Greater(s, half) label = Cast<to=7>(g)"
    assert outputs_of(cut(text, "int64[1,3] label")) == ["scores"]


def test_name_of_the_scores_is_free():
    found = cut("logits = MatMul(x, w) scores = Softmax(logits)", "float[1,3] scores")
    assert outputs_of(found) == ["scores_2"]


@pytest.mark.parametrize(
    "text",
    ["y = MatMul(x, w)", "p = Softmax(x) y = MatMul(p, w)", "s = MatMul(x, w) r = Relu(s) y = Reshape(r, shape)"],
)
def test_model_that_ends_in_no_decision_is_refused(text):
    text = text if "shape" not in text else f"shape = Constant<value_ints=[1,3]>() {text}"
    with pytest.raises(UnsupportedModelError, match="ends in no label"):
        cut(text, "float[1,3] y")


def test_softmax_of_the_input_itself_stays():
    with pytest.raises(UnsupportedModelError, match="ends in no label"):
        cut("y = Softmax(x)", "float[1,4] y")


def test_concat_of_unlike_values_stays():
    with pytest.raises(UnsupportedModelError, match="ends in no label"):
        cut("s = MatMul(x, w) r = Relu(s) y = Concat<axis=1>(s, r)", "float[1,6] y")


@pytest.mark.parametrize("name", ["sklearn_logistic", "sklearn_forest_binary", "xgboost_classes", "sklearn_sgd"])
def test_largest_score_is_the_label_of_the_original(name, tmp_path):
    model, out = onnx.load(ZOO / f"{name}.onnx"), tmp_path / "scores.onnx"
    assert write_scores(ZOO / f"{name}.onnx", out)
    whole, scores = Session(model), Session(onnx.load(out))
    with np.load(ZOO / f"{name}.npz") as samples:
        for number in range(8):
            inputs = {key: samples[key][number] for key in samples}
            (found,), label = scores.run(inputs).values(), next(iter(whole.run(inputs).values()))
            chosen = int(found.argmax()) if found.size > 1 else int(found.item() > 0.5)
            assert chosen == int(np.ravel(label)[0])


def test_file_that_has_no_decision_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(UnsupportedModelError, match="ends in no label"):
        write_scores(ZOO / "dense.onnx", tmp_path / "scores.onnx")
    assert not list(tmp_path.iterdir())
