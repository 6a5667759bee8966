"""The demonstration: compile a classifier of digits once, prove the answer to an image, tamper with the proof.

The command hands over the model, its samples and the forger; this module knows none of them.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from zkinfer.circuits import canonical
from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines import DEFAULT_ENGINE, ENGINES, engine_named
from zkinfer.circuits.errors import DataError
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.circuits.statement import Context
from zkinfer.circuits.tensors import dequantise, quantise_batch
from zkinfer.prover import Prover
from zkinfer.ui.forms import File
from zkinfer.ui.verification import Requirements
from zkinfer.verifier import SigningKey, save_public_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.ui.tasks import Task
    from zkinfer.ui.verification import Auditor, Checked
    from zkinfer.verifier import Attestation

    Forge = Callable[[Attestation, Circuit], Iterable["Forged"]]

SIDE: Final = 8
LEVELS: Final = 16
"""A pixel is a whole number of sixteenths, as in the samples that the model was trained on."""
STEPS: Final = ("circuit", "answer", "proof")
_MIN_SETUP_SIZE: Final = 11  # log2 of the rows that the demo's circuit has at most


@dataclass(frozen=True, slots=True)
class Forged:
    """A forged attestation, and the name of the field that was changed."""

    field: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoModel:
    """A classifier of 8 by 8 images, [1, 64] from 0 to 1, and a forger of its attestations.

    Args:
        model: the ONNX file, with one input and one output of ten scores.
        calibration: samples to compile with, an .npz.
        images: unseen samples, [N, 1, 64].
        labels: the digit of each.
        forge: tampers with an honest attestation, once for each field.
        fields: names of those fields, in the order in which they are offered.
    """

    model: Path
    calibration: Path
    images: NDArray[np.generic]
    labels: Sequence[int]
    forge: Forge
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one run shows: the image, the scores that the circuit computed, the proof, and the verdict on it.

    Args:
        image: 64 whole numbers of sixteenths.
        scores: one for each digit.
        attestation: of the answer.
        seconds: to prove it.
        checked: the verification; None until it is done.
    """

    image: tuple[int, ...]
    scores: tuple[float, ...]
    attestation: Attestation
    seconds: float
    checked: Checked | None = None

    @property
    def digit(self) -> int:
        """The digit with the largest score."""
        return int(np.argmax(self.scores))


@dataclass(slots=True)
class Demo:
    """Proves answers of the demo's model, with the circuit compiled on first use.

    Args:
        model: of the demo.
        home: trusted setups and caches.
        folder: an existing folder of this process for the circuit; removed by its owner.
        auditor: verifies.
        chosen: the engine; by default the fastest one that can prove here.
    """

    model: DemoModel
    home: Home
    folder: Path
    auditor: Auditor
    chosen: Engine | None = None
    _key: SigningKey = field(default_factory=SigningKey.generate)
    _circuit: Circuit | None = None

    @property
    def engine(self) -> Engine:
        """The engine of the demo."""
        if self.chosen is not None:
            return self.chosen
        names = [name for name in ENGINES if name != DEFAULT_ENGINE]
        ready = [engine for engine in map(engine_named, names) if not engine.unavailable]
        return ready[0] if ready else engine_named(DEFAULT_ENGINE)

    @property
    def is_forgeable(self) -> bool:
        """Whether the demo uses the development setup, because no real one here is large enough."""
        real = [setup for setup in self.home.setups.list() if not setup.is_insecure_dev]
        return not any(setup.k >= _MIN_SETUP_SIZE for setup in real)

    def run(self, task: Task, image: Sequence[int]) -> Answer:
        """Answer an image, prove the answer and verify the proof; the task's lines are `STEPS` and the checks.

        Args:
            task: receives the progress.
            image: 64 whole numbers of sixteenths, by row.

        Raises:
            DataError: the image is malformed.
            ZkinferError: a step failed.
        """
        pixels = _pixels(image)
        task.report("circuit", "running")
        circuit = self._compiled(task)
        task.report("circuit", "passed", f"{circuit.manifest.recipe.engine}, model id {circuit.model_id}")
        task.report("answer", "running")
        scores = self._answer(circuit, pixels)
        task.report("answer", "passed", str(int(np.argmax(scores))))
        task.report("proof", "running")
        began = time.perf_counter()
        attestation = self._prove(circuit, pixels)
        seconds = time.perf_counter() - began
        task.report("proof", "passed", f"{len(attestation.proof):,} bytes, {seconds:.2f} s")
        answer = Answer(tuple(image), scores, attestation, seconds)
        return replace(answer, checked=self._check(answer, attestation.to_bytes(), "answer.json", task))

    def forgery(self, task: Task, answer: Answer, name: str) -> Checked:
        """Verify a forgery of an answer; the task's lines are the checks. Raises DataError for an unknown field."""
        forgeries = self.model.forge(answer.attestation, self._compiled(task))
        found = {forged.field: forged.data for forged in forgeries}
        if name not in found:
            raise DataError(f"There is no field {name!r:.40} to change.", f"Choose one of {', '.join(found)}.")
        return self._check(answer, found[name], f"forged-{name}.json", task)

    def _compiled(self, task: Task) -> Circuit:
        if self._circuit is None:
            out = self.folder / "circuit"
            shutil.rmtree(out, ignore_errors=True)
            options = CompileOptions(setup=INSECURE_DEV if self.is_forgeable else None)
            compiled = compile_model(
                self.model.model,
                out,
                engine=self.engine,
                home=self.home,
                calibration=self.model.calibration,
                options=options,
                observer=_Compilation(task),
            )
            self._circuit = compiled.circuit
        return self._circuit

    def _answer(self, circuit: Circuit, pixels: NDArray[np.float32]) -> tuple[float, ...]:
        """The scores that the circuit computes, before anything is proven."""
        program = circuit.manifest.program
        (given,), (output,) = program.inputs, program.outputs
        integers = self.engine.forward(circuit.folder, program, quantise_batch({given.name: pixels[None]}, [given]))
        return tuple(float(score) for score in dequantise(integers[0][0], output).ravel())

    def _prove(self, circuit: Circuit, pixels: NDArray[np.float32]) -> Attestation:
        (given,) = circuit.manifest.program.inputs
        prover = Prover(home=self.home, key=self._key, engines={self.engine.id: self.engine})
        return prover.prove(circuit, {given.name: pixels}, Context.offline())

    def _check(self, answer: Answer, data: bytes, name: str, task: Task) -> Checked:
        """Verify as an auditor who knows the model, the circuit, the signer's key, the image and the request."""
        circuit = self._compiled(task)
        (given,) = circuit.manifest.program.inputs
        pixels = canonical.dump({given.name: _pixels(answer.image).tolist()})
        manifest = (circuit.folder / "manifest.json").read_bytes()
        engine = circuit.manifest.recipe.engine.partition("/")[0]
        signer = self.folder / "demo.pub"
        if not signer.exists():
            save_public_key(self._key.public, signer)
        required = Requirements(
            attestation=File(name, data),
            model=File(self.model.model.name, self.model.model.read_bytes()),
            manifest=File("manifest.json", manifest),
            expected_input=File("image.json", pixels),
            request_id=answer.attestation.predicate.context.request_id,
            signer=File(signer.name, signer.read_bytes()),
            accept_engines=(engine,) if engine != DEFAULT_ENGINE else (),
            unsafe_accept_dev_setup=circuit.manifest.recipe.setup.is_insecure_dev,
        )
        return self.auditor.check(required, lambda step: task.report(str(step.number), step.status, step.detail))


class _Compilation:
    """Shows the stage of a compilation in the line of the circuit."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def progress(self, stage: str, fraction: float) -> None:
        """Name a stage when it begins."""
        if fraction == 0:
            self._task.report("circuit", "running", stage)

    def note(self, text: str) -> None:
        """Notes are for terminals."""


def _pixels(image: Sequence[int]) -> NDArray[np.float32]:
    if len(image) != SIDE * SIDE or not all(0 <= level <= LEVELS for level in image):
        raise DataError("The picture is not 8 by 8 pixels of 0 to 16.", "Draw a digit, or choose a sample.")
    if not any(image):
        raise DataError("The picture is empty.", "Draw a digit, or choose a sample.")
    return np.array([[level / LEVELS for level in image]], dtype=np.float32)


def levels_of(image: NDArray[Any]) -> list[int]:
    """The whole sixteenths of a sample."""
    return [int(level) for level in np.rint(image.ravel() * LEVELS)]
