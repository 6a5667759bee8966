"""The command `zkinfer inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli import report_views
from zkinfer.cli.compile import manifest_facts, setup_text, show_labels, warn_about_setup
from zkinfer.cli.console import exit_on_error, plain, print_facts, print_json, print_result, say
from zkinfer.cli.export import port_text
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from zkinfer.circuits.frontend import ModelSummary
    from zkinfer.circuits.manifest import FidelityReport
    from zkinfer.verifier import Attestation


def inspect_command(
    path: Annotated[Path, typer.Argument(metavar="ATT.json|CIRCUIT|MODEL.onnx", help="The file or folder to show.")],
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Plot the errors of a circuit into this file (.png or .svg)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the contents of an attestation, a circuit or a model. Verifies nothing: see `zkinfer verify`.

    Example: zkinfer inspect digits.circuit --picture errors.png
    """
    with exit_on_error(as_json=as_json):
        if picture is not None and not path.is_dir():
            raise typer.BadParameter("only a circuit's errors can be plotted", param_hint="--picture")
        if path.is_dir():
            document = _circuit(path, picture)
        elif path.suffix.lower() == ".json":
            document = _attestation(path)
        else:
            document = _model(path)
        if as_json:
            print_json({"ok": True, **document})


def _circuit(path: Path, picture: Path | None) -> dict[str, Any]:
    from zkinfer.circuits.engines import labels_of
    from zkinfer.circuits.manifest import Circuit

    circuit = Circuit.open(path)
    print_result(f"circuit {plain(path)}: all files match the manifest")
    if circuit.manifest.choice is not None and not circuit.manifest.choice.kept:
        print_result("[yellow]! over budget[/] on held-out samples; see calibration and fidelity below")
    print_facts(manifest_facts(circuit.manifest, fidelity=False))
    report_views.show_fidelity(circuit.manifest.fidelity)
    warn_about_setup(circuit.manifest.recipe.setup.is_insecure_dev)
    show_labels(labels_of(circuit.manifest.recipe.engine, circuit.manifest.labels))
    if picture is not None:
        _plot(circuit.manifest.fidelity, picture)
    manifest = circuit.manifest.to_document()
    return {"kind": "circuit", "circuitDigest": str(circuit.digest), "modelId": circuit.model_id, "manifest": manifest}


def _plot(report: FidelityReport, picture: Path) -> None:
    from zkinfer.circuits.plots import draw_errors

    draw_errors(report, picture)
    print_result(f"[green]✓[/] {plain(picture)}")


def _attestation(path: Path) -> dict[str, Any]:
    from zkinfer.circuits.engines import labels_of
    from zkinfer.verifier import Attestation, claimed_tensors

    claim = Attestation.read(path)
    predicate = claim.predicate
    print_result(f"attestation {plain(path)}: [bold]unverified claims[/]")
    say("these claims are checked by [bold]zkinfer verify[/]")
    print_facts(_claims(claim))
    for role in ("input", "output"):
        for name, values in claimed_tensors(predicate, role).items():
            print_result(f"  {role} {plain(name)} = {_shortened(values.ravel().tolist())}")
    warn_about_setup(predicate.recipe.setup.is_insecure_dev)
    show_labels(labels_of(predicate.recipe.engine))
    return {
        "kind": "attestation",
        "attestationDigest": str(claim.digest),
        "statement": claim.statement.model_dump(mode="json", by_alias=True),
        "outputs": {name: values.tolist() for name, values in claimed_tensors(predicate, "output").items()},
    }


def _claims(claim: Attestation) -> dict[str, object]:
    predicate = claim.predicate
    context, ephemeral = predicate.context, ", ephemeral" if predicate.signer.ephemeral else ""
    return {
        "model id": predicate.circuit.claimed_model_id,
        "ONNX file": predicate.circuit.model,
        "verifying key": predicate.circuit.verifying_key,
        "engine": predicate.recipe.engine,
        "trusted setup": setup_text(predicate.recipe.setup.ceremony),
        "request id": context.request_id,
        "requester": context.requester,
        "consumer": f"{context.consumer}, chain {context.chain_id or 'none'}",
        "expiry": context.expiry or "never",
        "signed by": f"{claim.envelope.keyid}{ephemeral}, at {predicate.created_at}",
        "proof": f"{len(claim.proof):,} bytes; {predicate.layout.inputs} {predicate.layout.visibility} input values, "
        f"{predicate.layout.outputs} outputs",
    }


def _model(path: Path) -> dict[str, Any]:
    from zkinfer.circuits.frontend import inspect_model

    summary = inspect_model(path)
    multiplications = summary.workload.multiplications
    print_result(f"model {plain(path)}: {summary.parameters:,} parameters, about {multiplications:,} multiplications")
    print_facts(_model_facts(summary))
    for problem in summary.problems:
        print_result(f"[yellow]![/] {plain(problem)}")
    engines = {} if summary.problems else _engines(path)
    return {"kind": "model", "model": summary.model_dump(mode="json"), "engines": engines}


def _engines(path: Path) -> dict[str, Any]:
    """For each engine: why it rejects the model, what is missing here, and the least that a proof would cost."""
    from zkinfer.circuits.engine_choice import candidates, describe_least
    from zkinfer.circuits.engines import engines_by_name

    document = {}
    for one in candidates(path, engines_by_name()):
        for finding in one.findings:
            print_result(f"[yellow]![/] {one.name}: {plain(finding.cause)} {plain(finding.cure)}")
        if not one.findings:
            print_result(f"[green]✓[/] {one.name} supports every operator; a proof takes {describe_least(one.least)}")
            if one.engine.unavailable:
                print_result(f"[yellow]![/] {one.name}: {plain(one.engine.unavailable)}")
        document[one.name] = {
            "findings": [finding.model_dump() for finding in one.findings],
            "unavailable": one.engine.unavailable,
            "least": None if one.findings else report_views.cost_report(one.least),
        }
    return document


def _model_facts(summary: ModelSummary) -> dict[str, object]:
    return {
        "ONNX file": summary.sha256,
        "opset": f"{summary.opset}, producer {summary.producer or 'unknown'}",
        "inputs": ", ".join(map(port_text, summary.inputs)),
        "outputs": ", ".join(map(port_text, summary.outputs)),
        "operators": ", ".join(f"{name} × {count}" for name, count in sorted(summary.operators.items())),
    }


def _shortened(values: list[float], most: int = 10) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:most])
    return f"[{shown}{', …' if len(values) > most else ''}]".replace("[", r"\[")
