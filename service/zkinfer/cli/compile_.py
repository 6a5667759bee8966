"""zkinfer compile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from zkinfer.cli import compile_options as given
from zkinfer.cli import cost_view, fidelity_view
from zkinfer.cli.console import answer, console, facts_table, failing_politely, plain, progress_display, say
from zkinfer.cli.options import AsJson, Model

if TYPE_CHECKING:
    from zkinfer.circuits.compiling import Compiled, CompileOptions
    from zkinfer.circuits.manifest import Manifest


def compile_command(
    model: Model,
    out: given.NewCircuit,
    calibration: given.Calibration = None,
    setup: given.Ceremony = None,
    inputs: given.Inputs = given.InputVisibility.PUBLIC,
    dim: given.Dimensions = None,
    labels: given.Labels = None,
    min_agreement: given.MinAgreement = 0.99,
    max_error: given.MaxError = 0.05,
    max_absolute_error: given.MaxAbsoluteError = None,
    max_accuracy_drop: given.MaxAccuracyDrop = None,
    objective: given.Wanted = given.Objective.LATENCY,
    effort: given.Search = given.Effort.NORMAL,
    max_memory: given.MaxMemory = None,
    strict: given.Strict = False,
    trade_off: given.TradeOff = None,
    as_json: AsJson = False,
) -> None:
    """Turn an ONNX model into a circuit: a folder that provers serve and auditors check.

    Chooses the cheapest settings that keep the model's accuracy, makes the keys, measures the circuit's own answers
    against the float model's, and proves one inference before it publishes the folder.

    Example: zkinfer compile digits.onnx --calibration images.npz --out digits.circuit
    """
    with failing_politely(as_json=as_json):
        from zkinfer.circuits.compiling import CompileOptions
        from zkinfer.circuits.fidelity import Budget

        given.refuse_incomplete(calibration, labels, max_accuracy_drop)
        if trade_off is not None:
            cost_view.refuse_undrawable(trade_off)
        options = CompileOptions(
            dimensions=given.parse_dimensions(dim or []),
            input_visibility=inputs.value,
            setup=setup,
            budget=Budget(min_agreement, max_error, max_absolute_error, max_accuracy_drop),
            labels=labels,
            objective=objective.value,
            effort=effort.value,
            max_memory=max_memory,
            strict=strict,
        )
        with cost_view.showing_what_missed(trade_off):
            compiled = _compiled(model, out, calibration, options, quiet=as_json)
        show(compiled)
        if trade_off is not None:
            cost_view.draw(compiled.options, trade_off)
        if as_json:
            answer(report(compiled))


def _compiled(model: Path, out: Path, calibration: Path | None, options: CompileOptions, *, quiet: bool) -> Compiled:
    from zkinfer.circuits.compiling import compile_model
    from zkinfer.circuits.engines import production_engines
    from zkinfer.circuits.home import Home

    engine, home = next(iter(production_engines().values())), Home.from_environment()
    with progress_display(quiet=quiet) as display:
        return compile_model(
            model, out, engine=engine, home=home, calibration=calibration, options=options, observer=display
        )


def show(compiled: Compiled) -> None:
    """A table of what was made."""
    circuit, manifest = compiled.circuit, compiled.circuit.manifest
    say(f"[green]✓[/] {plain(circuit.folder)} in {sum(compiled.timings.values()):.1f} s")
    console.print(manifest_table(manifest))
    cost_view.show_trade_off(compiled.options)
    if manifest.fidelity.data != "held-out":
        say(f"fidelity {fidelity_view.provenance(manifest.fidelity)}")
    if compiled.shortfall:
        say(f"[yellow]over budget[/] on the samples that judge: {plain(compiled.shortfall)}")
    warn_about_setup(manifest.recipe.setup.is_insecure_dev)


def warn_about_setup(insecure: bool) -> None:
    """Say in red that proofs under a development setup prove nothing."""
    if insecure:
        say("[bold red]insecure-dev:[/] the secret of this setup is public, so anybody can forge proofs under it.")


def manifest_table(manifest: Manifest, *, fidelity: bool = True) -> Table:
    """Identity and cost of a circuit, and its fidelity in short unless it follows at length."""
    from zkinfer.circuits.cost import size

    program, keys = manifest.program, manifest.keys
    rows = {
        "model id": manifest.identity.model_id,
        "circuit": manifest.digest,
        "ONNX file": manifest.identity.model,
        "verifying key": manifest.identity.verifying_key,
        "engine": manifest.recipe.engine,
        "trusted setup": manifest.recipe.setup.ceremony,
        "inputs": ", ".join(f"{spec.describe()} × 2^{spec.scale}, {spec.visibility}" for spec in program.inputs),
        "outputs": ", ".join(f"{spec.describe()} × 2^{spec.scale}" for spec in program.outputs),
        "size": f"{manifest.parameters:,} parameters, {program.rows:,} rows in 2^{program.log_rows}",
        "keys": f"proving {keys.proving_key_bytes / 1e6:.1f} MB, verifying {keys.verifying_key_bytes / 1e3:.1f} kB, "
        f"proof {keys.proof_bytes:,} bytes",
        "cost": f"{size(manifest.cost.memory_bytes)} of memory, about {manifest.cost.gas:,} gas to verify on chain by "
        "a bare dedicated verifier",
        "headroom": f"integers may be {manifest.headroom:,.3g} times larger than in the samples that judged",
    }
    if manifest.choice is not None:
        rows["chosen by"] = fidelity_view.choice_in_short(manifest.choice)
    in_short = {"fidelity": fidelity_view.in_short(manifest.fidelity)} if fidelity else {}
    return facts_table(rows | in_short)


def report(compiled: Compiled) -> dict[str, Any]:
    """The JSON form."""
    manifest = compiled.circuit.manifest
    return {
        "ok": True,
        "circuit": str(compiled.circuit.folder),
        "circuitDigest": str(manifest.digest),
        "modelId": manifest.identity.model_id,
        "manifest": manifest.model_dump(mode="json", by_alias=True),
        "cost": cost_view.cost_report(compiled.cost),
        "tradeOff": cost_view.trade_off_report(compiled.options),
        "overBudget": compiled.shortfall,
        "timings": compiled.timings,
    }
