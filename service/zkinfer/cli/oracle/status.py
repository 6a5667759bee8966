"""The command `zkinfer oracle status`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from zkinfer.cli.console import (
    REFUSED,
    exit_on_error,
    long_work,
    plain,
    print_json,
    print_result,
    print_table,
    require_extra,
    say,
)
from zkinfer.cli.options import AsJson
from zkinfer.cli.oracle.options import utc
from zkinfer.cli.oracle.run import ConfigOption

if TYPE_CHECKING:
    from zkinfer.oracle.configuration import FeedsFile
    from zkinfer.oracle.status import FeedStatus
    from zkinfer.oracle.store import Store
    from zkinfer.oracle.store.gaps import Gap


def status_command(
    config: ConfigOption = Path("feeds.toml"),
    gaps: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many gaps and undelivered rounds to show of each feed.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Show each feed on each chain: age, round, level, balance, the last gap and its reason, and whether a daemon runs.

    Reads the chains and, if the daemon has run here, its database. Exits with 1 if a feed is late or contradicted.

    Example: zkinfer oracle status --config feeds.toml
    """
    with exit_on_error(as_json=as_json):
        with require_extra("oracle"):
            from zkinfer.oracle.configuration import read_feeds_file
            from zkinfer.oracle.hub_chain import open_chain
            from zkinfer.oracle.parts import watched_feeds
            from zkinfer.oracle.status import status_of

        file = read_feeds_file(config)
        with long_work("reading the chains"):
            chains = {name: open_chain(name, part, file) for name, part in file.chain.items()}
            store = _store(file)
            try:
                found = status_of(watched_feeds(file), chains, store, time.time(), gaps=gaps)
            finally:
                if store is not None:
                    store.close()
        _show(found, gaps, as_json=as_json)


def _store(file: FeedsFile) -> Store | None:
    """The daemon's database; None if it has not run here, since looking must not create one."""
    from zkinfer.oracle.store import Store

    if file.store.url_file is None and not file.path(file.store.file).exists():
        return None
    return Store.open(file.store_url)


def _show(found: list[FeedStatus], gaps: int, *, as_json: bool) -> None:
    _show_table(found)
    for one in {one.feed: one for one in found}.values():
        _show_daemon(one)
        if gaps == 1 and one.gap is not None:
            print_result(f"  {plain(one.feed)}, last gap {_gap(one, one.gap)}")
    for one in found:
        if why := one.unreachable or one.waiting:
            say(f"  {plain(one.feed)} on {plain(one.chain)}: {plain(why)}")
        if gaps > 1:
            _show_missing(one)
    fine = all(one.fine for one in found)
    if as_json:
        print_json({"ok": fine, "feeds": [one.document() for one in found]})
    if not fine:
        print_result("[red]a feed is late, contradicted, or its chain does not answer[/]")
        raise typer.Exit(REFUSED)


def _show_table(found: list[FeedStatus]) -> None:
    table = Table("feed", "chain", "state", "age", "round", "level", "balance", box=None, padding=(0, 2, 0, 0))
    for one in found:
        table.add_row(
            plain(one.feed),
            plain(one.chain),
            _state(one),
            "-" if one.age is None else f"{one.age} s",
            "-" if one.round is None else str(one.round),
            one.level or "-",
            "-" if one.balance is None else _ether(one.balance),
        )
    print_table(table)


def _show_daemon(one: FeedStatus) -> None:
    """Say if no daemon works on a feed: it stays fresh until its heartbeat has passed."""
    if one.has_daemon:
        return
    since = "none has run here" if one.looked_at is None else f"the last looked at {utc(one.looked_at)}"
    print_result(f"  [yellow]no daemon makes {plain(one.feed)} now[/]; {since}")


def _show_missing(one: FeedStatus) -> None:
    """Every gap and undelivered round, each with its reason."""
    for gap in one.gaps:
        began, ended = map(utc, one.span(gap))
        about = f"{plain(one.feed)} {gap.first}-{gap.last}"
        detail = f" {plain(gap.detail)}" if gap.detail else ""
        print_result(f"  {about}: {gap.reason}.{detail} From {began} to {ended}.")
    for lost in one.undelivered:
        about = f"{plain(one.feed)} {lost.key.round.number} on {plain(one.chain)}"
        print_result(f"  {about}: {lost.key.level} {lost.state}. {plain(lost.reason or '')}")


def _state(one: FeedStatus) -> str:
    if one.unreachable:
        return "[red]unreachable[/]"
    if one.contradicted:
        return "[red]contradicted[/]"
    if one.late:
        return "[red]late[/]"
    return "[green]fresh[/]" if one.has_daemon else "[yellow]fresh, no daemon[/]"


def _gap(one: FeedStatus, gap: Gap) -> str:
    last = "" if gap.last == gap.first else f"-{gap.last}"
    return f"{gap.first}{last}: {gap.reason}, until {utc(one.span(gap)[1])}"


def _ether(wei: int) -> str:
    from zkinfer.contracts.transactions import in_ether

    return in_ether(wei)
