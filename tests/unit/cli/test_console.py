"""Text from hostile files must not control the terminal."""

import io
import json
import re
import time
from pathlib import Path

import pytest
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zkinfer.circuits.errors import DataError, ZkinferError
from zkinfer.cli import console as module
from zkinfer.cli.console import ProgressDisplay, exit_on_error, fact_lines, plain, print_json, progress_display


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


@pytest.mark.parametrize("width", [None, 80, 10])
def test_facts_show_hostile_values_in_full_and_escaped(width):
    text = "".join(map(shown, fact_lines({"name": "[red]x[/]\x1b[2J" + "y" * 150}, width)))
    assert "[red]x[/]" in text
    assert "y" * 150 in text
    assert "\x1b[2J" not in text


def test_facts_accept_any_number_of_brackets():
    assert "[[[" in shown(fact_lines({"name": "[[["}, None)[0])


# --- the width


DIGEST, ADDRESS = "sha256:" + "0f" * 32, "0x" + "ab" * 20
PROSE = "about 734,156 gas to verify a proof by the contract of its engine on chain, which is more than most"
FACTS = {"digest": DIGEST, "address": ADDRESS, "cost of it all": PROSE, "file": Path("/a folder/" + "long " * 20)}


def lines_of(facts, width):
    return [Text.from_markup(line).plain for line in fact_lines(facts, width)]


def test_facts_without_a_width_take_one_line_each():
    lines = lines_of(FACTS, None)
    assert len(lines) == len(FACTS)
    assert all(str(value) in line for line, value in zip(lines, FACTS.values(), strict=True))


@pytest.mark.parametrize("width", [80, 40, 10])
def test_facts_never_break_a_digest_an_address_or_a_path(width):
    lines = lines_of(FACTS, width)
    assert all(any(str(value) in line for line in lines) for value in (DIGEST, ADDRESS, FACTS["file"]))


def test_facts_fit_80_columns_with_digests_below_their_names():
    lines = lines_of({name: value for name, value in FACTS.items() if name != "file"}, 80)
    assert max(map(len, lines)) <= 80
    assert lines[:2] == ["digest", f"  {DIGEST}"]


def table():
    made = Table("SHA-256", "file", box=None)
    made.add_row(DIGEST, "/somewhere/" + "x" * 60)
    made.add_row(DIGEST, "[red]y[/]")
    return made


def test_table_in_a_file_has_one_line_for_each_row(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    module.print_table(table())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["SHA-256", "file"], [DIGEST, "/somewhere/" + "x" * 60], [DIGEST, "y"]]
    assert lines == [line.rstrip() for line in lines]


def test_table_that_is_too_wide_has_one_block_for_each_row(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    module.print_table(table())
    out = capsys.readouterr().out
    assert (out.count(DIGEST), out.count("SHA-256"), "…" in out) == (2, 2, False)
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(("columns", "lines"), [(None, 1), ("200", 1), ("40", 2)])
def test_detail_goes_to_its_own_line_if_the_width_is_too_small(capsys, monkeypatch, columns, lines):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    module.print_detailed("a step", DIGEST)
    out = capsys.readouterr().out
    assert (len(out.splitlines()), DIGEST in out) == (lines, True)


# --- the streams


def test_result_goes_to_stdout_and_hint_to_stderr(capsys):
    with exit_on_error(as_json=False):
        module.print_result("result")
        module.print_facts({"fact": 1})
        module.say("hint")
    assert capsys.readouterr() == ("result\nfact  1\n", "hint\n")


def test_result_goes_to_stderr_while_stdout_is_for_json(capsys):
    with exit_on_error(as_json=True):
        module.print_result("result")
        module.print_facts({"fact": 1})
        print_json({})
    module.print_result("afterwards")
    assert capsys.readouterr() == ("{}\nafterwards\n", "result\nfact  1\n")


# --- silence


def test_long_work_prints_its_stage_while_nothing_else_is_printed(capsys, monkeypatch):
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.1)
    with progress_display() as display:
        display.progress("keys", 0.0)
        time.sleep(0.5)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"^keys: \d+ s so far$", err, re.MULTILINE)


def test_nested_long_work_does_not_repeat_itself(capsys, monkeypatch):
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.2)
    with module.long_work("outer"), module.long_work("inner"):
        time.sleep(0.7)
    assert 1 <= len(capsys.readouterr().err.splitlines()) <= 3


def test_work_that_prints_is_not_interrupted_by_progress(capsys, monkeypatch):
    monkeypatch.setattr(module, "_QUIET_SECONDS", 1.0)
    with progress_display() as display:
        for _ in range(5):
            display.note("done")
            time.sleep(0.1)
    assert capsys.readouterr().err == "done\n" * 5


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
