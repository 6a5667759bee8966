"""zkinfer jobs: the queue of a server, from its own state folder or over gRPC."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from zkinfer.cli.console import answer, console, facts_table, failing_politely, needing, plain, say
from zkinfer.cli.desks import PREFIX, LocalDesk, RemoteDesk
from zkinfer.cli.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zkinfer.cli.desks import Desk, Fields

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Proof jobs: of everybody, from the state folder of a server on this machine; or your own, from a server "
        "anywhere, with --server."
    ),
)
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Its id, or the operation's name.", show_default=False)]
Store = Annotated[str | None, typer.Option(envvar="ZKINFER_STORE", help="Database, if not SQLite in the state folder.")]
Server = Annotated[str | None, typer.Option(metavar="ADDR", help="Ask this server, host:port, instead of the folder.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with your bearer token, for --server.")]
RootCertificates = Annotated[Path | None, typer.Option(help="Use TLS, trusting these authorities (PEM).")]


@app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="QUEUED, PROVING, SUCCEEDED, FAILED, ...: only these.")] = None,
    model: Annotated[str | None, typer.Option(help="Only those of this model.")] = None,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    state: StateFolder = None,
    store: Store = None,
    server: Server = None,
    token_file: TokenFile = None,
    tls_roots: RootCertificates = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Example: zkinfer jobs list --status FAILED
    """
    with failing_politely(as_json=as_json), _desk(state, store, server, token_file, tls_roots) as desk:
        jobs = desk.list(status.upper() if status else None, model, most)
        if jobs:
            console.print(_table(jobs))
        else:
            say("No jobs.")
        if as_json:
            answer({"ok": True, "jobs": jobs})


@app.command("show")
def show(
    job: JobId,
    state: StateFolder = None,
    store: Store = None,
    server: Server = None,
    token_file: TokenFile = None,
    tls_roots: RootCertificates = None,
    as_json: AsJson = False,
) -> None:
    """Show one job: what is proven, how far it is, why it failed."""
    with failing_politely(as_json=as_json), _desk(state, store, server, token_file, tls_roots) as desk:
        fields = desk.show(_job_id(job))
        console.print(facts_table({name: value for name, value in fields.items() if value not in (None, "")}))
        if as_json:
            answer({"ok": True, **fields})


@app.command("cancel")
def cancel(
    job: JobId,
    state: StateFolder = None,
    store: Store = None,
    server: Server = None,
    token_file: TokenFile = None,
    tls_roots: RootCertificates = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a job: at once while it waits, within seconds while it is proven."""
    with failing_politely(as_json=as_json), _desk(state, store, server, token_file, tls_roots) as desk:
        desk.cancel(_job_id(job))
        _now(desk, job, as_json=as_json)


@app.command("retry")
def retry(
    job: JobId,
    state: StateFolder = None,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Put a failed job back into the queue; its inputs are kept for a day."""
    with failing_politely(as_json=as_json), _desk(state, store, None, None, None) as desk:
        desk.retry(_job_id(job))
        _now(desk, job, as_json=as_json)


@app.command("delete")
def delete(
    job: JobId,
    state: StateFolder = None,
    store: Store = None,
    server: Server = None,
    token_file: TokenFile = None,
    tls_roots: RootCertificates = None,
    as_json: AsJson = False,
) -> None:
    """Forget a finished job and its attestation."""
    with failing_politely(as_json=as_json), _desk(state, store, server, token_file, tls_roots) as desk:
        desk.delete(_job_id(job))
        say(f"[green]✓[/] {plain(_job_id(job))} is forgotten")
        if as_json:
            answer({"ok": True, "id": _job_id(job)})


@contextmanager
def _desk(
    state: Path | None, store: str | None, server: str | None, token_file: Path | None, tls_roots: Path | None
) -> Iterator[Desk]:
    if server is None:
        with needing("serve"):
            from zkinfer.service.queues import opened_queue
            from zkinfer.service.settings import default_state
        with opened_queue(state or default_state(), store) as found:
            yield LocalDesk(found)
        return
    with needing("client"):
        from zkinfer.client import Client
    token = None if token_file is None else _read(token_file).decode("ascii", "replace").strip()
    roots = None if tls_roots is None else _read(tls_roots)
    with Client(server, token=token, root_certificates=roots) as client:
        yield RemoteDesk(client)


def _read(path: Path) -> bytes:
    from zkinfer.circuits.errors import InputError
    from zkinfer.circuits.oserrors import why

    try:
        return path.read_bytes()
    except OSError as err:
        raise InputError(f"{path} cannot be read: {why(err)}.") from err


def _job_id(text: str) -> str:
    return text.removeprefix(PREFIX)


def _now(desk: Desk, job: str, *, as_json: bool) -> None:
    fields = desk.show(_job_id(job))
    soon = " soon" if fields["cancelRequested"] and not fields["done"] else ""
    say(f"[green]✓[/] {plain(fields['id'])} is {'CANCELLED' if soon else fields['state']}{soon}")
    if as_json:
        answer({"ok": True, **fields})


def _table(jobs: Sequence[Fields]) -> Table:
    table = Table("job", "owner", "model", "state", "attempt", "made", "error", box=None)
    for column in table.columns[:1] + table.columns[3:6]:
        column.no_wrap = True
    for fields in jobs:
        table.add_row(
            fields["id"],
            plain(fields["owner"]),
            plain(f"{fields['model']}/{fields['version']}"),
            fields["state"],
            str(fields["attempt"]),
            (fields["createdAt"] or "")[5:16].replace("T", " "),
            plain(fields["error"]),
        )
    return table
