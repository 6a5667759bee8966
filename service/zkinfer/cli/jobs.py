"""zkinfer jobs: the queue of a server, from its own state folder or over gRPC."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from zkinfer.cli.console import answer, console, facts_table, failing_politely, needing, plain, say
from zkinfer.cli.job_backends import PREFIX, LocalDesk, RemoteDesk
from zkinfer.cli.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zkinfer.circuits.errors import InputError
    from zkinfer.cli.job_backends import Desk, Fields
    from zkinfer.client.connection import Options

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Proof jobs: of everybody, from the state folder of a server on this machine; or your own, from a server "
        "anywhere, with --server."
    ),
)
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Its id, or the operation's name.", show_default=False)]
Store = Annotated[str | None, typer.Option(envvar="ZKINFER_STORE", help="Database, if not SQLite in the state folder.")]
Config = Annotated[
    Path | None, typer.Option(help="Settings of the server, TOML, which say where its folder and its database are.")
]
Server = Annotated[str | None, typer.Option(metavar="ADDR", help="Ask this server, host:port, instead of the folder.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with your bearer token, for --server.")]
Tls = Annotated[bool, typer.Option("--tls", help="Use TLS, trusting the system's authorities.")]
RootCertificates = Annotated[Path | None, typer.Option(help="Use TLS, trusting these authorities (PEM).")]
Certificate = Annotated[Path | None, typer.Option(help="Your certificate chain (PEM), for a server that asks for it.")]
Key = Annotated[Path | None, typer.Option(help="Its private key (PEM).")]


@dataclass(frozen=True, slots=True)
class _Folder:
    """Where a server on this machine keeps its jobs, as it was said."""

    state: Path | None
    store: str | None
    config: Path | None


@dataclass(frozen=True, slots=True)
class _Door:
    """How a server is reached, as it was said."""

    server: str | None = None
    token_file: Path | None = None
    tls: bool = False
    tls_roots: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None


@app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="QUEUED, PROVING, SUCCEEDED, FAILED, ...: only these.")] = None,
    model: Annotated[str | None, typer.Option(help="Only those of this model.")] = None,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    state: StateFolder = None,
    store: Store = None,
    config: Config = None,
    server: Server = None,
    token_file: TokenFile = None,
    tls: Tls = False,
    tls_roots: RootCertificates = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Example: zkinfer jobs list --status FAILED
    """
    door = _Door(server, token_file, tls, tls_roots, tls_certificate, tls_key)
    with failing_politely(as_json=as_json), _desk(_Folder(state, store, config), door) as desk:
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
    config: Config = None,
    server: Server = None,
    token_file: TokenFile = None,
    tls: Tls = False,
    tls_roots: RootCertificates = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show one job: what is proven, how far it is, why it failed."""
    door = _Door(server, token_file, tls, tls_roots, tls_certificate, tls_key)
    with failing_politely(as_json=as_json), _desk(_Folder(state, store, config), door) as desk:
        fields = desk.show(_job_id(job))
        console.print(facts_table({name: value for name, value in fields.items() if value not in (None, "")}))
        if as_json:
            answer({"ok": True, **fields})


@app.command("cancel")
def cancel(
    job: JobId,
    state: StateFolder = None,
    store: Store = None,
    config: Config = None,
    server: Server = None,
    token_file: TokenFile = None,
    tls: Tls = False,
    tls_roots: RootCertificates = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a job: at once while it waits, within seconds while it is proven."""
    door = _Door(server, token_file, tls, tls_roots, tls_certificate, tls_key)
    with failing_politely(as_json=as_json), _desk(_Folder(state, store, config), door) as desk:
        desk.cancel(_job_id(job))
        _now(desk, job, as_json=as_json)


@app.command("retry")
def retry(
    job: JobId,
    state: StateFolder = None,
    store: Store = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Put a failed job back into the queue; its inputs are kept for a day."""
    with failing_politely(as_json=as_json), _desk(_Folder(state, store, config), _Door()) as desk:
        desk.retry(_job_id(job))
        _now(desk, job, as_json=as_json)


@app.command("delete")
def delete(
    job: JobId,
    state: StateFolder = None,
    store: Store = None,
    config: Config = None,
    server: Server = None,
    token_file: TokenFile = None,
    tls: Tls = False,
    tls_roots: RootCertificates = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Forget a finished job and its attestation."""
    door = _Door(server, token_file, tls, tls_roots, tls_certificate, tls_key)
    with failing_politely(as_json=as_json), _desk(_Folder(state, store, config), door) as desk:
        desk.delete(_job_id(job))
        say(f"[green]✓[/] {plain(_job_id(job))} is forgotten")
        if as_json:
            answer({"ok": True, "id": _job_id(job)})


@contextmanager
def _desk(folder: _Folder, door: _Door) -> Iterator[Desk]:
    if door.server is None:
        _refuse_without_server(door)
        with needing("serve"):
            from zkinfer.service.queue_admin import opened_queue
        with opened_queue(*_places(folder)) as found:
            yield LocalDesk(found)
        return
    if folder.config is not None:
        raise _useless("The server's settings are for one on this machine.", "Leave --config or --server out.")
    with needing("client"):
        from zkinfer.client import Client
    with Client(door.server, **_options(door)) as client:
        yield RemoteDesk(client)


def _places(folder: _Folder) -> tuple[Path, str | None]:
    """The state folder, and the database if it is not in there: as said, else as the server's settings say."""
    from zkinfer.service.settings import default_state, load_places

    if folder.config is None:
        return folder.state or default_state(), folder.store
    said = {"state": folder.state, "store": folder.store}
    return load_places({name: value for name, value in said.items() if value is not None}, folder.config)


def _refuse_without_server(door: _Door) -> None:
    if door != _Door():
        raise _useless("Tokens and certificates are for a server that is called.", "Say which, with --server.")


def _useless(cause: str, cure: str) -> InputError:
    """What would have no effect was meant to have one."""
    from zkinfer.circuits.errors import InputError

    return InputError(cause, cure)


def _options(door: _Door) -> Options:
    return {
        "token": None if door.token_file is None else _read(door.token_file).decode("ascii", "replace").strip(),
        "tls": door.tls,
        "root_certificates": None if door.tls_roots is None else _read(door.tls_roots),
        "private_key": None if door.tls_key is None else _read(door.tls_key),
        "certificate_chain": None if door.tls_certificate is None else _read(door.tls_certificate),
    }


def _read(path: Path) -> bytes:
    from zkinfer.circuits.errors import InputError, why

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
