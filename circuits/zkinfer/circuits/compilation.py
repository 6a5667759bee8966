"""The stages of a compilation: normalise, tune, build, generate keys, evaluate, prove once, describe."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from zkinfer.circuits.build import Assembly, assemble, effective_dimensions, evaluate_circuit, prove_once
from zkinfer.circuits.cost import REFERENCE_SPEED, duration, refuse_too_costly, refusing_exhaustion, size
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.base import Tuned, TuneRequest
from zkinfer.circuits.errors import BudgetError, EngineError, InputError
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.frontend import Workload, inspect_model
from zkinfer.circuits.home import key_path, known_speed, measured_speed
from zkinfer.circuits.manifest import (
    MANIFEST,
    MODEL,
    ChoiceReport,
    CostReport,
    FidelityReport,
    KeySizes,
    Manifest,
    rounded,
)
from zkinfer.circuits.progress import Stages, with_time_left
from zkinfer.circuits.samples import LabelSource, load_samples
from zkinfer.circuits.sandbox.child import PARSING, Limits
from zkinfer.circuits.tensor_files import read_feature_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from zkinfer.circuits.cost import Cost, Objective, Speed
    from zkinfer.circuits.engines.base import Effort, Engine, Program, Progress, RunArguments
    from zkinfer.circuits.fidelity import Fidelity
    from zkinfer.circuits.frontend import NormalisedModel
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.samples import Samples
    from zkinfer.circuits.srs import TrustedSetup
    from zkinfer.circuits.tensors import Visibility

_LONG_PROOF = 5.0  # seconds of proving from which the user is told the expected cost before the search
_LONG_WORK = 30.0  # seconds of search or proving from which a first forecast precedes it
_MOMENT = 0.01  # seconds of a search whose time has passed: it ends at once
_KEY, _NETWORK = "key", "network.onnx"
_UNKNOWN_WORKLOAD = Workload(multiplications=0, elements=0, heaviest=())


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """The owner's options for one compilation.

    Args:
        dimensions: sizes of symbolic dimensions of the model, by name.
        input_visibility: what a proof reveals about the inputs: `public` all of them, `hashed` a digest of each (a
            guessed input can be confirmed), `private` nothing.
        setup: a ceremony's name; None selects the smallest available setup of a real ceremony.
        run_arguments: from a published recipe, to reproduce its circuit; None tunes.
        budget: the permitted loss against the float model.
        labels: `NAME` or `NAME=OUTPUT`: the array of the calibration file that holds each sample's true class, and
            the output that predicts it.
        objective: the figure to minimise: the time of a proof, the gas to verify it on chain, or the peak memory.
        effort: how long to search.
        search_seconds: limit of the time of the search, which then ends with the best settings so far; None for none.
        max_memory: limit in bytes for compiling and proving, which also affects the choice of settings. The memory of
            the machine is always a limit too, but can only cause a rejection.
        strict: reject a circuit that misses the budget on the held-out samples, before keys are generated.

    Raises:
        InputError: a limit of the search that is not a number above 0.
    """

    dimensions: Mapping[str, int] = field(default_factory=dict)
    input_visibility: Visibility = "public"
    setup: str | None = None
    run_arguments: RunArguments | None = None
    budget: Budget = field(default_factory=Budget)
    labels: str | None = None
    objective: Objective = "latency"
    effort: Effort = "normal"
    search_seconds: float | None = None
    max_memory: int | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if self.search_seconds is not None and not 0 < self.search_seconds < math.inf:
            raise InputError(
                f"A search cannot be limited to {self.search_seconds} s.", "Give a number above 0, or no limit."
            )


def refuse_impossible(engine: Engine, request: TuneRequest, memory: int) -> Cost:
    """The least cost of any circuit of a network, before the search for the best.

    Raises:
        EngineError, UnsupportedModelError: the engine has no circuit of it, or no trusted setup is large enough.
        TooCostlyError: it takes more than this many bytes.
    """
    with refusing_exhaustion(memory, request.workload, limited_search=request.search_seconds is not None):
        cost = engine.survey(request).at(request.speed)
    refuse_too_costly(cost, memory, request.workload)
    return cost


@dataclass(frozen=True, slots=True)
class CompilationResult:
    """The manifest of a finished compilation, and the facts that only its caller needs."""

    manifest: Manifest
    tuned: Tuned
    cost: Cost
    shortfall: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compilation:
    """One compilation: the values that all of its stages share."""

    engine: Engine
    home: Home
    options: CompileOptions
    stages: Stages
    memory: int

    def compile_into(self, staging: Path, scratch: Path, model: Path, calibration: Path | None) -> CompilationResult:
        """Fill `staging` with a circuit and leave its proving key in `scratch`."""
        stage = self.stages.stage
        with stage("inspect"):
            normal = self._normalise(model, staging / MODEL, scratch / _NETWORK)
            heard: list[str] = []
            tuning, held_out = self._samples(staging / MODEL, scratch / _NETWORK, normal, calibration, heard)
        speed = self._speed()
        with stage("tune") as progress:
            request = self._tune_request(scratch / _NETWORK, normal, tuning, speed)
            tuned = self._tune(request, with_time_left(progress, self.stages.observer, "search for settings"))
            self._note(tuned.notes)
            program, cost = self._build_trial(request, tuned.run_arguments, scratch / "trial")
            lost = self.engine.lost_constants(scratch / "trial", staging / MODEL)
            self._note(lost)
        with stage("evaluate"):
            (scratch / "trial" / MODEL).symlink_to((staging / MODEL).absolute())  # engines name the nodes of refusals
            fidelity, headroom = evaluate_circuit(
                self.engine, scratch / "trial", program, tuned.run_arguments, held_out
            )
            shortfall = self._shortfall(fidelity, tuned)
        with stage("setup") as progress:
            setup = self.home.setups.find_or_generate(program.setup_size, self.options.setup, progress)
            cost = self._cost_with(setup, program, cost, scratch / "trial", speed)
        with stage("keys"):
            assembly = self._assemble(staging, scratch, normal, tuned.run_arguments, setup)
            if assembly.program != program:
                what = _differing(program, assembly.program)
                raise EngineError(f"The engine built two different programs from the same network: {what}.")
        with stage("prove"):
            prove_once(self.engine, assembly, setup, self.key_path(scratch), held_out)
        report = FidelityReport.of(fidelity, held_out.kind, held_out.inputs)
        choice = ChoiceReport.of(self.options.budget, samples=tuned.samples or len(tuning), kept=not shortfall)
        features, labels = self._features(normal, calibration), self.engine.labels
        manifest = _manifest(assembly, normal, report, choice, headroom, cost, features, labels, staging)
        (staging / MANIFEST).write_bytes(manifest.to_bytes())
        _make_readable(staging)
        return CompilationResult(manifest, tuned, cost, shortfall, (*normal.notes, *heard, *tuned.notes, *lost))

    def key_path(self, scratch: Path) -> Path | None:
        """The path at which the proving key is generated; None if the engine needs none."""
        return key_path(self.engine, scratch / _KEY)

    def _cost_with(self, setup: TrustedSetup, program: Program, cost: Cost, folder: Path, speed: Speed) -> Cost:
        """The cost with this setup; a setup larger than the circuit needs slows down every proof, which is noted."""
        if setup.k <= program.setup_size:
            return cost
        with_setup = self.engine.work(folder, setup.k).at(speed)
        extra = with_setup.prove_seconds - cost.prove_seconds
        if extra > 0:
            cure = f"; `zkinfer setup fetch {program.setup_size}` gets one of the right size"
            self.stages.observer.note(
                f"the available trusted setup has 2^{setup.k} powers; truncating it takes {extra:.1f} s of each proof"
                + ("" if setup.is_insecure_dev else cure)
            )
        return with_setup

    def _shortfall(self, fidelity: Fidelity, tuned: Tuned) -> str:
        """By how much the held-out samples miss the budget; they never affect the choice of settings."""
        missed = self.options.budget.shortfall(fidelity)
        if missed and self.options.strict:
            raise BudgetError(
                f"The circuit misses the budget on the held-out samples. {missed}",
                "Give more calibration samples, or set a stricter budget than you need.",
                tuned.options,
            )
        return missed

    def _samples(
        self, model: Path, network: Path, normal: NormalisedModel, calibration: Path | None, heard: list[str]
    ) -> tuple[Samples, Samples]:
        """The samples; `heard` receives what was said about how they were read."""

        def note(text: str) -> None:
            heard.append(text)
            self.stages.observer.note(text)

        with self._reading(normal.workload):
            return load_samples(
                model,
                normal.inputs,
                normal.outputs,
                calibration,
                self._labels,
                network=network,
                limits=self._parsing,
                note=note,
            )

    def _features(self, normal: NormalisedModel, calibration: Path | None) -> tuple[str, ...]:
        label = None if self._labels is None else self._labels.array
        return () if calibration is None else read_feature_names(calibration, normal.inputs, label)

    @property
    def _labels(self) -> LabelSource | None:
        return None if self.options.labels is None else LabelSource.parse(self.options.labels)

    @property
    def _parsing(self) -> Limits:
        return Limits.for_parsing().within(self.memory)

    def _reading(self, workload: Workload) -> AbstractContextManager[None]:
        return refusing_exhaustion(min(PARSING, self.memory), workload)

    def _normalise(self, model: Path, copy: Path, network: Path) -> NormalisedModel:
        """Copy and normalise the model; later stages read the copy, in case the caller's file changes meanwhile.

        A model that is certain to exceed the limit is rejected before the long normalisation, or by its normal form.
        """
        with self._reading(_UNKNOWN_WORKLOAD):
            workload = inspect_model(model, limits=self._parsing).workload
        self._refuse_by_bound(workload)
        self._forecast(workload)
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
        self._refuse_by_bound(normal.workload)
        self._note(normal.notes)
        return normal

    def _refuse_by_bound(self, workload: Workload) -> None:
        """Raise TooCostlyError if even the lower bound of the cost exceeds the limit."""
        refuse_too_costly(self._least_cost(workload), self.memory, workload)

    def _least_cost(self, workload: Workload) -> Cost:
        """The lower bound of the cost, without measuring the machine."""
        speed = known_speed(self.engine, self.home) or REFERENCE_SPEED
        return self.engine.least_work(workload).at(speed)

    def _forecast(self, workload: Workload) -> None:
        """Note what a large model will take, from the number of its operations alone, which takes a moment."""
        least, search = self._least_cost(workload), 0.0
        if self.options.run_arguments is None:
            search = self.engine.search_seconds(workload, self.options.effort)
        if max(least.prove_seconds, search) < _LONG_WORK:
            return
        limit = self.options.search_seconds
        bounded = (
            f"limited to {duration(limit)}" if limit is not None and limit < search else "--search-seconds limits it"
        )
        self.stages.observer.note(
            f"forecast for {workload.multiplications:,} multiplications: a search for settings of roughly "
            f"{duration(search)} ({bounded}), then at least {duration(least.keys_seconds)} for the keys, "
            f"{duration(least.prove_seconds)} for each proof and {size(least.work.memory_bytes)} of memory; a circuit "
            "may take several times as much"
        )

    def _speed(self) -> Speed:
        """The speed of this machine, measured on first use; only then is the stage reported."""
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
            max_setup_size=self.home.setups.max_size(self.options.setup),
            max_memory=self.options.max_memory,
            workload=normal.workload,
            labels=tuning.labels,
            objective=self.options.objective,
            effort=self.options.effort,
            speed=speed,
            names=normal.names,
            search_seconds=self.options.search_seconds,
        )

    def _tune(self, request: TuneRequest, progress: Progress) -> Tuned:
        if self.options.run_arguments is not None:
            return Tuned(self.options.run_arguments, ())
        limit, began = request.search_seconds, time.monotonic()
        cost = refuse_impossible(self.engine, request, self.memory)
        if cost.prove_seconds > _LONG_PROOF:
            self.stages.observer.note(f"a large model, roughly: {cost.describe()}; now searching for the best settings")
        if limit is not None:
            request = replace(request, search_seconds=max(_MOMENT, limit - (time.monotonic() - began)))
        with refusing_exhaustion(self.memory, request.workload, limited_search=limit is not None):
            return self.engine.tune(request, progress=progress)

    def _build_trial(self, request: TuneRequest, arguments: RunArguments, folder: Path) -> tuple[Program, Cost]:
        """Build once without keys, to learn the setup size and the cost before the long work."""
        folder.mkdir()
        program = self.engine.build(request.network, request.inputs, request.outputs, arguments, folder)
        cost = self.engine.work(folder).at(request.speed)
        refuse_too_costly(cost, self.memory, request.workload)
        self.stages.observer.note(f"{program.describe_figures()}: {cost.describe()}")
        return program, cost

    def _note(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.stages.observer.note(text)

    def _assemble(
        self, staging: Path, scratch: Path, normal: NormalisedModel, arguments: RunArguments, setup: TrustedSetup
    ) -> Assembly:
        return assemble(
            staging / MODEL,
            staging,
            engine=self.engine,
            run_arguments=arguments,
            setup=setup,
            dimensions=effective_dimensions(normal.summary, self.options.dimensions),
            input_visibility=self.options.input_visibility,
            proving_key=self.key_path(scratch),
        )


def _differing(first: Program, second: Program) -> str:
    fields = (field for field in type(first).model_fields if getattr(first, field) != getattr(second, field))
    return "; ".join(f"{field} {getattr(first, field)} and {getattr(second, field)}" for field in fields)


def _make_readable(folder: Path) -> None:
    """Let other users read the folder, which is meant to be shared; the proving key is stored elsewhere."""
    for path in folder.iterdir():
        path.chmod(0o644)


def _manifest(
    assembly: Assembly,
    normal: NormalisedModel,
    fidelity: FidelityReport,
    choice: ChoiceReport,
    headroom: float,
    cost: Cost,
    features: tuple[str, ...],
    labels: tuple[str, ...],
    staging: Path,
) -> Manifest:
    return Manifest(
        identity=assembly.identity,
        recipe=assembly.recipe,
        program=assembly.program,
        keys=KeySizes(
            proving_key=None if assembly.keys.proving_key is None else str(assembly.keys.proving_key),
            proving_key_bytes=assembly.keys.proving_key_bytes,
            verifying_key_bytes=assembly.keys.verifying_key_bytes,
            proof_bytes=assembly.keys.proof_bytes,
        ),
        fidelity=fidelity,
        choice=choice,
        features=features,
        headroom=rounded(headroom),
        cost=CostReport(memory_bytes=cost.work.memory_bytes, gas=cost.work.gas),
        labels=labels,
        parameters=normal.summary.parameters,
        operators=dict(normal.summary.operators),
        files={path.name: str(sha256_file(path)) for path in sorted(staging.iterdir())},
    )
