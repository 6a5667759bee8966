"""Train the demo model, export it, and compare float model and circuit on unseen images.

    python examples/digits/train.py            train, write the demo's files, measure
    python examples/digits/train.py --measure  measure the committed files

The data are the 1,797 handwritten digits of 8 x 8 pixels that scikit-learn includes (UCI optdigits test set). Needs the
extra `train`. Everything is seeded, but another version of scikit-learn or of its BLAS may give other weights, so the
ONNX file is committed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.home import Home
from zkinfer.cli.demo.cases import measure_accuracy

FILES = Path(__file__).parents[2] / "service/zkinfer/cli/demo/digits"
SEED, HIDDEN, HELD_OUT, CALIBRATION = 7, 32, 360, 128
MIN_FLOAT, MAX_DROP = 0.96, 0.005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="do not train")
    if not parser.parse_args().measure:
        train()
    measure()


def train() -> None:
    digits = load_digits()
    images = (digits.data / 16).astype(np.float32).reshape(-1, 1, 64)
    known, unseen, known_labels, labels = train_test_split(
        images, digits.target, test_size=HELD_OUT, stratify=digits.target, random_state=SEED
    )
    network = MLPClassifier((HIDDEN,), alpha=1e-3, learning_rate_init=3e-3, max_iter=400, random_state=SEED)
    network.fit(known.reshape(-1, 64), known_labels)
    FILES.mkdir(parents=True, exist_ok=True)
    onnx.save(to_onnx(network), FILES / "digits.onnx")
    np.savez_compressed(FILES / "calibration.npz", image=known[:CALIBRATION])
    np.savez_compressed(FILES / "held-out.npz", image=unseen, label=labels.astype(np.int64))


def to_onnx(network: MLPClassifier) -> onnx.ModelProto:
    """Two dense layers with a ReLU between them; the answer is ten logits."""
    weights: list[Any] = [*network.coefs_, *network.intercepts_]
    names = ["hidden.weight", "output.weight", "hidden.bias", "output.bias"]
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["image", "hidden.weight", "hidden.bias"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["activation"]),
            helper.make_node("Gemm", ["activation", "output.weight", "output.bias"], ["logits"]),
        ],
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(w.astype(np.float32), name) for w, name in zip(weights, names, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def measure() -> None:
    engine = engine_named()
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(scratch, "home"))
        compiled = compile_model(
            FILES / "digits.onnx",
            Path(scratch, "digits.circuit"),
            engine=engine,
            home=home,
            calibration=FILES / "calibration.npz",
            options=CompileOptions(setup="insecure-dev"),
        )
        found = measure_accuracy(compiled.circuit, engine, FILES / "held-out.npz")
    print(f"float {found.float_accuracy:.2%}, circuit {found.circuit_accuracy:.2%} on {found.images} unseen images")
    if found.float_accuracy < MIN_FLOAT or found.float_accuracy - found.circuit_accuracy > MAX_DROP:
        raise SystemExit("The model or its circuit is not good enough.")


if __name__ == "__main__":
    main()
