"""Tiny ONNX models, engines that fail or lie, and a hand-written manifest."""

from __future__ import annotations

import copy
import importlib
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from zkinfer.circuits import CompileOptions, Home, compile_model
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineError
from zkinfer.circuits.manifest import MANIFEST
from zkinfer.circuits.sandbox import child

if TYPE_CHECKING:
    from collections.abc import Iterator

DEV = CompileOptions(setup="insecure-dev")
X = np.array([[0.5, -1.25, 2.0]], dtype=np.float32)
# A manifest of a made-up circuit in which every kind of field occurs with an explicit value.
DOCUMENT = {
    "headroom": 16.0,
    "cost": {"memoryBytes": 60_000_000, "gas": 500_000},
    "choice": {
        "kept": False,
        "maxAbsoluteError": 0.5,
        "maxAccuracyDrop": 0.25,
        "maxError": 0.05,
        "minAgreement": 0.99,
        "samples": 16,
    },
    "fidelity": {
        "absoluteMax": 1.5,
        "accuracy": {"circuit": 0.75, "model": 0.875, "output": "y"},
        "agreement": 1.0,
        "columns": [
            {
                "absoluteMax": 1.0,
                "column": 1,
                "errorMax": 0.5,
                "errorP99": 0.375,
                "high": 2.0,
                "low": -0.5,
                "output": "y",
                "unit": 2.0,
            }
        ],
        "data": "held-out",
        "errorHistogram": {"counts": [20, 10, 2], "edges": [0.125, 0.25]},
        "errorMax": 0.5,
        "errorP50": 0.0625,
        "errorP90": 0.125,
        "errorP99": 0.25,
        "inputs": [{"high": 3.5, "leastPeak": 0.25, "low": -2.0, "name": "x"}],
        "samples": 16,
        "worst": [{"error": 0.5, "sameAnswer": False, "sample": 7}],
    },
    "files": {"model.onnx": "sha256:" + "11" * 32, "vk": "sha256:" + "22" * 32},
    "format": "zkinfer-circuit/1",
    "identity": {
        "model": "sha256:" + "11" * 32,
        "network": "sha256:" + "33" * 32,
        "verifyingKey": "keccak256:" + "44" * 32,
    },
    "keys": {
        "proofBytes": 32,
        "provingKey": "sha256:" + "55" * 32,
        "provingKeyBytes": 64,
        "verifyingKeyBytes": 96,
    },
    "operators": {"Gemm": 1},
    "parameters": 8,
    "program": {
        "figures": {"elements": 5},
        "inputs": [{"dtype": "float32", "name": "x", "scale": 8, "shape": [1, 3], "visibility": "public"}],
        "integer_limit": 1 << 30,
        "layout": {"inputWidth": 4, "inputs": 3, "outputs": 2, "signed": True, "visibility": "public"},
        "outputs": [{"dtype": "float32", "name": "y", "scale": 8, "shape": [1, 2], "visibility": "public"}],
        "setup_size": 3,
    },
    "recipe": {
        "dimensions": {"N": 1},
        "engine": "fake/1",
        "inputVisibility": "public",
        "normaliser": "zkinfer-normal/1",
        "runArguments": {"scale": 8},
        "setup": {"ceremony": "insecure-dev", "tauG2": "sha256:" + "66" * 32},
    },
}


def write_model(path: Path, *, bias: float = 0.5, input_name: str = "x", batch: int | str = 1) -> Path:
    """Write y = x W + b, a float[1,3] to a float[1,2]."""
    weights = numpy_helper.from_array(np.array([[1, -1], [0.5, 2], [-0.25, 1]], dtype=np.float32), "weights")
    shift = numpy_helper.from_array(np.array([bias, 0.0], dtype=np.float32), "bias")
    graph = helper.make_graph(
        [helper.make_node("Gemm", [input_name, "weights", "bias"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, [batch, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 2])],
        [weights, shift],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def in_this_process(function, arguments, *, limits, progress=None):
    """Replaces `child.run` where the child is not under test: calls the same function, but fast."""
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(**arguments)


def without_children(monkeypatch) -> None:
    monkeypatch.setattr(child, "run", in_this_process)


def compile_tiny(folder: Path, out: Path | None = None, **model) -> SimpleNamespace:
    """A home, a model and its circuit, compiled with the fake engine."""
    home, path = Home(folder / "home"), write_model(folder / "tiny.onnx", **model)
    with pytest.MonkeyPatch.context() as patch:
        without_children(patch)
        circuit = compile_model(path, out or folder / "circuit", engine=FakeEngine(), home=home, options=DEV).circuit
    return SimpleNamespace(folder=folder, home=home, model=path, circuit=circuit)


def engine_with(**calls) -> FakeEngine:
    """A fake engine with these methods replaced."""
    engine = FakeEngine()
    for name, call in calls.items():
        assert hasattr(engine, name)
        setattr(engine, name, call)
    return engine


def engine_failing_at(call: str) -> FakeEngine:
    def fail(*_, **__):
        raise EngineError(f"It broke at {call}.")

    return engine_with(**{call: fail})


def rewritten(folder: Path, change) -> None:
    """Apply `change` to the manifest in a circuit folder."""
    document = json.loads((folder / MANIFEST).read_bytes())
    change(document)
    (folder / MANIFEST).write_bytes(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def places(value, path=()) -> Iterator[tuple]:
    """The path of every value in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def at(document, path):
    for key in path:
        document = document[key]
    return document


def with_value(document, path, value):
    """A copy of a document with another value at `path`."""
    changed = copy.deepcopy(document)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def without(document, path):
    """A copy of a document without the value at `path`."""
    changed = copy.deepcopy(document)
    del at(changed, path[:-1])[path[-1]]
    return changed


def everything_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def is_alive(pid: int) -> bool:
    """Whether a process runs; zombies do not."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
