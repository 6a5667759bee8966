"""Train the studio's two models: a painter of digits, and a detector of painted digits.

    python examples/studio/train.py            train, write the files beside this script, measure
    python examples/studio/train.py --measure  measure the committed files

Both learn from the 1,797 handwritten digits of 8 x 8 pixels that scikit-learn includes. The painter is the decoder of
a conditional variational autoencoder (Sohn, Lee and Yan 2015): a digit's name and six random numbers become a picture.
The detector tells such pictures from real digits. Training is numpy; all is seeded, but another BLAS may give other
weights, so the ONNX files are committed. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits

from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Layers = list[list[Floats]]

FILES = Path(__file__).parent
SEED, NOISE, CLASSES, PIXELS = 11, 6, 10, 64
HIDDEN, DETECTOR_HIDDEN, HELD_OUT = 96, 48, 400
KL_WEIGHT, NOISE_LIMIT = 0.1, 3.0
LEAST_DETECTION = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="do not train")
    if not parser.parse_args().measure:
        train()
    measure()


def train() -> None:
    """Write `painter.onnx`, `detector.onnx`, samples of their inputs, and a sheet of painted digits."""
    random = np.random.default_rng(SEED)
    pictures, labels = digits(random)
    known, unseen = pictures[HELD_OUT:], pictures[:HELD_OUT]
    decoder = train_painter(known, labels[HELD_OUT:], random)
    onnx.save(to_onnx(decoder, "painter", "request", "picture"), FILES / "painter.onnx")
    requests = random_requests(random, 256)
    np.savez_compressed(FILES / "painter-calibration.npz", request=requests[:, None].astype(np.float32))
    painted = paint(decoder, random_requests(random, len(known)))
    detector = train_detector(known, painted, random)
    onnx.save(to_onnx(detector, "detector", "picture", "scores"), FILES / "detector.onnx")
    others = paint(decoder, random_requests(random, HELD_OUT))
    save_samples(unseen, others, random)
    sheet(decoder).save(FILES / "painted.png", optimize=True)


def digits(random: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """All digits in random order: `[n, 64]` between 0 and 1, and their names.

    The 17 levels of the data are spread evenly, so that a detector cannot tell real digits by their levels.
    """
    data = load_digits()
    order = random.permutation(len(data.target))
    spread = np.where(data.data > 0, data.data + random.uniform(-0.5, 0.5, data.data.shape), data.data)
    return as_file(np.clip(spread / 16, 0, 1))[order], data.target[order].astype(np.int64)


def as_file(pictures: Floats) -> Floats:
    """Pictures as a file of 8 bits keeps them."""
    return np.rint(np.clip(pictures, 0, 1) * 255) / 255


def train_painter(pictures: Floats, labels: NDArray[np.int64], random: np.random.Generator) -> Layers:
    """The decoder of a conditional autoencoder; least squares plus `KL_WEIGHT` times the divergence from N(0, 1)."""
    names = np.eye(CLASSES)[labels]
    encoder = new_layers([PIXELS + CLASSES, HIDDEN, 2 * NOISE], random)
    decoder = new_layers([NOISE + CLASSES, HIDDEN, PIXELS], random)
    optimiser = Adam([*encoder, *decoder])
    for batch in batches(len(pictures), 400, random):
        seen = np.hstack([pictures[batch], names[batch]])
        coded, kept = forward(encoder, seen)
        mean, spread = coded[:, :NOISE], np.exp(np.clip(coded[:, NOISE:], -6, 6) / 2)
        drawn = random.normal(size=mean.shape)
        drawing, traced = forward(decoder, np.hstack([names[batch], mean + spread * drawn]))
        back, decoder_slopes = backward(decoder, traced, 2 * (drawing - pictures[batch]))
        latent = back[:, CLASSES:]
        of_mean = latent + KL_WEIGHT * mean
        of_spread = latent * drawn * spread / 2 + KL_WEIGHT * (spread**2 - 1) / 2
        _, encoder_slopes = backward(encoder, kept, np.hstack([of_mean, of_spread]))
        optimiser.step([*encoder_slopes, *decoder_slopes], len(batch))
    return decoder


def train_detector(real: Floats, painted: Floats, random: np.random.Generator) -> Layers:
    """Two scores, of a real and of a painted picture, by logistic regression behind one hidden layer."""
    pictures = np.vstack([real, painted])
    truth = np.repeat(np.eye(2), [len(real), len(painted)], axis=0)
    layers = new_layers([PIXELS, DETECTOR_HIDDEN, 2], random)
    optimiser = Adam(layers)
    for batch in batches(len(pictures), 120, random):
        shaken = pictures[batch] + random.normal(0, 0.02, (len(batch), PIXELS))
        scores, kept = forward(layers, shaken)
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        optimiser.step(backward(layers, kept, chances - truth[batch])[1], len(batch))
    return layers


def random_requests(random: np.random.Generator, count: int) -> Floats:
    """Ten places for the digit's name, six for the noise, which is kept within the range of the circuit's input."""
    names = np.eye(CLASSES)[random.integers(0, CLASSES, count)]
    return np.hstack([names, np.clip(random.normal(size=(count, NOISE)), -NOISE_LIMIT, NOISE_LIMIT)])


def paint(decoder: Layers, requests: Floats) -> Floats:
    """Pictures `[n, 64]` as a file has them."""
    return as_file(forward(decoder, requests)[0])


def new_layers(sizes: Sequence[int], random: np.random.Generator) -> Layers:
    return [[random.normal(0, np.sqrt(2 / a), (a, b)), np.zeros(b)] for a, b in pairwise(sizes)]


def forward(layers: Layers, values: Floats) -> tuple[Floats, list[Floats]]:
    """The result, and what each layer read; ReLU between layers."""
    kept = []
    for weights, bias in layers:
        values = np.maximum(values, 0) if kept else values
        kept.append(values)
        values = values @ weights + bias
    return values, kept


def backward(layers: Layers, kept: list[Floats], slope: Floats) -> tuple[Floats, Layers]:
    """The slopes of the input and of each layer."""
    found: Layers = []
    for place in reversed(range(len(layers))):
        found.insert(0, [kept[place].T @ slope, slope.sum(axis=0)])
        slope = slope @ layers[place][0].T
        slope = slope * (kept[place] > 0) if place else slope
    return slope, found


class Adam:
    """Kingma and Ba 2015, with the usual constants."""

    def __init__(self, layers: Layers, rate: float = 2e-3) -> None:
        self._layers, self._rate, self._steps = layers, rate, 0
        self._first = [[np.zeros_like(each) for each in layer] for layer in layers]
        self._second = [[np.zeros_like(each) for each in layer] for layer in layers]

    def step(self, slopes: Layers, count: int) -> None:
        """Move the layers against slopes that are sums over so many samples."""
        self._steps += 1
        rate = self._rate * np.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
        for layer, slope, first, second in zip(self._layers, slopes, self._first, self._second, strict=True):
            for place, each in enumerate(slope):
                mean = each / count
                first[place] += 0.1 * (mean - first[place])
                second[place] += 0.001 * (mean**2 - second[place])
                layer[place] -= rate * first[place] / (np.sqrt(second[place]) + 1e-8)


def batches(count: int, epochs: int, random: np.random.Generator, size: int = 64) -> Iterator[NDArray[np.int64]]:
    for _ in range(epochs):
        yield from np.array_split(random.permutation(count), count // size)


def to_onnx(layers: Layers, name: str, source: str, result: str) -> onnx.ModelProto:
    """Two dense layers with a ReLU between them."""
    nodes = [
        helper.make_node("Gemm", [source, "hidden.weight", "hidden.bias"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["activation"]),
        helper.make_node("Gemm", ["activation", "output.weight", "output.bias"], [result]),
    ]
    names = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, ["batch", len(layers[0][0])])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch", len(layers[-1][1])])],
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in zip(names, chain(*layers), strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def save_samples(real: Floats, painted: Floats, random: np.random.Generator) -> None:
    """Pictures in random order, with label 1 for painted ones.

    The detector has learnt from none of them, so the accuracy that compiling measures is that on new pictures.
    """
    pictures = np.vstack([real, painted])[:, None].astype(np.float32)
    labels = np.repeat([0, 1], [len(real), len(painted)]).astype(np.int64)
    order = random.permutation(len(labels))
    np.savez_compressed(FILES / "detector-calibration.npz", picture=pictures[order], label=labels[order])


def sheet(decoder: Layers, columns: int = 12, scale: int = 4) -> Image.Image:
    """Twelve painted pictures of each digit, one digit a row."""
    noise = np.clip(np.random.default_rng(SEED + 1).normal(size=(CLASSES, columns, NOISE)), -NOISE_LIMIT, NOISE_LIMIT)
    names = np.broadcast_to(np.eye(CLASSES)[:, None], (CLASSES, columns, CLASSES))
    pictures = paint(decoder, np.concatenate([names, noise], axis=2).reshape(-1, NOISE + CLASSES))
    tiles = np.pad(pictures.reshape(CLASSES, columns, 8, 8), [(0, 0), (0, 0), (1, 1), (1, 1)])
    page = np.rint(tiles.transpose(0, 2, 1, 3).reshape(CLASSES * 10, columns * 10) * 255).astype(np.uint8)
    return Image.fromarray(page).resize((columns * 10 * scale, CLASSES * 10 * scale), Image.Resampling.NEAREST)


def measure() -> None:
    """Compile both models, and say how often the detector is right about pictures that it has not seen."""
    engine = engine_named("ashlar")
    with np.load(FILES / "detector-calibration.npz", allow_pickle=False) as data:
        pictures, labels = data["picture"][:, 0], data["label"]
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(scratch, "home"))
        for name in ("painter", "detector"):
            compiled = compile_model(
                FILES / f"{name}.onnx",
                Path(scratch, name),
                engine=engine,
                home=home,
                calibration=FILES / f"{name}-calibration.npz",
                options=CompileOptions(setup="insecure-dev", labels="label" if name == "detector" else None),
            )
            fidelity = compiled.circuit.manifest.fidelity
            print(f"{name}: proof {compiled.timings['prove']:.2f} s, gas {compiled.cost.work.gas:,}, ", end="")
            print(f"largest error {fidelity.absolute_max}, accuracy {fidelity.accuracy}")
    stored = onnx.load(FILES / "detector.onnx").graph.initializer
    values = [numpy_helper.to_array(each).astype(np.float64) for each in stored]
    scores, _ = forward([values[:2], values[2:]], pictures)
    found = scores[:, 1] > scores[:, 0]
    caught, alarms = found[labels == 1].mean(), found[labels == 0].mean()
    print(f"painted pictures found {caught:.1%}, real ones called painted {alarms:.1%}, of {HELD_OUT} each")
    if caught < LEAST_DETECTION or alarms > 1 - LEAST_DETECTION:
        raise SystemExit("The detector is not good enough.")


if __name__ == "__main__":
    main()
