"""Reports in other languages than English: what is translated, what is not, and how that is marked."""

import io
import re
from dataclasses import replace
from itertools import chain

import pytest
from pypdf import PdfReader
from tests.unit.verifier.report import hostile

from zkinfer.circuits.errors import InputError
from zkinfer.verifier.errors import TITLES
from zkinfer.verifier.report.blocks import Facts, Figure, Heading, Items, Marks, Paragraph
from zkinfer.verifier.report.files import report_bytes
from zkinfer.verifier.report.language import Untranslated, Words, languages, words_of
from zkinfer.verifier.report.layout import _TERMS, OUTCOMES, sections, summary
from zkinfer.verifier.report.values import Bars, Table

OTHERS = [language for language in languages() if language != "en"]
KINDS = ["valid", "forgeable", "refused"]
QUOTES = re.compile(r"[0-9]|/")
"""What stays in English quotes a number, or the name of an engine."""


@pytest.fixture(params=KINDS)
def report(request, report_on):
    return report_on(request.getfixturevalue(request.param))


def texts(blocks):
    """All texts of blocks but the evidence of steps, which quotes."""
    for block in blocks:
        match block:
            case Paragraph() | Heading():
                yield block.text
            case Marks():
                yield from chain.from_iterable((row.word, row.claim) for row in block.rows)
                yield from () if block.numbered else (row.evidence for row in block.rows)
            case Facts():
                yield from (name for name, _ in block.rows)
            case Items():
                yield from chain.from_iterable(block.rows)
            case Figure(view=Bars() as view):
                yield from (view.label, view.kind)
            case Figure(view=Table() as view):
                yield from view.columns


@pytest.mark.parametrize("language", OTHERS)
def test_own_texts_of_a_report_are_translated(report, language):
    words = words_of(language)
    report = replace(report, refusal=None)  # an error's own words
    parts = words.sections(sections(report))
    found = [*(part.title for part in parts), *texts(words.blocks(summary(report)))]
    found += chain.from_iterable(texts(part.blocks) for part in parts)
    left = [text for text in found if isinstance(text, Untranslated) and QUOTES.search(text) is None]
    assert left == []


@pytest.mark.parametrize("language", OTHERS)
def test_every_step_status_outcome_and_term_is_translated(language):
    known = words_of(language).texts
    wanted = [
        "Why it was refused",
        "Likely reason, or remedy",
        *TITLES,
        *OUTCOMES.values(),
        *chain.from_iterable(_TERMS),
    ]
    wanted += [f"Whether {title}" for title in TITLES[1:]]
    assert [text for text in wanted if text not in known] == []


@pytest.mark.parametrize("language", OTHERS)
def test_form_is_in_the_language_and_marks_what_is_not(report_on, valid, language):
    text = report_bytes(report_on(valid), ".html", language).decode()
    assert f'<html lang="{language}"' in text
    assert "What was checked" not in text
    assert '<bdi lang="en">0x' not in text
    assert re.search(r'<bdi lang="en">[a-z ]+', text)
    assert "<bdi lang" not in report_bytes(report_on(valid), ".html").decode()


@pytest.mark.parametrize("language", OTHERS)
def test_text_has_the_placeholders_of_the_english_one(language):
    for english, text in words_of(language).texts.items():
        assert placeholders(text) | {"cause"} == placeholders(english) | {"cause"}  # a cause stays in English


def placeholders(text):
    return set(re.findall(r"\{([a-z]*)\}", text))


@pytest.mark.parametrize(
    ("kind", "begin"),
    [
        ("valid", "Verdict : valide ; answer.json prouve que tiny.onnx, tel que ce circuit le calcule, donne la"),
        ("forgeable", "Verdict : valide, mais falsifiable par n'importe qui, car le secret de ses paramètres"),
        ("refused", "Verdict : refusée ; answer.json ne prouve aucune réponse de tiny.onnx, pour la raison"),
    ],
)
def test_sentence_of_the_verdict_is_translated_whole(report_on, request, kind, begin):
    report = report_on(request.getfixturevalue(kind))
    assert report.sentences["fr"].startswith(begin)
    assert not re.search(r" (the|that|which|because|checked) ", report.sentences["fr"])


@pytest.mark.parametrize("name", ["{cause}", "{model.__class__}", "{0}", "{", "{{file}}"])
def test_placeholder_in_a_name_is_shown_as_it_is(report_on, valid, name):
    report = hostile.everywhere(report_on, valid, name)
    assert all(name in text for text in report.sentences.values())


def test_report_in_french_reads_french(report_on, valid):
    report = report_on(valid)
    assert "## Ce qui a été contrôlé" in report_bytes(report, ".md", "fr").decode()
    pages = PdfReader(io.BytesIO(report_bytes(report, ".pdf", "fr"))).pages
    assert "Ce qui a été contrôlé" in "".join(page.extract_text() for page in pages)


def test_json_is_the_same_in_every_language(report_on, valid):
    report = report_on(valid)
    assert {report_bytes(report, ".json", language) for language in languages()} == {report_bytes(report, ".json")}


@pytest.mark.parametrize("suffix", [".html", ".md", ".pdf", ".json"])
@pytest.mark.parametrize("language", ["", "de", "../en", "FR"])
def test_unknown_language_is_refused(report_on, valid, suffix, language):
    with pytest.raises(InputError, match="no reports in the language"):
        report_bytes(report_on(valid), suffix, language)


def test_name_of_a_file_is_not_translated(report_on, valid):
    report = report_on(valid)
    named = replace(report, facts=(("attestation", "inputs"), *report.facts[1:]))
    assert "<dt><bdi>attestation</bdi></dt><dd><bdi>inputs</bdi>" in report_bytes(named, ".html", "fr").decode()


def test_column_of_the_model_is_not_translated():
    words, features = Words("fr", {"row": "ligne", "value": "valeur", "element": "élément"}), ("row", "value", "age")
    assert words._view(Table(features, ())).columns == features
    assert words._view(Table(("element", "value"), ())).columns == ("élément", "valeur")
    assert words._view(Table(("row", "0", "1"), ())).columns == ("ligne", "0", "1")


@pytest.mark.parametrize("name", hostile.NAMES)
def test_hostile_text_is_no_markup_in_any_language(report_on, valid, name):
    report = hostile.everywhere(report_on, valid, name)
    tags = [set(re.findall(r"<([a-z0-9]+)", report_bytes(report, ".html", one).decode())) for one in languages()]
    assert all(one == tags[0] for one in tags)


@pytest.mark.parametrize("language", OTHERS)
def test_catalogue_has_texts_alone(language):
    texts = words_of(language).texts
    assert all(isinstance(text, str) and text.strip() for text in texts.values())
