"""Stored run arguments of the quick search, so that most tests compile without a search.

`tests/assets/make_arguments.py` writes them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from tests.integration import bench

from zkinfer.circuits import CompileOptions

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.tensors import Visibility

ARGUMENTS = bench.REPOSITORY / "tests/assets/arguments.json"
ZOO = bench.REPOSITORY / "tests/assets/zoo"
SHARED_MODELS = ("1l_mlp", "1l_softmax", "4l_relu_conv_fc", "accuracy", "lstm", "xgboost")


def found_once() -> dict[str, dict[str, Any]]:
    """All stored run arguments, by model name."""
    found: dict[str, dict[str, Any]] = json.loads(ARGUMENTS.read_bytes())
    return found


def options(name: str, visibility: Visibility = "public") -> CompileOptions:
    """Compile options with the stored run arguments of a model; raises KeyError if there are none."""
    return CompileOptions(setup="insecure-dev", input_visibility=visibility, run_arguments=found_once()[name])


def shared_files(name: str) -> tuple[Path, Path]:
    """Paths of an optional third-party model and of its sample."""
    folder = bench.SHARED / "models" / name
    return folder / "network.onnx", folder / "input.json"


def samples_like(data: Path, model: Path, folder: Path) -> Path:
    """The sample of a model, and seven copies with two per cent noise."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(5)
    samples: dict[str, Any] = {}
    for port, flat in zip(session.get_inputs(), json.loads(data.read_bytes())["input_data"], strict=True):
        shape = [size if isinstance(size, int) else 1 for size in port.shape]
        one = np.array(flat, np.float32).reshape(1, *shape)
        noise = 1 + 0.02 * random.standard_normal((7, *shape))
        samples[port.name] = np.concatenate([one, one * noise]).astype(np.float32)
    np.savez(folder / "samples.npz", **samples)
    return folder / "samples.npz"
