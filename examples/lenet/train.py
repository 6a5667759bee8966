"""Train the demo's convolutional network, export it, and compare float model and circuit on unseen images.

    python examples/lenet/train.py            train, write the demo's files, measure
    python examples/lenet/train.py --measure  measure the committed files

LeNet-5 for images of 28 x 28 pixels. The data are the 1,797 handwritten digits that scikit-learn includes (UCI
optdigits test set), enlarged from 8 x 8 pixels, with grey values in sixteenths. Needs the extras `torch` and `train`.
Everything is seeded, but another version of torch may give other weights, so the ONNX file is committed. Samples are
stored with 16-bit floats, which hold sixteenths exactly.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.export import export_torch
from zkinfer.circuits.home import Home
from zkinfer.cli.demo.cases import measure_accuracy

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILES = Path(__file__).parents[2] / "service/zkinfer/cli/demo/lenet"
SEED, SIDE, STEPS, HELD_OUT, CALIBRATION = 7, 28, 16, 360, 128
EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 40, 64, 2e-3, 1e-3
MIN_FLOAT, MAX_DROP = 0.975, 0.005


class LeNet(nn.Module):
    """Two convolutions of 5 x 5 with average pools of 2 x 2, three dense layers; the answer is ten logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(image))
        return logits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="do not train")
    if not parser.parse_args().measure:
        train()
    measure()


def train() -> None:
    digits = load_digits()
    known, unseen, known_labels, labels = train_test_split(
        enlarged(digits.images), digits.target, test_size=HELD_OUT, stratify=digits.target, random_state=SEED
    )
    network = fitted(torch.tensor(known[:, 0]), torch.tensor(known_labels))
    FILES.mkdir(parents=True, exist_ok=True)
    export_torch(
        network,
        {"image": known[:2, 0]},
        FILES / "lenet.onnx",
        dynamic_batch=True,
        output_names=["logits"],
        overwrite=True,
        engine=engine_named("ashlar"),
    )
    stored: dict[str, Any] = {"image": known[:CALIBRATION].astype(np.float16)}
    np.savez_compressed(FILES / "calibration.npz", **stored)
    stored = {"image": unseen.astype(np.float16), "label": labels.astype(np.int64)}
    np.savez_compressed(FILES / "held-out.npz", **stored)


def enlarged(images: NDArray[np.float64]) -> NDArray[np.float32]:
    """Images [N, 8, 8] of 0..16 as [N, 1, 1, 28, 28] of 0..1 in sixteenths; each sample is a batch of one."""
    small = torch.tensor(images, dtype=torch.float32)[:, None]
    large = nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    pixels: NDArray[np.float32] = (large.round() / STEPS)[:, None].numpy()
    return pixels


def fitted(images: torch.Tensor, labels: torch.Tensor) -> LeNet:
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(mode=True)
    torch.set_num_threads(1)  # sums then have the same order on every machine
    network = LeNet()
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimiser.step()
    return network.eval()


def measure() -> None:
    engine = engine_named("ashlar")
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(scratch, "home"))
        compiled = compile_model(
            FILES / "lenet.onnx",
            Path(scratch, "lenet.circuit"),
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
