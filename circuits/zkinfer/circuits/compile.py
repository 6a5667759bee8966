"""From an ONNX file to a circuit folder: tune, build, generate keys, evaluate, prove once, publish."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkinfer.circuits.build import Assembly, assemble, evaluate_circuit, prove_once
from zkinfer.circuits.cost import REFERENCE_SPEED, refuse_too_costly, refusing_exhaustion
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.base import Tuned, TuneRequest
from zkinfer.circuits.errors import BudgetError, EngineError, InputError, SetupError
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.frontend import Workload, inspect_model
from zkinfer.circuits.keycache import keep_proving_key, key_path
from zkinfer.circuits.labels import LabelSource
from zkinfer.circuits.manifest import (
    MANIFEST,
    MODEL,
    ChoiceReport,
    Circuit,
    CostReport,
    FidelityReport,
    KeySizes,
    Manifest,
    rounded,
)
from zkinfer.circuits.progress import NULL_OBSERVER, Observer, Stages
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.circuits.samples import load_samples
from zkinfer.circuits.sandbox.child import PARSING, Limits
from zkinfer.circuits.sandbox.resources import usable_memory
from zkinfer.circuits.speed import known_speed, measured_speed
from zkinfer.circuits.srs import MAX_DEV_LOG_ROWS
from zkinfer.circuits.storage import ensure_private_dir, private_directory, staged_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from zkinfer.circuits.cost import Cost, Objective, Speed
    from zkinfer.circuits.engines.base import Effort, Engine, Option, Program, Progress, RunArguments
    from zkinfer.circuits.fidelity import Fidelity
    from zkinfer.circuits.frontend import NormalisedModel
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.samples import Samples
    from zkinfer.circuits.srs import TrustedSetup
    from zkinfer.circuits.tensors import Visibility
_WORTH_A_WORD = 5.0  # seconds of proving
_KEY, _NETWORK = "key", "network.onnx"
_UNKNOWN = Workload(multiplications=0, elements=0, heaviest=())


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """What the owner decides.

    Args:
        dimensions: sizes of symbolic dimensions of the model, by name.
        input_visibility: what a proof tells of the inputs: `public` them, `hashed` a digest of each (who can guess
            an input can confirm the guess), `private` nothing.
        setup: a ceremony's name; None takes the smallest available setup of a real ceremony.
        run_arguments: of a published recipe, to make the same circuit again; None tunes.
        budget: what the circuit may lose against the float model, on the calibration samples.
        labels: `NAME` or `NAME=OUTPUT`: the array of the calibration file that holds each sample's true class, and
            the output that gives it.
        objective: what to make small: the time of a proof, the gas of checking it on chain, or the peak of memory.
        effort: how long to search for it.
        max_memory: bytes that compiling and proving may take, which steers the choice too. None, or more, allows what
            the machine can give; that refuses what is too large, and chooses nothing.
        strict: reject a circuit that misses the budget on the held-out samples, before keys are generated.
    """

    dimensions: Mapping[str, int] = field(default_factory=dict)
    input_visibility: Visibility = "public"
    setup: str | None = None
    run_arguments: RunArguments | None = None
    budget: Budget = field(default_factory=Budget)
    labels: str | None = None
    objective: Objective = "latency"
    effort: Effort = "normal"
    max_memory: int | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Compiled:
    """The new circuit and the seconds that each stage took.

    `cost` is predicted, for this machine. `options` are the settings that were weighed, for the trade-off curve; empty
    where run arguments were given. `shortfall` says by how much the held-out samples miss the budget that the
    calibration samples met; empty if they meet it too. `notes` tell how the model was changed to fit a circuit.
    """

    circuit: Circuit
    timings: dict[str, float]
    cost: Cost
    options: tuple[Option, ...] = ()
    shortfall: str = ""
    notes: tuple[str, ...] = ()


def compile_model(
    model: Path,
    out: Path,
    *,
    engine: Engine,
    home: Home,
    calibration: Path | None = None,
    options: CompileOptions | None = None,
    observer: Observer = NULL_OBSERVER,
) -> Compiled:
    """Compile an ONNX file into the circuit folder `out`, and keep its proving key in the user's cache.

    Nothing is left behind where it fails or is killed; `out` appears complete or not at all.

    Args:
        model: the ONNX file.
        out: the folder to make; must not exist.
        engine: the proving system.
        home: the user's trusted setups and caches.
        calibration: samples of the model's real inputs; None takes random numbers and says so in the manifest.
        options: see CompileOptions.
        observer: is told about stages and estimates.

    Raises:
        ModelError, DataError: the model or the samples cannot be used.
        SetupError: no trusted setup of the size that the model needs.
        TooCostlyError: compiling or proving would take more memory than it may.
        BudgetError: no settings within the budget; with `strict`, also on the held-out samples.
        EngineError: the engine failed.
        InputError: `out` exists or cannot be written; labels, or a budget that needs them, without what they need.
    """
    options = options or CompileOptions()
    _refuse_without_labels(options, calibration)
    memory = min(usable_memory(), sys.maxsize if options.max_memory is None else options.max_memory)
    work = _Compilation(engine.within(memory), home, options, Stages(observer), memory)
    with private_directory(ensure_private_dir(home.keys)) as scratch:
        with staged_folder(out) as staging:
            made = work.compile_into(staging, scratch, model, calibration)
        keep_proving_key(work.key_in(scratch), made.manifest.digest, home.keys)
    return Compiled(
        circuit=Circuit.open(out),
        timings=work.stages.seconds,
        cost=made.cost,
        options=made.tuned.options,
        shortfall=made.shortfall,
        notes=made.notes,
    )


def _refuse_without_labels(options: CompileOptions, calibration: Path | None) -> None:
    if options.labels is not None and calibration is None:
        raise InputError("Labels belong to calibration samples, and there are none.", "Give --calibration.")
    if options.budget.max_accuracy_drop is not None and options.labels is None:
        raise InputError("A drop of the accuracy is measured on labels, and there are none.", "Give --labels.")


@dataclass(frozen=True, slots=True)
class _Made:
    """What a compilation found out on the way."""

    manifest: Manifest
    tuned: Tuned
    cost: Cost
    shortfall: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Compilation:
    """What all stages of one compilation share."""

    engine: Engine
    home: Home
    options: CompileOptions
    stages: Stages
    memory: int

    def compile_into(self, staging: Path, scratch: Path, model: Path, calibration: Path | None) -> _Made:
        """Fill `staging` with a circuit and leave its proving key in `scratch`."""
        stage = self.stages.stage
        with stage("inspect"):
            normal = self._normalise(model, staging / MODEL, scratch / _NETWORK)
            tuning, held_out = self._samples(staging / MODEL, normal, calibration)
        speed = self._speed()
        with stage("tune") as progress:
            request = self._tune_request(scratch / _NETWORK, normal, tuning, speed)
            tuned = self._tuned(request, progress)
            program, cost = self._trial(request, tuned.run_arguments, scratch / "trial")
        with stage("judge"):
            fidelity, headroom = evaluate_circuit(
                self.engine, scratch / "trial", program, tuned.run_arguments, held_out
            )
            shortfall = self._shortfall(fidelity, tuned)
        with stage("setup") as progress:
            setup = self.home.setups.serving(program.setup_size, self.options.setup, progress)
            cost = self._cost_under(setup, program, cost, scratch / "trial", speed)
        with stage("keys"):
            made = self._assemble(staging, scratch, tuned.run_arguments, setup)
            if made.program != program:
                what = _differing(program, made.program)
                raise EngineError(f"The engine made another program of the same network the second time: {what}.")
        with stage("prove"):
            prove_once(self.engine, made, setup, self.key_in(scratch), held_out)
        report = FidelityReport.of(fidelity, held_out.kind)
        choice = ChoiceReport.of(self.options.budget, samples=len(tuning), kept=not shortfall)
        manifest = _manifest(made, normal, report, choice, headroom, cost, staging)
        (staging / MANIFEST).write_bytes(manifest.to_bytes())
        _make_readable(staging)
        return _Made(manifest, tuned, cost, shortfall, normal.notes)

    def key_in(self, scratch: Path) -> Path | None:
        """The path of the new proving key; None if the engine needs none."""
        return key_path(self.engine, scratch / _KEY)

    def _cost_under(self, setup: TrustedSetup, program: Program, cost: Cost, folder: Path, speed: Speed) -> Cost:
        """What a larger setup than the circuit needs adds to every proof, and what would help."""
        if setup.k <= program.setup_size:
            return cost
        shrunk = self.engine.work(folder, setup.k).at(speed)
        more = shrunk.prove_seconds - cost.prove_seconds
        if more > 0:
            cure = f"; `zkinfer setup fetch {program.setup_size}` gets one of the right size"
            self.stages.observer.note(
                f"the available trusted setup has 2^{setup.k} powers; cutting it down takes {more:.1f} s of each proof"
                + ("" if setup.is_insecure_dev else cure)
            )
        return shrunk

    def _shortfall(self, fidelity: Fidelity, tuned: Tuned) -> str:
        """By what the held-out samples miss the budget. They never affect the choice, not even of the next best."""
        missed = self.options.budget.shortfall(fidelity)
        if missed and self.options.strict:
            raise BudgetError(
                f"The circuit misses the budget on the held-out samples. {missed}",
                "Give more calibration samples, which then choose with a smaller error, or ask for more than you need.",
                tuned.options,
            )
        return missed

    def _samples(self, model: Path, normal: NormalisedModel, calibration: Path | None) -> tuple[Samples, Samples]:
        labels = None if self.options.labels is None else LabelSource.parse(self.options.labels)
        with self._reading(normal.workload):
            return load_samples(model, normal.inputs, normal.outputs, calibration, labels, limits=self._parsing)

    @property
    def _parsing(self) -> Limits:
        return Limits.for_parsing().within(self.memory)

    def _reading(self, workload: Workload) -> AbstractContextManager[None]:
        return refusing_exhaustion(min(PARSING, self.memory), workload)

    def _normalise(self, model: Path, copy: Path, network: Path) -> NormalisedModel:
        """From here on one private copy is the model, whatever happens to the caller's file meanwhile.

        What can be no circuit is refused before the long work of normalising it, and again by its normal form.
        """
        with self._reading(_UNKNOWN):
            workload = inspect_model(model, limits=self._parsing).workload
        self._refuse_hopeless(workload)
        copy.write_bytes(model.read_bytes())
        options = self.options
        with self._reading(workload):
            normal = self.engine.lower(
                copy,
                network,
                dimensions=options.dimensions,
                input_visibility=options.input_visibility,
                limits=self._parsing,
            )
        self._refuse_hopeless(normal.workload)
        for text in normal.notes:
            self.stages.observer.note(text)
        return normal

    def _refuse_hopeless(self, workload: Workload) -> None:
        speed = known_speed(self.engine, self.home) or REFERENCE_SPEED
        refuse_too_costly(self.engine.least_work(workload).at(speed), self.memory, workload)

    def _speed(self) -> Speed:
        """Measured once per machine; the stage is shown only then."""
        speed = known_speed(self.engine, self.home)
        if speed is None:
            with self.stages.stage("calibrate") as progress:
                speed = measured_speed(self.engine, self.home, progress)
        return speed

    def _tune_request(self, network: Path, normal: NormalisedModel, tuning: Samples, speed: Speed) -> TuneRequest:
        return TuneRequest(
            network=network,
            inputs=normal.inputs,
            outputs=normal.outputs,
            samples=tuning.inputs,
            reference=tuning.outputs,
            budget=self.options.budget,
            max_setup_size=_largest(self.options, self.home),
            max_memory=self.options.max_memory,
            workload=normal.workload,
            labels=tuning.labels,
            objective=self.options.objective,
            effort=self.options.effort,
            speed=speed,
        )

    def _tuned(self, request: TuneRequest, progress: Progress) -> Tuned:
        if self.options.run_arguments is not None:
            return Tuned(self.options.run_arguments, ())
        with refusing_exhaustion(self.memory, request.workload):
            cost = self.engine.survey(request).at(request.speed)
        refuse_too_costly(cost, self.memory, request.workload)
        if cost.prove_seconds > _WORTH_A_WORD:
            self.stages.observer.note(f"a large model: {cost.describe()}, give or take; now searching for the best")
        with refusing_exhaustion(self.memory, request.workload):
            return self.engine.tune(request, progress=progress)

    def _trial(self, request: TuneRequest, arguments: RunArguments, folder: Path) -> tuple[Program, Cost]:
        """Build once without keys, to know the size, and so the setup and the cost, before the long work."""
        folder.mkdir()
        program = self.engine.build(request.network, request.inputs, request.outputs, arguments, folder)
        cost = self.engine.work(folder).at(request.speed)
        refuse_too_costly(cost, self.memory, request.workload)
        self.stages.observer.note(f"{program.describe_figures()}: {cost.describe()}")
        return program, cost

    def _assemble(self, staging: Path, scratch: Path, arguments: RunArguments, setup: TrustedSetup) -> Assembly:
        return assemble(
            staging / MODEL,
            staging,
            engine=self.engine,
            run_arguments=arguments,
            setup=setup,
            dimensions=self.options.dimensions,
            input_visibility=self.options.input_visibility,
            proving_key=self.key_in(scratch),
        )


def _differing(one: Program, other: Program) -> str:
    fields = (field for field in type(one).model_fields if getattr(one, field) != getattr(other, field))
    return "; ".join(f"{field} {getattr(one, field)} and {getattr(other, field)}" for field in fields)


def _largest(options: CompileOptions, home: Home) -> int:
    if options.setup == INSECURE_DEV:
        return MAX_DEV_LOG_ROWS
    sizes = [
        setup.k for setup in home.setups.list() if not setup.is_insecure_dev and options.setup in (None, setup.ceremony)
    ]
    if not sizes:
        raise SetupError(
            "There is no trusted setup to compile with.",
            "Run `zkinfer setup fetch 15` or `zkinfer setup import FILE`; "
            "to try things out only, use --setup insecure-dev.",
        )
    return max(sizes)


def _make_readable(folder: Path) -> None:
    """A circuit is handed to others; only its proving key, which lies elsewhere, is the user's own."""
    for path in folder.iterdir():
        path.chmod(0o644)


def _manifest(
    made: Assembly,
    normal: NormalisedModel,
    fidelity: FidelityReport,
    choice: ChoiceReport,
    headroom: float,
    cost: Cost,
    staging: Path,
) -> Manifest:
    return Manifest(
        identity=made.identity,
        recipe=made.recipe,
        program=made.program,
        keys=KeySizes(
            proving_key=None if made.keys.proving_key is None else str(made.keys.proving_key),
            proving_key_bytes=made.keys.proving_key_bytes,
            verifying_key_bytes=made.keys.verifying_key_bytes,
            proof_bytes=made.keys.proof_bytes,
        ),
        fidelity=fidelity,
        choice=choice,
        headroom=rounded(headroom),
        cost=CostReport(memory_bytes=cost.work.memory_bytes, gas=cost.work.gas),
        parameters=normal.summary.parameters,
        operators=dict(normal.summary.operators),
        files={path.name: str(sha256_file(path)) for path in sorted(staging.iterdir())},
    )
