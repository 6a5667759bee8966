"""What each pass changes in a graph, and what it keeps."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, reject, settings
from onnx import numpy_helper
from tests.unit.circuits.frontend.passes.random_graphs import random_graphs

from zkinfer.circuits.engines.ezkl.lowering.fuse_scales import finer_inputs, is_free, split
from zkinfer.circuits.engines.ezkl.lowering.pipeline import LOWERING, normal_form
from zkinfer.circuits.errors import ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend import shapes, worker
from zkinfer.circuits.frontend.graph import copy
from zkinfer.circuits.frontend.passes import pipeline, rewrite
from zkinfer.circuits.frontend.passes.pipeline import Lowering
from zkinfer.circuits.frontend.prune import pruned, serialised
from zkinfer.circuits.frontend.runtime import difference, samples

IMAGE, BIGGER = "float[1,2,6,6] x", "float[1,2,5,5] y"
CONSTANTS = """<float[4,4] w = {1.0,2.0,3.0,4.0,-1.0,-2.0,-3.0,-4.0,0.5,0.25,0.5,0.25,1.0,0.0,1.0,0.0},
    float[4] b = {1.0,2.0,3.0,4.0},
    float[4] s = {2.0,0.5,1.5,1.0}, float[4] zero = {0.0,1.0,2.0,3.0}, float[4] wide = {0.001,1.0,1.0,1.0},
    float[4] mask = {0.0,1.0,1.0,0.0}, float[4] m = {0.5,0.5,-0.5,0.0}, float[4] v = {1.0,0.25,4.0,1.0},
    float[4] none = {0.0,0.0,0.0,0.0},
    float[4] negative = {-1.0,1.0,1.0,1.0}, float one = {1.0}, float half = {0.5}, float two = {2.0},
    float minus6 = {-6.0}, float third = {0.3}, float byte = {255.0}, float huge = {1e30}, float far = {100.0},
    float nought = {0.0},
    float[2,2,2,2] k = {1.0,2.0,3.0,4.0,-1.0,-2.0,-3.0,-4.0,1.0,2.0,3.0,4.0,-1.0,-2.0,-3.0,-4.0},
    float[2] kb = {0.5,-0.5},
    float[2,1,1] ks = {2.0,3.0}, float[2] k2 = {2.0,3.0}, float[2] kv = {1.0,4.0}, int64[1] last = {-1}>"""


@pytest.fixture
def made(model, normal, kinds):
    """Operators of the normal form of a graph, counted."""

    def make(body, inputs="float[1,4] x", outputs="float[1,4] y", opset=17):
        return kinds(normal(model(body, inputs, outputs, CONSTANTS, opset)))

    return make


def weights(result):
    return [numpy_helper.to_array(tensor).tolist() for tensor in result.graph.initializer]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("h = Gemm(x, w, b) y = BatchNormalization(h, s, b, m, v)", {"Gemm": 1}),
        ("h = MatMul(x, w) y = BatchNormalization(h, s, b, m, v)", {"MatMul": 1, "Add": 1}),
        ("h = Gemm(x, w, b) i = Mul(h, s) y = Add(i, b)", {"Gemm": 1}),
        ("h = MatMul(x, w) i = Add(h, b) j = Div(i, s) y = Add(j, b)", {"MatMul": 1, "Add": 1}),
        ("h = Sub(x, m) i = Div(h, s) y = Gemm(i, w, b)", {"Add": 1, "Gemm": 1}),
        ("h = Mul(x, s) i = Add(h, b) y = MatMul(i, w)", {"Add": 1, "MatMul": 1}),
        ("h = Div(x, byte) y = Gemm(h, w)", {"Mul": 1, "Gemm": 1}),
        ("h = Mul(x, third) i = Mul(h, s) y = Mul(i, third)", {"Mul": 1}),
        ("h = Mul(x, third) i = Add(h, b) y = Mul(i, third)", {"Mul": 1, "Add": 1}),
        ("h = Gemm(x, w) i = Relu(h) y = Mul(i, third)", {"Gemm": 1, "Relu": 1}),
        ("h = Gemm(x, w) y = Neg(h)", {"Gemm": 1}),
        ("h = Gemm(x, w) y = Sub(b, h)", {"Gemm": 1}),
        ("y = Gemm<alpha=0.3, beta=2.0>(x, w, b)", {"Gemm": 1}),
        ("h = MatMul(x, w) d = Div(h, third) e = Erf(d) a = Add(e, one) p = Mul(h, a) y = MatMul(p, w)",
         {"MatMul": 2, "Erf": 1, "Add": 1, "Mul": 1}),
        ("q = MatMul(x, w) t = Transpose(q) s2 = MatMul(t, x) y2 = Mul(s2, third) y = MatMul(x, y2)",
         {"MatMul": 3, "Transpose": 1}),
        ("n = LayerNormalization(x, s, b) p = MatMul(n, w) q = Gemm(n, w) y = Add(p, q)",
         {"ReduceMean": 2, "Sub": 1, "Mul": 1, "Add": 3, "Sqrt": 1, "Div": 1, "MatMul": 1, "Gemm": 1}),
    ],
)  # fmt: skip
def test_factor_next_to_weights_is_folded_into_them(body, expected, made):
    assert made(body, outputs="float[K,L] y") == expected


@pytest.mark.parametrize(
    "body",
    [
        "h = Conv(x, k, kb) y = BatchNormalization(h, k2, kb, kb, kv)",
        "h = Mul(x, ks) y = Conv(h, k, kb)",
        "h = Conv(x, k) i = Relu(h) y = Mul(i, third)",
        "h = Mul(x, third) i = Transpose<perm=[0,1,3,2]>(h) j = Transpose<perm=[0,1,3,2]>(i) y = Conv(j, k)",
    ],
)
def test_factor_next_to_a_convolution_is_folded(body, made):
    assert made(body, IMAGE, BIGGER).keys() <= {"Conv", "Relu"}


def test_shift_before_a_padded_convolution_is_kept(made):
    body = "h = Mul(x, ks) i = Add(h, ks) y = Conv<pads=[1,1,1,1]>(i, k, kb)"
    assert made(body, IMAGE, "float[1,2,7,7] y") == {"Add": 1, "Conv": 1}


@pytest.mark.parametrize(
    "body",
    [
        "h = Gemm(x, w) y = Mul(h, s) z = Relu(h)",  # read twice
        "y = Gemm(x, w) z = Mul(y, s)",  # an output of its own
        "h = Mul(x, s) y = Gemm(h, w) z = Tanh(h)",  # one reader needs the product
        "h = Gemm(x, w) z = Sigmoid(h) y = Mul(z, third)",
        "h = Gemm(x, w) z = Relu(h) i = Neg(z) y = Relu(i)",
    ],
)
def test_factor_with_another_reader_is_kept(body, made):
    found = made(body, outputs="float[1,4] y, float[1,4] z")
    assert found.get("Mul", 0) + found.get("Neg", 0) == 1


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("h = Mul(x, zero) i = Add(h, b) y = Gemm(i, w, b)", "Mul"),  # a zero factor cannot divide the shift
        ("h = Gemm(x, w) i = Div(h, huge) y = Mul(i, huge)", "Mul"),
        ("y = BatchNormalization(x, s, b, m, negative)", "BatchNormalization"),
        ("y = BatchNormalization<epsilon=0.0>(x, s, b, m, none)", "BatchNormalization"),
        ("y = BatchNormalization<epsilon=1e-20>(x, s, b, m, none)", "BatchNormalization"),
        ("y = Clip(x, nought, far)", "Clip"),
        ("y = Min(x, far)", "Min"),
        ("h = Gemm(x, w) i = Add(h, huge) y = Sub(i, huge)", "Add"),
    ],
)
def test_extreme_constant_is_kept(body, kept, model):
    simple = pipeline.simplified(model(body, constants=CONSTANTS), LOWERING)
    assert kept in {node.op_type for node in simple.graph.node}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y = Clip(x, nought, one)", {"Relu": 2, "Sub": 2}),
        ("r = Relu(x) y = Clip(r, nought, one)", {"Relu": 2, "Sub": 2}),
        ("y = Clip(x, nought)", {"Relu": 1}),
        ("y = Max(x, s)", {"Add": 2, "Relu": 1}),
        ("y = Min(x, s)", {"Sub": 2, "Relu": 1}),
        ("y = LeakyRelu(x)", {"Relu": 1, "Sub": 1, "Mul": 1, "Add": 1}),
        ("y = PRelu(x, s)", {"Relu": 1, "Sub": 1, "Mul": 1, "Add": 1}),
        ("y = Elu(x)", {"Relu": 1, "Sub": 1, "Exp": 1, "Add": 2}),
        ("y = Mul(x, mask)", {"Where": 1}),
        ("h = Mul(x, two) y = Sub(h, one)", {"Add": 2}),
        ("y = Mul(x, minus6)", {"Add": 3, "Neg": 1}),
        ("y = Mul(x, third)", {"Mul": 1}),
    ],
)
def test_cheaper_form_is_chosen(body, expected, made):
    assert made(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("h = Relu(x) i = Relu(h) j = Abs(i) y = Clip(j, nought)", {"Relu": 1}),
        ("h = Mul(x, one) i = Add(h, none) j = Div(i, one) k1 = Pow(j, one) y = Relu(k1)", {"Relu": 1}),
        ("h = Neg(x) i = Neg(h) y = Relu(i)", {"Relu": 1}),
        ("h = Transpose(x) i = Transpose(h) y = Relu(i)", {"Relu": 1}),
        ("h = Flatten<axis=0>(x) i = Squeeze(h) j = Unsqueeze(i, last) k1 = Transpose(j) y = Relu(k1)",
         {"Reshape": 1, "Transpose": 1, "Relu": 1}),
        ("a = Sigmoid(x) c = Sigmoid(x) d = Mul(a, x) e = Mul(x, c) y = Add(d, e)",
         {"Sigmoid": 1, "Mul": 1, "Add": 1}),
        ("h = Cast<to=11>(x) i = Cast<to=1>(h) y = Relu(i)", {"Relu": 1}),
        ("h = Concat<axis=1>(x) y = Relu(h)", {"Relu": 1}),
    ],
)  # fmt: skip
def test_redundant_operators_are_removed(body, expected, made):
    assert made(body) == expected


def test_equal_outputs_keep_separate_nodes(made):
    assert made("y = Relu(x) z = Relu(x)", outputs="float[1,4] y, float[1,4] z") == {"Relu": 2}


def test_product_with_one_is_not_merged_with_another_output(made):
    assert made("y = Relu(x) z = Mul(y, one)", outputs="float[1,4] y, float[1,4] z") == {"Relu": 1, "Mul": 1}


def test_increasing_function_moves_behind_a_shrinking_maximum(model, normal):
    body = "h = Clip(x, nought, one) i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(h) y = Sigmoid(i)"
    result = normal(model(body, "float[1,2,6,6] x", "float[1,2,3,3] y", CONSTANTS))
    assert result.graph.node[0].op_type == "MaxPool"


@pytest.mark.parametrize(
    "body",
    [
        "h = Neg(x) y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(h)",
        "h = Relu(x) y = MaxPool<kernel_shape=[2,2], strides=[1,1], pads=[1,1,1,1]>(h)",
        "h = LeakyRelu<alpha=-1.0>(x) y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(h)",
    ],
)
def test_decreasing_function_or_non_shrinking_maximum_is_kept(body, made, model, normal):
    result = normal(model(body, "float[1,2,6,6] x", "float[1,2,N,M] y", CONSTANTS))
    assert result.graph.node[-1].op_type == "MaxPool"


def test_merged_weights_are_the_nearest_float32(model, normal):
    body = "h = Gemm(x, w, b) y = BatchNormalization(h, s, b, m, v)"
    found = next(array for array in weights(normal(model(body, constants=CONSTANTS))) if np.ndim(array) == 2)
    scale = np.array([2.0, 0.5, 1.5, 1.0]) / np.sqrt(np.array([1.0, 0.25, 4.0, 1.0]) + np.float64(np.float32(1e-5)))
    first = np.array([1.0, 2.0, 3.0, 4.0]) * scale.astype(np.float32)
    assert found[0] == first.astype(np.float32).tolist()


@pytest.mark.parametrize(("scale", "rest"), [(1 / 255, 128 / 255), (0.3, 0.3), (0.0, 0.0), (3.0, 3.0)])
def test_small_factor_is_split_exactly(scale, rest):
    part, power = split(np.array(scale), 0.25)
    assert (part, part * power) == (rest, scale)


def _wrong(model):
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type = "Abs"
            return True
    return False


def test_pass_that_changes_the_outputs_is_named(model, normal, monkeypatch):
    monkeypatch.setitem(LOWERING.passes, "a wrong pass", _wrong)
    with pytest.raises(ModelError, match=r"output 'y' \(step: a wrong pass\)"):
        normal(model("h = Mul(x, one) y = Relu(h)", constants=CONSTANTS))


def test_non_terminating_pass_is_stopped_at_a_valid_graph(model, normal, kinds, monkeypatch):
    monkeypatch.setitem(LOWERING.passes, "endless", lambda _: True)
    assert kinds(normal(model("h = Neg(x) y = Relu(h)"))) == {"Neg": 1, "Relu": 1}


def test_pass_that_grows_the_graph_too_large_is_refused(model, normal, monkeypatch):
    monkeypatch.setattr(pipeline, "MAX_NODES", 3)
    with pytest.raises(ModelTooLargeError, match="grows too large"):
        normal(model("y = Elu(x)"))


def test_conflicting_edits_are_not_both_applied(model):
    graph = pipeline.fixed_point(model("h = Neg(x) a = Neg(h) c = Neg(a) y = Relu(c)"), LOWERING)
    calls = []

    def rule(node, facts):
        source = facts.producers.get(node.input[0])
        calls.append(node.output[0])
        return None if source is None else rewrite.depends_on(source, node)

    assert rewrite.apply_rules(graph, {"Neg": rule})
    assert calls == ["h", "a", "c"]


def test_double_precision_is_optimised_as_single(model, normal, kinds):
    body = "h = Mul(x, d) y = Mul(h, d)"
    result = normal(model(body, "double[1,4] x", "double[1,4] y", "<double d = {0.3}>"))
    assert kinds(result) == {"Cast": 2, "Mul": 1}


def test_normal_form_is_a_fixed_point(model, normal):
    body = "h = Conv(x, k, kb) i = BatchNormalization(h, k2, kb, kb, kv) j = Clip(i, nought, one) y = Mul(j, third)"
    once = normal(model(body, IMAGE, BIGGER, CONSTANTS))
    assert normal(once).SerializeToString() == onnx.ModelProto.FromString(once.SerializeToString()).SerializeToString()


def test_notes_on_the_model_are_kept_once_each(dense):
    def notes(model):
        return [node.op_type for node in model.graph.node] * 2

    found = worker.normal_form(dense, {}, 7, Lowering(notes=notes))
    assert found.notes == ("Gemm", "Relu")


# --- random graphs, against onnxruntime

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", LOWERING.passes)
@FEW
@given(model=random_graphs())
def test_single_pass_preserves_the_outputs(name, model):
    before = pipeline.fixed_point(copy(model), LOWERING)
    inputs, outputs = shapes.specs(before)
    after = copy(before)
    while LOWERING.passes[name](after):
        after = shapes.inferred(pruned(after))
    assert shapes.specs(after) == (inputs, outputs)
    assert difference(model, after, samples(inputs, 7)) is None


@FEW
@given(model=random_graphs())
def test_all_passes_preserve_the_outputs_and_reach_a_fixed_point(model):
    try:
        normal = normal_form(model, {}, 7)[0]
    except UnsupportedModelError:  # two outputs that are one value
        reject()
    again = normal_form(normal, {}, 7)[0]
    assert serialised(again) == serialised(normal)


# --- scalers of raw features


SCALED = """<float[4] scale = {0.00003,0.06,7.0,0.5}, float[4] mean = {56000.0,48.0,0.3,2.0},
    float[4] spread = {30000.0,17.0,0.14,2.0}, float[4] low = {-0.4,-0.3,-0.02,0.0}, float[4] one4 = {1.0,1.0,1.0,1.0},
    float[4] none4 = {0.0,0.0,0.0,0.0}, float[4] variance = {9e8,300.0,0.02,4.0}, float tiny = {0.001},
    float[4,3] w = {1.0,-2.0,0.5,0.25,1.0,0.75,-1.0,1.5,0.5,0.25,-0.25,2.0}, float[3] b = {0.5,1.0,-1.0},
    float[2,1,1] red = {0.004,0.9}, float[3,2,2,2] k = {1.0,2.0,3.0,4.0,-1.0,-2.0,-3.0,-4.0,1.0,2.0,3.0,4.0,
    -1.0,-2.0,-3.0,-4.0,1.0,2.0,3.0,4.0,-1.0,-2.0,-3.0,-4.0}, int64[2] flat = {1,-1}, int64[2] order = {2,0},
    float[2] two = {0.00003,5.0}, float[2,3] v = {1.0,-2.0,0.5,0.25,1.0,0.75}, int64[2] rest = {1,3}>"""


JOINED = """g = Gather<axis=1>(x, order) h = Mul(g, two) r = Gather<axis=1>(x, rest) c = Concat<axis=1>(h, r)
    y = Gemm(c, w, b)"""


def powers(model):
    """The constant of every multiplication, if all are free: single powers of two up to 1."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = [constants[node.input[1]] for node in model.graph.node if node.op_type == "Mul"]
    assert all(is_free(array) for array in found)
    return [float(array) for array in found]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("h = Sub(x, mean) i = Mul(h, scale) y = Gemm(i, w, b)", ["Add", "Mul", "Gemm"]),
        ("h = Sub(x, mean) i = Div(h, spread) j = MatMul(i, w) y = Add(j, b)", ["Add", "Mul", "MatMul", "Add"]),
        ("h = Mul(x, scale) i = Add(h, low) y = Gemm(i, w, b)", ["Add", "Mul", "Gemm"]),
        ("h = BatchNormalization(x, one4, none4, mean, variance) y = Gemm(h, w, b)", ["Add", "Mul", "Gemm"]),
        ("h = Mul(x, tiny) i = Reshape(h, flat) j = Sub(i, low) y = Gemm(j, w, b)", ["Add", "Mul", "Gemm"]),
        ("h = Mul(x, scale) i = Mul(h, tiny) y = Gemm(i, w, b)", ["Mul", "Mul", "Gemm"]),
        ("h = Mul(x, scale) p = MatMul(h, w) q = Gemm(h, w, b) y = Sub(p, q)", ["Mul", "MatMul", "Gemm", "Sub"]),
        (JOINED, ["Gather", "Mul", "Gather", "MatMul", "Gemm", "Add"]),
    ],
)  # fmt: skip
def test_scaler_of_raw_features_is_merged_into_the_first_layer(body, expected, model, normal):
    result = normal(model(body, outputs="float[1,3] y", constants=SCALED))
    assert sorted(node.op_type for node in result.graph.node) == sorted(expected)
    assert len(powers(result)) == expected.count("Mul")


def test_scaler_of_channels_is_merged_into_the_convolution_after_its_shift(model, normal):
    body = "h = Mul(x, red) i = Sub(h, red) y = Conv<pads=[1,1,1,1]>(i, k)"
    result = normal(model(body, IMAGE, "float[1,3,7,7] y", SCALED))
    assert [node.op_type for node in result.graph.node] == ["Add", "Mul", "Conv"]
    assert powers(result) == [2.0**-8]


def test_merged_scaler_takes_the_power_of_its_smallest_factor(model, normal):
    result = normal(model("h = Mul(x, scale) y = MatMul(h, w)", outputs="float[1,3] y", constants=SCALED))
    assert powers(result) == [2.0**-16]
    [merged] = [array for array in weights(result) if np.ndim(array) == 2]
    assert np.abs(merged[0]).max() > 1  # of the feature with the smallest factor


def test_merged_scaler_takes_a_larger_power_if_weights_would_become_too_large(model, normal):
    wide = SCALED.replace("0.00003,0.06,7.0,0.5", "0.00003,0.06,70.0,0.5")
    result = normal(model("h = Mul(x, scale) y = MatMul(h, w)", outputs="float[1,3] y", constants=wide))
    assert powers(result) == [2.0**-13]


def test_scaler_that_no_layer_takes_keeps_its_digits(model, normal):
    body = "h = Mul(x, scale) z = Sigmoid(h) y = Gemm(h, w)"
    result = normal(model(body, outputs="float[1,3] y, float[1,4] z", constants=SCALED))
    first, second = (array for array in weights(result) if np.shape(array) in ((), (4,)))
    assert first == 2.0**-16
    assert min(second) >= 1


def test_scaler_whose_factors_two_steps_cannot_span_loses_digits_of_the_smallest(model, normal, kinds):
    wide = SCALED.replace("0.00003,0.06,7.0,0.5", "0.00003,0.06,900.0,0.5")
    result = normal(model("h = Mul(x, scale) y = MatMul(h, w)", outputs="float[1,3] y", constants=wide))
    assert powers(result) == [2.0**-9]
    assert kinds(result) == {"Mul": 1, "MatMul": 1}


def test_scaler_whose_factors_differ_too_much_is_left_alone(model, normal, kinds):
    extreme = SCALED.replace("0.00003,0.06,7.0,0.5", "0.0000000003,0.06,7000.0,0.5")
    result = normal(model("h = Mul(x, scale) y = Gemm(h, w)", outputs="float[1,3] y", constants=extreme))
    assert kinds(result) == {"Mul": 1, "Gemm": 1}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("h = Sub(x, mean) i = Mul(h, scale) y = Gemm(i, w, b)", {"x": 2}),
        ("h = Sub(x, mean) i = Div(h, spread) y = Gemm(i, w, b)", {"x": 2}),
        ("h = BatchNormalization(x, one4, none4, mean, variance) y = Gemm(h, w, b)", {"x": 2}),
        ("h = Mul(x, scale) i = Mul(h, scale) y = Gemm(i, w, b)", {"x": 5}),
        ("h = Mul(x, tiny) y = Gemm(h, w, b)", {}),
        ("h = Relu(x) i = Mul(h, scale) y = Gemm(i, w, b)", {}),
        ("h = Mul(x, x) y = Gemm(h, w, b)", {}),
        ("y = Gemm(x, w, b)", {}),
    ],
)
def test_input_is_finer_by_the_largest_factor_of_its_scaler(body, expected, model):
    assert finer_inputs(model(body, outputs="float[1,3] y", constants=SCALED)) == expected


def test_inputs_that_share_a_scaler_are_equally_fine(model):
    body = "c = Concat<axis=1>(x, z) h = Mul(c, scale) y = Gemm(h, w, b)"
    inputs = "float[1,1] x, float[1,3] z"
    assert finer_inputs(model(body, inputs, "float[1,3] y", SCALED)) == {"x": 2, "z": 2}
