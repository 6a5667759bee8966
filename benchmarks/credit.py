"""A credit score as lenders use them: 14 dense layers, 3.4 million weights, and raw features of very unlike size.

    python benchmarks/credit.py FOLDER              writes credit.onnx, credit.npz and credit-held-out.npz, in a minute
    python benchmarks/credit.py FOLDER --measure    compiles them under Ashlar, proves, and compares the held-out rows

Data and labels are made up from a fixed seed. The scaler (Sub and Div) is part of the graph, so that the model takes
the features as a lender's database has them. Needs torch.
"""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import torch
from torch import nn

from zkinfer.circuits import Budget, CompileOptions, Home, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.home import known_speed, measured_speed
from zkinfer.circuits.tensors import dequantise
from zkinfer.prover import Prover
from zkinfer.prover.quantised_inputs import integers_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from zkinfer.circuits import Circuit
    from zkinfer.circuits.engines.base import Engine

    Floats = NDArray[np.float32]

FEATURES, WIDTH, LAYERS = 96, 528, 14
TRAINING, CALIBRATION, HELD_OUT = 12_000, 1_000, 4_000
STEPS, BATCH = 800, 128
MAX_ERROR = 0.01  # what lenders ask for, at the 99th percentile


def features(rows: int, random: np.random.Generator) -> Floats:
    """Amounts, ages in days, counts, shares, flags and scores: columns from 1e-3 to 1e7 in size."""
    kinds: list[Callable[[float], NDArray[np.generic]]] = [
        lambda size: size * 1e4 * np.exp(0.4 * random.normal(size=rows).clip(-3, 3)),  # amounts
        lambda size: -size * 10 * random.uniform(18, 75, size=rows).round(2),  # days before today
        lambda size: random.poisson(2 + size / 100, size=rows),  # counts
        lambda size: random.beta(2, 5, size=rows) / size,  # shares
        lambda _: random.random(rows) < 0.3,  # flags
        lambda size: size * random.normal(size=rows).clip(-3.5, 3.5),  # scores of other models
    ]
    columns = [kinds[number % 6](10.0 ** (number // 6 % 4)) for number in range(FEATURES)]
    return np.stack(columns, axis=1).astype(np.float32)


def defaults(x: Floats, mean: Floats, spread: Floats, random: np.random.Generator) -> NDArray[np.bool_]:
    """Who defaults: a rule with interactions, and luck."""
    z = (x - mean) / spread
    rule = np.random.default_rng(5)
    first, second = rule.normal(size=(2, FEATURES, 8)) / np.sqrt(FEATURES)
    risk = (
        3 * (z @ first[:, 0])
        + 2 * np.tanh(z @ first) @ rule.normal(size=8)
        + (z @ second).clip(0) @ rule.normal(size=8)
    )
    return np.asarray(risk - 1.2 + 2.5 * random.logistic(size=len(x)) > 0)


class Score(nn.Module):  # type: ignore[misc] # torch is Any, see pyproject.toml
    """The scaler, dense layers with ReLU, and a sigmoid."""

    def __init__(self, mean: Floats, spread: Floats) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("spread", torch.from_numpy(spread))
        sizes = [FEATURES] + [WIDTH] * (LAYERS - 1) + [1]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        value = (x - self.mean) / self.spread
        for layer in self.layers[:-1]:
            value = torch.relu(layer(value))
        return self.layers[-1](value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.logits(x))


def trained(x: Floats, y: NDArray[np.bool_], mean: Floats, spread: Floats) -> Score:
    torch.manual_seed(3)
    torch.set_num_threads(1)  # the order of sums, and so the weights, depends on it
    model = Score(mean, spread)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=3.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-4, total_steps=STEPS)
    rows, target = torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))[:, None]
    for _ in range(STEPS):
        batch = torch.randint(0, len(rows), (BATCH,))
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model.logits(rows[batch]), target[batch]).backward()
        optimiser.step()
        schedule.step()
    model.eval()
    return model


def area(scores: NDArray[np.float64], y: NDArray[np.bool_]) -> float:
    """The area under the ROC curve; ties count half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = int(y.sum())
    return float((ranks[y].sum() - positive * (positive + 1) / 2) / (positive * (len(y) - positive)))


def write(folder: Path) -> None:
    """Train the model and write it with calibration and held-out rows; the latter have `labels`."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(11)
    x = features(TRAINING + CALIBRATION + HELD_OUT, random)
    mean, spread = x[:TRAINING].mean(axis=0), x[:TRAINING].std(axis=0)
    y = defaults(x, mean, spread, random)
    model = trained(x[:TRAINING], y[:TRAINING], mean, spread)
    torch.onnx.export(
        model, (torch.from_numpy(x[:1]),), folder / "credit.onnx", dynamo=False, opset_version=17,
        input_names=["applicant"], output_names=["risk"],
    )  # fmt: skip
    known, unseen = x[TRAINING : TRAINING + CALIBRATION], x[TRAINING + CALIBRATION :]
    np.savez(folder / "credit.npz", applicant=known[:, None])
    np.savez(folder / "credit-held-out.npz", applicant=unseen[:, None], labels=y[TRAINING + CALIBRATION :])
    with torch.no_grad():
        answers = model(torch.from_numpy(unseen)).numpy()[:, 0].astype(np.float64)
    sys.stdout.write(f"area under the curve {area(answers, y[TRAINING + CALIBRATION :]):.4f}\n")


def measure(folder: Path) -> None:
    """Compile without hints, prove one row, and compare all held-out rows with the float model."""
    engine, home = engine_named("ashlar"), Home(folder / "home")
    if known_speed(engine, home) is None:
        measured_speed(engine, home)
    shutil.rmtree(folder / "credit.circuit", ignore_errors=True)
    start = time.perf_counter()
    made = compile_model(
        folder / "credit.onnx",
        folder / "credit.circuit",
        engine=engine,
        home=home,
        calibration=folder / "credit.npz",
        options=CompileOptions(setup="insecure-dev", budget=Budget(max_error=MAX_ERROR)),
    )
    compiled = time.perf_counter() - start
    with np.load(folder / "credit-held-out.npz") as data:
        rows, labels = data["applicant"], data["labels"]
    manifest = made.circuit.manifest
    start = time.perf_counter()
    Prover(home=home).prove(made.circuit, {"applicant": rows[0]})
    proven = time.perf_counter() - start
    found = compared(made.circuit, engine, folder, rows, labels)
    found |= {
        "compile, s": compiled,
        "proof, s": proven,
        "gas": manifest.cost.gas,
        "proof, B": manifest.keys.proof_bytes,
    }
    for name, value in found.items():
        sys.stdout.write(f"{name:<24} {value:,.4f}\n")


def compared(
    circuit: Circuit, engine: Engine, folder: Path, rows: Floats, labels: NDArray[np.bool_]
) -> dict[str, float]:
    """Rows out of range, areas under the curve, and the 99th percentile of the error."""
    program, floats = circuit.manifest.program, onnxruntime.InferenceSession(folder / "credit.onnx")
    wanted, answers, kept = [], [], []
    with closing(engine.session(circuit.folder, program)) as session:
        for number, row in enumerate(rows):
            try:
                tensors = session.forward(integers_of({"applicant": row}, program.inputs))
            except RangeError:
                continue
            kept.append(number)
            answers.append(float(dequantise(tensors[0], program.outputs[0]).ravel()[0]))
            wanted.append(float(floats.run(None, {"applicant": row})[0].ravel()[0]))
    exact, rounded, known = np.array(wanted), np.array(answers), labels[kept]
    return {
        "in range": len(kept) / len(rows),
        "area, float": area(exact, known),
        "area, circuit": area(rounded, known),
        "error p99": float(np.quantile(np.abs(exact - rounded), 0.99)),
    }


if __name__ == "__main__":
    (measure if "--measure" in sys.argv else write)(Path(sys.argv[1]))
