"""The group `zkinfer tokens`: bearer tokens of a server's callers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, print_table, require_extra, say
from zkinfer.cli.options import AsJson, StateFolder, parse_period

if TYPE_CHECKING:
    from zkinfer.service.auth import Grant, TokenFile

app = typer.Typer(
    no_args_is_help=True,
    help="Bearer tokens of a server's callers. A running server applies changes at the next call.",
)
File = Annotated[Path | None, typer.Option("--tokens", help="Token file. Default: the one in the state folder.")]


@app.command("new")
def new(
    name: Annotated[
        str, typer.Argument(help="Name of the identity that owns the jobs: lower-case letters, digits and . _ @ -")
    ],
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Allow this model only; repeatable. Default: all.")
    ] = None,
    expires_in: Annotated[
        timedelta | None,
        typer.Option(parser=parse_period, metavar="PERIOD", help="Lifetime: 12h, 30d or 52w. Default: unlimited."),
    ] = None,
    unfinished_jobs: Annotated[
        int | None, typer.Option(min=0, help="Maximum number of unfinished proofs. Default: the server's.")
    ] = None,
    calls_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Maximum calls per second. Default: the server's.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the token to this file, readable only by you, instead of printing it.")
    ] = None,
    state: StateFolder = None,
    tokens: File = None,
    as_json: AsJson = False,
) -> None:
    """Create a token and print it once; the server stores only a hash.

    The first token disables anonymous calls. Callers send their token as the metadata `authorization: Bearer TOKEN`.

    Example: zkinfer tokens new alice --model digits --expires-in 30d
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.service.identity import Rights

        if out is not None:
            refuse_existing(out)
        file = _token_file(state, tokens)
        rights = Rights(
            models=frozenset(model) if model else None,
            unfinished_jobs=unfinished_jobs,
            calls_per_second=calls_per_second,
        )
        grant, token = file.new(name, rights=rights, expires=_expiry(expires_in))
        if out is not None:
            write_atomically(out, token.encode() + b"\n", mode=0o600)
        print_result(f"[green]✓[/] token {grant.id} for {plain(grant.name)}, in {plain(file.path)}")
        if out is not None:
            print_result(f"  the token was written to {plain(out)}")
        elif not as_json:
            print_result(f"  {token}")
            say("  [dim]It is not shown again.[/]")
        if as_json:
            print_json({"ok": True, **_report(grant), **({} if out else {"token": token})})


@app.command("list")
def list_tokens(state: StateFolder = None, tokens: File = None, as_json: AsJson = False) -> None:
    """List the tokens, without their secrets."""
    with exit_on_error(as_json=as_json):
        grants = _token_file(state, tokens).list()
        if grants:
            print_table(_table(grants))
        else:
            print_result("No tokens: callers on this machine are anonymous.")
            say("Create one with [bold]zkinfer tokens new NAME[/].")
        if as_json:
            print_json({"ok": True, "tokens": [_report(grant) for grant in grants]})


@app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The id, as `zkinfer tokens list` shows it.")],
    state: StateFolder = None,
    tokens: File = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a token; a running server rejects it from the next call on."""
    with exit_on_error(as_json=as_json):
        grant = _token_file(state, tokens).revoke(token_id)
        print_result(f"[green]✓[/] token {grant.id} of {plain(grant.name)} was revoked")
        if as_json:
            print_json({"ok": True, **_report(grant)})


def _token_file(state: Path | None, tokens: Path | None) -> TokenFile:
    from zkinfer.circuits.storage import ensure_private_dir

    with require_extra("serve"):
        from zkinfer.service.auth import TokenFile
        from zkinfer.service.settings import default_state
    if tokens is not None:
        return TokenFile(tokens)
    return TokenFile(ensure_private_dir(state or default_state()) / "tokens.json")


def _expiry(period: timedelta | None) -> datetime | None:
    return None if period is None else (datetime.now(UTC) + period).replace(microsecond=0)


def _table(grants: tuple[Grant, ...]) -> Table:
    table = Table("id", "name", "models", "expires", "unfinished jobs", "calls per second", box=None)
    table.columns[0].no_wrap = True
    for grant in grants:
        table.add_row(
            grant.id,
            plain(grant.name),
            "all" if grant.models is None else plain(", ".join(grant.models)),
            f"{grant.expires:%Y-%m-%d %H:%M}" if grant.expires else "never",
            "" if grant.unfinished_jobs is None else str(grant.unfinished_jobs),
            "" if grant.calls_per_second is None else f"{grant.calls_per_second:g}",
        )
    return table


def _report(grant: Grant) -> dict[str, Any]:
    return grant.model_dump(mode="json", by_alias=True, exclude={"sha256"})
