"""The command `zkinfer works index`."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import Connection, book_path, expand_options, open_chain, open_deployment, rpc_url
from zkinfer.cli.console import (
    INTERRUPTED,
    exit_on_error,
    plain,
    print_json,
    print_result,
    progress_display,
    require_extra,
    say,
    say_note,
)
from zkinfer.cli.options import AsJson
from zkinfer.cli.works.options import WorksAddress, require_works

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.chain.deployment import Deployed
    from zkinfer.contracts.chain import Chain
    from zkinfer.works.directory.files import Folder, Report
    from zkinfer.works.directory.follow import Follower, Sources
    from zkinfer.works.directory.store import Block, Store

_SHOWN = 10


@expand_options
def index_command(
    works: WorksAddress,
    connection: Connection,
    db: Annotated[
        str, typer.Option(metavar="FILE", help="The directory's database: a file, or postgresql+psycopg://...")
    ],
    files: Annotated[
        Path | None, typer.Option(help="Folder of certificates, C2PA manifest stores and signed pictures.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End at the last settled block instead of following.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at the chain.")] = 12.0,
    confirmations: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Confirmations that a block needs. Default: it must be final."),
    ] = None,
    first_block: Annotated[
        int, typer.Option(min=0, help="Block in which the works were created, or an earlier one.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Follow the works of a contract into a database, for look-ups. Run it again, and it goes on where it stopped.

    Works are proven only with the address book of the deployment whose ledger has the records. A certificate counts if
    a work names its SHA-256. Ctrl-C or SIGTERM ends it.

    Example: zkinfer works index --works 0x12... --db works.db --files certificates
    """
    with exit_on_error(as_json=as_json):
        require_works()
        with require_extra("serve"):
            from zkinfer.works.directory.store import Store, database_url
        chain = open_chain(connection)
        sources = _sources(chain, connection, confirmations, first_block)
        with Store.open(database_url(db)) as store, _ended_by_signals(store, once=once):
            _run(store, sources, works, None if files is None else _folder(store, files), None if once else every)
            _print_end(store, as_json=as_json)


def _sources(chain: Chain, connection: Connection, confirmations: int | None, first: int) -> Sources:
    from zkinfer.chain.blocks import Blocks
    from zkinfer.contracts.rpc import connect
    from zkinfer.works.directory.follow import Sources

    blocks = Blocks(connect(rpc_url(connection)))
    return Sources(blocks, _deployed(chain, connection), confirmations, first=first)


def _deployed(chain: Chain, connection: Connection) -> Deployed | None:
    """The deployment whose ledger's records count: the one that is named, or this chain's if there is a book of it."""
    if connection.deployment is None and not (book := book_path(connection, chain.id)).is_file():
        say_note(f"There is no address book {book}, so no work will be called proven: see --deployment.")
        return None
    return open_deployment(chain, connection)


def _folder(store: Store, path: Path) -> Folder:
    from zkinfer.works.directory.files import Folder

    return Folder(store, path)


def _run(store: Store, sources: Sources, works: str, folder: Folder | None, every: float | None) -> None:
    """Follow once, or for ever; a node that fails later is asked again."""
    from zkinfer.contracts.errors import RpcError
    from zkinfer.works.directory.follow import Follower

    follower = Follower(store, sources, works)
    before = _step(store, follower, folder, None)
    while every is not None:
        time.sleep(every)
        try:
            before = _step(store, follower, folder, before)
        except RpcError as err:
            say(f"[yellow]{plain(err.cause)}[/] It is asked again in {every:g} s.")


def _step(store: Store, follower: Follower, folder: Folder | None, before: Block | None) -> Block:
    with progress_display() as display:
        block = follower.follow(lambda step: display.progress("following", step.block / max(step.target, 1)))
        if block != before:
            say_note(f"block {block.number}: {store.count()} works")
        if folder is not None:
            display.stage = "reading files"
            _note_files(folder.read(), first=before is None)
    return block


def _note_files(report: Report, *, first: bool) -> None:
    for name in report.taken:
        say_note(f"taken: {name}")
    if first:  # what waits for its work is not told again
        for name, reason in list(report.left.items())[:_SHOWN]:
            say_note(f"left: {name}: {reason}")
        if len(report.left) > _SHOWN:
            say_note(f"left: {len(report.left) - _SHOWN} more")


def _print_end(store: Store, *, as_json: bool) -> None:
    block, count = store.last(), store.count()
    number = 0 if block is None else block.number
    print_result(f"[green]✓[/] {count} works up to block {number}")
    if as_json:
        print_json({"ok": True, "block": number, "works": count})


@contextmanager
def _ended_by_signals(store: Store, *, once: bool) -> Iterator[None]:
    """End on Ctrl-C and SIGTERM: without an error if the command was to run until then."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        block = store.last()
        where = "before the first block" if block is None else f"after block {block.number}"
        say(f"ended {where}; the same command goes on there")
        raise typer.Exit(INTERRUPTED if once else 0) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
