"""Small ONNX models through both halves of the compiler: the bytes compute what plain tensors do."""

from itertools import chain

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.unit.circuits.engines.ashlar.interpreter import Interpreter
from tests.unit.circuits.engines.ashlar.random_drafts import inputs_of

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.draft import AxisKind
from zkinfer.circuits.engines.ashlar.forward import ForwardPass
from zkinfer.circuits.engines.ashlar.lowering.drafts import draft
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe


def graph(shape, outputs, *nodes, **constants):
    """A model of nodes `(op, inputs, output, attributes)`."""
    made = [helper.make_node(op, inputs.split(), [out], **attributes) for op, inputs, out, attributes in nodes]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs.split()]
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    weights = [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(made, "g", [entry], ports, weights), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    return onnx.shape_inference.infer_shapes(model)


def values(seed, *shape):
    return np.random.default_rng(seed).normal(0, 0.4, shape)


def compiled(model, *, scale=4, bits=6, tiles=(), chunk_bits=10):
    planned = plan(model, listed=not isinstance(scale, int))
    arguments = {
        "semantics": 1,
        "profile": "plain",
        "chunkBits": chunk_bits,
        "input": {"scale": scale, "bits": bits, "signed": True},
        "activations": {name: [4, 6] for name in planned.clamps} | {name: [5, 5, 4] for name in planned.stored},
        "weights": dict.fromkeys(planned.weights, 4),
    }
    if tiles:
        arguments["tiles"] = {name: list(tiles) for name in planned.tiled}
    recipe = AshlarRecipe.parse(arguments)
    made = draft(planned, recipe)
    return made, assemble(made, recipe)


def padded():
    nodes = [
        ("Conv", "x w1 b1", "c1", {"pads": [1, 1, 1, 1]}),
        ("Relu", "c1", "r1", {}),
        ("Conv", "r1 w2", "c2", {"pads": [1, 1, 1, 1]}),
        ("Relu", "c2", "r2", {}),
        ("Flatten", "r2", "f", {}),
        ("Gemm", "f w3 b3", "y", {"transB": 1}),
    ]
    weights = {"w1": values(1, 3, 1, 3, 3), "b1": values(2, 3), "w2": values(3, 2, 3, 3, 3), "b3": values(5, 3)}
    return graph([1, 1, 5, 5], "y", *nodes, **weights, w3=values(4, 3, 50))


def depthwise():
    nodes = [
        ("Conv", "x w1 b1", "c1", {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 3}),
        ("Relu", "c1", "r1", {}),
        ("Conv", "r1 w2 b2", "c2", {}),
        ("Add", "c2 r1", "y", {}),
    ]
    weights = {"w1": values(1, 3, 1, 3, 3), "b1": values(2, 3), "w2": values(3, 3, 3, 1, 1), "b2": values(4, 3)}
    return graph([1, 3, 6, 6], "y", *nodes, **weights)


def pooled(op, size):
    nodes = [
        ("Conv", "x w1 b1", "c1", {}),
        ("Relu", "c1", "r1", {}),
        (op, "r1", "p1", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", "p1", "f", {}),
        ("Gemm", "f w2", "y", {"transB": 1}),
    ]
    side = (size - 1) // 2
    return graph(
        [1, 1, size, size], "y", *nodes, w1=values(1, 2, 1, 2, 2), b1=values(2, 2), w2=values(3, 3, 2 * side**2)
    )


def sigmoid():
    nodes = [
        ("Gemm", "x w1 b1", "g1", {}),
        ("Sigmoid", "g1", "s", {}),
        ("Add", "s x", "a", {}),
        ("Relu", "a", "y", {}),
    ]
    return graph([1, 5], "y", *nodes, w1=values(1, 5, 5), b1=values(2, 5))


def perceptron():
    nodes = [("Gemm", "x w1 b1", "g1", {}), ("Relu", "g1", "r1", {}), ("Gemm", "r1 w2 b2", "y", {})]
    return graph([1, 6], "y", *nodes, w1=values(1, 6, 5), b1=values(2, 5), w2=values(3, 5, 3), b2=values(4, 3))


@pytest.mark.parametrize(
    "model",
    [
        padded(),
        depthwise(),
        pooled("AveragePool", 7),
        pooled("MaxPool", 7),
        pooled("MaxPool", 6),
        sigmoid(),
        perceptron(),
    ],
    ids=["padded", "depthwise", "average", "maximum, odd", "maximum", "sigmoid", "perceptron"],
)
@pytest.mark.parametrize("tiles", [(), ("in", "out")])
def test_bytes_of_a_model_compute_what_plain_tensors_do(model, tiles):
    made, assembly = compiled(model, tiles=tiles)
    machine = Interpreter(assembly.code, assembly.weights)
    inputs = inputs_of(made, seed=5, count=3)
    wanted = [np.concatenate([each[n] for each in ForwardPass(made).run(inputs)]).tolist() for n in range(len(inputs))]
    for sample, expected in zip(inputs, wanted, strict=True):
        assert list(chain.from_iterable(machine.forward(sample)[1])) == expected


def test_scale_for_each_feature_is_in_the_weights_alone():
    scales = [4, 2, 7, 4, 3, 0]
    made, assembly = compiled(perceptron(), scale=scales)
    plain, _ = compiled(perceptron(), scale=max(scales))
    factors = 2 ** (max(scales) - np.array(scales))
    ours, theirs = (each.blocks[0].terms[0].weights for each in (made, plain))
    assert made.input.scales == tuple(scales)
    assert np.abs(ours - theirs * factors).max() <= max(factors) / 2
    inputs = inputs_of(made, seed=6)
    assert Interpreter(assembly.code, assembly.weights).forward(inputs[0])[1] == [
        ForwardPass(made).run(inputs)[0][0].tolist()
    ]


def test_padded_convolution_bounds_the_layer_before_it_and_no_other():
    _, assembly = compiled(padded())
    masks = [
        [axis for term in b.terms for axis in term.axes if axis.kind is AxisKind.MASK]
        for b in assembly.shape.program.blocks
    ]
    assert [len(each) for each in masks] == [2, 0]


def test_copy_behind_a_sigmoid_is_bounded_where_it_is_public():
    _, assembly = compiled(sigmoid())
    kinds = [[axis.kind.name for axis in term.axes] for term in assembly.shape.program.blocks[1].terms]
    assert kinds == [["WALK"], ["EQ"]]


def test_models_give_the_same_bytes_twice():
    first, second = (compiled(padded(), tiles=("in",))[1] for _ in range(2))
    assert first.code == second.code
    assert first.weights.tolist() == second.weights.tolist()
