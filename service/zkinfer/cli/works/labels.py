"""The commands `zkinfer works label` and `render`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.console import (
    exit_on_error,
    plain,
    print_facts,
    print_json,
    print_result,
    progress_display,
    require_extra,
)
from zkinfer.cli.options import AsJson, AttestationFile
from zkinfer.cli.works.prints import PictureFile, ProvenBy

if TYPE_CHECKING:
    from zkinfer.works.labels import Label


def label_command(
    file: PictureFile,
    circuit: ProvenBy,
    out: Annotated[Path, typer.Option(help="The label to write; must not exist.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Label a picture by a detector's proven verdict.

    The detector gives two scores, of a captured picture and of a generated one. Whoever was labelled verifies the label
    from their own file: zkinfer verify label.json --model detector.onnx --input FILE

    Example: zkinfer works label work.png --circuit detector.circuit --out label.json
    """
    with exit_on_error(as_json=as_json):
        with require_extra("works"):
            from zkinfer.works.content import decode
        from zkinfer.circuits.home import Home
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.prover import Prover
        from zkinfer.works.labels import Label
        from zkinfer.works.model_inputs import model_input

        refuse_existing(out)
        with progress_display(quiet=as_json) as display:
            opened = Circuit.open(circuit)
            inputs = model_input(decode(file), opened.manifest.program.inputs)
            attestation = Prover(home=Home.from_environment()).prove(opened, inputs, observer=display)
        label = Label.of(attestation, opened.manifest)
        write_atomically(out, label.to_bytes())
        print_facts(
            {
                "verdict": "generated" if label.ai_generated else "captured",
                "basis": f"{label.basis}, {label.evidence.level}",
                "detector": label.detector.model_id,
                "accuracy": _accuracy(label),
            }
        )
        print_result(f"[green]✓[/] {plain(out)}: the detector gave this verdict. It may be wrong.")
        if as_json:
            print_json({"ok": True, **label.model_dump(mode="json", by_alias=True, exclude={"attestation"})})


def _accuracy(label: Label) -> str:
    found = label.detector.fidelity
    if found is None:
        return "not measured"
    return f"{found.circuit_accuracy:.1%} of {found.samples} {found.data} samples, as its circuit claims"


def render_command(
    attestation: AttestationFile,
    out: Annotated[Path, typer.Option(help="The PNG file to write; must not exist.", show_default=False)],
    enlarge: Annotated[int, typer.Option(min=1, max=64, help="Pixels for each number of the output.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Render the picture that a painter's attestation states, and say its content: sha256 of the output words.

    The attestation is not verified: see `zkinfer verify`.

    Example: zkinfer works render painted.json --out painted.png
    """
    with exit_on_error(as_json=as_json):
        with require_extra("works"):
            from zkinfer.works.renders import content_of, render
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.verifier import Attestation

        refuse_existing(out)
        claim = Attestation.read(attestation).predicate
        outputs, [picture] = claim.statement.outputs, claim.outputs
        write_atomically(out, render(outputs, picture.common_scale, enlarge=enlarge))
        facts = {"picture": str(out), "content": str(content_of(outputs)), "modelId": claim.circuit.claimed_model_id}
        print_facts(facts)
        if as_json:
            print_json({"ok": True, **facts})
