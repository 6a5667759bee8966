"""Output shared by all commands: messages, JSON, progress, and exit on errors.

stdout has the results: text, or exactly one object with --json. stderr has the rest: progress, hints, warnings, errors,
and with --json the results as text. Colour follows NO_COLOR and the terminal.

No line is wrapped or cut unless a terminal, or COLUMNS, sets a width; and then only between words, so that a digest, an
address or a path can always be copied in one piece.
"""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from zkinfer.circuits.errors import InputError, ZkinferError, describe, error_document

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from rich.table import Table

    from zkinfer.contracts import ChainError

REFUSED, INTERRUPTED = 1, 130
console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
_stdout = Console(highlight=False, emoji=False, soft_wrap=True)
_results_on_stderr: ContextVar[bool] = ContextVar("results_on_stderr", default=False)


def say(text: str) -> None:
    """Print a line of rich markup on stderr: progress, a hint, a warning."""
    _heartbeat.seen()
    console.print(text)


def say_note(text: str) -> None:
    """Print a sentence that may quote files, as `ProgressDisplay.note` does."""
    say(f"[dim]{plain(text)}[/]")


def print_result(text: str) -> None:
    """Print a line of rich markup that is part of the result: on stdout, with --json on stderr."""
    _results().print(text)


def print_detailed(text: str, detail: str) -> None:
    """Print a line of rich markup and its detail, which goes to a line of its own if both are too wide."""
    to, shown = _results(), f"[dim]{plain(detail)}[/]"
    width, needed = _width(to), Text.from_markup(f"{text}  {shown}").cell_len
    if not detail:
        to.print(text)
    elif width is None or needed <= width:
        to.print(f"{text}  {shown}")
    else:
        to.print(text)
        to.print(f"    {shown}")


def _results() -> Console:
    return console if _results_on_stderr.get() else _stdout


def plain(value: object) -> str:
    """Escape untrusted text: brackets are not markup, and control characters are replaced."""
    return escape(_printable(value))


def _printable(value: object) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value))


_GAP = "  "


def print_facts(facts: Mapping[str, object], *, whole: Collection[str] = (), to: Console | None = None) -> None:
    """Print names and values as a result; those named in `whole`, and paths, are never broken at a space either."""
    to = to or _results()
    for line in fact_lines(facts, _width(to), whole):
        to.print(line)


def _width(to: Console) -> int | None:
    """The width to fit; None if the output goes to a file or a program, which has set none."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return to.width if to.is_terminal else None


def fact_lines(facts: Mapping[str, object], width: int | None, whole: Collection[str] = ()) -> list[str]:
    """Rich markup, a line for each fact; a value that does not fit the width is continued, or moved below its name."""
    column = max(map(len, facts), default=0) + len(_GAP)
    lines = []
    for name, value in facts.items():
        text, whole_ = _printable(value), name in whole or isinstance(value, Path)
        beside = [text] if whole_ else _wrapped(text, width, column)
        if width is None or column + max(map(len, beside)) <= width:
            lines.append(f"[dim]{plain(name.ljust(column))}[/]{escape(beside[0])}")
            lines += [" " * column + escape(line) for line in beside[1:]]
        else:
            below = [text] if whole_ else _wrapped(text, width, len(_GAP))
            lines += [f"[dim]{plain(name)}[/]", *(_GAP + escape(line) for line in below)]
    return lines


def _wrapped(text: str, width: int | None, indent: int) -> list[str]:
    """The text in lines that fit if no single word is too long."""
    if width is None or indent + len(text) <= width:
        return [text]
    return textwrap.wrap(text, max(width - indent, 1), break_long_words=False, break_on_hyphens=False) or [""]


def print_table(table: Table, *, to: Console | None = None) -> None:
    """Print a table as a result: a line for each row, or a block for each row if the width is too small for that."""
    to = to or _results()
    natural, width = table.__rich_measure__(to, to.options.update(width=1 << 16)).maximum, _width(to)
    if width is None or natural <= width:
        for line in to.render_lines(table, to.options.update(width=natural), pad=False):
            row_text = Text.assemble(*((part.text, part.style or "") for part in line))
            row_text.rstrip()
            to.print(row_text)
        return
    names = [str(column.header) for column in table.columns]
    whole = {str(column.header) for column in table.columns if column.no_wrap}
    if table.title:
        to.print(f"[italic]{table.title}[/]")
    for row, cells in enumerate(zip(*(column.cells for column in table.columns), strict=True)):
        if row:
            to.print("")
        texts = (Text.from_markup(str(cell)).plain for cell in cells)
        print_facts({name: text for name, text in zip(names, texts, strict=True) if text}, whole=whole, to=to)


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
    """Print zkinfer's errors as text or JSON and exit with code 1; with 130 on Ctrl-C.

    Inside the block, results as text go to stderr if stdout is for JSON.
    """
    reserved = _results_on_stderr.set(as_json)
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
    finally:
        _results_on_stderr.reset(reserved)


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


_QUIET_SECONDS = 8.0  # a line at least every ten seconds, checked every second


class _Heartbeat:
    """Prints what is going on when stderr has been silent for a while; does nothing on a terminal."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def seen(self) -> None:
        """A line was printed."""
        self._last = time.monotonic()

    @contextmanager
    def running(self, stage: Callable[[], str]) -> Iterator[None]:
        """Print the stage and the seconds since the start of the block, during silence."""
        if console.is_terminal:
            yield
            return
        start, done = time.monotonic(), threading.Event()
        thread = threading.Thread(target=self._beat, args=(stage, start, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _beat(self, stage: Callable[[], str], start: float, done: threading.Event) -> None:
        self._last = max(self._last, start)
        while not done.wait(min(1.0, _QUIET_SECONDS / 4)):
            with self._lock:  # blocks may be nested
                now = time.monotonic()
                if now - self._last >= _QUIET_SECONDS:
                    say(f"[dim]{plain(stage())}: {now - start:.0f} s so far[/]")


_heartbeat = _Heartbeat()


@contextmanager
def long_work(what: str) -> Iterator[None]:
    """Show that work without stages goes on, if the output is piped."""
    with _heartbeat.running(lambda: what):
        yield


class ProgressDisplay:
    """Shows the stages of a command as progress bars with elapsed time; `notes` are those shown so far."""

    def __init__(self, bars: Progress) -> None:
        self.notes: list[str] = []
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self.stage = "working"

    def progress(self, stage: str, fraction: float) -> None:
        """Show a stage at `fraction`."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=1.0)
        self._bars.update(self._tasks[stage], completed=fraction)
        self.stage = stage if fraction < 1 else "working"

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self.notes.append(text)
        _heartbeat.seen()
        self._bars.console.print(f"[dim]{plain(text)}[/]")


@contextmanager
def progress_display(*, quiet: bool = False) -> Iterator[ProgressDisplay]:
    """Progress bars on a terminal; elsewhere notes, and a line whenever nothing was printed for a while."""
    columns = (SpinnerColumn(), TextColumn("{task.description:<9}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bars:
        display = ProgressDisplay(bars)
        one_terminal = console.is_terminal and _stdout.is_terminal  # where a line must go above the bars
        before = _results_on_stderr.set(one_terminal or _results_on_stderr.get())
        try:
            with _heartbeat.running(lambda: display.stage):
                yield display
        finally:
            _results_on_stderr.reset(before)
