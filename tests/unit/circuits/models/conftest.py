from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import onnx
import pytest
from onnx import parser

from zkinfer.circuits.models import inside

if TYPE_CHECKING:
    from pathlib import Path

DENSE = """
<ir_version: 8, opset_import: ["": 17]>
g (float[N,3] x) => (float[N,2] y)
<float[3,2] w = {1.0, -2.0, 3.0, 0.5, 0.25, -1.0}, float[2] b = {0.5, -0.5}>
{ h = Gemm(x, w, b)  y = Relu(h) }
"""


def _model(body, inputs="float[1,4] x", outputs="float[1,4] y", constants="", opset=17):
    head = f'<ir_version: 8, opset_import: ["": {opset}]>'
    return parser.parse_model(f"{head} g ({inputs}) => ({outputs}) {constants} {{ {body} }}")


def _normal(model, **dimensions):
    return inside.normal_form(model, dimensions, 7)[0]


@pytest.fixture
def model():
    """Build a model from the text of its nodes."""
    return _model


@pytest.fixture
def normal():
    """Normalise in this process."""
    return _normal


@pytest.fixture
def kinds():
    """Operators of a model, counted."""
    return lambda model: dict(Counter(node.op_type for node in model.graph.node))


@pytest.fixture
def dense():
    """A dense layer with a dynamic batch."""
    return parser.parse_model(DENSE)


@pytest.fixture
def saved(tmp_path):
    """Write a model to a file."""

    def save(model: onnx.ModelProto) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return save
