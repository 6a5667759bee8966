"""The command `zkinfer`: one module per subcommand, which defers heavy imports until it runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zkinfer.cli import (
    bundle,
    calibrate,
    chain,
    demo,
    export,
    inspect,
    jobs,
    keys,
    oracle,
    policy,
    prove,
    serve,
    setup,
    tokens,
    trust,
    ui,
    verify,
    works,
)
from zkinfer.cli import compile as compile_

app = typer.Typer(
    name="zkinfer",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Verifiable inference: compile an ONNX model into a circuit, prove its answers, verify proofs.\n\n"
        "Start with `zkinfer demo`, which shows the whole workflow in under two minutes."
    ),
    epilog=(
        "Results go to stdout, progress and hints to stderr. "
        "Exit codes: 0 accepted or done, 1 refused or failed (the reason is printed), 2 usage, 130 interrupted."
    ),
)
app.command("export")(export.export_command)
app.command("scores")(export.scores_command)
app.command("compile")(compile_.compile_command)
app.command("prove")(prove.prove_command)
app.command("verify")(verify.verify_command)
app.command("calibrate")(calibrate.calibrate_command)
app.command("inspect")(inspect.inspect_command)
app.command("serve")(serve.serve_command)
app.add_typer(setup.app, name="setup")
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")
app.add_typer(trust.app, name="trust")
app.add_typer(bundle.app, name="bundle")
app.add_typer(jobs.app, name="jobs")
app.add_typer(tokens.app, name="tokens")
app.add_typer(chain.app, name="chain")
app.add_typer(oracle.app, name="oracle")
app.add_typer(works.app, name="works")
app.add_typer(works.app, name="works")
app.command("demo")(demo.demo_command)
app.command("ui")(ui.ui_command)


def _show_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        from zkinfer.circuits.engines import engines_by_name

        engines = ", ".join(
            engine.id + (" without its core" if engine.unavailable else "") for engine in engines_by_name().values()
        )
        typer.echo(f"zkinfer {version('zkinfer')} (engines: {engines})")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command."""
    try:
        app()
    except BrokenPipeError:  # the reader has closed the pipe: `zkinfer ... --json | head`
        sys.stderr.close()
        sys.exit(1)
