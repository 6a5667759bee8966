import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.unit.verifier.report import hostile

from zkinfer.verifier.report.html import _picture, html_bytes
from zkinfer.verifier.report.values import shown

VOID = {"meta", "path", "rect", "circle"}


def words(text):
    return frozenset(re.findall(r"\S+", text))


ELEMENTS = VOID | words(
    "html head title style body a header p nav ol ul li main section svg h1 h2 h3 strong span bdi dl div dt dd code "
    "button table caption thead tbody tr th td figure figcaption footer script"
)
ATTRIBUTES = words(
    "lang data-outcome charset http-equiv content name class href aria-label id aria-labelledby viewbox aria-hidden "
    "focusable d cx cy r role tabindex scope preserveaspectratio x width height fill shape-rendering type hidden "
    "data-copied data-selected"
)


class Page(HTMLParser):
    """The elements of a page, with their attributes and texts; refuses a page whose elements do not nest."""

    def __init__(self, data):
        super().__init__()
        self.elements, self.open, self.texts, self.spans = [], [], [], []
        self.feed(data.decode())
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))
        if self.elements and self.elements[-1][0] == "span":
            self.spans.append((self.elements[-1][1], data))

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]

    def text(self, *, of=None):
        return "".join(text for tag, text in self.texts if (of is None and tag not in ("script", "style")) or tag == of)


@pytest.fixture(scope="module")
def page(report_on, valid):
    return Page(html_bytes(report_on(valid)))


def test_page_says_the_verdict_first(page):
    _, text = page.text().split("Digests", 1)  # after the contents
    assert text.index("Valid") < text.index("Verdict: valid; answer.json proves") < text.index("What was checked")


def test_page_has_landmarks_a_language_and_one_heading_of_the_first_level(page):
    names = [tag for tag, _ in page.elements]
    assert page.all("html")[0]["lang"] == "en"
    assert all(names.count(name) == 1 for name in ("header", "nav", "main", "footer", "h1", "title"))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert all(link["href"][1:] in identifiers for link in page.all("a"))


def test_sections_are_named_by_their_headings(page):
    identifiers = {attributes.get("id") for _, attributes in page.elements}
    assert all(section["aria-labelledby"] in identifiers for section in page.all("section"))


def test_tables_have_captions_and_headers_for_rows_and_columns(page):
    assert len(page.all("table")) == len(page.all("caption")) == 4
    assert {head["scope"] for head in page.all("th")} == {"row", "col"}


def test_drawings_are_hidden_from_screen_readers_or_described(page):
    assert all(svg.get("aria-hidden") == "true" or svg.get("aria-label") for svg in page.all("svg"))


def test_policy_allows_exactly_the_own_style_and_script(page):
    [policy] = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    digests = re.findall(r"'sha256-([^']+)'", policy)
    own = [
        base64.b64encode(hashlib.sha256(page.text(of=tag).encode()).digest()).decode() for tag in ("style", "script")
    ]
    assert digests == own
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_page_loads_nothing(report_on, valid):
    data = html_bytes(report_on(valid)).decode()
    assert "url(" not in data
    assert "@import" not in data
    assert "http:" not in data
    assert "https:" not in data


def test_digests_and_the_command_have_buttons_that_are_hidden_without_script(page):
    assert len(page.all("button")) == len(page.all("code")) == 9
    assert all("hidden" in button for button in page.all("button"))


def test_buttons_are_told_apart_by_what_they_copy(page):
    labels = [button["aria-label"] for button in page.all("button")]
    assert len(set(labels)) == len(labels)
    assert {"Copy: the command", "Copy: verifying key"} <= set(labels)


def test_steps_have_their_numbers_in_the_text(page):
    places = [text for attributes, text in page.spans if attributes.get("class") == "place"]
    assert places == [str(number) for number in range(1, 13)]


def test_valid_report_has_ticks(page):
    assert page.text().count("✓") > 10


def test_report_under_the_dev_setup_never_has_a_tick(report_on, forgeable):
    page = Page(html_bytes(report_on(forgeable)))
    assert page.all("html")[0]["data-outcome"] == "forgeable"
    assert "✓" not in page.text()
    assert "which is not proven" in page.text()


def test_refused_report_has_the_reason_and_neither_ticks_nor_an_answer(report_on, refused):
    page = Page(html_bytes(report_on(refused)))
    assert "✓" not in page.text()
    assert "Why it was refused" in page.text()
    assert "what the model answered" not in page.text()


@pytest.mark.parametrize("name", hostile.NAMES)
@pytest.mark.parametrize("kind", ["valid", "refused"])
def test_hostile_text_stays_text(report_on, request, kind, name):
    verdict = request.getfixturevalue(kind)
    page = Page(html_bytes(hostile.everywhere(report_on, verdict, name)))
    plain = Page(html_bytes(report_on(verdict)))
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    assert {attribute for _, attributes in page.elements for attribute in attributes} <= ATTRIBUTES
    assert all(link["href"].startswith("#") for link in page.all("a"))
    assert len(page.all("script")) == len(plain.all("script")) == 1
    assert all(char.isprintable() or char == "\n" for char in page.text())


def test_hostile_text_is_shown_as_it_is(report_on, valid):
    assert (
        "<script>alert(1)</script>" in Page(html_bytes(hostile.everywhere(report_on, valid, hostile.NAMES[0]))).text()
    )


def test_picture_is_drawn_in_runs_of_one_colour_with_a_description():
    image = np.zeros((8, 8))
    image[0, 0] = 1
    drawn = _picture("an image", shown("image", image, "input").view)
    assert drawn.count("<path") == 2
    assert 'd="M0 0h1v1h-1z"' in drawn
    assert 'aria-label="an image: a picture of 8 by 8 pixels, black is 0, white is 1"' in drawn
