"""The command `zkinfer demo`."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.console import exit_on_error, print_json, progress_display
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator


def demo_command(
    keep: Annotated[
        Path | None, typer.Option(help="Keep circuit and attestations in this new folder. Default: a temporary folder.")
    ] = None,
    setup: Annotated[
        str | None,
        typer.Option(help="The ceremony to use. Default: a real one if available, else insecure-dev."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Demonstrate everything: compile a digit classifier, prove, verify, refuse forgeries, use an answer on a chain.

    Then a second engine does the same, also with a convolutional network, and a table compares them. Takes under two
    minutes on two cores and needs no network. The chain runs inside this process; its chapter is skipped if the extra
    chain-dev is not installed, and the second engine's if its native core is not.

    Example: zkinfer demo --keep my-demo
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.home import Home
        from zkinfer.cli.demo.story import Story

        with _folder(keep) as folder, progress_display(quiet=as_json) as display:
            story = Story(folder=folder, home=Home.from_environment(), setup=setup, display=display)
            summary = story.run()
        if as_json:
            print_json(summary)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    from zkinfer.circuits.storage import private_directory, refuse_existing

    if keep is None:
        with private_directory() as path:
            yield path
    else:
        refuse_existing(keep)
        keep.mkdir(parents=True)
        with ExitStack() as unfinished:
            unfinished.callback(rmtree, keep)
            yield keep
            unfinished.pop_all()
