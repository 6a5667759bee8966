"""The pages of works against a server that answers recorded documents."""

from dataclasses import replace

import pytest
from tests.unit.ui import work_documents as documents
from tests.unit.ui.conftest import Browser
from tests.unit.ui.test_pages import Elements
from tests.unit.ui.work_server import KNOWN_FILE, KNOWN_ISCC, serving

from zkinfer.ui import work_browser
from zkinfer.ui.app import application
from zkinfer.ui.settings import ServerAccess
from zkinfer.ui.work_browser import WorkBrowser

ONE = f"/works/{documents.work_id(1)}"
PATHS = ["/works/look-up", "/works/claims", ONE, f"/works/{documents.work_id(5)}", f"/works/look-up?code={KNOWN_ISCC}"]


@pytest.fixture
def server():
    with serving() as found:
        yield found


@pytest.fixture
def browser(parts, server):
    made = replace(parts, works=WorkBrowser(ServerAccess(server.url, token="s3cret")))
    found = Browser(application(made))
    found.get(f"/open/{made.access.key}")
    return found


def asked(server, path):
    return [query for _, place, query, _ in server.asked if place == path]


@pytest.mark.parametrize("path", PATHS)
def test_page_has_nothing_inline_or_foreign(browser, path):
    for tag, attributes in Elements(browser.get(path).text).found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert tag not in ("style", "iframe", "object", "img")
        for name in ("src", "href", "action"):
            assert attributes.get(name, "/").startswith(("/", "#"))


def test_work_shows_evidence_offers_lineage_and_income(browser):
    text = browser.get(ONE).text
    assert "Cat in the sun" in text
    assert 'data-level="claimed"' in text
    assert "<strong>0.02</strong> ether" in text
    assert "years: 1" in text
    assert f'<a href="/works/{documents.work_id(2)}" class="node parent"' in text
    assert "Painter of cats" in text
    assert "+ 4" in text
    assert "<strong>3</strong> ether received in all" in text
    assert "Who owns the copyright" in text
    assert "As of block 4711 of chain 31337" in text
    assert "s3cret" not in text


def test_proven_work_says_so(browser):
    text = browser.get(f"/works/{documents.work_id(4)}").text
    assert 'data-level="proven"' in text
    assert "A model made it." in text
    assert documents.BOB in text


def test_flag_names_the_older_work(browser):
    text = browser.get(f"/works/{documents.work_id(5)}").text
    assert "flagged as a copy" in text
    assert "9 of 231" in text
    assert f'<a href="{ONE}">The older work</a>' in text


def test_authorisation_is_asked_for_subject_and_uses(browser, server):
    text = browser.get(f"{ONE}?subject=dns:acme.example&commercial=on&training=on").text
    assert "Yes, a licence covers this." in text
    assert asked(server, f"/v1{ONE}/authorisation") == [{"subject": "dns:acme.example", "uses": "commercial,training"}]


def test_file_is_looked_up_as_it_is(browser, server):
    text = browser.post(
        "/works/look-up", {"subject": "dns:other.example", "training": "on"}, {"content": ("a.png", KNOWN_FILE)}
    ).text
    assert "It is a registered work" in text
    assert "The same file, byte for byte" in text
    assert "No licence covers this." in text
    assert [body for method, _, _, body in server.asked if method == "POST"] == [KNOWN_FILE]


def test_similar_works_are_no_more_than_similar(browser):
    text = browser.get(f"/works/look-up?code={KNOWN_ISCC}").text
    assert "Similar works are registered" in text
    assert "4 of 231 bits differ" in text
    assert "It is a registered work" not in text


def test_unknown_is_an_answer(browser):
    answer = browser.get(f"/works/look-up?code={'ab' * 32}&subject=dns:acme.example&training=on")
    assert answer.status_code == 200
    assert "No registered work was found" in answer.text
    assert 'data-authorised="unknown"' in answer.text


@pytest.mark.parametrize(
    ("code", "path"),
    [
        (documents.work_id(1), f"{ONE}?subject=dns%3Aa.example&training=on"),
        ("AB" * 32, f"/works/look-up?code={'AB' * 32}&subject=dns%3Aa.example&training=on"),
    ],
)
def test_code_leads_to_its_page(browser, code, path):
    answer = browser.post("/works/look-up", {"code": code, "subject": "dns:a.example", "training": "on"})
    assert (answer.status_code, answer.headers["location"]) == (303, path)


@pytest.mark.parametrize(
    "path",
    [
        "/works/0x12",
        "/works/look-up?code=nonsense",
        "/works/look-up?code=ISCC:..",
        f"{ONE}?subject=acme&training=on",
        f"{ONE}?subject=dns:acme.example",
    ],
)
def test_malformed_question_is_refused_and_not_sent(browser, server, path):
    assert browser.get(path).status_code == 422
    assert not [place for _, place, query, _ in server.asked if query or place.endswith("authorisation")]


def test_nothing_to_look_up_is_refused(browser):
    assert browser.post("/works/look-up", {}).status_code == 422
    both = browser.post("/works/look-up", {"code": "ab" * 32}, {"content": ("a", b"x")})
    assert both.status_code == 422


def test_too_large_file_is_not_sent(browser, server, monkeypatch):
    monkeypatch.setattr(work_browser, "MAX_FILE_BYTES", 10)
    assert browser.post("/works/look-up", {}, {"content": ("a.png", b"x" * 11)}).status_code == 422
    assert not [method for method, *_ in server.asked if method == "POST"]


def test_unknown_work_is_not_found(browser):
    assert browser.get(f"/works/{documents.work_id(99)}").status_code == 404


@pytest.mark.parametrize(
    "changes", [{"work": "0x1"}, {"resale_bps": 10_001}, {"children": ["x"]}, {"owner": "javascript:1"}]
)
def test_malformed_work_of_a_server_is_refused(browser, monkeypatch, changes):
    bad = documents.family()[documents.work_id(1)] | changes
    monkeypatch.setattr(documents, "family", lambda: {documents.work_id(1): bad})
    answer = browser.get(ONE)
    assert (answer.status_code, "is malformed" in answer.text) == (502, True)


def test_server_that_follows_no_works_is_said_kindly(parts, server, monkeypatch):
    made = replace(parts, works=WorkBrowser(ServerAccess(f"{server.url}/elsewhere")))
    found = Browser(application(made))
    found.get(f"/open/{made.access.key}")
    answer = found.get("/works/look-up")
    assert answer.status_code == 200
    assert "This server follows no works" in answer.text
    assert 'name="content"' not in answer.text


def test_page_without_a_server_says_how_to_name_one(parts):
    found = Browser(application(parts))
    found.get(f"/open/{parts.access.key}")
    assert "zkinfer ui --server" in found.get("/works/look-up").text
    assert found.get("/works").headers["location"] == "/works/look-up"
    assert found.get(ONE).status_code == 404


def test_parent_that_the_server_does_not_know_is_named_by_its_id(browser, monkeypatch):
    own = documents.family()[documents.work_id(1)]
    monkeypatch.setattr(documents, "family", lambda: {own["work"]: own})
    text = browser.get(ONE).text
    assert documents.work_id(2)[:10] in text
    assert "name unknown" in text


def test_malformed_parent_is_no_unknown_one(browser, monkeypatch):
    works = documents.family()
    bad = works | {documents.work_id(2): {"work": "0x1"}}
    monkeypatch.setattr(documents, "family", lambda: bad)
    assert browser.get(ONE).status_code == 502
