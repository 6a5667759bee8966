"""What every command shares: where it writes, how it shows progress, how it ends.

People read stderr: progress, tables, verdicts. Programs read stdout: with --json exactly one object, otherwise
nothing. Colour follows NO_COLOR and the terminal.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zkinfer.circuits.errors import ZkinferError
    from zkinfer.contracts import ChainError

REFUSED, INTERRUPTED = 1, 130
console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def say(text: str) -> None:
    """One line for a person; rich markup."""
    console.print(text)


def plain(value: object) -> str:
    """Text that may come from a file: its brackets are no markup, its control characters do nothing."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value))
    return escape(text)


def facts_table(facts: Mapping[str, object]) -> Table:
    """Names and values in two columns; long values are folded, never cut."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, plain(value))
    return table


def answer(document: Mapping[str, Any]) -> None:
    """The one object of --json."""
    typer.echo(json.dumps(document, indent=2))


def describe(error: ZkinferError | ChainError) -> dict[str, str]:
    """An error as JSON."""
    return _described(type(error).__name__, error.cause, error.cure)


def _described(kind: str, cause: str, cure: str = "") -> dict[str, str]:
    return {"type": kind, "cause": cause, "cure": cure}


def _fail(error: dict[str, str], *, as_json: bool) -> NoReturn:
    if as_json:
        answer({"ok": False, "error": error})
    say(f"[bold red]error:[/] {plain(error['cause'])}")
    if error["cure"]:
        say(f"       {plain(error['cure'])}")
    raise typer.Exit(REFUSED) from None


@contextmanager
def failing_politely(*, as_json: bool) -> Iterator[None]:
    """Turn zkinfer's errors into a sentence (or an object) and exit code 1; Ctrl-C into 130."""
    try:
        yield
    except _known_errors() as err:
        _fail(describe(err), as_json=as_json)
    except OSError as err:  # what no package foresaw: a full disk, a folder that vanished
        cause = f"{err.filename or 'The system'}: {err.strerror or err}."
        _fail(_described(type(err).__name__, cause), as_json=as_json)
    except KeyboardInterrupt:
        if as_json:
            answer({"ok": False, "error": _described("Interrupted", "The command was interrupted.")})
        say("[bold red]interrupted[/]; nothing was left behind.")
        raise typer.Exit(INTERRUPTED) from None


def _known_errors() -> tuple[type[ZkinferError | ChainError], ...]:
    """The roots of our errors; asked once there is one, and those of chains only where chains are spoken to."""
    from zkinfer.circuits.errors import ZkinferError

    if "zkinfer.contracts.errors" not in sys.modules:
        return (ZkinferError,)
    from zkinfer.contracts import ChainError

    return (ZkinferError, ChainError)


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Say how to install what an import in the block lacks; raises InputError."""
    from zkinfer.circuits.errors import InputError

    try:
        yield
    except ModuleNotFoundError as err:
        if (err.name or "").startswith("zkinfer"):
            raise
        raise InputError(f"This needs {err.name}, which is not installed.", f"pip install 'zkinfer[{extra}]'") from err


class ProgressDisplay:
    """Shows the stages of one command as bars, with the seconds that each has taken."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def progress(self, stage: str, fraction: float) -> None:
        """Show a stage at `fraction`."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=1.0)
        self._bars.update(self._tasks[stage], completed=fraction)

    def note(self, text: str) -> None:
        """Print a sentence above the bars."""
        self._bars.console.print(f"[dim]{plain(text)}[/]")


@contextmanager
def progress_display(*, quiet: bool = False) -> Iterator[ProgressDisplay]:
    """Bars on a terminal; nothing but notes elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.description:<9}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bars:
        yield ProgressDisplay(bars)
