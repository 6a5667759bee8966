"""zkinfer demo."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.console import answer, failing_politely, progress_display
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator


def demo_command(
    keep: Annotated[
        Path | None, typer.Option(help="Keep circuit and attestations in this new folder. Default: a temporary one.")
    ] = None,
    setup: Annotated[
        str | None,
        typer.Option(help="The ceremony to use. Default: a real one if it is at hand, else insecure-dev."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the whole story: compile a digit classifier, prove, verify, refuse forgeries, act on an answer on a chain.

    Takes well under two minutes on two cores and needs no network. The chain is inside this process; the chapter on it
    is left out where the extra chain-dev is not installed.

    Example: zkinfer demo --keep my-demo
    """
    with failing_politely(as_json=as_json):
        from zkinfer.circuits.home import Home
        from zkinfer.cli.demo.story import Story

        with _folder(keep) as folder, progress_display(quiet=as_json) as display:
            story = Story(folder=folder, home=Home.from_environment(), setup=setup, display=display)
            summary = story.tell()
        if as_json:
            answer(summary)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    from zkinfer.circuits.storage import private_directory, refuse_existing

    if keep is None:
        with private_directory() as path:
            yield path
    else:
        refuse_existing(keep)
        keep.mkdir(parents=True)
        yield keep
