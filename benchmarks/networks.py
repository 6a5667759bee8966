"""The benchmark's networks, with random weights from a fixed seed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Model:
    """A model of the benchmark: one of `architectures`, one with layers, or the demo's that `example` names.

    `faster` is the promised speed of a proof, as a multiple of the plain engine's; `ashlar_faster` is that of a proof
    under Ashlar, and `ashlar_seconds` its promised time. `rounds` (0: the command's default) and `proofs` per round are
    the numbers of measurements; see `proofs_of`.
    """

    name: str
    layers: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()
    rounds: int = 0
    proofs: int = 3
    kinds: tuple[str, ...] = ("plain", "faithful", "zkinfer", "ashlar")
    faster: float = 1 / 1.1
    example: str = "digits"
    architecture: str = ""
    ashlar_faster: float | None = None
    ashlar_seconds: float | None = None

    def proofs_of(self, kind: str) -> int:
        """Proofs in one round: more of short ones, so that their medians mean something beside few long ones."""
        return max(self.proofs, LEAST_PROOFS.get(kind, 1))


LEAST_PROOFS = {"ashlar": 7}
ALL = ("plain", "accurate", "faithful", "zkinfer", "ashlar")
ALONE = ("ashlar",)
MODELS = (
    Model("dense 4-16-3", (4, 16, 3), faster=10),
    Model("digits 64-32-10", kinds=ALL, faster=5, ashlar_faster=20),
    Model("dense 784-64-10", (784, 64, 10), rounds=1, ashlar_faster=20),
    Model("LeNet-5 28x28", example="lenet", rounds=1, proofs=1, kinds=("plain", "ashlar"), ashlar_faster=100),
    Model("convolution 28x28", (784, 10), channels=(6, 12), rounds=1, proofs=1),
    Model("dense 784-700-10", (784, 700, 10), rounds=1, kinds=ALONE),
    Model(
        "CNN 32x32x3, 266,000 weights", rounds=1, kinds=("ashlar",), architecture="convolutional", ashlar_seconds=1.5
    ),
    Model("ResNet-20 32x32x3", rounds=1, kinds=("ashlar",), architecture="residual", ashlar_seconds=4.0),
    Model("100 trees of depth 8", rounds=1, kinds=("ashlar",), architecture="forest", ashlar_seconds=6.0),
    Model("14 layers, 3.4 million weights", rounds=1, kinds=("ashlar",), architecture="credit", ashlar_seconds=6.0),
)


def write(path: Path, model: Model) -> None:
    """Write a network with random weights of the usual magnitude."""
    random, nodes, constants, value = np.random.default_rng(0), [], [], "x"

    def constant(name: str, *shape: int) -> str:
        weights = random.normal(size=shape) / np.sqrt(max(1, np.prod(shape[1:]) if len(shape) == 4 else shape[0]))
        constants.append(numpy_helper.from_array(weights.astype(np.float32), name))
        return name

    side, before = 28, 1
    for place, channels in enumerate(model.channels):
        nodes.append(
            helper.make_node(
                "Conv",
                [value, constant(f"k{place}", channels, before, 5, 5), constant(f"c{place}", channels)],
                [f"conv{place}"],
                strides=[2, 2],
            )
        )
        nodes.append(helper.make_node("Relu", [f"conv{place}"], [f"relu{place}"]))
        value, before, side = f"relu{place}", channels, (side - 5) // 2 + 1
    if model.channels:
        nodes.append(helper.make_node("Flatten", [value], ["flat"]))
        value = "flat"
    sizes = (before * side * side, *model.layers[1:]) if model.channels else model.layers
    for place, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        weights = [constant(f"w{place}", fan_in, fan_out), constant(f"b{place}", fan_out)]
        last = place == len(sizes) - 2
        nodes.append(helper.make_node("Gemm", [value, *weights], ["y" if last else f"h{place}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"h{place}"], [f"a{place}"]))
        value = f"a{place}"
    shape: list[Any] = ["batch", 1, 28, 28] if model.channels else ["batch", model.layers[0]]
    ports = [helper.make_tensor_value_info("x", 1, shape), helper.make_tensor_value_info("y", 1, ["batch", sizes[-1]])]
    graph = helper.make_graph(nodes, "network", ports[:1], ports[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
