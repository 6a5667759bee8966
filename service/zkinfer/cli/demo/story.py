"""The demo's chapters: compile, prove, verify, refuse forgeries, use a chain, compare engines, sum up."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from zkinfer.circuits import canonical
from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines import DEFAULT_ENGINE, engine_named
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.home import Home
from zkinfer.circuits.progress import Stages
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.circuits.storage import private_directory
from zkinfer.cli.compile import manifest_facts, setup_text, show_labels, warn_about_setup
from zkinfer.cli.console import plain, print_facts, print_result, print_table, require_extra
from zkinfer.cli.demo.cases import DIGITS, LENET, Case, comparison
from zkinfer.cli.demo.forgeries import forge
from zkinfer.prover import Prover
from zkinfer.verifier import (
    AllOf,
    Attestation,
    EngineIs,
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
    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.cli.console import ProgressDisplay
    from zkinfer.cli.demo.cases import Example
    from zkinfer.cli.demo.onchain import OnChain
    from zkinfer.verifier import VerifiedInference

SECOND_ENGINE: Final = "ashlar"
"""The engine that the demo compares with the default one."""
_SHADES = " ░▒▓█"
_MIN_SETUP_SIZE = 11  # log2 of the number of rows of the demo's circuit
_IMAGES = 3


def draw(image: NDArray[np.generic]) -> list[str]:
    """Text lines for an image of 64 values in 0..1; a pixel is two characters wide."""
    rows = image.reshape(8, 8).tolist()
    return ["".join(_SHADES[round(pixel * (len(_SHADES) - 1))] * 2 for pixel in row) for row in rows]


def side_by_side(pictures: list[list[str]]) -> list[str]:
    """Pictures of equal height, side by side."""
    return ["   ".join(lines) for lines in zip(*pictures, strict=True)]


class Story:
    """Runs the demo once.

    Args:
        folder: an existing empty folder for the circuits and the attestations.
        home: trusted setups and caches of the prover.
        setup: a ceremony's name; None for a real one if available.
        display: shows progress.
    """

    def __init__(self, *, folder: Path, home: Home, setup: str | None, display: ProgressDisplay) -> None:
        self._folder = folder
        self._home = home
        self._setup = setup or _best_setup(home)
        self._display = display
        self._key = SigningKey.generate()

    def run(self) -> dict[str, Any]:
        """Run all chapters; returns the final table as JSON. Raises RuntimeError if a forgery is accepted."""
        _chapter(1, "The model's owner compiles an ONNX file into a circuit")
        first = self._compile(DIGITS, DEFAULT_ENGINE, self._folder)
        print_facts(manifest_facts(first.circuit.manifest))
        warn_about_setup(self._setup == INSECURE_DEV)
        _chapter(2, "A prover answers three unseen images, each with a proof")
        images, labels = DIGITS.images(_IMAGES)
        attestations = self._prove(first, images, self._folder)
        for line in side_by_side([draw(image) for image in images]):
            print_result(f"  {line}")
        with private_directory() as auditor:
            verifier = self._auditor(auditor)
            _chapter(3, "An auditor rebuilds the circuit from the ONNX file and verifies the three answers")
            self._verify(verifier, first, attestations, images, labels)
            if self._setup == INSECURE_DEV:
                print_result("  valid, but forgeable by anyone: the secret of the setup insecure-dev is public")
            refusals = self._refuse(verifier, first, attestations[0])
            contracts, chain = self._on_chain(first, images[0], labels[0], attestations[0])
            others, reason = self._second_engine(verifier, contracts)
        return self._sum_up([first, *others], refusals) | {"chain": chain, "secondEngine": reason or "shown"}

    def _compile(self, example: Example, engine_name: str, folder: Path) -> Case:
        """Compile an example in a folder of its own."""
        example.copy_to(folder)
        engine = engine_named(engine_name)
        compiled = compile_model(
            example.model,
            folder / f"{example.name}.circuit",
            engine=engine,
            home=self._home,
            calibration=example.calibration,
            options=CompileOptions(setup=self._setup, objective=example.objective),
            observer=self._display,
        )
        return Case(example, engine, compiled)

    def _prove(self, case: Case, images: NDArray[np.generic], folder: Path) -> list[Attestation]:
        """Prove the answer to each image, and store images and attestations in the folder."""
        prover = Prover(home=self._home, key=self._key)
        attestations, times = [], []
        for number, image in enumerate(images, 1):
            stages = Stages(self._display)
            with stages.stage(f"proof {number}"):
                attestation = prover.prove(case.circuit, {"image": image})
            times.append(stages.seconds[f"proof {number}"])
            (folder / f"image-{number}.json").write_bytes(canonical.dump({"image": image.tolist()}))
            (folder / f"answer-{number}.json").write_bytes(attestation.to_bytes())
            attestations.append(attestation)
        case.seconds["prove"] = median(times)
        return attestations

    def _auditor(self, root: Path) -> Verifier:
        """The verifier of an independent auditor, who shares only the ONNX files and trusted setups with the prover."""
        models = [DIGITS.model, LENET.model]
        return Verifier(trusted=Trusted.of(models, self._home.setups, root / "rebuilt"))

    def _policy(self, case: Case, *rules: Policy) -> Policy:
        """The rules for answers of a case; an experimental engine must be named."""
        required: list[Policy] = [ModelIs(case.circuit.model_id), *rules]
        if case.engine.experimental:
            required.append(EngineIs(case.engine_name))
        return AllOf(*required, UnsafeAcceptDevSetup()) if self._setup == INSECURE_DEV else AllOf(*required)

    def _verify(
        self,
        verifier: Verifier,
        case: Case,
        attestations: list[Attestation],
        images: NDArray[np.generic],
        labels: list[int],
    ) -> None:
        """Verify each answer, and print it."""
        policy = self._policy(case, SignedBy(self._key.public.fingerprint))
        mark = "[yellow]~[/]" if self._setup == INSECURE_DEV else "[green]✓[/]"
        for number, (attestation, image, label) in enumerate(zip(attestations, images, labels, strict=True), 1):
            stages = Stages(self._display)
            with stages.stage(f"check {number}"):
                inference = verifier.verify(attestation.to_bytes(), policy, expected_inputs={"image": image})
            name = "verify, first time" if number == 1 else "verify"
            case.seconds[name] = stages.seconds[f"check {number}"]
            print_result(f"{mark} answer-{number}.json: the digit is {_digit(inference)} (label {label})")

    def _refuse(self, verifier: Verifier, case: Case, honest: Attestation) -> dict[str, str]:
        _chapter(4, "A forger tampers with the first answer in five ways")
        policy = self._policy(case)
        refusals = {}
        for number, forgery in enumerate(forge(honest, case.circuit), 1):
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
        self, case: Case, image: NDArray[np.generic], digit: int, other: Attestation
    ) -> tuple[OnChain | None, dict[str, Any] | None]:
        """The chain and what happened there; neither if its libraries are not installed."""
        _chapter(5, "A contract requests an answer and acts on it")
        try:
            with require_extra("chain-dev"):
                from zkinfer.cli.demo.onchain import RECORDED, OnChain
        except InputError as err:
            print_result(f"  skipped: {plain(err)}")
            return None, None
        stages = Stages(self._display)
        with stages.stage("chain"):
            test = case.circuit.manifest.recipe.setup.is_insecure_dev
            contracts = OnChain(Prover(home=self._home, key=self._key), test=test)
            contracts.deploy()
            facts = contracts.tell(case, image, digit, other)
        case.seconds["chain"] = stages.seconds["chain"]
        case.recorded_gas = facts["gas"][RECORDED]
        return contracts, facts

    def _second_engine(self, verifier: Verifier, contracts: OnChain | None) -> tuple[list[Case], str]:
        """The examples under the second engine, or the reason why there are none."""
        engine = engine_named(SECOND_ENGINE)
        _chapter(6, "A second engine proves the same model, and a convolutional network")
        if reason := engine.unavailable:
            print_result(f"  skipped: {plain(reason)}")
            return [], reason
        show_labels(engine.labels)
        return [self._shown(example, verifier, contracts) for example in (DIGITS, LENET)], ""

    def _shown(self, example: Example, verifier: Verifier, contracts: OnChain | None) -> Case:
        """An example under the second engine, from the ONNX file to a contract that acts."""
        folder = self._folder / SECOND_ENGINE / example.name
        case = self._compile(example, SECOND_ENGINE, folder)
        manifest, (images, labels) = case.circuit.manifest, example.images(_IMAGES)
        print_result(f"\n  {example.title}: {manifest.parameters:,} parameters, model id {case.circuit.model_id}")
        attestations = self._prove(case, images, folder)
        self._verify(verifier, case, attestations, images, labels)
        if contracts is not None:
            with Stages(self._display).stage("chain"):
                case.recorded_gas = contracts.act(case, images[0], labels[0], attestations[0])
        return case

    def _sum_up(self, cases: list[Case], refusals: dict[str, str]) -> dict[str, Any]:
        _chapter(7, "What it costs")
        with Stages(self._display).stage("accuracy"):
            images = [case.measure().images for case in cases]
        facts: dict[str, Any] = {
            "accuracy": f"on {images[0]} unseen images",
            "calibration": ", ".join(f"{case.engine_name} {case.calibration_seconds:.1f} s" for case in cases[:2])
            + ", once for this machine",
            "trusted setup": setup_text(cases[0].circuit.manifest.recipe.setup.ceremony),
            "forgeries refused": f"{len(refusals)} of 5",
        }
        print_table(comparison(cases))
        print_facts(facts)
        return {"ok": True, "comparison": [case.figures() for case in cases], "facts": facts, "refusals": refusals}


def _best_setup(home: Home) -> str | None:
    """None if a real ceremony's file is large enough, which compile then uses; else the dev setup."""
    real = [setup for setup in home.setups.list() if not setup.is_insecure_dev and setup.k >= _MIN_SETUP_SIZE]
    return None if real else INSECURE_DEV


def _chapter(number: int, title: str) -> None:
    print_result(f"\n[bold]{number}. {title}[/]")


def _digit(inference: VerifiedInference) -> int:
    return int(inference.outputs["logits"].argmax())
