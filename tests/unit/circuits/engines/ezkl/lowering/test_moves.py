"""Moves and products are written in the form that the engine's reader takes; others are left as they are.

Normalising compares each with onnxruntime; `test_workarounds` has some of them computed by the engine.
"""

import numpy as np
import pytest
from onnx import numpy_helper

from zkinfer.circuits.errors import ModelError

CONSTANTS = """<int64[1] two = {2}, int64[2] pair = {1,2}, int64[4] four = {1,0,2,1}, int64[1] last = {-1},
    int64[2] axes = {3,1}, int64[2,2] both = {0,1,1,-1}, int64[2,3] deep = {0,2,1,1,0,0}, int64[2,1,1] each = {2,-1},
    int64[3] point = {1,-1,3},
    int64[3] wide = {2,3,4}, int64[2] same = {1,4}, float nothing = {0.0}, float[4] v = {1,2,3,4},
    float[2,4,2] stack = {1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8}, float[1,4,2] one = {1,2,3,4,5,6,7,8}>"""
TWICE = "float[1,4] y, float[1,4] z"


@pytest.fixture
def forms(model, normal, kinds):
    """Operators of the normal form."""
    return lambda *text, **more: kinds(normal(model(*text, CONSTANTS, **more)))


@pytest.mark.parametrize(
    ("body", "shape", "wanted"),
    [
        ("y = Pad(x, pair, , last)", "1,1,4,7", [0, 0, 0, 1, 0, 0, 0, 2]),
        ("y = Pad(x, pair, nothing, last)", "1,1,4,7", [0, 0, 0, 1, 0, 0, 0, 2]),
        ("y = Pad(x, four, , axes)", "1,2,4,7", [0, 0, 0, 1, 0, 1, 0, 2]),
    ],
)
def test_padding_of_some_axes_becomes_one_of_all(body, shape, wanted, model, normal):
    result = normal(model(body, "float[1,1,4,4] x", f"float[{shape}] y", CONSTANTS, 18))
    assert [len(node.input) for node in result.graph.node] == [2 if "nothing" not in body else 3]
    assert numpy_helper.to_array(result.graph.initializer[0]).tolist() == wanted


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("y = GatherND(x, both)", "2,4"),
        ("y = GatherND(x, deep)", "2"),
        ("y = GatherND<batch_dims=1>(x, each)", "2,1,4"),
        ("y = GatherND(x, point)", ""),
    ],
)
def test_constant_places_on_several_axes_become_places_on_one(body, shape, forms):
    found = forms(body, "float[2,3,4] x", f"float[{shape}] y")
    assert found["Gather"] == 1
    assert found.keys() <= {"Gather", "Reshape"}


def test_place_outside_of_its_axis_is_left_to_onnxruntime(model, normal):
    with pytest.raises(ModelError, match="fails on an input"):
        normal(model("y = GatherND(x, i)", "float[2,3] x", "float[1] y", "<int64[1,2] i = {0,3}>"))


@pytest.mark.parametrize(
    ("sizes", "attributes", "wanted"),
    [
        ("x, , scales", "axes=[2,3]", [1, 1, 2, 3]),
        ("x, , scales", "axes=[-1,1]", [1, 3, 1, 2]),
        ("x, , , sizes", "axes=[3,2]", [1, 1, 3, 2]),
        ("x, , , all", 'mode="nearest"', [1, 1, 2, 3]),
    ],
)
def test_resizing_of_some_axes_becomes_scales_of_all(sizes, attributes, wanted, model, normal):
    constants = "<float[2] scales = {2,3}, int64[2] sizes = {8,12}, int64[4] all = {1,1,8,12}>"
    places = 'coordinate_transformation_mode="asymmetric", nearest_mode="floor"'
    body = f"y = Resize<{attributes}, {places}>({sizes})"
    [found] = normal(model(body, "float[1,1,4,4] x", "float[a,b,c,d] y", constants, 18)).graph.initializer
    assert numpy_helper.to_array(found).tolist() == wanted


@pytest.mark.parametrize(("shape", "count"), [("3,4", 1), ("3,1", 1), ("4", 1), ("1,3,4", 0), ("2,3,1", 0)])
def test_axes_are_added_before_values_are_repeated(shape, count, forms):
    found = forms("y = Expand(x, wide)", f"float[{shape}] x", "float[2,3,4] y")
    assert found.get("Reshape", 0) == count
    assert found["Expand"] == 1


@pytest.mark.parametrize(
    ("body", "copies"),
    [
        ("y = Relu(x) z = Identity(y)", 1),
        ("y = Relu(x) z = Dropout(y)", 1),
        ("h = Relu(x) y = Identity(h) z = Cast<to=1>(h)", 1),
        ("y = Identity(x) z = Identity(x)", 2),
        ("y = Identity(x) z = Reshape(x, same)", 2),
        ("y = Relu(x) z = Relu(x)", 0),
        ("y = Relu(x) z = Identity(x)", 0),
    ],
)
def test_value_that_is_returned_twice_is_reshaped_to_its_shape(body, copies, forms):
    assert forms(body, "float[1,4] x", TWICE).get("Reshape", 0) == copies


def test_value_can_be_returned_three_times_and_as_a_scalar(forms):
    found = forms(
        "y = ReduceSum<keepdims=0>(x) z = Identity(y) w = Identity(z)", "float[4] x", "float y, float z, float w"
    )
    assert found == {"ReduceSum": 1, "Reshape": 2}


@pytest.mark.parametrize(
    ("body", "inputs", "shape", "expanded"),
    [
        ("y = MatMul(x, z)", "float[2,3,4] x, float[1,4,2] z", "2,3,2", 1),
        ("y = MatMul(x, z)", "float[2,1,3,4] x, float[1,2,4,2] z", "2,2,3,2", 2),
        ("y = MatMul(x, stack)", "float[1,3,4] x", "2,3,2", 1),
        ("y = MatMul(x, one)", "float[2,3,4] x", "2,3,2", 0),
        ("y = MatMul(x, z)", "float[2,3,4] x, float[4,2] z", "2,3,2", 0),
        ("y = MatMul(x, z)", "float[2,3,4] x, float[2,4,2] z", "2,3,2", 0),
    ],
)
def test_matrices_that_a_product_repeats_are_written_out(body, inputs, shape, expanded, forms):
    assert forms(body, inputs, f"float[{shape}] y").get("Expand", 0) == expanded


@pytest.mark.parametrize("other", ["x", "v"])
def test_product_of_two_vectors_becomes_one_of_matrices(other, forms):
    found = forms(f"y = MatMul(x, {other})", "float[4] x", "float y")
    assert found["MatMul"] == 1
    assert found["Reshape"] >= 2


def test_batch_of_several_samples_is_normalised_one_by_one(model, normal, kinds):
    text = "y = InstanceNormalization<epsilon=0.01>(x, s, b)", "float[2,2,3] x", "float[2,2,3] y"
    result = normal(model(*text, "<float[2] s = {1.5,0.5}, float[2] b = {0.25,1}>"))
    assert kinds(result)["ReduceMean"] == 2
    assert np.allclose([0.01], [one for one in map(numpy_helper.to_array, result.graph.initializer) if one.ndim == 0])
