"""Every page in every language, colour scheme and width: axe-core finds nothing serious, nothing is wider than the
window, and the console has no error, so no violation of the policy either."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from tests.unit.ui.work_documents import work_id

from zkinfer.ui.app import _routes
from zkinfer.ui.language import catalogues

WIDTHS = {"phone": (360, 740), "desktop": (1280, 800)}
_STATUS = "Failed to load resource: the server responded with a status of"
_NO_PAGES = {
    "/open/{key}",  # leads to the first page
    "/language",
    "/works",  # leads to the look-up
    "/tasks/{task}/events",
    "/tasks/{task}/attestation",
    "/server/proofs/{proof}/attestation",
    "/static",
}


def serious(page):
    """What axe-core finds that keeps people out."""
    found = Axe().run(page).response["violations"]
    return [
        (rule["id"], node["target"])
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def overflow(page):
    """By how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def sent(page):
    """The path of the result that the page's form leads to."""
    with page.expect_navigation():
        page.locator(".card button.primary").click()
    page.wait_for_selector(".verdict")
    return re.sub("^https?://[^/]+", "", page.url)


@pytest.fixture(scope="session")
def places(chromium, full_link, proven, server, chain):
    """The cookies of a session, and the path of every page, with results of all kinds."""
    base = full_link.partition("/open/")[0]
    window = chromium.new_context()
    page = window.new_page()
    page.set_default_timeout(60_000)
    page.goto(full_link)

    def verified(attestation, *boxes, circuit=None):
        page.goto(f"{base}/")
        page.set_input_files("#attestation", attestation)
        page.set_input_files("#model", proven.model)
        page.evaluate("document.querySelector('details.more').open = true")
        if circuit is not None:
            page.set_input_files("#circuit", circuit)
        for box in (*boxes, *([f"engine_{proven.experimental}"] if proven.experimental else [])):
            page.check(f"#{box}")
        return sent(page)

    manifest = proven.folder / "circuit" / "manifest.json"
    valid = verified(chain.attestation, "chain", "unsafe_dev_setup", circuit=manifest)
    refused = verified(proven.attestation, "chain")
    undecided = verified(proven.attestation, circuit=proven.attestation)
    page.goto(f"{base}/demo")
    answer = sent(page)
    page.locator("input[name=field][value=proof]").check()
    forgery = sent(page)
    yield (
        window.storage_state(),
        [
            *("/", "/demo", "/server", "/records", "/nowhere", "/open/wrong"),
            *("/server/models/digits/1", f"/server/proofs/{server.proof}", "/server/proofs/nothing"),
            *("/works/look-up", "/works/claims", f"/works/{work_id(1)}"),  # its server knows none: see test_works.py
            *(f"/records?request_id={one}" for one in (chain.answered, chain.open, "0x" + "ab" * 32, "malformed")),
            *(valid, refused, undecided, answer, forgery),
            *(f"{task}/report.html" for task in (valid, refused, answer, forgery)),
        ],
    )
    window.close()


@pytest.fixture
def look(chromium):
    """Opens windows that keep what their console says, with the cookies of a session."""
    windows = []

    def opened(storage, **options):
        windows.append(chromium.new_context(storage_state=storage, **options))
        page, problems = windows[-1].new_page(), []
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        return page, problems

    yield opened
    for window in windows:
        window.close()


def faults(page, problems, address):
    """What is wrong with the page at an address; a refusal is no error of the console."""
    problems.clear()
    status = page.goto(address).status
    said = [text for text in problems if status < 400 or not text.startswith(_STATUS)]
    return [*serious(page), *said, *([f"{wide} pixels too wide"] if (wide := overflow(page)) > 0 else [])]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", catalogues())
def test_no_page_keeps_anyone_out(look, places, full_link, language, scheme, width):
    storage, paths = places
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    page, problems = look(storage, locale=language, color_scheme=scheme, viewport=size)
    base = full_link.partition("/open/")[0]
    found = {path: faults(page, problems, base + path) for path in paths}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", catalogues())
def test_page_without_session_or_server_keeps_no_one_out(look, link, language, scheme):
    base = link.partition("/open/")[0]
    options = {"locale": language, "color_scheme": scheme, "viewport": {"width": 360, "height": 740}}
    page, problems = look(None, **options)
    assert faults(page, problems, f"{base}/") == []  # says how to open it
    page.goto(link)
    assert [faults(page, problems, f"{base}{path}") for path in ("/server", "/works/look-up")] == [[], []]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_progress_keeps_no_one_out(look, link, scheme):
    page, problems = look(None, color_scheme=scheme, viewport={"width": 360, "height": 740})
    page.goto(link)
    page.goto(f"{link.partition('/open/')[0]}/demo")
    form = "(form) => fetch('/demo', {method: 'POST', body: new FormData(form)}).then(answer => answer.url)"
    addresses = [page.locator("form.card").evaluate(form) for _ in range(3)]
    page.goto(addresses[-1])  # waits for those before it
    assert page.locator("[data-events]").count() == 1
    assert serious(page) == []
    assert overflow(page) <= 0
    page.wait_for_selector(".verdict")
    assert problems == []


def test_every_page_is_visited(places):
    paths = places[1]
    patterns = {
        route.path: re.compile(re.sub(r"\\{[a-z]+\\}", "[^/?]+", re.escape(route.path)) + r"(\?.*)?")
        for route in _routes()
        if "GET" in (getattr(route, "methods", None) or {"GET"}) and route.path not in _NO_PAGES
    }
    assert [name for name, pattern in patterns.items() if not any(map(pattern.fullmatch, paths))] == []


def test_finding_of_axe_fails(look, link):
    page, _ = look(None)
    page.goto(link)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"/static/icon.svg\"><button></button>')")
    assert {name for name, _ in serious(page)} == {"image-alt", "button-name"}


def test_fault_of_a_page_is_found(look, link):
    page, problems = look(None, viewport={"width": 360, "height": 740})
    page.goto(link)
    page.add_init_script("addEventListener('load', () => { document.body.style.minWidth = '400px'; eval('1'); })")
    found = faults(page, problems, f"{link.partition('/open/')[0]}/")
    assert any("Content Security Policy" in str(one) for one in found)
    assert "40 pixels too wide" in found
