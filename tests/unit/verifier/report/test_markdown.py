import re

import numpy as np
import pytest
from tests.unit.verifier.report import hostile

from zkinfer.verifier.report.markdown import _code, _drawn, _text, markdown_bytes
from zkinfer.verifier.report.values import shown


def lines(report):
    return markdown_bytes(report).decode().splitlines()


def test_verdict_is_the_first_sentence(report_on, valid):
    assert lines(report_on(valid))[2].startswith("**Verdict: valid; answer.json proves")


def test_sections_are_those_of_every_form(report_on, valid):
    titles = [line for line in lines(report_on(valid)) if line.startswith("## ")]
    assert [title[3:] for title in titles] == [
        "The proven answer",
        "What was checked",
        "What was not checked, and why",
        "The model",
        "Files, signer and request",
        "How to repeat this",
        "Digests",
        "Terms",
    ]


def test_steps_are_numbered_with_their_evidence(report_on, valid):
    [step] = [line for line in lines(report_on(valid)) if line.startswith("7. ")]
    assert step == "7. ✓ **passed** the proof holds: fake/1"


@pytest.mark.parametrize("kind", ["forgeable", "refused"])
def test_there_is_no_tick_unless_the_attestation_is_valid(report_on, request, kind):
    assert "✓" not in markdown_bytes(report_on(request.getfixturevalue(kind))).decode()


@pytest.mark.parametrize("name", hostile.NAMES)
@pytest.mark.parametrize("kind", ["valid", "refused"])
def test_hostile_text_stays_on_its_line_and_starts_no_markup(report_on, request, kind, name):
    verdict = request.getfixturevalue(kind)
    text = markdown_bytes(hostile.everywhere(report_on, verdict, name)).decode()
    assert all(char.isprintable() or char == "\n" for char in text)
    assert text.count("\n## ") == markdown_bytes(report_on(verdict)).decode().count("\n## ")
    prose = re.sub(r"(?ms)^(`{3,})(console|text)\n.*?^\1$|(`+)[^\n]*?\3", "", text)  # without code
    assert not re.search(r"(?<!\\)<(?!br)", prose)
    assert not re.search(r"(?<!\\)\]\(", prose)
    assert not re.search(r"https?://|www\.", prose)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a*b_c", r"a\*b\_c"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("# title", r"\# title"),
        ("a: b", "a: b"),
        ("https://x", r"https\://x"),
        ("www.x", r"www\.x"),
        ("a|b", r"a\|b"),
    ],
)
def test_markup_is_escaped(text, written):
    assert _text(text) == written


@pytest.mark.parametrize(
    ("text", "written"), [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("``", "``` `` ```")]
)
def test_code_cannot_be_ended_from_within(text, written):
    assert _code(text) == written


def test_picture_is_drawn_in_shades():
    image = np.zeros((8, 8))
    image[0, 0] = 1
    assert _drawn(shown("image", image, "input").view)[0] == "██" + 14 * " "
    assert max(map(len, _drawn(shown("image", np.zeros((96, 96)), "input").view))) == 96
