"""The command `zkinfer serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from zkinfer.cli.compile import show_labels
from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, print_table, require_extra, say
from zkinfer.cli.options import AsJson, StateFolder

if TYPE_CHECKING:
    from zkinfer.prover.repository import IndexEntry
    from zkinfer.service.server import Running
    from zkinfer.service.settings import Settings


def serve_command(
    repository: Annotated[
        Path | None,
        typer.Option(help="Model repository: folders NAME/VERSION/, each a circuit made by `zkinfer compile`."),
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="ADDR", help="host:port or unix:/path. Default: 127.0.0.1:8001.")
    ] = None,
    state: StateFolder = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML settings. Options and ZKINFER_* variables take precedence.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Worker processes that prove; 0 for none. Default: one per two cores."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Sign attestations with this key. Default: an ephemeral key for each.")
    ] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="Read the key's passphrase from this file.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="The server's certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The server's private key, PEM.")] = None,
    tls_client_ca: Annotated[Path | None, typer.Option(help="Require client certificates of this CA, PEM.")] = None,
    tokens: Annotated[
        Path | None, typer.Option(help="Token file. Default: the one in the state folder, if it exists.")
    ] = None,
    works: Annotated[str | None, typer.Option(metavar="DB", help="Answer about works: see `works index`.")] = None,
    rest: Annotated[str | None, typer.Option(metavar="ADDR", help="Serve HTTP too, here. Default: gRPC only.")] = None,
    metrics: Annotated[str | None, typer.Option(metavar="ADDR", help="Serve Prometheus metrics here.")] = None,
    reflection: Annotated[
        bool | None, typer.Option("--reflection/--no-reflection", help="Enable gRPC server reflection.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text. Default: text on terminals, else json.")] = None,
    insecure_no_tls: Annotated[
        bool | None, typer.Option("--insecure-no-tls", help="Accept connections from other machines without TLS.")
    ] = None,
    insecure_anonymous: Annotated[
        bool | None,
        typer.Option("--insecure-anonymous", help="Accept calls from other machines without authentication."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve models over gRPC: immediate answers, proofs as long-running operations.

    Implements the Open Inference Protocol and zkinfer.v1; with --rest, answers, jobs and attestations over HTTP too.
    Ctrl-C or SIGTERM drains the server: running calls and proofs finish, and queued jobs are proven after the next
    start.

    Example: zkinfer serve --repository models --listen 127.0.0.1:8001
    """
    given = {
        "repository": repository,
        "listen": listen,
        "state": state,
        "directory": {"database": works},
        "tokens": tokens,
        "metrics": metrics,
        "reflection": reflection,
        "insecure_no_tls": insecure_no_tls,
        "insecure_anonymous": insecure_anonymous,
        "proving": {"workers": workers, "key": key, "passphrase_file": passphrase_file},
        "tls": {"certificate": tls_certificate, "key": tls_key, "client_ca": tls_client_ca},
        "log": {"format": log_format},
        "rest": {"listen": rest},
    }
    with exit_on_error(as_json=as_json):
        _serve(_only_given(given), config, as_json=as_json)


def _serve(given: dict[str, Any], config: Path | None, *, as_json: bool) -> None:
    import asyncio

    from zkinfer.circuits.home import Home

    with require_extra("serve"):
        from zkinfer.circuits.sandbox.processes import disable_core_dumps
        from zkinfer.service.logs import configure
        from zkinfer.service.server import serve
        from zkinfer.service.settings_loader import load_settings

    settings = load_settings(given, config)
    configure(settings.log)
    disable_core_dumps()

    def started(server: Running) -> None:
        show(server)
        if as_json:
            print_json(report(server))

    asyncio.run(serve(settings, Home.from_environment(), started=started))


def _only_given(options: dict[str, Any]) -> dict[str, Any]:
    """Only the options that were given, so that variables and file apply to the others."""
    nested = {name: _only_given(value) if isinstance(value, dict) else value for name, value in options.items()}
    return {name: value for name, value in nested.items() if value is not None and value != {}}


def show(server: Running) -> None:
    """Show address, security, models and state of the started server."""
    settings, capacity = server.dependencies.settings, server.dependencies.capacity
    print_result(f"[green]✓[/] listening at [bold]{plain(server.address)}[/], {_security(settings)}")
    entries = server.dependencies.repository.index()
    if entries:
        print_table(_table(server, entries))
        show_labels(_labels(server))
    else:
        say(f"  no models yet: put circuits into {plain(settings.repository)} as NAME/VERSION/")
    if server.rest_address:
        print_result(f"  HTTP at [bold]{plain(server.rest_address)}[/]")
    print_result(f"  state in {plain(settings.state)}; {capacity.workers} {_plural('worker', capacity.workers)}")
    if settings.metrics:
        print_result(f"  metrics at http://{plain(settings.metrics)}/metrics")
    if settings.insecure_no_tls or settings.insecure_anonymous:
        say("[bold red]insecure:[/] connections are not encrypted or not authenticated, as configured.")


def _security(settings: Settings) -> str:
    """Encryption and authentication in one line."""
    line = "TLS" if settings.tls.certificate else "without TLS"
    if settings.tls.client_ca:
        return f"{line}, callers identified by certificate or token"
    return f"{line}, {'callers identified by token' if settings.token_file.exists() else 'anonymous callers'}"


def _table(server: Running, entries: tuple[IndexEntry, ...]) -> Table:
    from zkinfer.circuits.cost import duration, size

    table = Table("model", "version", "state", "cost of a proof", "mode", box=None, padding=(0, 2, 0, 2))
    for entry in entries:
        cost, mode, state = "", "", f"[red]unavailable[/]: {plain(entry.detail)}"
        if entry.state == "READY":
            model = server.dependencies.repository.find(entry.name, entry.version)
            predicted = server.dependencies.estimator.of(model)
            cost, state = f"about {duration(predicted.seconds)}, {size(predicted.memory_bytes)}", "[green]ready[/]"
            mode = server.dependencies.proof_mode(model)
        table.add_row(plain(entry.name), plain(entry.version), state, cost, mode)
    return table


def _labels(server: Running) -> list[str]:
    """What users of the models must know before they rely on the proofs; each sentence once."""
    repository = server.dependencies.repository
    names = sorted({entry.name for entry in repository.index()})
    models = [model for name in names for model in repository.versions(name)]
    return list(dict.fromkeys(label for model in models for label in model.labels))


def report(server: Running) -> dict[str, Any]:
    """The JSON form, printed once the server accepts calls."""
    settings = server.dependencies.settings
    return {
        "ok": True,
        "address": server.address,
        **({"rest": server.rest_address} if server.rest_address else {}),
        "state": str(settings.state),
        "workers": server.dependencies.capacity.workers,
        "models": [
            {"name": entry.name, "version": entry.version, "state": str(entry.state), "reason": entry.reason}
            for entry in server.dependencies.repository.index()
        ],
    }


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
