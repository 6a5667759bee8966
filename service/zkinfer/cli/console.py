"""Output shared by all commands: messages, JSON, progress, and exit on errors.

stderr is for people: progress, tables, verdicts. stdout is for programs: exactly one object with --json, else nothing.
Colour follows NO_COLOR and the terminal.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from zkinfer.circuits.errors import InputError, ZkinferError, describe, error_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zkinfer.contracts import ChainError

REFUSED, INTERRUPTED = 1, 130
console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line of rich markup on stderr."""
    console.print(text)


def say_note(text: str) -> None:
    """Print a sentence that may quote files, as `ProgressDisplay.note` does."""
    say(f"[dim]{plain(text)}[/]")


def plain(value: object) -> str:
    """Escape untrusted text: brackets are not markup, and control characters are replaced."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value))
    return escape(text)


def facts_table(facts: Mapping[str, object]) -> Table:
    """A table of names and values; long values are wrapped, never truncated."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, plain(value))
    return table


def spelled_out(facts: Mapping[str, Any]) -> dict[str, object]:
    """The fields of a JSON report for people: `queuePosition` as "queue position", booleans as yes or no."""
    return {
        re.sub("[A-Z]", lambda match: " " + match[0].lower(), name): ("no", "yes")[value]
        if isinstance(value, bool)
        else value
        for name, value in facts.items()
    }


def print_json(document: Mapping[str, Any]) -> None:
    """Print the JSON object of --json on stdout."""
    typer.echo(json.dumps(document, indent=2))


def _fail(error: dict[str, str], *, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"ok": False, "error": error})
    say(f"[bold red]error:[/] {plain(error['cause'])}")
    if error["cure"]:
        say(f"       {plain(error['cure'])}")
    raise typer.Exit(REFUSED) from None


@contextmanager
def exit_on_error(*, as_json: bool) -> Iterator[None]:
    """Print zkinfer's errors as text or JSON and exit with code 1; with 130 on Ctrl-C."""
    try:
        yield
    except _known_errors() as err:
        _fail(describe(err), as_json=as_json)
    except OSError as err:  # not handled elsewhere: a full disk, a removed folder
        cause = f"{err.filename or 'The system'}: {err.strerror or err}."
        _fail(error_document(type(err).__name__, cause), as_json=as_json)
    except KeyboardInterrupt:
        if as_json:
            print_json({"ok": False, "error": error_document("Interrupted", "The command was interrupted.")})
        say("[bold red]interrupted[/]; no partial output was kept.")
        raise typer.Exit(INTERRUPTED) from None


def _known_errors() -> tuple[type[ZkinferError | ChainError], ...]:
    """The base classes of zkinfer's errors; that of `zkinfer.contracts` only if the command has loaded it."""
    if "zkinfer.contracts.errors" not in sys.modules:
        return (ZkinferError,)
    from zkinfer.contracts import ChainError

    return (ZkinferError, ChainError)


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Raise InputError with the extra to install if an import in the block is missing."""
    try:
        yield
    except ModuleNotFoundError as err:
        if (err.name or "").startswith("zkinfer"):
            raise
        raise InputError(f"This needs {err.name}, which is not installed.", f"pip install 'zkinfer[{extra}]'") from err


class ProgressDisplay:
    """Shows the stages of a command as progress bars with elapsed time; `notes` are those shown so far."""

    def __init__(self, bars: Progress) -> None:
        self.notes: list[str] = []
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def progress(self, stage: str, fraction: float) -> None:
        """Show a stage at `fraction`."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=1.0)
        self._bars.update(self._tasks[stage], completed=fraction)

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self.notes.append(text)
        self._bars.console.print(f"[dim]{plain(text)}[/]")


@contextmanager
def progress_display(*, quiet: bool = False) -> Iterator[ProgressDisplay]:
    """Progress bars on a terminal; only notes elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.description:<9}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bars:
        yield ProgressDisplay(bars)
