"""The group `zkinfer policy`: look at policies, and check them against a circuit, before they are relied on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from zkinfer.cli.console import exit_on_error, plain, print_json, print_result
from zkinfer.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="Policies: what you require of an attestation, as JSON or TOML.")
PolicyFile = Annotated[Path, typer.Argument(metavar="POLICY", help="A policy: *.toml, or JSON.", show_default=False)]


@app.command("show")
def show(file: PolicyFile, as_json: AsJson = False) -> None:
    """Show what a policy requires, in words; with --json the same policy as JSON."""
    with exit_on_error(as_json=as_json):
        from zkinfer.verifier import load_policy_file, write_policy

        policy = load_policy_file(file)
        document = write_policy(policy)
        print_result("An attestation is accepted if all of this holds:")
        for line in in_words(document["allOf"]):
            print_result(f"  {plain(line)}")
        if as_json:
            print_json({"ok": True, "policy": document})


@app.command("check")
def check(
    file: PolicyFile,
    circuit: Annotated[
        Path | None, typer.Option(help="Check too that the policy can accept proofs of this circuit folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that a policy is well formed, requires something, and can accept proofs of a circuit.

    Example: zkinfer policy check policy.toml --circuit digits.circuit
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.cli.prove import refuse_unacceptable
        from zkinfer.verifier import load_policy_file

        load_policy_file(file)
        if circuit is not None:
            refuse_unacceptable(Circuit.open(circuit), file)
        what = "is well formed" if circuit is None else f"is well formed, and can accept proofs of {circuit.name}"
        print_result(f"[green]✓[/] {plain(file)} {plain(what)}")
        if as_json:
            print_json({"ok": True})


def in_words(rules: list[dict[str, Any]], indent: str = "") -> list[str]:
    """One line per rule, with its meaning; nested rules are indented."""
    from zkinfer.verifier.policy_rules import RULES

    lines = []
    for rule in rules:
        [(name, value)] = rule.items()
        meaning = RULES[name].meaning.partition(". ")[0]
        if name in ("allOf", "anyOf"):
            lines += [f"{indent}{name}: {meaning}", *in_words(value, indent + "  ")]
        else:
            shown = "" if value is True else f" {json.dumps(value)}"
            lines.append(f"{indent}{name}{shown}: {meaning}")
    return lines
