"""zkinfer serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from zkinfer.cli.console import answer, console, failing_politely, needing, plain, say
from zkinfer.cli.options import AsJson, StateFolder

if TYPE_CHECKING:
    from zkinfer.prover.repository import IndexEntry
    from zkinfer.service.server import Running
    from zkinfer.service.settings import Settings


def serve_command(
    repository: Annotated[
        Path | None, typer.Option(help="Folder of models, NAME/VERSION/, each a circuit that `zkinfer compile` made.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="ADDR", help="host:port or unix:/path. Default: 127.0.0.1:8001.")
    ] = None,
    state: StateFolder = None,
    config: Annotated[Path | None, typer.Option(help="Settings, TOML. Options and ZKINFER_* go first.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that prove; 0 for none. Default: one for two cores.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Sign attestations with this key. Default: a new key for each.")
    ] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="Read the key's passphrase from this file.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="The server's certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="Ask callers for a certificate that this authority issued, PEM.")
    ] = None,
    tokens: Annotated[
        Path | None, typer.Option(help="File of tokens. Default: the one in the state folder, if there is one.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="ADDR", help="Answer Prometheus at this address. Default: nowhere.")
    ] = None,
    reflection: Annotated[
        bool | None, typer.Option("--reflection/--no-reflection", help="Let callers ask which services there are.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text. Default: text on terminals.")] = None,
    insecure_no_tls: Annotated[
        bool | None, typer.Option("--insecure-no-tls", help="Listen in the clear for other machines.")
    ] = None,
    insecure_anonymous: Annotated[
        bool | None, typer.Option("--insecure-anonymous", help="Let anybody in from other machines.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve models over gRPC: answers at once, proofs as long-running operations.

    Speaks the Open Inference Protocol and zkinfer.v1. Ends on Ctrl-C or SIGTERM, when what is under way is done;
    what waits in the queue is proven after the next start.

    Example: zkinfer serve --repository models --listen 127.0.0.1:8001
    """
    given = {
        "repository": repository,
        "listen": listen,
        "state": state,
        "tokens": tokens,
        "metrics": metrics,
        "reflection": reflection,
        "insecure_no_tls": insecure_no_tls,
        "insecure_anonymous": insecure_anonymous,
        "proving": {"workers": workers, "key": key, "passphrase_file": passphrase_file},
        "tls": {"certificate": tls_certificate, "key": tls_key, "client_ca": tls_client_ca},
        "log": {"format": log_format},
    }
    with failing_politely(as_json=as_json):
        _serve(_only_given(given), config, as_json=as_json)


def _serve(given: dict[str, Any], config: Path | None, *, as_json: bool) -> None:
    import asyncio

    from zkinfer.circuits.home import Home

    with needing("serve"):
        from zkinfer.circuits.sandbox.processes import leave_no_core
        from zkinfer.service.logs import configure
        from zkinfer.service.server import serve
        from zkinfer.service.settings import load_settings

    settings = load_settings(given, config)
    configure(settings.log)
    leave_no_core()

    def started(server: Running) -> None:
        show(server)
        if as_json:
            answer(report(server))

    asyncio.run(serve(settings, Home.from_environment(), started=started))


def _only_given(options: dict[str, Any]) -> dict[str, Any]:
    """Without what was not said, so that files and variables count there."""
    nested = {name: _only_given(value) if isinstance(value, dict) else value for name, value in options.items()}
    return {name: value for name, value in nested.items() if value is not None and value != {}}


def show(server: Running) -> None:
    """What an operator wants to know at the start."""
    settings, capacity = server.parts.settings, server.parts.capacity
    say(f"[green]✓[/] listening at [bold]{plain(server.address)}[/], {_doors(settings)}")
    entries = server.parts.repository.index()
    if entries:
        console.print(_table(server, entries))
    else:
        say(f"  no models yet: put circuits into {plain(settings.repository)} as NAME/VERSION/")
    say(f"  state in {plain(settings.state)}; {capacity.workers} {_plural('worker', capacity.workers)}")
    if settings.metrics:
        say(f"  metrics at http://{plain(settings.metrics)}/metrics")
    if settings.insecure_no_tls or settings.insecure_anonymous:
        say("[bold red]insecure:[/] others may read along or call without a name, because you asked for it.")


def _doors(settings: Settings) -> str:
    """How callers are known, and whether anybody can read along."""
    line = "TLS" if settings.tls.certificate else "in the clear"
    if settings.tls.client_ca:
        return f"{line}, callers known by certificate or token"
    return f"{line}, {'callers known by token' if settings.token_file.exists() else 'anybody may call'}"


def _table(server: Running, entries: tuple[IndexEntry, ...]) -> Table:
    from zkinfer.circuits.cost import duration, size

    table = Table("model", "version", "state", "a proof takes", box=None, padding=(0, 2, 0, 2))
    for entry in entries:
        cost, state = "", f"[red]unavailable[/]: {plain(entry.detail)}"
        if entry.state == "READY":
            predicted = server.parts.predictions.of(server.parts.repository.find(entry.name, entry.version))
            cost, state = f"about {duration(predicted.seconds)}, {size(predicted.memory_bytes)}", "[green]ready[/]"
        table.add_row(plain(entry.name), plain(entry.version), state, cost)
    return table


def report(server: Running) -> dict[str, Any]:
    """The JSON form, printed as soon as calls are answered."""
    settings = server.parts.settings
    return {
        "ok": True,
        "address": server.address,
        "state": str(settings.state),
        "workers": server.parts.capacity.workers,
        "models": [
            {"name": entry.name, "version": entry.version, "state": str(entry.state), "reason": entry.reason}
            for entry in server.parts.repository.index()
        ],
    }


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
