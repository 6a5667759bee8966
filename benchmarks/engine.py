"""zkinfer against the plain engine, model by model: proving, verifying, memory, keys, proof, fidelity.

    python benchmarks/engine.py [RUNS]     prints tables and writes docs/benchmarks.md

See `contestants` for what is measured. Both run alternately, each in processes of its own; figures are medians.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from zkinfer.circuits import machine

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "service/zkinfer/cli/demo/digits"
SAMPLES = 48
INTRODUCTION = """\
Models through zkinfer and through the plain engine, as its own documentation uses it: default arguments, calibrated for
resources or for accuracy. Weights are trained for the digits and random (from a fixed seed) elsewhere; 16 samples that
calibrated nothing judge the fidelity. zkinfer is compiled with its default budget (error below 5 % of the output's
range); for "faithful" the budget is six tenths of the plain engine's error, since other samples choose than judge.
zkinfer's figures include what the plain calls do not do: starting a limited child, the context input, the check of its
own proof, the signature; and, to verify, the whole checklist."""
PREDICTIONS = """\
## Predicted against measured

What `zkinfer compile` said a proof would take before it made any key, on this machine, and what it took.

| model | rows | log2 | seconds: predicted | measured | memory: predicted | measured |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |"""


@dataclass(frozen=True)
class Model:
    """A model to compare on: layers of its network, how often to prove, and whether the plain engine takes part."""

    name: str
    layers: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()
    rounds: int = 0
    kinds: tuple[str, ...] = ("plain", "faithful", "zkinfer")
    proofs: int = 3


MODELS = (
    Model("dense 4-16-3", (4, 16, 3), kinds=("plain", "accurate", "faithful", "zkinfer")),
    Model("digits 64-32-10", kinds=("plain", "accurate", "faithful", "zkinfer")),
    Model("dense 784-64-10", (784, 64, 10)),
    Model("convolution 28x28", (784, 10), channels=(6, 12), rounds=2, proofs=2),
    Model("dense 784-700-10", (784, 700, 10), rounds=1, proofs=1, kinds=("zkinfer",)),
)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as scratch:
        results = [(model, measured(model, Path(scratch, str(place)), runs)) for place, model in enumerate(MODELS)]
    text = page(results, runs)
    (ROOT / "docs/benchmarks.md").write_text(text)
    print(text)


def measured(model: Model, folder: Path, runs: int) -> dict[str, dict[str, Any]]:
    """For each contestant its facts, with medians of the times; the first round prepares and is not counted."""
    folder.mkdir()
    network, samples = folder / "model.onnx", folder / "samples.npz"
    if model.layers:
        write(network, model)
        shape = [SAMPLES, 1, 28, 28] if model.channels else [SAMPLES, model.layers[0]]
        np.savez(samples, x=np.random.default_rng(1).normal(size=shape).astype(np.float32))
    else:
        network.write_bytes((DIGITS / "digits.onnx").read_bytes())
        np.savez(samples, image=np.load(DIGITS / "calibration.npz")["image"][:SAMPLES].reshape(SAMPLES, 64))
    kinds = model.kinds
    rounds: list[dict[str, dict[str, Any]]] = []
    for _ in range(1 + (model.rounds or runs)):
        found: dict[str, dict[str, Any]] = {}
        for kind in kinds:
            error = 0.6 * found["plain"]["error_p99"] if kind == "faithful" else None
            found[kind] = run(kind, network, samples, folder / kind, model.proofs, error)
        rounds.append(found)
    return {
        kind: rounds[0][kind]
        | {what: median(median(one[kind][what]) for one in rounds[1:]) for what in ("prove", "verify")}
        | {what: median(one[kind][what] for one in rounds[1:]) for what in ("memory", "child")}
        for kind in kinds
    }


def run(kind: str, network: Path, samples: Path, folder: Path, proofs: int, error: float | None) -> dict[str, Any]:
    files = [str(network), str(samples), str(folder)]
    command = [sys.executable, "benchmarks/contestants.py", kind, *files, str(proofs)]
    command += [] if error is None else [str(error)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{folder.parent.name} {kind}: {median(answer['prove']):.2f} s", file=sys.stderr)
    return answer


def write(path: Path, model: Model) -> None:
    """A network with random weights of the usual size."""
    random, nodes, constants, value = np.random.default_rng(0), [], [], "x"

    def constant(name: str, *shape: int) -> str:
        weights = random.normal(size=shape) / np.sqrt(max(1, np.prod(shape[1:]) if len(shape) == 4 else shape[0]))
        constants.append(numpy_helper.from_array(weights.astype(np.float32), name))
        return name

    side, before = 28, 1
    for place, channels in enumerate(model.channels):
        nodes.append(
            helper.make_node(
                "Conv",
                [value, constant(f"k{place}", channels, before, 5, 5), constant(f"c{place}", channels)],
                [f"conv{place}"],
                strides=[2, 2],
            )
        )
        nodes.append(helper.make_node("Relu", [f"conv{place}"], [f"bent{place}"]))
        value, before, side = f"bent{place}", channels, (side - 5) // 2 + 1
    if model.channels:
        nodes.append(helper.make_node("Flatten", [value], ["flat"]))
        value = "flat"
    sizes = (before * side * side, *model.layers[1:]) if model.channels else model.layers
    for place, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        weights = [constant(f"w{place}", fan_in, fan_out), constant(f"b{place}", fan_out)]
        last = place == len(sizes) - 2
        nodes.append(helper.make_node("Gemm", [value, *weights], ["y" if last else f"h{place}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"h{place}"], [f"a{place}"]))
        value = f"a{place}"
    shape: list[Any] = ["batch", 1, 28, 28] if model.channels else ["batch", model.layers[0]]
    ports = [helper.make_tensor_value_info("x", 1, shape), helper.make_tensor_value_info("y", 1, ["batch", sizes[-1]])]
    graph = helper.make_graph(nodes, "network", ports[:1], ports[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def page(results: list[tuple[Model, dict[str, dict[str, Any]]]], runs: int) -> str:
    lines = ["# Benchmarks", "", INTRODUCTION, ""]
    lines += [f"Medians of {runs} alternating runs of three proofs on {described()}.", "Repeat with `make bench`.", ""]
    for model, found in results:
        if len(model.kinds) > 1:
            lines += table(model, found)
    lines.append(PREDICTIONS)
    for model, found in results:
        for kind in (kind for kind in model.kinds if "predicted" in found[kind]):
            own, told = found[kind], found[kind]["predicted"]
            lines.append(
                f"| {model.name}, {TITLES[kind]} | {own['rows']:,} | {own['log_rows']} | {told['seconds']:.2f} | "
                f"{own['prove']:.2f} | {told['memory'] / 1e6:,.0f} MB | {own['child'] / 1e6:,.0f} MB |"
            )
    return "\n".join(lines) + "\n"


ROWS = (
    ("prove, s", "prove", 1),
    ("verify, s", "verify", 1),
    ("compile, s", "compile", 1),
    ("peak memory, MB", "memory", 1e6),
    ("proving key, MB", "key", 1e6),
    ("proof, bytes", "proof", 1),
    ("log2 of rows", "log_rows", 1),
    ("same answers, %", "agreement", 0.01),
    ("error (99th percentile), %", "error_p99", 0.01),
)
TITLES = {
    "plain": "plain, for resources",
    "accurate": "plain, for accuracy",
    "faithful": "zkinfer, faithful",
    "zkinfer": "zkinfer",
}


def table(model: Model, found: dict[str, dict[str, Any]]) -> list[str]:
    kinds = list(found)
    rivals = [kind for kind in kinds if "predicted" not in found[kind]]
    ratios = [f"{TITLES[kind]} / zkinfer" for kind in rivals]
    head = " | ".join(["", *(TITLES[kind] for kind in kinds), *ratios])
    lines = [f"## {model.name}", "", f"|{head} |", "| --- " + "| ---: " * (len(kinds) + len(rivals)) + "|"]
    for title, what, unit in ROWS:
        cells = [f"{found[kind][what] / unit:,.4g}" for kind in kinds]
        own = found["zkinfer"][what]
        compared = what not in ("agreement", "error_p99", "log_rows") and own
        cells += [f"{found[kind][what] / own:.2f}" if compared else "" for kind in rivals]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return [*lines, ""]


def described() -> str:
    memory = machine.physical_memory() / 2**30
    return f"{machine.fingerprint()} ({platform.machine()}), {memory:.0f} GB, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
