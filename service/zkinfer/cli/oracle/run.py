"""The command `zkinfer oracle run`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, require_extra, say
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from zkinfer.oracle.parts import Parts

ConfigOption = Annotated[
    Path, typer.Option("--config", metavar="FEEDS.toml", help="The configuration.", show_default="feeds.toml")
]


def run_command(
    config: ConfigOption = Path("feeds.toml"),
    once: Annotated[
        bool, typer.Option("--once", help="Make the round of the current tick, if one is due, deliver it, and end.")
    ] = False,
    log_format: Annotated[
        str, typer.Option(help="json or text. Default: text on a terminal, else json.", show_default=False)
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Make the rounds of feeds: observe, sign, prove, publish and post.

    Asks the other operators for their signatures, signs theirs, and serves reports over HTTP. Ctrl-C or SIGTERM ends
    it; after a crash it goes on where it was.

    Example: zkinfer oracle run --config feeds.toml
    """
    if log_format not in ("auto", "json", "text"):
        raise typer.BadParameter(f"{log_format!r} is not json or text", param_hint="--log-format")
    with exit_on_error(as_json=as_json):
        with require_extra("oracle"):
            from zkinfer.circuits.home import Home
            from zkinfer.circuits.sandbox.processes import disable_core_dumps
            from zkinfer.oracle.configuration import read_feeds_file
            from zkinfer.oracle.parts import open_parts
            from zkinfer.service.logs import configure
            from zkinfer.service.settings import Log

        file = read_feeds_file(config)
        configure(Log(format=_format(log_format)))
        disable_core_dumps()
        with open_parts(file, Home.from_environment()) as parts:
            if once:
                _once(parts, as_json=as_json)
            else:
                _run(parts, as_json=as_json)


def _format(text: str) -> Literal["auto", "json", "text"]:
    return "json" if text == "json" else "text" if text == "text" else "auto"


def _once(parts: Parts, *, as_json: bool) -> None:
    from zkinfer.oracle.daemon import Daemon

    rounds = Daemon(parts).once()
    mark = "[green]✓[/]" if rounds == len(parts.feeds) else "[yellow]![/]"
    print_result(f"{mark} {rounds} of {len(parts.feeds)} feeds have a round now")
    if rounds < len(parts.feeds):
        say("  not every tick has a round that is due; see zkinfer oracle status")
    if as_json:
        print_json({"ok": True, "rounds": rounds, "feeds": len(parts.feeds)})


def _run(parts: Parts, *, as_json: bool) -> None:
    from zkinfer.oracle.daemon import Daemon

    def started(address: str) -> None:
        names = ", ".join(feed.name for feed in parts.feeds)
        print_result(f"[green]✓[/] making {plain(names)}; reports at [bold]{plain(address)}[/]")
        if as_json:
            print_json({"ok": True, "address": address, "feeds": {feed.name: feed.id for feed in parts.feeds}})

    asyncio.run(Daemon(parts).run(started))
