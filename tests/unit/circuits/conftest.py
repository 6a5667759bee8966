"""A tiny model, a home with small `insecure-dev` setups, and a circuit compiled with the fake engine."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING

import onnx
import pytest
from onnx import parser
from tests.unit.circuits import factories

from zkinfer.circuits import Circuit, Home, compile_model
from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.engines.fake import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """Replaces /dev/shm, which other processes use too, as the place of memory-backed scratch directories."""
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr("zkinfer.circuits.storage._volatile_parent", lambda: str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return factories.write_model(tmp_path_factory.mktemp("models") / "tiny.onnx")


@pytest.fixture(scope="session")
def dev_home(tmp_path_factory):
    """A home to read from; tests that write use `own_home`."""
    home = Home(tmp_path_factory.mktemp("home"))
    for k in (3, 4, 5):
        home.setups.insecure_dev(k)
    return home


@pytest.fixture
def own_home(dev_home, tmp_path):
    """A home for this test alone, with setups and without keys."""
    shutil.copytree(dev_home.root / "setups", tmp_path / "home" / "setups")
    return Home(tmp_path / "home")


@pytest.fixture(scope="session")
def compiled(tiny_model, dev_home, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        factories.without_children(patch)
        out = tmp_path_factory.mktemp("circuits") / "tiny"
        return compile_model(tiny_model, out, engine=FakeEngine(), home=dev_home, options=factories.DEV).circuit


@pytest.fixture
def folder(compiled, tmp_path):
    """A copy of the circuit's folder, to tamper with."""
    return shutil.copytree(compiled.folder, tmp_path / "circuit")


@pytest.fixture
def circuit(folder):
    return Circuit.open(folder)


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
    return pipeline.normal_form(model, dimensions, 7)[0]


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
