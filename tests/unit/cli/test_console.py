"""Text from hostile files must not control the terminal."""

import io
import json

import pytest
import typer
from rich.console import Console

from zkinfer.circuits.errors import DataError, ZkinferError
from zkinfer.cli import console as module
from zkinfer.cli.console import ProgressDisplay, exit_on_error, facts_table, plain, print_json


def shown(text):
    """The text that a terminal would receive."""
    screen = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=200, highlight=False)
    screen.print(text)
    return screen.file.getvalue()


@pytest.mark.parametrize(
    "text", ["[bold red]accepted[/]", "[/]", "[link=https://evil]x[/link]", "[@click=x]y[/]", "a\\[b]"]
)
def test_markup_is_shown_verbatim(text):
    assert shown(plain(text)).strip() == text


@pytest.mark.parametrize(
    "control", ["\x1b[2J", "\x1b]0;title\x07", "\r", "\n", "\x08", "\x00", "\x9b1m", "\u202e", "\u2028"]
)
def test_control_characters_are_replaced(control):
    text = plain(f"a{control}b")
    assert "\N{REPLACEMENT CHARACTER}" in text
    assert text.isprintable()
    assert "\x1b" not in shown(text)


@pytest.mark.parametrize("text", ["✓ accepted", "größer", "日本", "0x00ff"])
def test_printable_text_is_unchanged(text):
    assert plain(text) == text


def test_table_shows_hostile_values_in_full_and_escaped():
    text = shown(facts_table({"name": "[red]x[/]\x1b[2J" + "y" * 300}))
    assert "[red]x[/]" in text
    assert text.count("y") == 300
    assert "\x1b[2J" not in text


def test_table_accepts_any_number_of_brackets():
    assert "[[[" in shown(facts_table({"name": "[[["}))


def test_answer_is_one_json_object_on_stdout(capsys):
    print_json({"ok": True, "text": "größer"})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"ok": True, "text": "größer"}
    assert err == ""


def test_error_exits_with_1_and_one_object(capsys):
    with pytest.raises(typer.Exit) as caught, exit_on_error(as_json=True):
        raise DataError("It is [odd].", "Fix it.")
    out, _ = capsys.readouterr()
    assert caught.value.exit_code == 1
    assert json.loads(out) == {"ok": False, "error": {"type": "DataError", "cause": "It is [odd].", "cure": "Fix it."}}


def test_error_without_json_leaves_stdout_empty(capsys):
    with pytest.raises(typer.Exit), exit_on_error(as_json=False):
        raise ZkinferError("It is odd.")
    assert capsys.readouterr().out == ""


def test_interrupt_exits_with_130(capsys):
    with pytest.raises(typer.Exit) as caught, exit_on_error(as_json=False):
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130


def test_unexpected_error_is_not_hidden():
    with pytest.raises(ZeroDivisionError), exit_on_error(as_json=True):
        raise ZeroDivisionError


def test_progress_notes_are_plain(monkeypatch):
    class Bars:
        console = Console(file=io.StringIO(), force_terminal=True, width=200, highlight=False)

    ProgressDisplay(Bars()).note("[red]\x1b[2Jx[/]")
    text = Bars.console.file.getvalue()
    assert "[red]" in text
    assert "\x1b[2J" not in text


def test_console_writes_to_stderr():
    assert module.console.stderr
