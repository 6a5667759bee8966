"""Compare zkinfer with plain ezkl, model by model: proving, verifying, memory, keys, proof size, fidelity.

    python -m benchmarks.engine [--runs RUNS]            prints tables and writes docs/measurements/benchmarks.md
    python -m benchmarks.engine --resume                 continue an interrupted run
    python -m benchmarks.engine --model "dense 4-16-3"   only this model; only prints
    python -m benchmarks.engine --kind ashlar            only this contestant; only prints

`contestants` defines the measurements, `promises` the limits. Contestants run alternately, each in separate processes;
figures are medians. Exits with 1, after everything is written, if a promise is broken.
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
from benchmarks import architectures
from benchmarks.engine_page import page
from benchmarks.networks import ALL, MODELS, Model, write
from benchmarks.promises import OWN, broken_promises

from zkinfer.circuits import Home
from zkinfer.circuits.engines import DEFAULT_ENGINE, ENGINES, engine_named
from zkinfer.circuits.home import measured_speed
from zkinfer.circuits.sandbox import resources

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "service/zkinfer/cli/demo"
STORED = ROOT / "build/benchmarks"
SAMPLES = 48


def main() -> int:
    options = parsed()
    models = [
        replace(model, rounds=model.rounds or options.runs) for model in MODELS if options.model in (None, model.name)
    ]
    left_out = set(ALL) - {options.kind} if options.kind else set[str]()
    if reason := engine_named("ashlar").unavailable:
        print(f"without Ashlar: {reason}", file=sys.stderr)
        left_out.add("ashlar")
    models = [replace(model, kinds=tuple(kind for kind in model.kinds if kind not in left_out)) for model in models]
    models = [model for model in models if model.kinds]
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch, "home")
        # Once, so that all predictions are based on the same measured speed.
        for name in sorted({engine_of(kind) for model in models for kind in model.kinds if kind in OWN}):
            measured_speed(engine_named(name), Home(home))
        results = [
            (model, resumed(model, options) or measured_and_stored(model, Path(scratch, str(place)), home))
            for place, model in enumerate(models)
        ]
    text = page(results, described())
    print(text)
    if options.model is None and options.kind is None:
        (ROOT / "docs/measurements/benchmarks.md").write_text(text)
    broken = broken_promises(results)
    print(*broken, sep="\n", file=sys.stderr)
    return 1 if broken else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kind", choices=[kind for kind in ALL if kind != "faithful"])  # which needs a rival
    parser.add_argument("--model", choices=[model.name for model in MODELS])
    return parser.parse_args()


def engine_of(kind: str) -> str:
    """The engine that a contestant of ours proves with."""
    return kind if kind in ENGINES else DEFAULT_ENGINE


def resumed(model: Model, options: argparse.Namespace) -> dict[str, dict[str, Any]] | None:
    """Measurements of a model by an interrupted run, possibly on another machine."""
    file = STORED / f"{model.name}.json"
    found: dict[str, dict[str, Any]] = json.loads(file.read_text()) if options.resume and file.exists() else {}
    return {kind: found[kind] for kind in model.kinds} if found and set(model.kinds) <= set(found) else None


def measured_and_stored(model: Model, folder: Path, home: Path) -> dict[str, dict[str, Any]]:
    """Measure, and store the result for `--resume`, beside earlier ones of other contestants."""
    found, file = measured(model, folder, home), STORED / f"{model.name}.json"
    STORED.mkdir(parents=True, exist_ok=True)
    earlier = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(earlier | found))
    return found


def measured(model: Model, folder: Path, home: Path) -> dict[str, dict[str, Any]]:
    """The figures of each contestant, with medians of the times; the first of several rounds only prepares."""
    folder.mkdir()
    network, samples = folder / "model.onnx", folder / "samples.npz"
    if model.architecture:
        architectures.write(network, model.architecture)
        np.savez(samples, x=architectures.samples(model.architecture, SAMPLES))
    elif model.layers:
        write(network, model)
        shape = [SAMPLES, 1, 28, 28] if model.channels else [SAMPLES, model.layers[0]]
        np.savez(samples, x=np.random.default_rng(1).normal(size=shape).astype(np.float32))
    else:
        example = EXAMPLES / model.example
        network.write_bytes((example / f"{model.example}.onnx").read_bytes())
        images = np.load(example / "calibration.npz")["image"][:SAMPLES, 0]
        np.savez(samples, image=images.astype(np.float32))
    rounds: list[dict[str, dict[str, Any]]] = []
    for number in range(model.rounds + (model.rounds > 1)):
        prepares = number == 0 and model.rounds > 1
        found: dict[str, dict[str, Any]] = {}
        for kind in model.kinds:
            # On so few calibration samples the tuner allows two thirds of it: eight tenths of the plain engine's error.
            error = 1.2 * found["plain"]["error_p99"] if kind == "faithful" else None
            proofs = 1 if prepares else model.proofs_of(kind)
            found[kind] = run(kind, [network, samples, folder / kind, home], model.name, proofs, error)
        rounds.append(found)
    counted = rounds[1:] or rounds
    return {
        kind: rounds[0][kind]
        | {
            figure: median(median(one[kind][figure]) for one in counted)
            for figure in ("prove", "verify", "verify_rust", "verify_python")
            if figure in rounds[0][kind]
        }
        | {figure: median(one[kind][figure] for one in counted) for figure in ("memory", "child")}
        for kind in model.kinds
    }


def run(kind: str, files: list[Path], model: str, proofs: int, error: float | None) -> dict[str, Any]:
    command = [sys.executable, "benchmarks/contestants.py", kind, *map(str, files), str(proofs)]
    command += [] if error is None else [str(error)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{model}, {kind}: {median(figures['prove']):.2f} s", file=sys.stderr)
    return figures


def described() -> str:
    memory = resources.physical_memory() / 2**30
    return f"{resources.fingerprint()} ({platform.machine()}), {memory:.0f} GB, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
