import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.paths import ROOT

from zkinfer.circuits.engines import ENGINES, engine_named
from zkinfer.cli.ui import _FIELDS
from zkinfer.ui.language import catalogues, placeholders, preferred
from zkinfer.verifier.errors import TITLES, Step
from zkinfer.verifier.report.language import languages
from zkinfer.verifier.summary import Question, properties
from zkinfer.verifier.verdict import Verdict

ENGLISH = catalogues()["en"]
OTHERS = [catalogue for code, catalogue in catalogues().items() if code != "en"]
TEMPLATES = sorted((ROOT / "service/zkinfer/ui/templates").glob("*.html"))


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.language)
def test_every_language_has_the_same_keys(other):
    assert set(other.texts) == set(ENGLISH.texts)


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.language)
def test_every_text_has_the_same_placeholders(other):
    assert {key: placeholders(text) for key, text in other.texts.items()} == {
        key: placeholders(text) for key, text in ENGLISH.texts.items()
    }


@pytest.mark.parametrize("catalogue", catalogues().values(), ids=lambda one: one.language)
def test_no_text_is_empty(catalogue):
    assert not [key for key, text in catalogue.texts.items() if not text.strip()]


def test_english_checks_are_those_of_the_verifier():
    assert tuple(ENGLISH(f"line.{number}") for number in range(1, len(TITLES) + 1)) == TITLES


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_key_of_a_template_exists(template):
    for key, open_end in re.findall(r"""\bt\(["']([a-z0-9_.-]+)["']( ~)?""", template.read_text()):
        assert any(known.startswith(key) for known in ENGLISH.texts) if open_end else ENGLISH.has(key), key


def test_every_field_of_a_forgery_has_texts():
    assert all(ENGLISH.has(f"demo.{kind}_{field}") for field in _FIELDS for kind in ("change", "forged"))


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("fr", "fr"),
        ("fr-CA,fr;q=0.8,en;q=0.5", "fr"),
        ("de, fr;q=0.4, en;q=0.6", "en"),
        ("FR", "fr"),
        ("de", "en"),
        ("fr;q=0", "en"),
        ("fr;q=x", "en"),
        ("", "en"),
    ],
)
def test_header_selects_language(accept, language):
    assert preferred(accept) == language


@given(st.text())
def test_any_header_selects_a_known_language(accept):
    assert preferred(accept) in catalogues()


def test_text_without_its_value_is_refused():
    with pytest.raises(KeyError, match="engine"):
        ENGLISH("demo.engine", other=1)


def test_unknown_key_is_refused():
    with pytest.raises(KeyError, match=r"demo\.nothing"):
        ENGLISH("demo.nothing")


def test_text_of_the_library_is_translated_if_known():
    french = catalogues()["fr"]
    assert french.known("claim", "proof valid") == "preuve valide"
    assert french.known("claim", "something new") == "something new"


@pytest.mark.parametrize("named", [True, False])
def test_every_property_of_a_verdict_is_translated(named):
    steps = [Step(number, title, "passed", "insecure-dev") for number, title in enumerate(TITLES, 1)]
    question = Question(attestation="a", model="m", circuit="c" if named else "", chain=True)
    for one in properties(Verdict(steps), question):
        assert OTHERS[0].known("claim", one.claim) != one.claim
        assert not one.remark or OTHERS[0].known("remark", one.remark) != one.remark


def test_reports_have_the_languages_of_the_page():
    assert languages() == tuple(catalogues())


@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_engine_says_of_its_proofs_is_translated(engine):
    for label in engine_named(engine).labels:
        assert ENGLISH.known("label", label) == label
        assert OTHERS[0].known("label", label) != label
