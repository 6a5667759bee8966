"""Accuracy on labelled images: the float model against its circuit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.circuit import MODEL, Circuit
from zkinfer.circuits.formats import from_npz, to_npz
from zkinfer.circuits.models import evaluate
from zkinfer.circuits.scratch import private_directory
from zkinfer.circuits.tensors import quantise_batch

if TYPE_CHECKING:
    from zkinfer.circuits.engines.base import Engine


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of images whose largest output is the label's."""

    images: int
    float_accuracy: float
    circuit_accuracy: float


def measure_accuracy(circuit: Circuit, engine: Engine, labelled: Path) -> Accuracy:
    """Run both on an .npz that holds the circuit's one input, [N, *shape], and `label`, [N]."""
    program = circuit.manifest.program
    (spec,), (output,) = program.inputs, program.outputs
    with np.load(labelled, allow_pickle=False) as arrays:
        images, labels = arrays[spec.name], arrays["label"]
    with private_directory() as scratch:
        to_npz(scratch / "in.npz", {spec.name: images})
        evaluate(circuit.folder / MODEL, scratch / "in.npz", scratch / "out.npz")
        floats = from_npz((scratch / "out.npz").read_bytes())[output.name].reshape(len(labels), -1)
    integers = engine.forward(circuit.folder, program, quantise_batch({spec.name: images}, [spec]))
    exact = np.array([sample[0] for sample in integers])
    return Accuracy(
        len(labels),
        float((floats.argmax(axis=1) == labels).mean()),
        float((exact.argmax(axis=1) == labels).mean()),
    )
