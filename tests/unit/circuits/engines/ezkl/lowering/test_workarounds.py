"""Operators that the engine computes wrongly are rewritten so that they agree with onnxruntime, or refused."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper
from tests.unit.circuits.engines.ezkl.compiled_programs import least_arguments

from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.errors import EngineError, RangeError, UnsupportedModelError
from zkinfer.circuits.frontend.prune import serialised
from zkinfer.circuits.tensors import dequantise, quantise

ARGUMENTS = {
    "input_scale": 10, "param_scale": 10, "decomp_base": 1024, "decomp_legs": 5, "lookup_range": [0, 0], "logrows": 12,
    "num_inner_cols": 2, "scale_rebase_multiplier": 1, "input_visibility": "public", "output_visibility": "public",
    "param_visibility": "fixed", "disable_freivalds": True, "ignore_range_check_inputs_outputs": False,
    "bounded_log_lookup": False, "rebase_frac_zero_constants": False, "check_mode": "unsafe",
}  # fmt: skip
LOOKUPS = {"lookup_range": [-16384, 16384], "logrows": 16}
ROW, IMAGE = "float[1,6] x", "float[1,1,4,4] x"
NEGATIVE = np.linspace(-7.5, -0.125, 16)
MIXED = [-3.0, -1.0, 0.5, 0.75, 1.0, 6.0]
CONSTANTS = """<float[1,6] half = {0.5,0.5,0.5,0.5,0.5,0.5}, float[1,6] odd = {0.5,-1.0,0.5,1.0,1.0,1.0},
    float one = {1.0}, int64[3] i = {-1,0,-3}, int64[1,3] j = {-6,-1,2}, int64[2,1] k = {-1,-6}, int64[2] rows = {6,1},
    int64[1] ones = {1}, int64[1] flat = {6}, int64 three = {3}, float less = {-1.0}, float less2 = {-2.0},
    float[1,6] mask = {0.0,1.0,1.0,0.0,1.0,1.0}, float little = {0.0039}, float third = {0.3},
    int64[3] two = {2,1,3}, float[1] w1 = {1.5}, float[1] w0 = {0.5}, int64[2] before = {1,2}, int64[1] last = {-1},
    float nothing = {0.0}, int64[3] cube = {1,3,2}, int64[2,3] deep = {0,2,1,0,-3,0}, int64[1,1,1] each = {2},
    int64[2,1,3] wide = {0,0,3,0,-1,1}, int64[3] over = {2,3,1},
    float[6,2] w = {1.0,-1.0,0.5,0.25,-2.0,1.5,0.75,1.0,-0.5,0.5,1.0,0.25}>"""


def _engine_answer(normalised, feed, folder, arguments):
    model, inputs, outputs = normalised
    network = folder / "network.onnx"
    finer = pipeline.with_finer_inputs(model, inputs)
    network.write_bytes(serialised(pipeline.with_context(finer, output=False)))
    engine = EzklEngine()
    least = least_arguments(network, ARGUMENTS | arguments)
    program = engine.build(network, tuple(inputs), tuple(outputs), least, folder)
    answer = engine.forward(folder, program, [[quantise(feed, program.inputs[0])]])[0][0]
    return dequantise(answer, program.outputs[0]).astype(np.float64)


@pytest.mark.parametrize(
    ("body", "inputs", "outputs", "opset", "arguments"),
    [
        ("y = MaxPool<kernel_shape=[2,2], pads=[1,1,1,1], dilations=[1,1]>(x)", IMAGE, "float[1,1,5,5] y", 17, {}),
        ("y = MaxPool<kernel_shape=[2,2], pads=[1,0,0,0], strides=[2,3]>(x)", IMAGE, "float[1,1,2,1] y", 17, {}),
        ('y = MaxPool<kernel_shape=[3,3], auto_pad="SAME_UPPER">(x)', IMAGE, "float[1,1,4,4] y", 17, {}),
        ('y = MaxPool<kernel_shape=[2,2], auto_pad="SAME_LOWER">(x)', IMAGE, "float[1,1,4,4] y", 17, {}),
        ("y = Gather<axis=1>(x, i)", ROW, "float[1,3] y", 17, {}),
        ("y = GatherElements<axis=1>(x, j)", ROW, "float[1,3] y", 17, {}),
        ("t = Reshape(x, rows) y = GatherND(t, k)", ROW, "float[2,1] y", 17, {}),
        ("e = Equal(x, odd) y = Cast<to=1>(e)", ROW, "float[1,6] y", 17, {}),
        ("e = Equal(x, odd) y = Cast<to=7>(e)", ROW, "int64[1,6] y", 17, {}),
        ("y = Equal(x, odd)", ROW, "bool[1,6] y", 17, {}),
        ("e = Equal(x, odd) l = Less(x, one) s = Equal(e, l) y = Cast<to=1>(s)", ROW, "float[1,6] y", 17, {}),
        ("f = Floor(x) c = Cast<to=7>(f) e = Equal(c, three) y = Cast<to=1>(e)", ROW, "float[1,6] y", 17, {}),
        ("y = Pow(x, less)", ROW, "float[1,6] y", 17, {}),
        ("y = Pow(x, less2)", ROW, "float[1,6] y", 17, {}),
        ("y = Celu<alpha=2.0>(x)", ROW, "float[1,6] y", 17, LOOKUPS),
        ("t = Reshape(x, rows) y = Softmax(t)", ROW, "float[6,1] y", 11, LOOKUPS),
        ("y = Softmax<axis=0>(x)", ROW, "float[1,6] y", 11, LOOKUPS),
        ("y = Softmax<axis=1>(x)", IMAGE, "float[1,1,4,4] y", 9, LOOKUPS),
        ("y = LogSoftmax<axis=1>(x)", IMAGE, "float[1,1,4,4] y", 11, LOOKUPS),
        ("y = LogSoftmax(x)", ROW, "float[1,6] y", 17, LOOKUPS),
        ("y = LogSoftmax<axis=1>(x)", ROW, "float[1,6] y", 18, LOOKUPS),
        ("m = Max(x, odd, one) y = Relu(m)", ROW, "float[1,6] y", 17, {}),
        ("y = Clip(x, less, one)", ROW, "float[1,6] y", 17, {}),
        ("y = Min(x, odd)", ROW, "float[1,6] y", 17, {}),
        ("y = PRelu(x, half)", ROW, "float[1,6] y", 17, {}),
        ("y = HardSigmoid(x)", ROW, "float[1,6] y", 17, {}),
        ("y = Elu(x)", ROW, "float[1,6] y", 17, LOOKUPS),
        ("y = Selu(x)", ROW, "float[1,6] y", 17, LOOKUPS),
        ("y = Mul(x, mask)", ROW, "float[1,6] y", 17, {}),
        ("h = Mul(x, less2) y = Sub(h, one)", ROW, "float[1,6] y", 17, {}),
        ("h = Mul(x, little) s = Add(h, odd) y = MatMul(s, w)", ROW, "float[1,2] y", 17, {}),
        ("h = Mul(x, little) y = Gemm(h, w)", ROW, "float[1,2] y", 17, {}),
        ("h = MatMul(x, w) g = Mul(h, little) y = Relu(g)", ROW, "float[1,2] y", 17, {}),
        ("h = MatMul(x, w) g = Mul(h, little) y = Add(g, one)", ROW, "float[1,2] y", 17, {}),
        ("h = MatMul(x, w) d = Mul(h, third) s = Sigmoid(d) y = Mul(h, s)", ROW, "float[1,2] y", 17, LOOKUPS),
        ("a = Abs(x) y = ReduceLogSum<axes=[1]>(a)", ROW, "float[1,1] y", 11, LOOKUPS),
        ("a = Abs(x) y = ReduceLogSum<axes=[1], keepdims=0>(a)", ROW, "float[1] y", 17, LOOKUPS),
        ("a = Abs(x) y = ReduceLogSum(a, ones)", ROW, "float[1,1] y", 18, LOOKUPS),
        ("s = Abs(x) r = Reshape(s, flat) y = BatchNormalization(x, r, r, r, r)", ROW, "float[1,6] y", 17, {}),
        ("y = LayerNormalization(x, odd, half)", ROW, "float[1,6] y", 17, {}),
        ("h = Reshape(x, two) n = InstanceNormalization(h, w1, w0) y = Flatten(n)", ROW, "float[2,3] y", 17, {}),
        ("y = Pad(x, before, , last)", ROW, "float[1,9] y", 18, {}),
        ("y = Pad(x, before, nothing, last)", IMAGE, "float[1,1,4,7] y", 18, {}),
        ("t = Reshape(x, cube) y = GatherND(t, deep)", ROW, "float[2] y", 17, {}),
        ("t = Reshape(x, cube) y = GatherND<batch_dims=1>(t, each)", ROW, "float[1,1,2] y", 17, {}),
        ("y = GatherND(x, wide)", IMAGE, "float[2,1,4] y", 17, {}),
        ("t = Squeeze(x) y = Expand(t, over)", ROW, "float[2,3,6] y", 17, {}),
        ("t = Squeeze(x) y = MatMul(t, t)", ROW, "float y", 17, {}),
        (
            "t = Reshape(x, cube) s = Concat<axis=0>(t, t) u = Transpose<perm=[0,2,1]>(t) y = MatMul(s, u)",
            ROW,
            "float[2,3,3] y",
            17,
            {},
        ),
    ],
)
def test_rewritten_form_agrees_with_onnxruntime(body, inputs, outputs, opset, arguments, model, tmp_path):
    original = model(body, inputs, outputs, CONSTANTS, opset)
    feed = np.array(MIXED if inputs == ROW else NEGATIVE, np.float32).reshape((1, 6) if inputs == ROW else (1, 1, 4, 4))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    wanted = onnxruntime.InferenceSession(original.SerializeToString(), options).run(None, {"x": feed})[0]
    found = _engine_answer(pipeline.normal_form(original, {}, 7)[:3], feed, tmp_path, arguments)
    assert np.abs(found.reshape(wanted.shape) - wanted).max() <= 0.01 * max(1.0, np.abs(wanted.astype(float)).max())


@pytest.mark.parametrize(
    "source",
    ["Relu(x)", "Sigmoid(x)", "Abs(x)", "Clip(x, zero)", "MaxPool<kernel_shape=[1,1]>(r)", "Concat<axis=1>(r, r)"],
)
def test_maxpool_of_non_negative_values_keeps_its_padding(source, model, normal, kinds):
    body = f"r = Relu(x) a = {source} y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(a)"
    assert "Gather" not in kinds(normal(model(body, IMAGE, "float[1,c,4,4] y", "<float zero = {0.0}>")))


@pytest.mark.parametrize("source", ["Neg(x)", "Clip(x, low)", "Concat<axis=1>(r, x)", "Tanh(r)"])
def test_maxpool_of_possibly_negative_values_is_padded_explicitly(source, model, normal, kinds):
    body = f"r = Relu(x) a = {source} y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(a)"
    assert kinds(normal(model(body, IMAGE, "float[1,c,4,4] y", "<float low = {-1.0}>")))["Gather"] == 2


def test_comparison_that_the_engine_reads_correctly_is_kept(model, normal, kinds):
    result = normal(model("e = Equal(x, half) y = Where(e, one, x)", ROW, "float[1,6] y", CONSTANTS))
    assert kinds(result) == {"Equal": 1, "Where": 1}


def test_softmax_along_the_last_axis_is_kept(model, normal, kinds):
    assert kinds(normal(model("y = Softmax<axis=1>(x)", ROW, "float[1,6] y", opset=11))) == {"Softmax": 1}


def test_non_negative_indices_are_kept(model, normal):
    result = normal(model("y = Gather<axis=1>(x, n)", ROW, "float[1,2] y", "<int64[2] n = {5,0}>"))
    assert [numpy_helper.to_array(one).tolist() for one in result.graph.initializer] == [[5, 0]]


@pytest.mark.parametrize(
    ("body", "inputs", "outputs", "reason"),
    [
        ("y = Pow(x, e)", ROW, "float[1,6] y", "exponent.*Reciprocal"),
        ("y = Pow(x, zero)", ROW, "float[1,6] y", "exponent.*Reciprocal"),
        ("y = Pow(x, half)", "int64[1,6] x", "int64[1,6] y", "rounds a fraction"),
        ("y = ReduceMean<axes=[1]>(x)", "int64[1,6] x", "int64[1,1] y", "rounds a fraction"),
        ("y = ReduceL2<axes=[1]>(x)", "int64[1,6] x", "int64[1,1] y", "rounds a fraction"),
        ("y = CumSum<exclusive=1>(x, axis)", ROW, "float[1,6] y", "exclusive or reversed.*Slice"),
        ("y = CumSum<reverse=1>(x, axis)", ROW, "float[1,6] y", "exclusive or reversed.*Slice"),
        (
            'y = ScatterElements<axis=1, reduction="add">(r, x, u)',
            "int64[1,2] x",
            "float[1,4] y",
            "combines updates.*Equal",
        ),
        ('y = ScatterND<reduction="mul">(s, x, v)', "int64[2,1] x", "float[4] y", "combines updates.*Equal"),
        ("a, b = TopK<axis=1, sorted=0>(x, two) y = Relu(a)", ROW, "float[1,2] y", "unsorted values"),
        ("y = GatherND(t, x)", "int64[1,3] x", "float[1] y", "more than two axes"),
        ("y = GatherND<batch_dims=1>(u, x)", "int64[1,1] x", "float[1] y", r"indices into a batch \(batch_dims\)"),
        ("y = InstanceNormalization(x, x0, x0)", "float[2,2,3] x, float[2] x0", "float[2,2,3] y", "several samples"),
        ("y = Add(x, x)", "uint8[1,6] x", "uint8[1,6] y", "wrap around.*Cast to int64"),
        ("y = Mul(x, x)", "int32[1,6] x", "int32[1,6] y", "wrap around.*Cast to int64"),
        ("a = Cast<to=6>(x) y = ReduceSum(a)", ROW, "int32[1,1] y", "wrap around.*Cast to int64"),
        ("y = MatMul(x, w)", "int32[1,2] x", "int32[1,1] y", "wrap around.*Cast to int64"),
        ("y = Cast<to=2>(x)", "int64[1,6] x", "uint8[1,6] y", "may not hold"),
        ("y = Cast<to=12>(x)", "int32[1,6] x", "uint32[1,6] y", "may not hold"),
    ],
)
def test_arithmetic_the_engine_gets_wrong_is_refused(body, inputs, outputs, reason, model, normal):
    constants = """<float e = {-3.0}, float zero = {0.0}, float half = {0.5}, int64 axis = {1}, int64[1] two = {2},
        float[1,4] r = {1.,2.,3.,4.}, float[1,2] u = {1.,2.}, float[4] s = {1.,2.,3.,4.}, float[2] v = {1.,2.},
        int32[2,1] w = {1,2}, float[2,1,2] t = {1.,2.,3.,4.}>"""
    with pytest.raises(UnsupportedModelError, match=reason):
        normal(model(body, inputs, outputs, constants))


@pytest.mark.parametrize("kind", [2, 6, 7])
def test_integers_within_float_precision_can_be_cast(kind, model, normal, kinds):
    body = f"a = ArgMax<axis=1>(x) c = Cast<to={kind}>(a) y = Cast<to=1>(c)"
    assert kinds(normal(model(body, ROW, "float[1,1] y")))["ArgMax"] == 1


@pytest.mark.parametrize("attribute", ["output_padding=[1,1]", "output_shape=[8,8]", "group=2"])
def test_transposed_convolution_the_engine_gets_wrong_is_refused(attribute, model, normal):
    weights = "<float[2,1,2,2] w = {1.,2.,3.,4.,5.,6.,7.,8.}>"
    body = f"y = ConvTranspose<kernel_shape=[2,2], strides=[2,2], {attribute}>(x, w)"
    with pytest.raises(UnsupportedModelError, match=r"its output size|groups"):
        normal(model(body, "float[1,2,4,4] x", "float[1,c,h,w] y", weights))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [("strides=[2,1]", "strides that differ"), ('strides=[2,2], auto_pad="SAME_UPPER"', r"automatically \(auto_pad\)")],
)
def test_transposed_convolution_the_engine_cannot_size_is_refused(attributes, reason, model, normal):
    body = f"y = ConvTranspose<kernel_shape=[2,2], {attributes}>(x, w)"
    with pytest.raises(UnsupportedModelError, match=reason):
        normal(model(body, "float[1,1,4,4] x", "float[1,1,h,w] y", "<float[1,1,2,2] w = {1.,2.,3.,4.}>"))


@pytest.mark.parametrize(
    ("places", "nearest", "scale", "fine"),
    [
        ("asymmetric", "floor", 3, True), ("asymmetric", "round_prefer_floor", 2, True),
        ("half_pixel", "round_prefer_floor", 3, True), ("half_pixel", "round_prefer_ceil", 2, True),
        ("asymmetric", "round_prefer_floor", 3, False), ("asymmetric", "ceil", 2, False),
        ("half_pixel", "floor", 2, False), ("align_corners", "round_prefer_floor", 2, False),
        ("half_pixel", "round_prefer_floor", 1.5, False), ("half_pixel", "round_prefer_floor", 0.5, False),
    ],
)  # fmt: skip
def test_resize_is_accepted_only_as_repetition(places, nearest, scale, fine, model, normal, kinds):
    body = f'y = Resize<coordinate_transformation_mode="{places}", nearest_mode="{nearest}">(x, , s)'
    resized = model(body, IMAGE, "float[1,1,h,w] y", f"<float[4] s = {{1.0, 1.0, {float(scale)}, {float(scale)}}}>")
    if fine:
        assert kinds(normal(resized)) == {"Resize": 1}
    else:
        with pytest.raises(UnsupportedModelError, match=r"integer factors|nearest_mode="):
            normal(resized)


def test_maxpool_window_of_padding_only_is_refused(model, normal):
    with pytest.raises(UnsupportedModelError, match=r"negative values with 0.*Relu"):
        normal(model("y = MaxPool<kernel_shape=[2,2], pads=[2,2,2,2]>(x)", IMAGE, "float[1,1,h,w] y"))


BATCHED, MAP = "float[1,2,4,4] x", "float[1,2,4,4] y"
BATCHED_CONSTANTS = (
    "<float[2,2,1,1] p = {1,2,3,4}, float[2,1,1,1] d = {1,2}, int64[4] image = {1,2,4,4}, float[2,2,3,3] k = {"
    + ",".join(map(str, range(36)))
    + "}>"
)
SAME = "pads=[1,1,1,1]"


@pytest.fixture
def made(model, normal):
    """Operators of a normal form, in order."""

    def call(body, inputs=BATCHED, outputs=MAP):
        return [node.op_type for node in normal(model(body, inputs, outputs, BATCHED_CONSTANTS)).graph.node]

    return call


@pytest.mark.parametrize("middle", [f"Conv<{SAME}>(a, k)", "Conv<group=2>(a, d)"])
@pytest.mark.parametrize("pointwise", ["Identity", "Relu"])
def test_convolution_between_pointwise_ones_keeps_its_axis(made, middle, pointwise):
    graph = made(f"c = Conv(x, p) a = {pointwise}(c) b = {middle} y = Conv(b, p)")
    assert [name for name in graph if name != "Relu"] == ["Conv", "Conv", "Gather", "Conv"]


def test_convolution_between_products_of_matrices_keeps_its_axis(made):
    body = f"a = MatMul(x, s) b = Conv<{SAME}>(a, k) y = MatMul(b, s)"
    graph = made(body, f"{BATCHED}, float[4,4] s")
    assert graph == ["MatMul", "Conv", "Gather", "MatMul"]


def test_convolution_between_reshapes_keeps_its_axis(made):
    body = "a = Reshape(x, image) b = Conv(a, k) y = Flatten(b)"
    assert made(body, "float[1,32] x", "float[1,8] y") == ["Reshape", "Conv", "Gather", "Flatten"]


def test_gather_covers_the_first_axis_longer_than_one(model, normal):
    graph = normal(
        model(
            f"a = Conv(x, p) b = Conv<{SAME}>(a, k) y = Conv(b, p)",
            BATCHED,
            MAP,
            BATCHED_CONSTANTS,
        )
    ).graph
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
def test_convolution_at_an_input_or_output_is_unchanged(made, body):
    assert "Gather" not in made(body)


def test_convolution_of_several_samples_is_unchanged(made):
    body = "a = Conv(x, p) b = Conv<group=2>(a, d) y = Conv(b, p)"
    assert "Gather" not in made(body, "float[3,2,4,4] x", "float[3,2,4,4] y")


def test_convolution_followed_by_a_gather_of_several_elements_is_unchanged(model, normal):
    constants = BATCHED_CONSTANTS.replace("<", "<int64[3] some = {0,2,3}, ", 1)
    body = "a = Conv(x, p) b = Conv<group=2>(a, d) g = Gather<axis=2>(b, some) y = Conv(g, p)"
    graph = normal(model(body, BATCHED, "float[1,2,3,4] y", constants)).graph
    assert [node.op_type for node in graph.node].count("Gather") == 1


def test_convolution_of_a_single_position_is_unchanged(model, normal):
    constants = "<float[1,1,1,1] p = {3}, float[1,1,2,2] k = {1,2,3,4}>"
    body = "a = Conv(x, p) b = Conv(a, k) y = Conv(b, p)"
    graph = normal(model(body, "float[1,1,2,2] x", "float[1,1,1,1] y", constants)).graph
    assert [node.op_type for node in graph.node] == ["Conv"] * 3


def test_normalisation_is_idempotent(model, normal):
    first = normal(
        model(
            "a = Conv(x, p) b = Conv<group=2>(a, d) y = Conv(b, p)",
            BATCHED,
            MAP,
            BATCHED_CONSTANTS,
        )
    )
    assert normal(first) == first


# --- indices


TABLE = "<float[2,3] e = {0.0,1.0,2.0,3.0,4.0,5.0}, int64 one = {1}>"


@pytest.mark.parametrize(
    ("body", "indices", "outputs", "inside", "outside", "added"),
    [
        ("y = Gather(e, t)", "int64[1,2] t", "float[1,2,3] y", [1, 0], [2, 0], 0),
        ("y = GatherND(e, t)", "int64[2,1] t", "float[2,3] y", [1, 0], [2, 0], 0),
        ("y = GatherND(e, t)", "int64[1,2] t", "float[1] y", [1, 2], [0, 4], 4),
        ("y = GatherND(e, t)", "int64[1,2] t", "float[1] y", [0, 1], [1, -1], 4),
        ("y = GatherElements<axis=1>(e, t)", "int64[1,2] t", "float[1,2] y", [2, 0], [2, 3], 1),
        ("a = Add(t, one) y = GatherElements<axis=1>(e, a)", "int64[1,2] t", "float[1,2] y", [1, -1], [1, 2], 1),
    ],
)
def test_index_out_of_range_finds_no_other_element(
    body, indices, outputs, inside, outside, added, model, kinds, tmp_path
):
    original = model(body, indices, outputs, TABLE)
    made, inputs, specs = pipeline.normal_form(original, {}, 7)[:3]
    assert kinds(made).get("Gather", 0) == added + kinds(original).get("Gather", 0)
    engine, folder = EzklEngine(), tmp_path
    (folder / "network.onnx").write_bytes(serialised(pipeline.with_context(made, output=False)))
    least = least_arguments(folder / "network.onnx", ARGUMENTS)
    program = engine.build(folder / "network.onnx", tuple(inputs), tuple(specs), least, folder)
    feed = np.reshape(inside, inputs[0].shape)
    wanted = onnxruntime.InferenceSession(original.SerializeToString()).run(None, {"t": feed})[0]
    [[answer]] = engine.forward(folder, program, [[inside]])
    assert np.abs(dequantise(answer, program.outputs[0]).reshape(wanted.shape) - wanted).max() < 0.01
    with pytest.raises(RangeError, match=r"no index into the model's table|outside of its table"):
        engine.forward(folder, program, [[outside]])
    settings = json.loads((folder / "settings.json").read_bytes())
    (folder / "settings.json").write_text(json.dumps(settings | {"input_types": ["F32", "F32"]}))
    with pytest.raises(EngineError):  # nor does a prover that leaves out the check
        engine.forward(folder, program, [[outside]])


def test_session_refuses_an_index_out_of_range_and_goes_on(model, tmp_path):
    made, inputs, specs = pipeline.normal_form(
        model("y = Gather(e, t)", "int64[1,2] t", "float[1,2,3] y", TABLE), {}, 7
    )[:3]
    engine = EzklEngine()
    (tmp_path / "network.onnx").write_bytes(serialised(pipeline.with_context(made, output=False)))
    least = least_arguments(tmp_path / "network.onnx", ARGUMENTS)
    program = engine.build(tmp_path / "network.onnx", tuple(inputs), tuple(specs), least, tmp_path)
    session = engine.session(tmp_path, program)
    before = session.forward([[1, 0]])
    with pytest.raises(RangeError, match=r"Input 't' is 2 at element \[0, 1\].*Give indices from 0 to 1"):
        session.forward([[1, 2]])
    assert session.usable
    assert session.forward([[1, 0]]) == before
    session.close()
