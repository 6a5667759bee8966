"""Convolutions whose batch axis the engine's reader could take out."""

import numpy as np
import pytest
from onnx import numpy_helper

IMAGE, MAP = "float[1,2,4,4] x", "float[1,2,4,4] y"
CONSTANTS = (
    "<float[2,2,1,1] p = {1,2,3,4}, float[2,1,1,1] d = {1,2}, int64[4] image = {1,2,4,4}, float[2,2,3,3] k = {"
    + ",".join(map(str, range(36)))
    + "}>"
)
SAME = "pads=[1,1,1,1]"


@pytest.fixture
def made(model, normal):
    """Operators of a normal form, in order."""

    def call(body, inputs=IMAGE, outputs=MAP):
        return [node.op_type for node in normal(model(body, inputs, outputs, CONSTANTS)).graph.node]

    return call


@pytest.mark.parametrize("middle", [f"Conv<{SAME}>(a, k)", "Conv<group=2>(a, d)"])
@pytest.mark.parametrize("pointwise", ["Identity", "Relu"])
def test_convolution_between_pointwise_ones_keeps_its_axis(made, middle, pointwise):
    graph = made(f"c = Conv(x, p) a = {pointwise}(c) b = {middle} y = Conv(b, p)")
    assert [name for name in graph if name != "Relu"] == ["Conv", "Conv", "Gather", "Conv"]


def test_convolution_between_products_of_matrices_keeps_its_axis(made):
    body = f"a = MatMul(x, s) b = Conv<{SAME}>(a, k) y = MatMul(b, s)"
    graph = made(body, f"{IMAGE}, float[4,4] s")
    assert graph == ["MatMul", "Conv", "Gather", "MatMul"]


def test_convolution_between_reshapes_keeps_its_axis(made):
    body = "a = Reshape(x, image) b = Conv(a, k) y = Flatten(b)"
    assert made(body, "float[1,32] x", "float[1,8] y") == ["Reshape", "Conv", "Gather", "Flatten"]


def test_places_are_all_of_the_first_axis_that_has_several(model, normal):
    graph = normal(model(f"a = Conv(x, p) b = Conv<{SAME}>(a, k) y = Conv(b, p)", IMAGE, MAP, CONSTANTS)).graph
    [gather] = [node for node in graph.node if node.op_type == "Gather"]
    [places] = [tensor for tensor in graph.initializer if tensor.name == gather.input[1]]
    assert gather.attribute[0].i == 1
    assert np.array_equal(numpy_helper.to_array(places), [0, 1])


@pytest.mark.parametrize(
    "body",
    [
        f"a = Conv<{SAME}>(x, k) y = Conv(a, p)",
        f"a = Conv<{SAME}>(x, k) b = Relu(a) c = Conv<{SAME}>(b, k) y = Conv(c, p)",
        f"a = Conv<{SAME}>(x, k) b = MaxPool<kernel_shape=[1,1]>(a) c = Conv<{SAME}>(b, k) y = Conv(c, p)",
        f"a = Conv(x, p) y = Conv<{SAME}>(a, k)",
    ],
)
def test_convolution_that_ends_at_an_input_or_output_is_left_alone(made, body):
    assert "Gather" not in made(body)


def test_convolution_of_several_samples_is_left_alone(made):
    body = "a = Conv(x, p) b = Conv<group=2>(a, d) y = Conv(b, p)"
    assert "Gather" not in made(body, "float[3,2,4,4] x", "float[3,2,4,4] y")


def test_convolution_of_which_several_places_are_gathered_is_left_alone(model, normal):
    constants = CONSTANTS.replace("<", "<int64[3] some = {0,2,3}, ", 1)
    body = "a = Conv(x, p) b = Conv<group=2>(a, d) g = Gather<axis=2>(b, some) y = Conv(g, p)"
    graph = normal(model(body, IMAGE, "float[1,2,3,4] y", constants)).graph
    assert [node.op_type for node in graph.node].count("Gather") == 1


def test_convolution_with_one_place_is_left_alone(model, normal):
    constants = "<float[1,1,1,1] p = {3}, float[1,1,2,2] k = {1,2,3,4}>"
    body = "a = Conv(x, p) b = Conv(a, k) y = Conv(b, p)"
    graph = normal(model(body, "float[1,1,2,2] x", "float[1,1,1,1] y", constants)).graph
    assert [node.op_type for node in graph.node] == ["Conv"] * 3


def test_normal_form_of_a_normal_form_is_the_same(model, normal):
    first = normal(model("a = Conv(x, p) b = Conv<group=2>(a, d) y = Conv(b, p)", IMAGE, MAP, CONSTANTS))
    assert normal(first) == first
