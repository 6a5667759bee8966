"""How fast this machine is with ezkl: one small circuit, its keys and proofs, timed once.

Keys and proofs are made of the same sums and transforms, so one rate holds for both; what the keys took beyond it is
their start. Other programs make a measurement longer and never shorter, so the least of several is taken.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.cost import Speed
from zkinfer.circuits.engines.ezkl_arguments import EzklArguments
from zkinfer.circuits.scratch import private_directory
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine, Program, Progress

_REPEATS = 2
_WIDTH, _LOG_ROWS = 38, 11  # a dense layer, and the rows that it fills
_LEAST_RATE = 1e-3  # of a machine a thousand times faster, where a busy moment made the start seem slow
_CONTEXT = (0, 0, 0, 0, 0)
_ARGUMENTS = EzklArguments(
    input_scale=7,
    param_scale=7,
    scale_rebase_multiplier=2,
    decomp_base=1 << (_LOG_ROWS - 1),
    decomp_legs=3,
    lookup_range=(0, 0),
    logrows=_LOG_ROWS,
).to_run_arguments()


def measure_speed(engine: Engine, setup: Callable[[int], Path], progress: Progress) -> Speed:
    """Time what a call takes that does next to nothing, then keys and proofs of one circuit; takes a few seconds."""
    start = _least_seconds(lambda: engine.commit([0]))
    progress(0.2)
    with private_directory() as folder:
        program, trusted, key = _built(engine, folder), setup(_LOG_ROWS), folder / "pk"
        work = engine.work(folder)
        progress(0.4)
        keys = _seconds(lambda: engine.make_keys(folder, trusted, key))
        progress(0.6)
        prove = _least_seconds(lambda: engine.prove(folder, program, trusted, key, [[1] * _WIDTH], _CONTEXT))
    rate = max(_LEAST_RATE, (prove - start) / work.prove)
    return Speed(max(0.0, keys - rate * work.keys), rate, start, rate)


def _least_seconds(call: Callable[[], object]) -> float:
    return min(_seconds(call) for _ in range(_REPEATS))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _built(engine: Engine, folder: Path) -> Program:
    network, spec = folder / "network.onnx", TensorSpec(name="x", dtype="float32", shape=(1, _WIDTH))
    _write_dense(network)
    return engine.build(network, [spec], [spec.model_copy(update={"name": "y"})], _ARGUMENTS, folder)


def _write_dense(path: Path) -> None:
    """One dense layer with a rectifier, the context before its input as in every network."""
    import onnx  # noqa: PLC0415 - heavy; the package must import light
    from onnx import helper, numpy_helper  # noqa: PLC0415

    weights = np.linspace(-1, 1, _WIDTH**2, dtype=np.float32).reshape(_WIDTH, _WIDTH) / _WIDTH
    ports = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("ctx", len(_CONTEXT)), ("x", _WIDTH), ("y", _WIDTH))
    ]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    graph = helper.make_graph(nodes, "dense", ports[:2], ports[2:], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
