"""The demo's chapters: compile, prove, verify, refuse forgeries, use a chain, sum up."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits import canonical
from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.frontend import evaluate
from zkinfer.circuits.home import Home
from zkinfer.circuits.manifest import Circuit
from zkinfer.circuits.progress import Stages
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.circuits.storage import private_directory
from zkinfer.circuits.tensor_files import from_npz, to_npz
from zkinfer.circuits.tensors import quantise_batch
from zkinfer.cli.compile import manifest_facts, setup_text, warn_about_setup
from zkinfer.cli.console import plain, print_facts, print_result, require_extra
from zkinfer.cli.demo.forgeries import forge
from zkinfer.prover import Prover
from zkinfer.verifier import (
    AllOf,
    Attestation,
    ModelIs,
    Policy,
    RefusedError,
    SignedBy,
    SigningKey,
    Trusted,
    UnsafeAcceptDevSetup,
    Verifier,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zkinfer.circuits.compile import Compiled
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.cli.console import ProgressDisplay
    from zkinfer.verifier import VerifiedInference


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


_SHADES = " ░▒▓█"


def draw(image: NDArray[np.generic]) -> list[str]:
    """Text lines for an image of 64 values in 0..1; a pixel is two characters wide."""
    rows = image.reshape(8, 8).tolist()
    return ["".join(_SHADES[round(pixel * (len(_SHADES) - 1))] * 2 for pixel in row) for row in rows]


def side_by_side(pictures: list[list[str]]) -> list[str]:
    """Pictures of equal height, side by side."""
    return ["   ".join(lines) for lines in zip(*pictures, strict=True)]


DIGITS = Path(__file__).parent / "digits"
MODEL, CALIBRATION, HELD_OUT = DIGITS / "digits.onnx", DIGITS / "calibration.npz", DIGITS / "held-out.npz"
_MIN_SETUP_SIZE = 11  # log2 of the number of rows of the demo's circuit


class Story:
    """Runs the demo once.

    Args:
        folder: an existing empty folder for the circuit and the attestations.
        home: trusted setups and caches of the prover.
        setup: a ceremony's name; None for a real one if available.
        display: shows progress.
    """

    def __init__(self, *, folder: Path, home: Home, setup: str | None, display: ProgressDisplay) -> None:
        self._folder = folder
        self._home = home
        self._setup = setup or _best_setup(home)
        self._display = display
        self._engine = engine_named()
        self._key = SigningKey.generate()
        self._seconds: dict[str, float] = {}

    def run(self) -> dict[str, Any]:
        """Run all chapters; returns the final table as JSON. Raises RuntimeError if a forgery is accepted."""
        for file in (MODEL, CALIBRATION, HELD_OUT):
            shutil.copy(file, self._folder)
        compiled = self._compile()
        with np.load(HELD_OUT, allow_pickle=False) as data:
            images, labels = data["image"][:3], data["label"][:3]
        attestations = self._prove(compiled, images)
        with private_directory() as auditor:
            verifier = self._auditor(auditor)
            self._verify(verifier, compiled, attestations, images, labels.tolist())
            refusals = self._refuse(verifier, compiled, attestations[0])
        chain = self._on_chain(compiled, images[0], int(labels[0]), attestations[0])
        accuracy = self._measure(compiled)
        return {**self._sum_up(compiled, accuracy, refusals), "chain": chain}

    def _compile(self) -> Compiled:
        _chapter(1, "The model's owner compiles an ONNX file into a circuit")
        options = CompileOptions(setup=self._setup)
        compiled = compile_model(
            MODEL,
            self._folder / "digits.circuit",
            engine=self._engine,
            home=self._home,
            calibration=CALIBRATION,
            options=options,
            observer=self._display,
        )
        print_facts(manifest_facts(compiled.circuit.manifest))
        warn_about_setup(self._setup == INSECURE_DEV)
        return compiled

    def _prove(self, compiled: Compiled, images: NDArray[np.generic]) -> list[Attestation]:
        _chapter(2, "A prover answers three unseen images, each with a proof")
        prover = Prover(home=self._home, key=self._key)
        attestations, times = [], []
        for number, image in enumerate(images, 1):
            stages = Stages(self._display)
            with stages.stage(f"proof {number}"):
                attestation = prover.prove(compiled.circuit, {"image": image})
            times.append(stages.seconds[f"proof {number}"])
            (self._folder / f"image-{number}.json").write_bytes(canonical.dump({"image": image.tolist()}))
            (self._folder / f"answer-{number}.json").write_bytes(attestation.to_bytes())
            attestations.append(attestation)
        self._seconds["prove"] = median(times)
        for line in side_by_side([draw(image) for image in images]):
            print_result(f"  {line}")
        return attestations

    def _auditor(self, root: Path) -> Verifier:
        """The verifier of an independent auditor, who shares only the ONNX file and trusted setups with the prover."""
        cache = root / "rebuilt"
        return Verifier(trusted=Trusted.of([MODEL], self._home.setups, cache))

    def _policy(self, *rules: Policy) -> Policy:
        return AllOf(*rules, UnsafeAcceptDevSetup()) if self._setup == INSECURE_DEV else AllOf(*rules)

    def _verify(
        self,
        verifier: Verifier,
        compiled: Compiled,
        attestations: list[Attestation],
        images: NDArray[np.generic],
        labels: list[int],
    ) -> None:
        _chapter(3, "An auditor rebuilds the circuit from the ONNX file and verifies the three answers")
        policy = self._policy(ModelIs(compiled.circuit.model_id), SignedBy(self._key.public.fingerprint))
        mark = "[yellow]~[/]" if self._setup == INSECURE_DEV else "[green]✓[/]"
        for number, (attestation, image, label) in enumerate(zip(attestations, images, labels, strict=True), 1):
            stages = Stages(self._display)
            with stages.stage(f"check {number}"):
                inference = verifier.verify(attestation.to_bytes(), policy, expected_inputs={"image": image})
            name = "verify, first time" if number == 1 else "verify"
            self._seconds[name] = stages.seconds[f"check {number}"]
            print_result(f"{mark} answer-{number}.json: the digit is {_digit(inference)} (label {label})")
        if self._setup == INSECURE_DEV:
            print_result("  valid, but forgeable by anyone: the secret of the setup insecure-dev is public")

    def _refuse(self, verifier: Verifier, compiled: Compiled, honest: Attestation) -> dict[str, str]:
        _chapter(4, "A forger tampers with the first answer in five ways")
        policy = self._policy(ModelIs(compiled.circuit.model_id))
        refusals = {}
        for number, forgery in enumerate(forge(honest, compiled.circuit), 1):
            (self._folder / f"forgery-{number}.json").write_bytes(forgery.data)
            try:
                verifier.verify(forgery.data, policy)
            except RefusedError as err:
                refusals[forgery.title] = type(err).__name__
                print_result(f"[bold red]✗[/] {forgery.title}: {plain(err.cause)}")
            else:
                raise RuntimeError(f"A forgery was accepted: {forgery.title}. Please report this.")
        return refusals

    def _on_chain(
        self, compiled: Compiled, image: NDArray[np.generic], digit: int, other: Attestation
    ) -> dict[str, Any] | None:
        """The results of the chapter; None if its libraries are not installed."""
        _chapter(5, "A contract requests an answer and acts on it")
        try:
            with require_extra("chain-dev"):
                from zkinfer.cli.demo.onchain import OnChain
        except InputError as err:
            print_result(f"  skipped: {plain(err)}")
            return None
        stages = Stages(self._display)
        with stages.stage("chain"):
            prover = Prover(home=self._home, key=self._key)
            facts = OnChain(compiled.circuit, prover, self._engine).run(image, digit, other)
        self._seconds["chain"] = stages.seconds["chain"]
        return facts

    def _measure(self, compiled: Compiled) -> Accuracy:
        with Stages(self._display).stage("accuracy"):
            return measure_accuracy(compiled.circuit, self._engine, HELD_OUT)

    def _sum_up(self, compiled: Compiled, accuracy: Accuracy, refusals: dict[str, str]) -> dict[str, Any]:
        _chapter(6, "What it costs")
        manifest = compiled.circuit.manifest
        facts: dict[str, Any] = {
            "accuracy, float model": f"{accuracy.float_accuracy:.2%} of {accuracy.images} unseen images",
            "accuracy, circuit": f"{accuracy.circuit_accuracy:.2%}",
            "trusted setup": setup_text(manifest.recipe.setup.ceremony),
            "size": manifest.program.describe_figures(),
            "proving key": f"{manifest.keys.proving_key_bytes / 1e6:.1f} MB",
            "verifying key": f"{manifest.keys.verifying_key_bytes / 1e3:.1f} kB",
            "proof": f"{manifest.keys.proof_bytes:,} bytes",
            "compile": f"{sum(compiled.timings.values()):.1f} s",
            **{name: f"{seconds:.2f} s" for name, seconds in self._seconds.items()},
            "forgeries refused": f"{len(refusals)} of 5",
        }
        print_facts(facts)
        timings = {"compile": sum(compiled.timings.values()), **self._seconds}
        return {"ok": True, "facts": facts, "refusals": refusals, "timings": timings}


def _best_setup(home: Home) -> str | None:
    """None if a real ceremony's file is large enough, which compile then uses; else the dev setup."""
    real = [setup for setup in home.setups.list() if not setup.is_insecure_dev and setup.k >= _MIN_SETUP_SIZE]
    return None if real else INSECURE_DEV


def _chapter(number: int, title: str) -> None:
    print_result(f"\n[bold]{number}. {title}[/]")


def _digit(inference: VerifiedInference) -> int:
    return int(np.argmax(inference.outputs["logits"]))
