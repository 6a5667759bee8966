"""Cost model of ezkl's circuits: work, memory and gas of a layout.

Halo2's prover spends its time on multi-scalar multiplications, one for each commitment, and on the quotient, which
is computed on the extended domain for every column. The coefficients were fitted to 45 circuits of 300 to 290,000
rows and 1 to 9 inner columns, with lookups, sorting and tables in parts: seconds of one core on a 2.5 GHz server
[measured; `benchmarks/engine.py` compares predictions with measurements again]. Other machines are faster or slower by
a factor, which `zkinfer.circuits.home` measures.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.cost import Speed, Work
from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.circuits.engines.ezkl.layout import Layout
from zkinfer.circuits.engines.ezkl.run_args import INNER_COLUMNS, MAX_BLOCKS, MAX_LOG_ROWS, MIN_LOG_ROWS, EzklArguments
from zkinfer.circuits.storage import private_directory
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zkinfer.circuits.engines.base import Effort, Engine, Program, Progress


_ROUNDS = 3
_SMALL, _LARGE = (10, 22), (13, 98)  # log2 of rows, and the width of a dense layer that fills them
_LEAST_RATE = 1e-3  # a thousand times faster; a lower bound, for when a busy moment made the start seem slow
_CONTEXT = bytes(32)
_SEARCH_RATE: dict[Effort, float] = {"quick": 3e-4, "normal": 6e-4, "max": 2e-3}  # seconds per cell, for large models


@dataclass(frozen=True, slots=True)
class _Circuit:
    """A circuit for measuring speed."""

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


def search_seconds(cells: int, effort: Effort) -> float:
    """Rough duration of the search for settings; most of it are forward passes and layouts [measured]."""
    return 5.0 + cells * _SEARCH_RATE[effort]


def measure_speed(engine: Engine, setup: Callable[[int], Path], progress: Progress) -> Speed:
    """Time a trivial call, and the keys and proofs of two circuits; takes about fifteen seconds."""
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
    gain = max(high / low, 1 / (1 + math.log(most / least)))  # a smaller gain would make more work take less time
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
    """Write a dense layer with Relu; the context precedes its input, as in every network."""
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


_SCALAR = 32
_SHRINK_ROW = 2.0e-3
_KEYS_START, _KEYS_DOMAIN, _KEYS_COLUMN = 0.126, 1.44e-6, 7.75e-6
_PROVE_START, _PROVE_COMMITMENT, _PROVE_DOMAIN = 0.139, 1.676e-4, 1.119e-6
_MEMORY_START, _MEMORY_KEY, _MEMORY_DOMAIN = 30 << 20, 1.80, 0.772
_MEMORY_LEAST = 60 << 20


def work_of(layout: Layout) -> Work:
    """Work for the keys and for one proof of a circuit."""
    return Work(
        keys=_keys(layout),
        prove=_prove(layout),
        memory_bytes=_memory(layout),
        proving_key_bytes=layout.proving_key_bytes,
        proof_bytes=layout.proof_bytes,
        gas=_gas(layout),
    )


def least_work(multiplications: int) -> Work:
    """A lower bound for circuits with so many multiplications, of each figure separately.

    The minimum of all layouts whose columns hold nothing but the multiplications, besides tables of one part.
    """
    works = [work_of(layout) for layout in _layouts_that_hold(multiplications)]
    return Work(**{name: min(getattr(work, name) for work in works) for name in Work.__slots__})


def _layouts_that_hold(multiplications: int) -> Iterator[Layout]:
    """The smallest layouts per number of rows; only the tallest exceed `MAX_BLOCKS`, to keep the bound growing."""
    for log_rows in range(MIN_LOG_ROWS, MAX_LOG_ROWS + 1):
        for inner in INNER_COLUMNS:
            blocks = max(1, -(-multiplications // (inner << log_rows)))
            if blocks <= MAX_BLOCKS or log_rows == MAX_LOG_ROWS:
                yield Layout(
                    log_rows=log_rows,
                    blocks=blocks,
                    inner=inner,
                    constants=1,
                    range_parts=(1, 1),
                    functions=0,
                    function_parts=0,
                    searches=0,
                    instances=LIMBS,
                )


def with_shrinking(work: Work, layout: Layout) -> Work:
    """The same under a larger trusted setup, which the engine cuts down to the circuit's size each time."""
    shrinking = _SHRINK_ROW * layout.rows
    return replace(work, keys=work.keys + shrinking, prove=work.prove + shrinking)


def _keys(layout: Layout) -> float:
    columns = (layout.permuted + layout.fixed) * layout.rows
    return _KEYS_START + (_KEYS_DOMAIN * layout.extension + _KEYS_COLUMN) * columns


def _prove(layout: Layout) -> float:
    """A multi-scalar multiplication of n points takes n / log n additions (Pippenger)."""
    commitments = layout.commitments * layout.rows / (layout.log_rows + 3)
    domain = layout.extension * layout.rows * (_columns_of_the_quotient(layout) + layout.fixed)
    return _PROVE_START + _PROVE_COMMITMENT * commitments + _PROVE_DOMAIN * domain


def _memory(layout: Layout) -> int:
    """Memory holds the proving key, and the columns of the witness on the extended domain."""
    domain = layout.extension * layout.rows * _columns_of_the_quotient(layout) * _SCALAR
    return max(_MEMORY_LEAST, int(_MEMORY_START + _MEMORY_KEY * layout.proving_key_bytes + _MEMORY_DOMAIN * domain))


def _columns_of_the_quotient(layout: Layout) -> int:
    return layout.advice + 2 * layout.lookups + layout.permuted


def _gas(layout: Layout) -> int:
    """Gas of one transaction that verifies a proof by the verifier of all circuits, calldata included.

    A fixed part, with a pairing and three exponentiations; for every commitment that the opening combines, a
    multiplication and an addition on the curve, its share of the arithmetic, and of the key that is interpreted;
    calldata; the public values. Measured to within 4 % on 19 circuits at the gas prices of the Osaka fork; earlier
    forks take 8,100 less.
    """
    combined = layout.commitments + layout.fixed + layout.permuted + 2
    calldata = 1_021 * layout.commitments + 511 * layout.evaluations
    return 175_400 + 9_920 * combined + calldata + 1_410 * layout.instances
