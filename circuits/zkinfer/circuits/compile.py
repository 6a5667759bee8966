"""From an ONNX file to a circuit folder: tune, build, generate keys, evaluate, prove once, publish."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.compilation import Compilation, CompileOptions
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.home import store_proving_key
from zkinfer.circuits.manifest import (
    Circuit,
)
from zkinfer.circuits.progress import NULL_OBSERVER, Observer, Stages
from zkinfer.circuits.sandbox.resources import usable_memory
from zkinfer.circuits.storage import ensure_private_dir, private_directory, staged_folder

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.cost import Cost
    from zkinfer.circuits.engines.base import Engine, Option
    from zkinfer.circuits.home import Home

__all__ = ["CompileOptions", "Compiled", "compile_model"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The new circuit and the seconds that each stage took.

    `cost` is a prediction for this machine. `options` are the settings that were tried, for the trade-off curve; empty
    if run arguments were given. `shortfall` says by how much the held-out samples miss the budget that the calibration
    samples met; empty if they meet it too. `notes` tell how the model was changed to fit a circuit, how the columns of
    the calibration file were matched, and what decided the cost.
    """

    circuit: Circuit
    timings: dict[str, float]
    cost: Cost
    options: tuple[Option, ...] = ()
    shortfall: str = ""
    notes: tuple[str, ...] = ()


def compile_model(
    model: Path,
    out: Path,
    *,
    engine: Engine,
    home: Home,
    calibration: Path | None = None,
    options: CompileOptions | None = None,
    observer: Observer = NULL_OBSERVER,
) -> Compiled:
    """Compile an ONNX file into the circuit folder `out`, and store its proving key in the user's cache.

    `out` appears complete or not at all: a compilation that fails or is killed leaves nothing behind.

    Args:
        model: the ONNX file.
        out: the folder to create; must not exist.
        engine: the proving system.
        home: the user's trusted setups and caches.
        calibration: samples of the model's real inputs; None generates random numbers, which the manifest records.
        options: see CompileOptions.
        observer: receives stages and estimates.

    Raises:
        ModelError, DataError: the model or the samples cannot be used.
        SetupError: no trusted setup of the size that the model needs.
        TooCostlyError: compiling or proving would exceed the memory limit, or the search ended without a result.
        BudgetError: no settings meet the budget; with `strict`, also on the held-out samples.
        EngineError: the engine failed.
        InputError: `out` exists or cannot be written; labels without calibration samples; a limit of the accuracy drop
            without labels.
    """
    options = options or CompileOptions()
    _refuse_without_labels(options, calibration)
    memory = min(usable_memory(), sys.maxsize if options.max_memory is None else options.max_memory)
    compilation = Compilation(engine.within(memory), home, options, Stages(observer), memory)
    with private_directory(ensure_private_dir(home.keys)) as scratch:
        with staged_folder(out) as staging:
            result = compilation.compile_into(staging, scratch, model, calibration)
        store_proving_key(compilation.key_path(scratch), result.manifest.digest, home.keys)
    return Compiled(
        circuit=Circuit.open(out),
        timings=compilation.stages.seconds,
        cost=result.cost,
        options=result.tuned.options,
        shortfall=result.shortfall,
        notes=result.notes,
    )


def _refuse_without_labels(options: CompileOptions, calibration: Path | None) -> None:
    if options.labels is not None and calibration is None:
        raise InputError("Labels need calibration samples, and none are given.", "Give --calibration.")
    if options.budget.max_accuracy_drop is not None and options.labels is None:
        raise InputError("A limit of the accuracy drop needs labels, and none are given.", "Give --labels.")
