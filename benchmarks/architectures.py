"""The benchmark's larger networks, with random weights from a fixed seed, and samples for them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Array = np.ndarray[Any, Any]

_OPSETS = {"": 17, "ai.onnx.ml": 3}
_PATCHES = 8


class Graph:
    """A graph that grows node by node from its input `x`; each method returns the name of its result."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.random = np.random.default_rng(0)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        name = f"v{len(self._nodes)}"
        node = helper.make_node(operator, list(inputs), [name], name=name, domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return name

    def constant(self, values: Array) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def weights(self, *shape: int, gain: float = 2.0) -> str:
        """Normal weights [out, in, ...] that keep the variance; `gain` is 2 before a Relu."""
        return self.constant(self.random.normal(size=shape) * np.sqrt(gain / np.prod(shape[1:])))

    def bias(self, size: int) -> str:
        return self.constant(self.random.normal(size=size) / 10)

    def dense(self, value: str, fan_in: int, fan_out: int) -> str:
        return self.add("Gemm", value, self.weights(fan_out, fan_in), self.bias(fan_out), transB=1)

    def conv(self, value: str, fan_in: int, fan_out: int, *, side: int = 3, stride: int = 1, gain: float = 2.0) -> str:
        """A convolution that keeps the size, or halves it with stride 2."""
        pads = [(side - 1) // 2] * 4
        kernel = self.weights(fan_out, fan_in, side, side, gain=gain)
        return self.add("Conv", value, kernel, self.bias(fan_out), pads=pads, strides=[stride] * 2)

    def pool(self, value: str, side: int = 2) -> str:
        return self.add("AveragePool", value, kernel_shape=[side] * 2, strides=[side] * 2)

    def save(self, path: Path, output: str, width: int) -> None:
        shape: list[Any] = ["batch", *self.shape]
        ports = [
            helper.make_tensor_value_info("x", 1, shape),
            helper.make_tensor_value_info("y", 1, ["batch", width]),
        ]
        self._nodes[-1].output[0] = "y"
        assert output == self._nodes[-1].name
        graph = helper.make_graph(self._nodes, "network", ports[:1], ports[1:], self._constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def convolutional(graph: Graph) -> tuple[str, int]:
    """Three padded convolutions with pools and two dense layers: 266,435 weights."""
    value, channels = "x", 3
    for wider in (32, 64, 64):
        value = graph.pool(graph.add("Relu", graph.conv(value, channels, wider)))
        channels = wider
    value = graph.add("Relu", graph.dense(graph.add("Flatten", value), channels * 4 * 4, 203))
    return graph.dense(value, 203, 10), 10


def residual(graph: Graph) -> tuple[str, int]:
    """ResNet-20: a convolution, nine residual blocks of two, a dense layer; 270,000 weights."""
    value, channels = graph.add("Relu", graph.conv("x", 3, 16)), 16
    for wider in (16, 32, 64):
        for _ in range(3):
            stride = 2 if wider != channels else 1
            inner = graph.add("Relu", graph.conv(value, channels, wider, stride=stride))
            inner = graph.conv(inner, wider, wider, gain=0.5)
            around = value if stride == 1 else graph.conv(value, channels, wider, side=1, stride=2, gain=1.0)
            value, channels = graph.add("Relu", graph.add("Add", inner, around)), wider
    pooled = graph.add("Flatten", graph.pool(value, 8))
    return graph.dense(pooled, channels, 10), 10


TABLE_WIDTH, LAYERS, LAYER_WIDTH = 96, 14, 528
# Features of a table as it is found: rates beside counts beside amounts.
_UNITS: Final = 10.0 ** np.linspace(-2, 4, TABLE_WIDTH)


def credit(graph: Graph) -> tuple[str, int]:
    """A scaler, 14 dense layers and one Sigmoid: 3.4 million weights."""
    scaled = graph.add("Div", graph.add("Sub", "x", graph.constant(_UNITS)), graph.constant(_UNITS / 2))
    widths = [TABLE_WIDTH, *[LAYER_WIDTH] * (LAYERS - 1)]
    value = scaled
    for fan_in, fan_out in pairwise(widths):
        value = graph.add("Relu", graph.dense(value, fan_in, fan_out))
    return graph.add("Sigmoid", graph.dense(value, LAYER_WIDTH, 1)), 1


TREES, DEPTH, FEATURES = 100, 8, 54


def forest(graph: Graph) -> tuple[str, int]:
    """100 complete trees of depth 8 that sum up to one number."""
    inner, leaves = 2**DEPTH - 1, 2**DEPTH
    nodes, random = [(tree, node) for tree in range(TREES) for node in range(inner + leaves)], graph.random
    splits = np.array([node < inner for _, node in nodes])
    leaf_of = [(tree, node) for tree, node in nodes if node >= inner]
    ensemble: dict[str, Any] = {
        "nodes_treeids": [tree for tree, _ in nodes],
        "nodes_nodeids": [node for _, node in nodes],
        "nodes_featureids": np.where(splits, random.integers(0, FEATURES, len(nodes)), 0),
        "nodes_values": np.where(splits, random.integers(16, 240, len(nodes)) + 0.5, 0.0),
        "nodes_modes": ["BRANCH_LEQ" if split else "LEAF" for split in splits],
        "nodes_truenodeids": [2 * node + 1 if node < inner else 0 for _, node in nodes],
        "nodes_falsenodeids": [2 * node + 2 if node < inner else 0 for _, node in nodes],
        "target_treeids": [tree for tree, _ in leaf_of],
        "target_nodeids": [node for _, node in leaf_of],
        "target_ids": [0] * len(leaf_of),
        "target_weights": random.normal(size=len(leaf_of)) / TREES,
    }
    attributes = {name: list(values) for name, values in ensemble.items()}
    return graph.add("TreeEnsembleRegressor", "x", domain="ai.onnx.ml", n_targets=1, **attributes), 1


ARCHITECTURES: Final[dict[str, tuple[Callable[[Graph], tuple[str, int]], tuple[int, ...]]]] = {
    "convolutional": (convolutional, (3, 32, 32)),
    "residual": (residual, (3, 32, 32)),
    "forest": (forest, (FEATURES,)),
    "credit": (credit, (TABLE_WIDTH,)),
}
"""What makes the graph, and the shape of one input, by name."""


def write(path: Path, architecture: str) -> None:
    """Write a network."""
    make, shape = ARCHITECTURES[architecture]
    graph = Graph(shape)
    output, width = make(graph)
    graph.save(path, output, width)


def samples(architecture: str, count: int) -> Array:
    """Inputs [count, *shape]: patches on a coloured ground, counts of 0..255, or amounts in units of their own."""
    random, shape = np.random.default_rng(1), (count, *ARCHITECTURES[architecture][1])
    if architecture == "credit":
        return (_UNITS * (1 + random.normal(size=shape) / 2)).astype(np.float32)
    if architecture == "forest":
        return random.integers(0, 256, shape).astype(np.float32)
    # Colours that differ from picture to picture: answers to noise alone hardly differ after a pool over everything.
    patches = random.integers(0, 128, (*shape[:2], _PATCHES, _PATCHES)) + random.integers(0, 128, (*shape[:2], 1, 1))
    side = shape[-1] // _PATCHES
    return (np.kron(patches, np.ones((1, 1, side, side))) / 256).astype(np.float32)
