"""How fast this machine is with ezkl: two small circuits, keys and proofs, timed once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.cost import Speed
from zkinfer.circuits.engines.ezkl_arguments import EzklArguments
from zkinfer.circuits.scratch import private_directory
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zkinfer.circuits.cost import Work
    from zkinfer.circuits.engines.base import Engine, Progress

_PROOFS = 3
_SIZES = ((8, 9), (40, 11))  # width of a dense layer, and log2 of the rows that hold it
_BITS = 7
_LEAST_RATE = 1e-3  # of a machine a thousand times faster, where a busy moment made the small one seem slow
_CONTEXT = (0, 0, 0, 0, 0)


def measure_speed(engine: Engine, setup: Callable[[int], Path], progress: Progress) -> Speed:
    """Make the keys of two circuits once and prove each of them several times; takes a few seconds."""
    small, large = (
        _timed(engine, width, setup(log_rows), log_rows, progress, done / len(_SIZES))
        for done, (width, log_rows) in enumerate(_SIZES)
    )
    keys_start, keys_rate = _line((small.work.keys, small.keys), (large.work.keys, large.keys))
    prove_start, prove_rate = _line((small.work.prove, small.prove), (large.work.prove, large.prove))
    return Speed(keys_start, keys_rate, prove_start, prove_rate)


@dataclass(frozen=True, slots=True)
class _Timed:
    """Predicted work, and measured seconds for the keys and (median) for a proof."""

    work: Work
    keys: float
    prove: float


def _line(low: tuple[float, float], high: tuple[float, float]) -> tuple[float, float]:
    """Start and rate of the line through two points (work, seconds); neither is negative."""
    rate = max(_LEAST_RATE, (high[1] - low[1]) / (high[0] - low[0]))
    return max(0.0, low[1] - rate * low[0]), rate


def _timed(engine: Engine, width: int, setup: Path, log_rows: int, progress: Progress, done: float) -> _Timed:
    with private_directory() as folder:
        network, spec = folder / "network.onnx", TensorSpec(name="x", dtype="float32", shape=(1, width))
        _write_dense(network, width)
        answer = spec.model_copy(update={"name": "y"})
        program = engine.build(network, [spec], [answer], _arguments(log_rows), folder)
        start = time.perf_counter()
        engine.make_keys(folder, setup, folder / "pk")
        keys = time.perf_counter() - start
        proofs = []
        for count in range(_PROOFS):
            progress(done + 0.5 * (1 + count) / (1 + _PROOFS))
            start = time.perf_counter()
            engine.prove(folder, program, setup, folder / "pk", [[1] * width], _CONTEXT)
            proofs.append(time.perf_counter() - start)
        return _Timed(engine.work(folder), keys, median(proofs))


def _arguments(log_rows: int) -> dict[str, object]:
    return EzklArguments(
        input_scale=_BITS,
        param_scale=_BITS,
        scale_rebase_multiplier=2,
        decomp_base=1 << (log_rows - 1),
        decomp_legs=4 if log_rows < 10 else 3,
        lookup_range=(0, 0),
        logrows=log_rows,
    ).to_run_arguments()


def _write_dense(path: Path, width: int) -> None:
    """One dense layer with a rectifier, the context before its input as in every network."""
    import onnx  # noqa: PLC0415 - heavy; the package must import light
    from onnx import helper, numpy_helper  # noqa: PLC0415

    weights = np.linspace(-1, 1, width * width, dtype=np.float32).reshape(width, width) / width
    ports = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("ctx", len(_CONTEXT)), ("x", width), ("y", width))
    ]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    graph = helper.make_graph(nodes, "dense", ports[:2], ports[2:], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
