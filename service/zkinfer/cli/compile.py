"""The command `zkinfer compile`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.circuits.engines import DEFAULT_ENGINE
from zkinfer.cli import report_views
from zkinfer.cli.console import exit_on_error, plain, print_facts, print_json, print_result, progress_display, say
from zkinfer.cli.options import AUTO, AsJson, EngineChoice, Model, parse_amount, parse_share, parse_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.compile import Compiled, CompileOptions
    from zkinfer.circuits.manifest import KeySizes, Manifest


class InputVisibility(StrEnum):
    """The information about the inputs that a proof reveals."""

    PUBLIC = "public"
    HASHED = "hashed"
    PRIVATE = "private"


class Objective(StrEnum):
    """The quantity to minimise within the budget."""

    LATENCY = "latency"
    GAS = "gas"
    MEMORY = "memory"


class Effort(StrEnum):
    """How much of the search space of settings to explore."""

    QUICK = "quick"
    NORMAL = "normal"
    MAX = "max"


NewCircuit = Annotated[Path, typer.Option(help="The circuit folder to write; must not exist.", show_default=False)]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="Samples of real inputs (.npz, .json, .csv). Half calibrate the settings; half are held out to measure "
        "the result. Default: random numbers, as the circuit's report notes."
    ),
]
Ceremony = Annotated[
    str | None,
    typer.Option(
        help="The ceremony to use. Default: the smallest available setup of a real ceremony that is large enough. "
        "`insecure-dev` is for tests."
    ),
]
Inputs = Annotated[
    InputVisibility,
    typer.Option(
        help="What a proof reveals of the inputs: their values, a digest of each (which confirms a guessed input), or "
        "nothing."
    ),
]
Dimensions = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=SIZE",
        help="Size of a symbolic dimension; repeatable. A first dimension that is the batch is 1 by default.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[=OUTPUT]",
        help="Array (or .csv column) of the calibration file with the true class of each sample. OUTPUT predicts the "
        "class. Default: an integer output, else the first output with one number per class.",
    ),
]
MinAgreement = Annotated[
    float,
    typer.Option(
        parser=parse_share, metavar="SHARE", help="Minimum share of samples with the same answer as the model."
    ),
]
MaxError = Annotated[
    float,
    typer.Option(
        parser=parse_share,
        metavar="SHARE",
        help="Maximum error (99th percentile) of each column of each output, as a share of the column's range.",
    ),
]
MaxAbsoluteError = Annotated[
    float | None,
    typer.Option(parser=parse_amount, metavar="NUMBER", help="Maximum absolute error of any output number."),
]
MaxAccuracyDrop = Annotated[
    float | None,
    typer.Option(
        parser=parse_share,
        metavar="SHARE",
        help="Maximum drop in accuracy, such as 0.5%. Needs --labels.",
    ),
]
ObjectiveName = Annotated[
    Objective,
    typer.Option(
        help="What to minimise: proving time (traded for less gas by up to a third), gas of verification on chain, or "
        "peak memory."
    ),
]
EffortName = Annotated[Effort, typer.Option(help="How long to search.")]
SearchSeconds = Annotated[
    float | None,
    typer.Option(
        min=1,
        metavar="SECONDS",
        help="End the search for settings after this time, with the best so far, or a refusal if there are none. The "
        "result then depends on the machine. Default: until the effort is spent.",
    ),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        parser=parse_size,
        metavar="SIZE",
        help="Memory limit of the circuit, such as 4GB; the model is rejected if every circuit exceeds it. Circuits "
        "that need more than 90% of the free memory are always rejected.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Reject a circuit that misses the budget on held-out samples. Default: publish it with a warning.",
    ),
]
TradeOff = Annotated[
    Path | None,
    typer.Option(metavar="FILE.png", help="Plot the settings that were compared into this file (.png or .svg)."),
]


def parse_dimensions(pairs: list[str]) -> dict[str, int]:
    """`["batch=1"]` as a dictionary; raises typer.BadParameter for anything else."""
    sizes = {}
    for pair in pairs:
        name, equals, size = pair.partition("=")
        if not (name and equals and size.isdecimal() and int(size) > 0):
            raise typer.BadParameter(f"{pair!r} is not NAME=SIZE with a size of at least 1", param_hint="--dim")
        sizes[name] = int(size)
    return sizes


def require_companions(calibration: Path | None, labels: str | None, max_accuracy_drop: float | None) -> None:
    """Raise typer.BadParameter if an option is given without another one that it needs."""
    if labels is not None and calibration is None:
        raise typer.BadParameter("labels need samples: give --calibration too", param_hint="--labels")
    if max_accuracy_drop is not None and labels is None:
        raise typer.BadParameter("accuracy needs labels: give --labels too", param_hint="--max-accuracy-drop")


def compile_command(
    model: Model,
    out: NewCircuit,
    calibration: Calibration = None,
    setup: Ceremony = None,
    inputs: Inputs = InputVisibility.PUBLIC,
    dim: Dimensions = None,
    labels: Labels = None,
    min_agreement: MinAgreement = 0.99,
    max_error: MaxError = 0.05,
    max_absolute_error: MaxAbsoluteError = None,
    max_accuracy_drop: MaxAccuracyDrop = None,
    objective: ObjectiveName = Objective.LATENCY,
    effort: EffortName = Effort.NORMAL,
    search_seconds: SearchSeconds = None,
    max_memory: MaxMemory = None,
    strict: Strict = False,
    trade_off: TradeOff = None,
    engine: EngineChoice = DEFAULT_ENGINE,
    as_json: AsJson = False,
) -> None:
    """Compile an ONNX model into a circuit: a folder that provers serve and auditors verify.

    Chooses the cheapest settings within the accuracy budget, generates the keys, compares the circuit's answers with
    the float model's, and proves one inference before it publishes the folder.

    Example: zkinfer compile digits.onnx --calibration calibration.npz --out digits.circuit
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.compile import CompileOptions
        from zkinfer.circuits.fidelity import Budget

        require_companions(calibration, labels, max_accuracy_drop)
        if trade_off is not None:
            report_views.require_plottable(trade_off)
        options = CompileOptions(
            dimensions=parse_dimensions(dim or []),
            input_visibility=inputs.value,
            setup=setup,
            budget=Budget(min_agreement, max_error, max_absolute_error, max_accuracy_drop),
            labels=labels,
            objective=objective.value,
            effort=effort.value,
            search_seconds=search_seconds,
            max_memory=max_memory,
            strict=strict,
        )
        with report_views.showing_trade_off_on_error(trade_off):
            compiled = _compile(model, out, calibration, options, engine, quiet=as_json)
        show(compiled)
        if trade_off is not None:
            report_views.plot(compiled.options, trade_off)
        if as_json:
            print_json(report(compiled))


def _compile(
    model: Path, out: Path, calibration: Path | None, options: CompileOptions, engine_name: str, *, quiet: bool
) -> Compiled:
    from zkinfer.circuits.compile import compile_model
    from zkinfer.circuits.engine_choice import compile_cheapest
    from zkinfer.circuits.engines import engine_named, engines_by_name
    from zkinfer.circuits.home import Home

    home = Home.from_environment()
    with progress_display(quiet=quiet) as display:
        if engine_name == AUTO:
            return compile_cheapest(
                model,
                out,
                engines=engines_by_name(),
                home=home,
                calibration=calibration,
                options=options,
                observer=display,
            )
        engine = engine_named(engine_name)
        return compile_model(
            model, out, engine=engine, home=home, calibration=calibration, options=options, observer=display
        )


def show(compiled: Compiled) -> None:
    """Show the compiled circuit."""
    circuit, manifest = compiled.circuit, compiled.circuit.manifest
    mark, over = ("[yellow]![/]", ", over budget") if compiled.shortfall else ("[green]✓[/]", "")
    print_result(f"{mark} {plain(circuit.folder)} in {sum(compiled.timings.values()):.1f} s{over}")
    print_facts(manifest_facts(manifest))
    report_views.show_trade_off(compiled.options)
    if manifest.fidelity.data != "held-out":
        print_result(f"fidelity {report_views.provenance(manifest.fidelity)}")
    if compiled.shortfall:
        print_result(f"[yellow]over budget[/] on held-out samples: {plain(compiled.shortfall)}")
    warn_about_setup(manifest.recipe.setup.is_insecure_dev)
    show_labels(manifest.labels)


def show_labels(labels: Sequence[str]) -> None:
    """Show what an engine's authors say before anyone relies on its proofs."""
    for label in labels:
        print_result(f"[yellow]![/] {plain(label)}")


def warn_about_setup(insecure: bool) -> None:
    """Warn in red that proofs under a development setup prove nothing."""
    if insecure:
        say("[bold red]insecure-dev:[/] the secret of this setup is public, so anyone can forge proofs under it.")


def setup_text(ceremony: str) -> str:
    """The name of a ceremony, with what it means for `insecure-dev`."""
    return f"{ceremony}: anyone can forge proofs" if ceremony == "insecure-dev" else ceremony


def manifest_facts(manifest: Manifest, *, fidelity: bool = True) -> dict[str, object]:
    """Identity and cost of a circuit, with a summary of its fidelity unless the full report follows."""
    from zkinfer.circuits.cost import size
    from zkinfer.verifier.report.card import choice_line, ranges_line

    program, keys = manifest.program, manifest.keys
    rows: dict[str, object] = {
        "model id": manifest.identity.model_id,
        "circuit": manifest.digest,
        "ONNX file": manifest.identity.model,
        "verifying key": manifest.identity.verifying_key,
        "engine": manifest.recipe.engine,
        "trusted setup": setup_text(manifest.recipe.setup.ceremony),
        "inputs": ", ".join(f"{spec.describe_scaled()}, {spec.visibility}" for spec in program.inputs),
        "outputs": ", ".join(f"{spec.describe_scaled()}" for spec in program.outputs),
        "size": f"{manifest.parameters:,} parameters, {program.describe_figures()}",
        "keys": f"{_proving_key(keys)}, verifying {keys.verifying_key_bytes / 1e3:.1f} kB, "
        f"proof {keys.proof_bytes:,} bytes",
        "cost": f"{size(manifest.cost.memory_bytes)} of memory, about {manifest.cost.gas:,} gas to verify on chain",
        "headroom": f"integers may be {manifest.headroom:,.3g} times larger than in the held-out samples",
    }
    if manifest.choice is not None:
        rows["calibration"] = choice_line(manifest.choice)
    if fidelity:
        rows["fidelity"] = report_views.fidelity_line(manifest.fidelity)
        if manifest.fidelity.inputs:
            rows["measured for"] = ranges_line(manifest.fidelity)
    return rows


def _proving_key(keys: KeySizes) -> str:
    return "no proving key" if keys.proving_key is None else f"proving {keys.proving_key_bytes / 1e6:.1f} MB"


def report(compiled: Compiled) -> dict[str, Any]:
    """The JSON form."""
    manifest = compiled.circuit.manifest
    return {
        "ok": True,
        "circuit": str(compiled.circuit.folder),
        "circuitDigest": str(manifest.digest),
        "modelId": manifest.identity.model_id,
        "manifest": manifest.to_document(),
        "cost": report_views.cost_report(compiled.cost),
        "tradeOff": report_views.trade_off_report(compiled.options),
        "overBudget": compiled.shortfall,
        "notes": list(compiled.notes),
        "timings": compiled.timings,
    }
