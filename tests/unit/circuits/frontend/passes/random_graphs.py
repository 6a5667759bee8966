"""Small random graphs for hypothesis: every value has shape [1,4,4], so any operator may follow any other."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 4, 4)
NUMBERS = [0.0, 1.0, -1.0, 2.0, -3.0, 7.0, 0.5, 0.25, 1 / 255, 0.1, 1.7, 6.0, 40.0]
UNARY = [
    "Abs",
    "Elu",
    "Exp",
    "HardSigmoid",
    "Identity",
    "LeakyRelu",
    "Neg",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softmax",
    "Tanh",
]


class Growing:
    """A graph to which nodes are added."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.values = [], [], ["x"]

    def held(self, array, dtype=np.float32):
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def normal(self, *shape):
        return self.held(self.rng.normal(size=shape) * 0.5)

    def node(self, operator, *inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def sizes(self, *sizes):
        return self.held(sizes, np.int64)

    def model(self, outputs):
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        fed = [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)]
        graph = helper.make_graph(self.nodes, "g", fed, made, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _number(g, value, operator, number, flag):
    """An operation with a scalar, or with one number per channel."""
    number = 1.0 if operator == "Div" and number == 0 else number
    constant = g.held(number * g.rng.uniform(0.3, 1.5, size=(4, 1)) if flag else number)
    pair = [value, constant] if operator == "Div" or g.rng.integers(2) else [constant, value]
    return g.node(operator, *pair)


def _gemm(g, value, number, flag):
    flat = g.node("Reshape", value, g.sizes(4, 4))
    made = g.node("Gemm", flat, g.normal(4, 4), g.normal(4), transB=int(flag), alpha=number or 1.0, beta=0.5)
    return g.node("Unsqueeze", made, g.sizes(0))


def _pooled(g, value, operator):
    half = g.node(operator, value, kernel_shape=[2], strides=[2])
    return g.node("Concat", half, half, axis=2)


def _largest(g, value, number, flag):
    return g.node("Mul", value, g.node("ReduceMax", g.node("Relu", value), axes=[1 + flag]))


MENU = {
    **{name: lambda g, v, n, f, name=name: g.node(name, v) for name in UNARY},
    **{
        name: lambda g, v, n, f, name=name: _number(g, v, name, n, f)
        for name in ["Add", "Div", "Max", "Min", "Mul", "Sub"]
    },
    "AveragePool": lambda g, v, n, f: _pooled(g, v, "AveragePool"),
    "BatchNormalization": lambda g, v, n, f: g.node(
        "BatchNormalization", v, g.normal(4), g.normal(4), g.normal(4), g.held(g.rng.uniform(0.1, 2, size=4))
    ),
    "Both": lambda g, v, n, f: g.node("Mul" if f else "Add", v, g.values[-1]),
    "Clip": lambda g, v, n, f: g.node("Clip", v, *[g.held(bound) for bound in (-abs(n), 5.0)][: 1 + f]),
    "Conv": lambda g, v, n, f: g.node("Conv", v, g.normal(4, 4, 3), *[g.normal(4)] * f, pads=[1, 1]),
    "ConvTranspose": lambda g, v, n, f: g.node("ConvTranspose", v, g.normal(4, 4, 1), *[g.normal(4)] * f),
    "Depthwise": lambda g, v, n, f: g.node("Conv", v, g.normal(4, 1, 1), *[g.normal(4)] * f, group=4),
    "Gemm": _gemm,
    "LayerNormalization": lambda g, v, n, f: g.node("LayerNormalization", v, g.normal(4), *[g.normal(4)] * f),
    "Left": lambda g, v, n, f: g.node("MatMul", g.normal(4, 4), v),
    "Mask": lambda g, v, n, f: g.node("Mul", v, g.held(g.rng.integers(0, 2, size=(4, 1) if f else 4))),
    "MatMul": lambda g, v, n, f: g.node("MatMul", v, g.normal(4, 4)),
    "MaxPool": lambda g, v, n, f: _pooled(g, v, "MaxPool"),
    "PRelu": lambda g, v, n, f: g.node("PRelu", v, g.normal(4, 1)),
    "Pow": lambda g, v, n, f: g.node("Pow", v, g.held(2.0 if f else 1.0)),
    "ReduceMax": _largest,
    "Reshape": lambda g, v, n, f: g.node("Reshape", g.node("Flatten", v), g.sizes(*SHAPE)),
    "Transpose": lambda g, v, n, f: g.node("Transpose", v, perm=[0, 2, 1]),
}


@st.composite
def random_graphs(draw):
    """Up to eight steps, each on an earlier value; the last value is an output, and possibly another one."""
    graph = Growing(draw(st.integers(0, 1000)))
    for _ in range(draw(st.integers(1, 8))):
        value = graph.values[-1 - draw(st.integers(0, min(2, len(graph.values) - 1)))]
        step = MENU[draw(st.sampled_from(sorted(MENU)))]
        graph.values.append(step(graph, value, draw(st.sampled_from(NUMBERS)), draw(st.booleans())))
    more = draw(st.integers(0, len(graph.values) - 1))
    return graph.model(dict.fromkeys([graph.values[-1], *graph.values[max(more, 1) :][:1]]))
