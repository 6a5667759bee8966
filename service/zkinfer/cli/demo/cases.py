"""The demo's models, what is measured of each under an engine, and the table that compares them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from zkinfer.circuits.frontend import evaluate
from zkinfer.circuits.storage import private_directory
from zkinfer.circuits.tensor_files import from_npz, to_npz
from zkinfer.circuits.tensors import quantise_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.compile import Compiled
    from zkinfer.circuits.cost import Objective
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.manifest import Circuit


@dataclass(frozen=True, slots=True)
class Example:
    """A trained model with its samples, which this package contains; `objective` is what its circuit is chosen for."""

    name: str
    title: str
    objective: Objective = "latency"

    @property
    def model(self) -> Path:
        """The ONNX file."""
        return Path(__file__).parent / self.name / f"{self.name}.onnx"

    @property
    def calibration(self) -> Path:
        """Samples to compile with, as `image`."""
        return self.model.with_name("calibration.npz")

    @property
    def held_out(self) -> Path:
        """Unseen samples, as `image` and `label`."""
        return self.model.with_name("held-out.npz")

    def copy_to(self, folder: Path) -> None:
        """Copy the three files into a folder, which is made if it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in (self.model, self.calibration, self.held_out):
            shutil.copy(file, folder)

    def images(self, count: int) -> tuple[NDArray[np.generic], list[int]]:
        """The first unseen images, [count, 1, ...], and their labels."""
        with np.load(self.held_out, allow_pickle=False) as data:
            return data["image"][:count], data["label"][:count].tolist()


DIGITS = Example("digits", "digits 64-32-10")
LENET = Example("lenet", "LeNet-5 28x28", objective="gas")  # its proofs are for a contract


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of images whose largest output is the label's."""

    images: int
    float_accuracy: float
    circuit_accuracy: float


def measure_accuracy(circuit: Circuit, engine: Engine, labelled: Path) -> Accuracy:
    """Run model and circuit on an .npz with the circuit's only input, [N, *shape], and `label`, [N]."""
    program = circuit.manifest.program
    (spec,), (output,) = program.inputs, program.outputs
    with np.load(labelled, allow_pickle=False) as arrays:
        images, labels = arrays[spec.name], arrays["label"]
    with private_directory() as scratch:
        to_npz(scratch / "in.npz", {spec.name: images})
        evaluate(circuit.folder / "model.onnx", scratch / "in.npz", scratch / "out.npz")
        floats = from_npz((scratch / "out.npz").read_bytes())[output.name].reshape(len(labels), -1)
    integers = engine.forward(circuit.folder, program, quantise_batch({spec.name: images}, [spec]))
    exact = np.array([sample[0] for sample in integers])
    return Accuracy(
        len(labels),
        float((floats.argmax(axis=1) == labels).mean()),
        float((exact.argmax(axis=1) == labels).mean()),
    )


@dataclass(slots=True)
class Case:
    """A model under an engine: its circuit in a folder of the demo's, and what was measured so far.

    `recorded_gas` is that of the transaction which verified and recorded an answer; None if there was none.
    """

    example: Example
    engine: Engine
    compiled: Compiled
    seconds: dict[str, float] = field(default_factory=dict)
    recorded_gas: int | None = None
    accuracy: Accuracy | None = None

    @property
    def circuit(self) -> Circuit:
        """The compiled circuit."""
        return self.compiled.circuit

    @property
    def engine_name(self) -> str:
        """As `--engine` takes it."""
        return self.engine.id.partition("/")[0]

    @property
    def calibration_seconds(self) -> float:
        """Of the compile, to measure this machine's speed: once for all models."""
        return self.compiled.timings.get("calibrate", 0.0)

    def measure(self) -> Accuracy:
        """Measure the accuracy on the unseen images."""
        self.accuracy = measure_accuracy(self.circuit, self.engine, self.example.held_out)
        return self.accuracy

    def figures(self) -> dict[str, Any]:
        """The JSON form: seconds, bytes, gas and shares."""
        manifest, accuracy = self.circuit.manifest, self.accuracy
        return {
            "model": self.example.name,
            "engine": self.engine_name,
            "floatAccuracy": accuracy.float_accuracy if accuracy else None,
            "circuitAccuracy": accuracy.circuit_accuracy if accuracy else None,
            "calibrateSeconds": self.calibration_seconds,
            "compileSeconds": sum(self.compiled.timings.values()) - self.calibration_seconds,
            "proveSeconds": self.seconds.get("prove"),
            "firstVerifySeconds": self.seconds.get("verify, first time"),
            "verifySeconds": self.seconds.get("verify"),
            "provingKeyBytes": manifest.keys.proving_key_bytes,
            "proofBytes": manifest.keys.proof_bytes,
            "predictedGas": manifest.cost.gas,
            "recordedGas": self.recorded_gas,
        }


_ROWS = (
    ("engine", "engine", "{}"),
    ("accuracy, float model", "floatAccuracy", "{:.2%}"),
    ("accuracy, circuit", "circuitAccuracy", "{:.2%}"),
    ("compile", "compileSeconds", "{:.1f} s"),
    ("prove", "proveSeconds", "{:.2f} s"),
    ("verify, first time", "firstVerifySeconds", "{:.2f} s"),
    ("verify", "verifySeconds", "{:.2f} s"),
    ("proving key, bytes", "provingKeyBytes", "{:,}"),
    ("proof, bytes", "proofBytes", "{:,}"),
    ("gas to verify, predicted", "predictedGas", "{:,}"),
    ("gas to record, measured", "recordedGas", "{:,}"),
)


def comparison(cases: Sequence[Case]) -> Table:
    """The figures of all cases, one column each; narrower than 80 columns for three."""
    table = Table("", *(case.example.title for case in cases), box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    columns = [case.figures() for case in cases]
    for title, name, form in _ROWS:
        values = [figures[name] for figures in columns]
        table.add_row(f"[dim]{title}[/]", *("-" if value is None else form.format(value) for value in values))
    return table
