"""The speed of this machine, and bounds of a cost that follow from the number of operations alone."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from zkinfer.circuits.cost import Speed, Work
from zkinfer.circuits.engines.ashlar import core
from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.cost import estimate
from zkinfer.circuits.engines.ashlar.draft import (
    Axis,
    AxisKind,
    Block,
    Draft,
    Factor,
    InputBlock,
    Output,
    Span,
    Table,
    TableKind,
    Term,
)
from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.base import Effort
    from zkinfer.circuits.frontend import Workload

CHUNK_BITS: Final = 13
"""Chunks of the largest network that is proved to measure a machine."""
_SIZES, _PROOFS, _LEAST_RATE = ((16, 10), (256, CHUNK_BITS)), 5, 0.05  # width and size of chunks
_CELL_SECONDS, _MEMORY_CELL, _LEAST_MEMORY = 1.6e-6, 320, 65_000_000
_LEAST_GAS, _LEAST_PROOF = 250_000, 2_000
# A search measures up to ten recipes on 64 samples, and the last on all; a quick one a third of that.
_MAC_SECONDS, _PASSES = 1e-9, {"quick": 250, "normal": 750, "max": 750}


def least_work(workload: Workload) -> Work:
    """A lower bound of the work of any circuit: each result of an operation is a cell."""
    cells = workload.elements
    seconds = 0.02 + _CELL_SECONDS * cells
    return Work(
        keys=0.1 * seconds,
        prove=seconds,
        memory_bytes=max(_LEAST_MEMORY, _MEMORY_CELL * cells),
        proving_key_bytes=0,
        proof_bytes=_LEAST_PROOF,
        gas=_LEAST_GAS,
    )


def search_seconds(workload: Workload, effort: Effort) -> float:
    """Roughly the seconds of a search: its forward passes."""
    return 2.0 + _PASSES[effort] * _MAC_SECONDS * workload.cells


def measure(setup: Path, report: Callable[[float], None]) -> Speed:
    """Prove a small and a larger network, and fit start and rate to the predictions.

    The least of several times counts: other work on the machine only adds to them.

    Args:
        setup: a file of at least 2^CHUNK_BITS powers.
        report: called with the fraction done.
    """
    runs = []
    for number, (width, chunk_bits) in enumerate(_SIZES, 1):
        runs.append(_Run.of(width, chunk_bits, setup))
        report(number / len(_SIZES))
    small, large = runs
    rate = max(_LEAST_RATE, (large.proof - small.proof) / (large.predicted - small.predicted))
    start = max(0.0, small.proof - rate * small.predicted)
    return Speed(keys_start=small.keys, keys_rate=rate, prove_start=start, prove_rate=rate)


@dataclass(frozen=True, slots=True)
class _Run:
    """One network: the work of a proof as predicted, and the measured seconds of its key and of a proof."""

    predicted: float
    keys: float
    proof: float

    @classmethod
    def of(cls, width: int, chunk_bits: int, setup: Path) -> Self:
        made = assemble(_dense(width), _recipe(chunk_bits))
        weights, inputs = core.as_bytes(made.weights), [(7 * place) % 31 - 15 for place in range(width)]
        began = time.perf_counter()
        key = core.make_key(made.code, weights, setup)
        keys, proofs = time.perf_counter() - began, []
        for _ in range(_PROOFS):
            began = time.perf_counter()
            core.prove(key, weights, inputs, secrets.token_bytes(32), setup)
            proofs.append(time.perf_counter() - began)
        return cls(estimate(made.shape).work().prove, keys, min(proofs))


def _recipe(chunk_bits: int) -> AshlarRecipe:
    return AshlarRecipe.parse(
        {
            "semantics": 1,
            "profile": "plain",
            "chunkBits": chunk_bits,
            "input": {"scale": 4, "bits": 6, "signed": True},
            "activations": {"h": [4, 8]},
            "weights": {"h": 6, "y": 6},
        }
    )


def _dense(width: int) -> Draft:
    """A dense network: width, width with Relu, 10."""
    generator = np.random.default_rng(width)
    hidden, last = (generator.integers(-63, 64, shape) for shape in ((width, width), (10, width)))
    relu = Table(TableKind.CLAMP_U, 8)
    entry = InputBlock("x", (Factor(width),), Table(TableKind.CLAMP_S, 5), (4,))
    block = Block("h", (Factor(width),), 6, relu, (_product(0, hidden),))
    return Draft(entry, (block,), (Output("y", (Factor(10),), 10, (_product(1, last),)),))


def _product(source: int, weights: NDArray[np.int64]) -> Term:
    o, i = (Span(0, Factor(size).bits) for size in weights.shape)
    axes = (Axis(AxisKind.EQ, o=o, weight=0), Axis(AxisKind.EQ, i=i, weight=1))
    return Term(source, axes, weights=weights)
