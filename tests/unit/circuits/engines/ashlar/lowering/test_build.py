"""Random networks of whole numbers through all passes, compared with onnxruntime; and the order of blocks."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import parser
from tests.unit.circuits.engines.ashlar.lowering.networks import floats, inputs_of, integers, model, whole

from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.errors import UnsupportedModelError


class Grown:
    """A network that grows node by node; every value is [1, channels, side, side] or [1, features]."""

    def __init__(self, seed, shape):
        self.rng, self.nodes, self.constants = np.random.default_rng(seed), [], {}
        self.values = {"x": tuple(shape)}

    def constant(self, *shape):
        name = f"k{len(self.constants)}"
        self.constants[name] = self.rng.integers(-1, 2, shape).astype(np.float32)
        return name

    def integers(self, values):
        name = f"k{len(self.constants)}"
        self.constants[name] = np.array(values)
        return name

    def add(self, operator, inputs, shape, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append((operator, inputs, name, attributes))
        self.values[name] = tuple(int(size) for size in shape)

    def step(self):
        source = str(self.rng.choice(list(self.values)[-3:]))
        shape = self.values[source]
        steps = MAPS if len(shape) == 4 else ROWS
        steps[int(self.rng.integers(len(steps)))](self, source, shape)

    def model(self, kept):
        last = list(self.values)[-1]
        shape = self.values[last]
        out = (last, *[name for name in list(self.values)[1:-1] if self.rng.random() < kept])
        used = {name for node in self.nodes for name in node[1].split()}
        outputs = [name for name in self.values if name != "x" and (name in out or name not in used)]
        assume(shape and outputs)
        return model(list(self.values["x"]), " ".join(outputs), *self.nodes, **self.constants)


def relu(net, source, shape):
    net.add("Relu", source, shape)


def conv(net, source, shape):
    side, pad, stride = int(net.rng.integers(1, 4)), int(net.rng.integers(0, 2)), int(net.rng.choice([1, 2]))
    if side > min(shape[2:]) + 2 * pad:
        return
    out = [(size + 2 * pad - side) // stride + 1 for size in shape[2:]]
    grouped = net.rng.random() < 0.3
    weights = net.constant(shape[1] if grouped else int(net.rng.integers(1, 4)), 1 if grouped else shape[1], side, side)
    channels = net.constants[weights].shape[0]
    given_ = {"pads": [pad] * 4, "strides": [stride] * 2, "group": shape[1] if grouped else 1}
    net.add("Conv", f"{source} {weights} {net.constant(channels)}", (1, channels, *out), **given_)


def pool(net, source, shape):
    if min(shape[2:]) < 2:
        return
    out = (*shape[:2], *(size // 2 for size in shape[2:]))
    net.add("MaxPool", source, out, kernel_shape=[2, 2], strides=[2, 2])


def scale(net, source, shape):
    operator = str(net.rng.choice(["Mul", "Add", "Sub"]))
    like = [1] * len(shape)
    like[1] = shape[1] if net.rng.random() < 0.7 else 1
    net.add(operator, f"{source} {net.constant(*like)}", shape)


def join(net, source, shape):
    others = [name for name, other in net.values.items() if other == shape]
    operator = str(net.rng.choice(["Add", "Sub", "Sum"]))
    net.add(operator, f"{source} {net.rng.choice(others)}", shape)


def concat(net, source, shape):
    others = [name for name, other in net.values.items() if other[2:] == shape[2:] and len(other) == len(shape)]
    other = str(net.rng.choice(others))
    joined = shape[1] + net.values[other][1]
    net.add("Concat", f"{source} {other}", (1, joined, *shape[2:]), axis=1)
    name = list(net.values)[-1]
    if len(shape) == 4:
        net.add("Conv", f"{name} {net.constant(2, joined, 1, 1)}", (1, 2, *shape[2:]))
    else:
        net.add("MatMul", f"{name} {net.constant(joined, 3)}", (1, 3))


def flatten(net, source, shape):
    net.add("Flatten", source, (1, int(np.prod(shape[1:]))))


def transpose(net, source, shape):
    net.add("Transpose", source, (shape[0], shape[1], shape[3], shape[2]), perm=[0, 1, 3, 2])


def gemm(net, source, shape):
    width = int(net.rng.integers(1, 6))
    net.add("Gemm", f"{source} {net.constant(shape[1], width)} {net.constant(width)}", (1, width))


def reshape(net, source, shape):
    if shape[1] % 4 == 0:
        net.add("Reshape", f"{source} {net.integers([1, shape[1] // 4, 2, 2])}", (1, shape[1] // 4, 2, 2))


MAPS = [relu, relu, conv, conv, pool, scale, join, concat, flatten, transpose]
ROWS = [relu, gemm, gemm, scale, join, concat, reshape]


def refused(problem):
    """What whole numbers without scales cannot be compiled with, or no view can read."""
    known = ("cannot read its operand", "rows, more than", "Nothing is left", "a Concat", "cuts a dimension", "be cut")
    return any(text in str(problem) for text in known)


def compare(seed, steps, kept):
    net = Grown(seed, [(1, 2, 5, 4), (1, 1, 4, 4), (1, 3, 3, 3), (1, 8)][seed % 4])
    for _ in range(steps):
        net.step()
    assume(net.nodes)
    graph = net.model(kept)
    inputs = inputs_of(graph, 2, -3, 3, seed)
    try:
        answers = integers(graph, inputs, bits=3, width=14)
    except UnsupportedModelError as problem:
        if not refused(problem):
            raise
        assume(False)
    for mine, theirs in zip(answers, floats(graph, inputs), strict=True):
        np.testing.assert_array_equal(mine, theirs.astype(np.float64))


@given(seed=st.integers(0, 1 << 20), steps=st.integers(1, 7), kept=st.sampled_from([0.0, 0.3]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_random_networks_compute_what_onnxruntime_does(seed, steps, kept):
    compare(seed, steps, kept)


@pytest.mark.nightly
@given(seed=st.integers(0, 1 << 30), steps=st.integers(1, 9), kept=st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_many_random_networks_compute_what_onnxruntime_does(seed, steps, kept):
    compare(seed, steps, kept)


def test_blocks_are_ordered_by_the_last_node_that_each_contains():
    nodes = [
        ("MatMul", "x w", "a"),
        ("MatMul", "x v", "b"),
        ("Relu", "b", "c"),
        ("Relu", "a", "d"),
        ("Add", "c d", "y"),
    ]
    graph = model([1, 3], "y", *nodes, w=whole(1, 3, 3), v=whole(2, 3, 3))
    assert [block.name for block in plan(graph).blocks] == ["c", "d"]


def test_output_that_something_else_reads_is_a_copy_of_its_block():
    nodes = [("MatMul", "x w", "a"), ("Relu", "a", "y")]
    planned = plan(model([1, 3], "a y", *nodes, w=whole(1, 3, 3)))
    assert [block.name for block in planned.blocks] == ["a", "y"]
    assert [type(output.parts[0]).__name__ for output in planned.outputs] == ["Copied", "Copied"]


def test_one_node_behind_two_outputs_is_computed_twice_and_stored_never():
    nodes = [("MatMul", "x w", "a"), ("Transpose", "a", "y", {"perm": [1, 0]}), ("Reshape", "a s", "z")]
    planned = plan(model([2, 3], "y z", *nodes, w=whole(1, 3, 4), s=np.array([8])))
    assert planned.blocks == ()
    assert [type(output.parts[0]).__name__ for output in planned.outputs] == ["Weighted", "Weighted"]


def test_outputs_keep_the_order_of_the_model():
    nodes = [("Relu", "x", "a"), ("MatMul", "a w", "z"), ("MatMul", "a v", "b")]
    planned = plan(model([1, 3], "b z", *nodes, w=whole(1, 3, 2), v=whole(2, 3, 4)))
    assert [output.name for output in planned.outputs] == ["b", "z"]


def blocks_of(text, ports):
    header = '<ir_version: 8, opset_import: ["": 18]> g'
    weights = "<float[2,8] w = {1,2,3,4,5,6,7,8,8,7,6,5,4,3,2,1}>"
    return [block.name for block in plan(parser.parse_model(f"{header} {ports} {weights} {{ {text} }}")).blocks]


@pytest.mark.parametrize("side", [1, 3, 4])
def test_average_of_whole_maps_before_a_gemm_is_a_block(side):
    ports = f"(float[1,2,{side},{side}] x) => (float[1,8] y)"
    text = "r = Relu(x) p = GlobalAveragePool(r) f = Flatten(p) y = MatMul(f, w)"
    assert blocks_of(text, ports) == ["r", "p"]


def test_average_over_windows_before_a_gemm_is_no_block():
    ports = "(float[1,2,2,2] x) => (float[1,8] y)"
    text = "r = Relu(x) p = AveragePool<kernel_shape=[2,2], strides=[2,2]>(r) f = Flatten(p) y = MatMul(f, w)"
    assert blocks_of(text, ports) == ["r"]
