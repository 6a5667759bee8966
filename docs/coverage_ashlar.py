"""The sections of docs/reference/coverage.md about Ashlar, for docs/coverage.py."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, parser

from zkinfer.circuits import Compiled, CompileOptions, Home, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.engines.ashlar.lowering.refusals import known_refusal
from zkinfer.circuits.errors import UnsupportedModelError, ZkinferError
from zkinfer.circuits.frontend import write_scores
from zkinfer.circuits.home import known_speed, measured_speed
from zkinfer.prover import Prover

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import onnx

OPTIONS = CompileOptions(setup="insecure-dev")
# Operators that are not defined on 0.05 to 0.95.
RANGES = {"Acosh": (1.05, 3.0)}
ROWS = 40
MODELS = """\
The same models, compiled with `--engine ashlar` and proven once. "As scores" are classifiers whose labels or Softmax
stand in the way: the row is of the model that `zkinfer scores` writes, see [choose an engine](../guides/engines.md).
Seconds to compile are those of the whole command, which chooses the recipe, makes the keys and proves once. Seconds of
a proof include the start of a process and the prover's own verification. Gas is predicted, for a whole transaction.

| model | outcome | agreement | error p99 | compile, s | proof, s | proof, B | key, B | gas |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""
OPERATORS = """\
Each operator alone in the same small graphs, compiled and proven on 40 random rows. Gas is that of the whole graph.

| operator | outcome | error p99 | gas | reason and cure if refused |
| --- | --- | ---: | ---: | --- |"""


def model_row(path: Path, scratch: Path) -> str:
    """One row of the table of models."""
    sys.stderr.write(f"{path.stem} (Ashlar)\n")
    samples = path.with_suffix(".npz")
    try:
        return f"| {path.stem} | compiled | {measured(path, samples, scratch)} |"
    except ZkinferError as err:
        refusal = err
    try:
        scores = scratch / f"{path.stem}-scores.onnx"
        write_scores(path, scores)
        return f"| {path.stem} | as scores | {measured(scores, samples, scratch)} |"
    except ZkinferError:
        return f"| {path.stem} | refused: {_told(refusal)} | | | | | | | |"


def measured(path: Path, samples: Path, scratch: Path) -> str:
    """Compile and prove a model; the cells of its row behind the outcome."""
    made, seconds = compiled(path, samples, scratch)
    with np.load(samples) as arrays:
        inputs = {name: arrays[name][-1] for name in arrays}
    start = time.perf_counter()
    Prover(home=Home(scratch / "home")).prove(made.circuit, inputs)
    proof, manifest = time.perf_counter() - start, made.circuit.manifest
    keys, fidelity = manifest.keys, manifest.fidelity
    return (
        f"{fidelity.agreement:.1%} | {fidelity.error_p99:.2%} | {seconds:.1f} | {proof:.2f} | {keys.proof_bytes:,} "
        f"| {keys.verifying_key_bytes:,} | {manifest.cost.gas:,}"
    )


def compiled(path: Path, samples: Path, scratch: Path, options: CompileOptions = OPTIONS) -> tuple[Compiled, float]:
    """The circuit, and the seconds that it took, without the calibration of the machine's speed."""
    engine, home = engine_named("ashlar"), Home(scratch / "home")
    if known_speed(engine, home) is None:
        measured_speed(engine, home)
    start = time.perf_counter()
    made = compile_model(
        path,
        scratch / f"{path.stem}.circuit",
        engine=engine,
        home=home,
        calibration=samples,
        options=options,
    )
    return made, time.perf_counter() - start


def operator_rows(texts: Iterable[tuple[str, str]], scratch: Path) -> list[str]:
    """The table of operators, given each with the text of its graph."""
    return [_operator_row(name, parser.parse_model(text), scratch) for name, text in texts]


def _operator_row(name: str, model: onnx.ModelProto, scratch: Path) -> str:
    sys.stderr.write(f"{name} (Ashlar)\n")
    path, samples = scratch / f"operator-{name}.onnx", scratch / f"operator-{name}.npz"
    path.write_bytes(model.SerializeToString())
    random, (low, high) = np.random.default_rng(1), RANGES.get(name, (0.05, 0.95))
    arrays = {}
    for port in model.graph.input:
        shape = (ROWS, *(size.dim_value for size in port.type.tensor_type.shape.dim))
        kind = np.int64 if port.type.tensor_type.elem_type == TensorProto.INT64 else np.float32
        arrays[port.name] = random.uniform(low, high, size=shape).astype(kind)
    np.savez(samples, **arrays)
    try:
        made, _ = compiled(path, samples, scratch)
    except UnsupportedModelError as err:
        known = known_refusal(name)
        why = f"It {known[0]}. {known[1]}" if known else f"{err.cause} {err.cure}"
        return f"| {name} | refused | | | {_cell(why)} |"
    except ZkinferError as err:
        return f"| {name} | not compiled | | | {_told(err)} {_cell(err.cure)} |"
    manifest = made.circuit.manifest
    return f"| {name} | compiled | {manifest.fidelity.error_p99:.2%} | {manifest.cost.gas:,} | |"


def _told(error: ZkinferError) -> str:
    return _cell(error.cause)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")
