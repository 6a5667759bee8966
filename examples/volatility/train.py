"""Train a small network that forecasts the volatility of a price from its last 24 daily returns, and write the files.

    python examples/volatility/train.py            train, write the files, compile under Ashlar, show the fidelity
    python examples/volatility/train.py --measure  compile the committed model and show its fidelity

The data are the daily closes of crude oil (WTI, Cushing) from 1986 to 2018: series DCOILWTICO of the U.S. Energy
Information Administration, in the public domain. Only numpy is needed, no network. Everything is seeded, but another
version of numpy or of its BLAS may give other last digits, so the ONNX file is committed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from zkinfer.circuits.compile import Compiled, CompileOptions, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.home import Home

HERE = Path(__file__).parent
WINDOW, HORIZON, HIDDEN, HELD_OUT, CALIBRATION, SEED = 24, 5, 16, 1500, 256, 7
STEPS, RATE, BATCH, DECAY = 4000, 2e-3, 256, 1e-4
WIDEST, MAX_ERROR = 0.4, 0.002
YEAR = 252**0.5
Floats = NDArray[np.float64]
Weights = dict[str, Floats]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="do not train")
    if not parser.parse_args().measure:
        train()
    with tempfile.TemporaryDirectory() as folder:
        show(compile_volatility(Path(folder, "vol.circuit"), Home.from_environment()))


def prices() -> Floats:
    """The daily closes in dollars a barrel, oldest first."""
    return np.loadtxt(HERE / "wti.csv", delimiter=",", skiprows=1, usecols=1)


def examples(closes: Floats) -> tuple[Floats, Floats]:
    """Windows of returns, and the volatility of the days after each: root mean square return, a year's worth."""
    returns = closes[1:] / closes[:-1] - 1
    count = len(returns) - WINDOW - HORIZON
    windows = np.stack([returns[at : at + WINDOW] for at in range(count)])
    after = np.stack([returns[at + WINDOW : at + WINDOW + HORIZON] for at in range(count)])
    return windows, np.sqrt((after**2).mean(axis=1)) * YEAR


def train() -> None:
    closes = prices()
    windows, target = examples(closes)
    known, unseen = windows[:-HELD_OUT], windows[-HELD_OUT:]
    weights = fitted(known, target[:-HELD_OUT])
    forecast, naive = forward(weights, unseen), np.sqrt((unseen**2).mean(axis=1)) * YEAR
    print(f"mean absolute error on the last {HELD_OUT} windows: {error(forecast, target):.4f}")
    print(f"of the window's own volatility as the forecast:      {error(naive, target):.4f}")
    onnx.save(to_onnx(weights), HERE / "vol.onnx")
    np.savez_compressed(HERE / "calibration.npz", returns=calibration(known))
    last = [{"close": float(close)} for close in closes[-60:]]
    (HERE / "prices.json").write_text(json.dumps({"prices": last}, indent=1) + "\n")


def calibration(known: Floats) -> NDArray[np.float32]:
    """Random windows, and half as many of the widest, stretched to a move of 40 %.

    A circuit refuses what lies beyond its samples, and the widest move in the data is 33 %.
    """
    random = np.random.default_rng(SEED)
    usual = known[random.permutation(len(known))[:CALIBRATION]]
    peaks = np.abs(known).max(axis=1, keepdims=True)
    widest = np.argsort(peaks[:, 0])[-CALIBRATION // 2 :]
    samples = random.permutation(np.concatenate([usual, (known / peaks)[widest] * WIDEST]))
    return samples.astype(np.float32).reshape(-1, 1, WINDOW)


def error(forecast: Floats, target: Floats) -> float:
    return float(np.abs(forecast - target[-HELD_OUT:]).mean())


def fitted(windows: Floats, target: Floats) -> Weights:
    """Least absolute deviations by Adam, on mirrored windows too: the sign of a return says little here."""
    random = np.random.default_rng(SEED)
    weights = {
        "hidden.weight": random.normal(0, WINDOW**-0.5, (WINDOW, HIDDEN)) * 10,
        "hidden.bias": np.zeros(HIDDEN),
        "output.weight": np.abs(random.normal(0, HIDDEN**-0.5, (HIDDEN, 1))) * 0.5,
        "output.bias": np.full(1, float(np.median(target)) / 2),
    }
    first, second = ({name: np.zeros_like(one) for name, one in weights.items()} for _ in range(2))
    for step in range(1, STEPS + 1):
        chosen = random.integers(0, len(windows), BATCH)
        signs = random.choice([-1.0, 1.0], (BATCH, 1))
        slopes = gradient(weights, windows[chosen] * signs, target[chosen])
        rate = RATE * min(1.0, 2 * (1 - step / (STEPS + 1)))
        for name, slope in slopes.items():
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope**2
            scaled = first[name] / (1 - 0.9**step) / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)
            weights[name] = weights[name] - rate * scaled - rate * DECAY * weights[name]
    return weights


def gradient(weights: Weights, windows: Floats, target: Floats) -> Weights:
    hidden = np.maximum(windows @ weights["hidden.weight"] + weights["hidden.bias"], 0)
    answer = (hidden @ weights["output.weight"] + weights["output.bias"])[:, 0]
    slope = np.sign(answer - target)[:, None] / len(target)
    back = (slope @ weights["output.weight"].T) * (hidden > 0)
    return {
        "hidden.weight": windows.T @ back,
        "hidden.bias": back.sum(axis=0),
        "output.weight": hidden.T @ slope,
        "output.bias": slope.sum(axis=0),
    }


def forward(weights: Weights, windows: Floats) -> Floats:
    hidden = np.maximum(windows @ weights["hidden.weight"] + weights["hidden.bias"], 0)
    answer: Floats = (hidden @ weights["output.weight"] + weights["output.bias"])[:, 0]
    return answer


def to_onnx(weights: Weights) -> onnx.ModelProto:
    """Two dense layers with a ReLU between them; the answer is one number, 0.3 for 30 % a year."""
    initializers = [numpy_helper.from_array(one.astype(np.float32), name) for name, one in weights.items()]
    nodes = [
        helper.make_node("MatMul", ["returns", "hidden.weight"], ["hidden.product"]),
        helper.make_node("Add", ["hidden.product", "hidden.bias"], ["hidden.sum"]),
        helper.make_node("Relu", ["hidden.sum"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "output.weight"], ["output.product"]),
        helper.make_node("Add", ["output.product", "output.bias"], ["volatility"]),
    ]
    inputs = [helper.make_tensor_value_info("returns", TensorProto.FLOAT, [1, WINDOW])]
    outputs = [helper.make_tensor_value_info("volatility", TensorProto.FLOAT, [1, 1])]
    graph = helper.make_graph(nodes, "volatility", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def compile_volatility(out: Path, home: Home) -> Compiled:
    """The committed model under Ashlar, in a setup for tests."""
    options = CompileOptions(setup="insecure-dev", budget=Budget(max_error=MAX_ERROR))
    files = (HERE / "vol.onnx", HERE / "calibration.npz")
    return compile_model(files[0], out, engine=engine_named("ashlar"), home=home, calibration=files[1], options=options)


def show(compiled: Compiled) -> None:
    manifest = compiled.circuit.manifest
    found, tensor = manifest.fidelity, manifest.program.inputs[0]
    print(f"input {tensor.describe_scaled()}, {manifest.program.layout.input_width} bytes each")
    print(f"error of the circuit on {found.samples} {found.data} windows: at most {found.absolute_max:.2g}")


if __name__ == "__main__":
    main()
