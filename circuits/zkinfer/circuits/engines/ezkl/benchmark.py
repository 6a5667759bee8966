"""How fast this machine is with ezkl: a small and a large circuit, keys and proofs of each, timed in turns.

Two sizes, since small circuits leave cores idle that large ones use; how many depends on the machine. Keys and proofs
are made of the same sums and transforms, so the same rates hold for both; what the small circuit's keys took beyond
that is their start. Other programs make a measurement longer and never shorter, so the least of several is taken; in
turns, so that a busy moment does not fall on one size only.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.cost import Speed
from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.storage import private_directory
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine, Program, Progress

_ROUNDS = 3
_SMALL, _LARGE = (10, 22), (13, 98)  # log2 of rows, and the width of a dense layer that fills them
_LEAST_RATE = 1e-3  # of a machine a thousand times faster, where a busy moment made the start seem slow
_CONTEXT = bytes(32)


@dataclass(frozen=True, slots=True)
class _Circuit:
    """A circuit that is there to be timed."""

    engine: Engine
    folder: Path
    setup: Path
    program: Program
    width: int

    def make_keys(self) -> None:
        self.engine.make_keys(self.folder, self.setup, self.folder / "pk")

    def commit(self) -> None:
        self.engine.commit(self.folder, self.program, self.setup, 0, [0])

    def prove(self) -> None:
        sample = [[1] * self.width]
        self.engine.prove(self.folder, self.program, self.setup, self.folder / "pk", sample, _CONTEXT)


def measure_speed(engine: Engine, setup: Callable[[int], Path], progress: Progress) -> Speed:
    """Time a call that does next to nothing, and keys and proofs of two circuits; takes about fifteen seconds."""
    with private_directory() as folder:
        small, large = (_built(engine, folder / str(size[0]), setup, *size) for size in (_SMALL, _LARGE))
        progress(0.1)
        keys, _ = (_seconds(circuit.make_keys) for circuit in (small, large))
        rounds = []
        for done in range(_ROUNDS):
            progress(0.3 + 0.7 * done / _ROUNDS)
            rounds.append([_seconds(call) for call in (small.commit, small.prove, large.prove)])
        works = [engine.work(circuit.folder) for circuit in (small, large)]
    start, *proofs = (min(times) for times in zip(*rounds, strict=True))
    low, high = (max(_LEAST_RATE, (proof - start) / work.prove) for proof, work in zip(proofs, works, strict=True))
    least, most = works[0].prove, works[1].prove
    gain = max(high / low, 1 / (1 + math.log(most / least)))  # below that, more work would take less time
    return Speed(max(0.0, keys - low * works[0].keys), low, start, low, small=least, large=most, gain=gain)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _built(engine: Engine, folder: Path, setup: Callable[[int], Path], log_rows: int, width: int) -> _Circuit:
    folder.mkdir()
    network, spec = folder / "network.onnx", TensorSpec(name="x", dtype="float32", shape=(1, width))
    _write_dense(network, width)
    arguments = _arguments(log_rows).to_run_arguments()
    program = engine.build(network, [spec], [spec.model_copy(update={"name": "y"})], arguments, folder)
    return _Circuit(engine, folder, setup(log_rows), program, width)


def _arguments(log_rows: int) -> EzklArguments:
    return EzklArguments(
        input_scale=7,
        param_scale=7,
        scale_rebase_multiplier=2,
        decomp_base=1 << (log_rows - 1),
        decomp_legs=3,
        lookup_range=(0, 0),
        logrows=log_rows,
    )


def _write_dense(path: Path, width: int) -> None:
    """One dense layer with a rectifier, the context before its input as in every network."""
    import onnx  # noqa: PLC0415 - heavy; the package must import light
    from onnx import helper, numpy_helper  # noqa: PLC0415

    weights = np.linspace(-1, 1, width**2, dtype=np.float32).reshape(width, width) / width
    ports = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("ctx", LIMBS), ("x", width), ("y", width))
    ]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    graph = helper.make_graph(nodes, "dense", ports[:2], ports[2:], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
