import numpy as np
import pytest

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.samples import Labels, LabelSource, classifying_output
from zkinfer.circuits.tensors import TensorSpec


def spec(name, shape, dtype="float32"):
    return TensorSpec(name=name, dtype=dtype, shape=shape)


SCORES, CLASS, NUMBER = spec("scores", (1, 3)), spec("class", (1,), "int64"), spec("number", (1, 1))
GRID = spec("grid", (1, 2, 3))
SOURCE = LabelSource("label")


# --- the classifying output


@pytest.mark.parametrize(
    ("outputs", "chosen"),
    [
        ([SCORES], SCORES),
        ([SCORES, CLASS], CLASS),
        ([NUMBER, GRID, SCORES], SCORES),
        ([SCORES, spec("other", (3,))], SCORES),
        ([spec("yes", (), "bool")], spec("yes", (), "bool")),
    ],
)
def test_classifying_output_is_found(outputs, chosen):
    assert classifying_output(outputs) == chosen


def test_output_can_be_named():
    assert classifying_output([SCORES, CLASS], "scores") == SCORES


@pytest.mark.parametrize("outputs", [[GRID], [spec("many", (3,), "int64")]])
def test_model_that_does_not_classify_is_refused(outputs):
    with pytest.raises(DataError, match=r"No output classifies: .*Labels need an output of one integer"):
        classifying_output(outputs)


@pytest.mark.parametrize("name", [None, "number"])
def test_single_float_output_is_refused_as_its_threshold_is_unknown(name):
    with pytest.raises(DataError, match="only with a threshold, which the model does not contain: number float32"):
        classifying_output([NUMBER, GRID], name)


def test_unknown_output_name_is_refused():
    with pytest.raises(DataError, match=r"no output 'logits' to compare labels with\. It has scores float32\[1, 3\]"):
        classifying_output([SCORES], "logits")


# --- NAME=OUTPUT


@pytest.mark.parametrize(
    ("text", "source"),
    [("label", SOURCE), ("y=scores", LabelSource("y", "scores")), ("y=a=b", LabelSource("y", "a=b"))],
)
def test_label_source_is_a_name_with_an_optional_output(text, source):
    assert LabelSource.parse(text) == source


@pytest.mark.parametrize("text", ["", "=", "=scores", "label="])
def test_label_source_without_a_name_is_refused(text):
    with pytest.raises(DataError, match="does not name labels"):
        LabelSource.parse(text)


# --- the array


@pytest.mark.parametrize(
    "array", [[0, 2, 1], [[0], [2], [1]], np.array([0, 2, 1], np.uint8), np.array([0, 2, 1], np.int64)], ids=str
)
def test_integers_one_per_sample_are_classes(array):
    labels = SOURCE.labels(np.array(array), [SCORES])
    assert (labels.output, labels.classes.tolist()) == ("scores", [0, 2, 1])


def test_labels_are_selected_with_their_samples():
    assert Labels("y", np.array([5, 6, 7])).of(np.array([2, 0])).classes.tolist() == [7, 5]


def test_label_of_an_integer_output_may_be_any_integer():
    assert SOURCE.labels(np.array([-5, 1000]), [CLASS]).classes.tolist() == [-5, 1000]


@pytest.mark.parametrize(("array", "wrong"), [([0, 1, 3], "Label 3 of sample 2"), ([1, -1, 0], "Label -1 of sample 1")])
def test_label_outside_the_classes_is_refused(array, wrong):
    with pytest.raises(DataError, match=rf"{wrong} is not a class of output 'scores'\. Its classes range from 0 to 2"):
        SOURCE.labels(np.array(array), [SCORES])


@pytest.mark.parametrize("dtype", ["float32", "<U1", "complex64"])
def test_non_integer_labels_are_refused(dtype):
    with pytest.raises(DataError, match=r"have dtype .*Give classes as integers"):
        SOURCE.labels(np.array([0, 1, 2]).astype(dtype), [SCORES])


@pytest.mark.parametrize("shape", [(), (2, 3), (3, 1, 1)])
def test_labels_of_the_wrong_shape_are_refused(shape):
    with pytest.raises(DataError, match=r"have shape .*Give one class per sample"):
        SOURCE.labels(np.zeros(shape, int), [SCORES])


def test_label_beyond_64_bits_is_refused():
    with pytest.raises(DataError, match="exceeds 64 bits"):
        SOURCE.labels(np.array([2**64 - 1], np.uint64), [CLASS])
