"""The group `zkinfer jobs`: the proof jobs of a server, from its state folder or over gRPC."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from zkinfer.cli.connections import Certificate, Key, RootCertificates, ServerConnection, Tls, TokenFile
from zkinfer.cli.console import (
    exit_on_error,
    plain,
    print_facts,
    print_json,
    print_result,
    print_table,
    require_extra,
    spelled_out,
)
from zkinfer.cli.job_backends import PREFIX, LocalBackend, RemoteBackend
from zkinfer.cli.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zkinfer.circuits.errors import InputError
    from zkinfer.cli.job_backends import Fields, JobBackend

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Proof jobs of all identities, from the state folder of a server on this machine; or your own, from any "
        "server, with --server."
    ),
)
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or the operation's name.", show_default=False)]
Store = Annotated[
    str | None, typer.Option(envvar="ZKINFER_STORE", help="Database of jobs. Default: SQLite in the state folder.")
]
Config = Annotated[Path | None, typer.Option(help="TOML settings of the server, with its state folder and database.")]
Server = Annotated[
    str | None, typer.Option(metavar="ADDR", help="Use this server, host:port, instead of the state folder.")
]


@dataclass(frozen=True, slots=True)
class _Folder:
    """Options that locate the jobs of a server on this machine."""

    state: Path | None
    store: str | None
    config: Path | None


@app.command("list")
def list_jobs(
    status: Annotated[
        str | None, typer.Option(help="Only jobs in this state: QUEUED, PROVING, SUCCEEDED, FAILED, ...")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only jobs of this model.")] = None,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="Maximum number of jobs.")] = 50,
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
    connection = ServerConnection(server, token_file, tls, tls_roots, tls_certificate, tls_key)
    with exit_on_error(as_json=as_json), _backend(_Folder(state, store, config), connection) as backend:
        jobs = backend.list(status.upper() if status else None, model, most)
        if jobs:
            print_table(_table(jobs))
        else:
            print_result("No jobs.")
        if as_json:
            print_json({"ok": True, "jobs": jobs})


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
    """Show one job: its request, progress and failure."""
    connection = ServerConnection(server, token_file, tls, tls_roots, tls_certificate, tls_key)
    with exit_on_error(as_json=as_json), _backend(_Folder(state, store, config), connection) as backend:
        fields = backend.show(_job_id(job))
        print_facts(spelled_out({name: value for name, value in fields.items() if value not in (None, "")}))
        if as_json:
            print_json({"ok": True, **fields})


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
    """Cancel a job: immediately if queued, within seconds if running."""
    connection = ServerConnection(server, token_file, tls, tls_roots, tls_certificate, tls_key)
    with exit_on_error(as_json=as_json), _backend(_Folder(state, store, config), connection) as backend:
        backend.cancel(_job_id(job))
        _show_state(backend, job, as_json=as_json)


@app.command("retry")
def retry(
    job: JobId,
    state: StateFolder = None,
    store: Store = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Queue a failed job again; its inputs are kept for a day."""
    with exit_on_error(as_json=as_json), _backend(_Folder(state, store, config), ServerConnection()) as backend:
        backend.retry(_job_id(job))
        _show_state(backend, job, as_json=as_json)


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
    """Delete a finished job and its attestation."""
    connection = ServerConnection(server, token_file, tls, tls_roots, tls_certificate, tls_key)
    with exit_on_error(as_json=as_json), _backend(_Folder(state, store, config), connection) as backend:
        backend.delete(_job_id(job))
        print_result(f"[green]✓[/] {plain(_job_id(job))} was deleted")
        if as_json:
            print_json({"ok": True, "id": _job_id(job)})


@contextmanager
def _backend(folder: _Folder, connection: ServerConnection) -> Iterator[JobBackend]:
    if connection.server is None:
        connection.refuse_unused()
        with require_extra("serve"):
            from zkinfer.service.queue_admin import opened_queue
        with opened_queue(*_location(folder)) as found:
            yield LocalBackend(found)
        return
    if folder.config is not None:
        raise _unused_option("--config is only for a server on this machine.", "Omit --config or --server.")
    with require_extra("client"):
        from zkinfer.client import Client
    with Client(connection.server, **connection.options) as client:
        yield RemoteBackend(client)


def _location(folder: _Folder) -> tuple[Path, str | None]:
    """The state folder, and the database if it is elsewhere: from the options, else from the server's settings."""
    from zkinfer.service.settings import default_state
    from zkinfer.service.settings_loader import load_store_location

    if folder.config is None:
        return folder.state or default_state(), folder.store
    options = {"state": folder.state, "store": folder.store}
    return load_store_location({name: value for name, value in options.items() if value is not None}, folder.config)


def _unused_option(cause: str, cure: str) -> InputError:
    """The error for an option that would have no effect."""
    from zkinfer.circuits.errors import InputError

    return InputError(cause, cure)


def _job_id(text: str) -> str:
    return text.removeprefix(PREFIX)


def _show_state(backend: JobBackend, job: str, *, as_json: bool) -> None:
    fields = backend.show(_job_id(job))
    cancelling = fields["cancelRequested"] and not fields["done"]
    print_result(
        f"[green]✓[/] {plain(fields['id'])} {'will be CANCELLED soon' if cancelling else 'is ' + fields['state']}"
    )
    if as_json:
        print_json({"ok": True, **fields})


def _table(jobs: Sequence[Fields]) -> Table:
    table = Table("job", "owner", "model", "state", "attempt", "created", "error", box=None)
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
