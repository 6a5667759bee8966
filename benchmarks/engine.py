"""zkinfer against the plain engine, model by model: proving, verifying, memory, keys, proof, fidelity.

    python -m benchmarks.engine [--runs RUNS]            prints tables and writes docs/measurements/benchmarks.md
    python -m benchmarks.engine --resume                 the same, with what an interrupted run has measured
    python -m benchmarks.engine --model "dense 4-16-3"   only this model; only prints

See `contestants` for what is measured, and `promises` for what is promised. Contestants run alternately, each in
processes of its own; figures are medians. Exits with 1, after everything is written, where a promise is not kept.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarks.engine_page import page
from benchmarks.networks import MODELS, Model, write
from benchmarks.promises import broken_promises

from zkinfer.circuits import Home
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.sandbox import resources
from zkinfer.circuits.speed import measured_speed

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "service/zkinfer/cli/demo/digits"
KEPT = ROOT / "build/benchmarks"
SAMPLES = 48


def main() -> int:
    given = parsed()
    models = [
        replace(model, rounds=model.rounds or given.runs) for model in MODELS if given.model in (None, model.name)
    ]
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch, "home")
        # Once, so that all predictions have the same speed of the machine.
        measured_speed(engine_named(), Home(home))
        results = [
            (model, kept(model, given) or measured_now(model, Path(scratch, str(place)), home))
            for place, model in enumerate(models)
        ]
    text = page(results, described())
    print(text)
    if given.model is None:
        (ROOT / "docs/measurements/benchmarks.md").write_text(text)
    broken = broken_promises(results)
    print(*broken, sep="\n", file=sys.stderr)
    return 1 if broken else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--model", choices=[model.name for model in MODELS])
    return parser.parse_args()


def kept(model: Model, given: argparse.Namespace) -> dict[str, dict[str, Any]] | None:
    """What an interrupted run measured of a model, on whatever machine that was."""
    file = KEPT / f"{model.name}.json"
    found: dict[str, dict[str, Any]] | None = json.loads(file.read_text()) if given.resume and file.exists() else None
    return found


def measured_now(model: Model, folder: Path, home: Path) -> dict[str, dict[str, Any]]:
    """Measured, and kept for a run that resumes this one."""
    found = measured(model, folder, home)
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{model.name}.json").write_text(json.dumps(found))
    return found


def measured(model: Model, folder: Path, home: Path) -> dict[str, dict[str, Any]]:
    """For each contestant its facts, with medians of the times; the first of several rounds only prepares."""
    folder.mkdir()
    network, samples = folder / "model.onnx", folder / "samples.npz"
    if model.layers:
        write(network, model)
        shape = [SAMPLES, 1, 28, 28] if model.channels else [SAMPLES, model.layers[0]]
        np.savez(samples, x=np.random.default_rng(1).normal(size=shape).astype(np.float32))
    else:
        network.write_bytes((DIGITS / "digits.onnx").read_bytes())
        np.savez(samples, image=np.load(DIGITS / "calibration.npz")["image"][:SAMPLES].reshape(SAMPLES, 64))
    rounds: list[dict[str, dict[str, Any]]] = []
    for _ in range(model.rounds + (model.rounds > 1)):
        found: dict[str, dict[str, Any]] = {}
        for kind in model.kinds:
            # Of which the tuner allows two thirds, as so few samples choose: eight tenths of the plain engine's error.
            error = 1.2 * found["plain"]["error_p99"] if kind == "faithful" else None
            found[kind] = run(kind, [network, samples, folder / kind, home], model, error)
        rounds.append(found)
    counted = rounds[1:] or rounds
    return {
        kind: rounds[0][kind]
        | {what: median(median(one[kind][what]) for one in counted) for what in ("prove", "verify")}
        | {what: median(one[kind][what] for one in counted) for what in ("memory", "child")}
        for kind in model.kinds
    }


def run(kind: str, files: list[Path], model: Model, error: float | None) -> dict[str, Any]:
    command = [sys.executable, "benchmarks/contestants.py", kind, *map(str, files), str(model.proofs)]
    command += [] if error is None else [str(error)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{model.name}, {kind}: {median(answer['prove']):.2f} s", file=sys.stderr)
    return answer


def described() -> str:
    memory = resources.physical_memory() / 2**30
    return f"{resources.fingerprint()} ({platform.machine()}), {memory:.0f} GB, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
