"""The group `zkinfer setup`: trusted setups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, print_table, progress_display, say
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from zkinfer.circuits.srs import TrustedSetup

app = typer.Typer(
    no_args_is_help=True,
    help="Trusted setups: list, import, download and check. A circuit of 2^k rows needs a file of size k or larger.",
)
SetupFile = Annotated[Path, typer.Argument(metavar="FILE", help="A setup file in halo2's raw format.")]


@app.command("list")
def list_setups(as_json: AsJson = False) -> None:
    """List the available setups, including those in the folders of ZKINFER_SETUP_PATH."""
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.home import Home

        setups = Home.from_environment().setups.list()
        if not setups:
            print_result("No trusted setup yet.")
            say("Download one with [bold]zkinfer setup fetch 15[/].")
        else:
            print_table(_table(setups))
        if as_json:
            print_json({"ok": True, "setups": [_report(setup) for setup in setups]})


@app.command("import")
def import_setup(path: SetupFile, as_json: AsJson = False) -> None:
    """Check a file and copy it to the store; a file with an unknown digest is checked point by point."""
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.home import Home

        with progress_display(quiet=as_json) as display:
            setup = Home.from_environment().setups.add(path, lambda done: display.progress("check", done))
        _show_stored(setup, as_json=as_json)


@app.command("fetch")
def fetch(
    k: Annotated[int, typer.Argument(min=1, max=26, help="Size: the file supports circuits of up to 2^K rows.")],
    ceremony: Annotated[str, typer.Option(help="The ceremony.")] = "perpetual-powers-of-tau",
    mirror: Annotated[
        str | None, typer.Option(help="URL of a folder to download from instead of the public one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download a ceremony's file and check it. An interrupted download is resumed.

    The file of size K has about 128 × 2^K bytes: 4 MB for 15, 134 MB for 20.
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.home import Home
        from zkinfer.circuits.srs import fetch_setup

        say(f"{ceremony}, size {k}: {(128 << k) / 1e6:,.1f} MB")
        with progress_display(quiet=as_json) as display:
            store = Home.from_environment().setups
            setup = fetch_setup(
                store, k, ceremony, base_url=mirror, progress=lambda done: display.progress("fetch", done)
            )
        _show_stored(setup, as_json=as_json)


@app.command("check")
def check(path: SetupFile, as_json: AsJson = False) -> None:
    """Check a file point by point, whatever its digest: on the curve, powers of one tau, Lagrange form, ceremony."""
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.srs import check_setup

        with progress_display(quiet=as_json) as display:
            found = check_setup(path, progress=lambda done: display.progress("check", done))
        for passed in found.checks:
            print_result(f"[green]✓[/] {plain(passed)}")
        print_result(f"{_ceremony_text(found.ceremony)}, size {found.k}, {found.sha256}")
        if as_json:
            document = {"ceremony": found.ceremony, "k": found.k, "sha256": str(found.sha256), "checks": found.checks}
            print_json({"ok": True, **document})


def _show_stored(setup: TrustedSetup, *, as_json: bool) -> None:
    print_result(f"[green]✓[/] {_ceremony_text(setup.ceremony)}, size {setup.k}: {plain(setup.path)}")
    if as_json:
        print_json({"ok": True, **_report(setup)})


def _ceremony_text(ceremony: str) -> str:
    return "[bold red]insecure-dev[/]" if ceremony == "insecure-dev" else plain(ceremony)


def _table(setups: list[TrustedSetup]) -> Table:
    table = Table("ceremony", "size", "SHA-256", "file", box=None)
    for column in table.columns:
        column.no_wrap = True
    for setup in setups:
        table.add_row(_ceremony_text(setup.ceremony), str(setup.k), setup.sha256.hex, plain(setup.path))
    return table


def _report(setup: TrustedSetup) -> dict[str, Any]:
    return {"ceremony": setup.ceremony, "k": setup.k, "sha256": str(setup.sha256), "path": str(setup.path)}
