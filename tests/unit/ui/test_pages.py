import re
from html.parser import HTMLParser

import pytest
from tests.paths import ROOT


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.mark.parametrize("path", ["/", "/demo", "/server", "/nothing"])
def test_page_has_nothing_inline_or_foreign(browser, path):
    for tag, attributes in Elements(browser.get(path).text).found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert tag not in ("style", "iframe", "object")
        assert tag != "script" or attributes["src"].startswith("/static/")
        for name in ("src", "href", "action"):
            assert attributes.get(name, "/").startswith(("/", "#"))


@pytest.mark.parametrize("path", ["/", "/demo", "/server"])
def test_every_field_has_a_label(browser, path):
    text = browser.get(path).text
    elements = Elements(text).found
    labelled = {attributes["for"] for tag, attributes in elements if tag == "label" and "for" in attributes}
    for tag, attributes in elements:
        if tag == "input" and attributes.get("type") not in ("hidden", "radio"):
            assert attributes["id"] in labelled


@pytest.mark.parametrize(("accept", "title"), [("fr", "Vérifier une attestation"), ("en", "Verify an attestation")])
def test_language_follows_the_browser(browser, accept, title):
    text = browser.get("/", headers={"accept-language": accept}).text
    assert title in text
    assert f'<html lang="{accept}">' in text


def test_chosen_language_prevails(browser):
    answer = browser.post("/language", {"language": "fr", "back": "/demo"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/demo")
    assert "Prouver un chiffre" in browser.get("/demo", headers={"accept-language": "en"}).text


def test_unknown_language_changes_nothing(browser):
    browser.post("/language", {"language": "../en", "back": "/"})
    assert "Verify an attestation" in browser.get("/").text


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1", ""])
def test_language_leads_to_this_page_only(browser, back):
    assert browser.post("/language", {"language": "fr", "back": back}).headers["location"] == "/"


def test_unknown_page_is_explained(browser):
    answer = browser.get("/nothing")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text


def test_style_names_colours_in_its_tokens_only():
    style = (ROOT / "service/zkinfer/ui/static/page.css").read_text()
    rules = style[style.index("/* Page */") :]
    assert set(re.findall(r"#[0-9a-f]{3,6}\b(?! \{)", rules)) <= {"#fff"}  # paper under ink, in both schemes
    assert "prefers-reduced-motion" in rules
    assert "http" not in style
