import pytest
import typer
from typer.testing import CliRunner

from zkinfer.cli.main import app
from zkinfer.cli.works.similar import parse_work

ADDRESS = "0x" + "5a" * 20


def run(*words):
    return CliRunner().invoke(app, ["works", *words])


@pytest.mark.parametrize(
    ("text", "work"), [("12", 12), ("0x1f", 31), (" 7 ", 7), (5, 5), (hex(2**256 - 1), 2**256 - 1)]
)
def test_work_is_a_number(text, work):
    assert parse_work(text) == work


@pytest.mark.parametrize("text", ["", "seven", "-1", hex(2**256), "1.5"])
def test_other_text_is_no_work(text):
    with pytest.raises(typer.BadParameter):
        parse_work(text)


@pytest.mark.parametrize("answers", [(), ("--licence", "3", "--contest", "https://example.org")])
def test_answer_takes_a_licence_or_reasons(answers):
    result = run("answer", "9", "7", "--works", ADDRESS, *answers)
    assert result.exit_code == 2
    assert "either --licence N or --contest URI" in result.output


def test_flag_needs_a_contract():
    result = run("flag", "9", "7")
    assert result.exit_code == 2
    assert "--works" in result.output
