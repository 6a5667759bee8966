"""The pages of works in a browser, in every language, colour scheme and width, and by keyboard."""

import pytest
from tests.browser.test_access import WIDTHS, faults, look, overflow, serious
from tests.browser.test_demo import tab_to
from tests.unit.ui import work_documents as documents
from tests.unit.ui.test_claim_pages import asset
from tests.unit.ui.work_server import KNOWN_FILE, KNOWN_ISCC

from zkinfer.ui.language import catalogues
from zkinfer.works.dataset import Dataset

__all__ = ["look"]

ONE = f"/works/{documents.work_id(1)}"
PATHS = [
    *("/works/look-up", "/works/claims", f"/works/look-up?code={KNOWN_ISCC}", f"/works/look-up?code={'ab' * 32}"),
    *(f"/works/{documents.work_id(number)}" for number in (1, 4, 5, 99)),
    f"{ONE}?subject=dns:acme.example&commercial=on",
    "/works/look-up?code=nonsense",
]


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A known picture, and a data set."""
    folder = tmp_path_factory.mktemp("works")
    (folder / "cat.png").write_bytes(KNOWN_FILE)
    parts = [asset(number, documents.ANN if number % 3 else documents.BOB) for number in range(1, 20)]
    (folder / "dataset.json").write_bytes(Dataset.of(parts).to_bytes())
    return folder


def looked_up(page, base, files):
    page.goto(f"{base}/works/look-up")
    page.set_input_files("#content", files / "cat.png")
    page.locator("form.card button.primary").click()
    page.wait_for_selector("#matches")


def claimed(page, base, files):
    page.goto(f"{base}/works/claims")
    page.set_input_files("#contributions", files / "dataset.json")
    page.fill("#account", documents.ANN)
    page.locator("form.card button.primary").click()
    page.wait_for_selector("#assets")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", catalogues())
def test_no_page_of_works_keeps_anyone_out(look, works_link, files, language, scheme, width):
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    page, problems = look(None, locale=language, color_scheme=scheme, viewport=size)
    base = works_link.partition("/open/")[0]
    page.goto(works_link)
    found = {path: faults(page, problems, base + path) for path in PATHS}
    for answered in (looked_up, claimed):
        answered(page, base, files)
        found[answered.__name__] = [*serious(page), *([overflow(page)] if overflow(page) > 0 else [])]
    assert {path: wrong for path, wrong in found.items() if wrong} == {}
    assert [text for text in problems if "Content Security Policy" in text] == []


@pytest.mark.parametrize(("width", "shown", "other"), [(1280, "wide", "narrow"), (360, "narrow", "wide")])
def test_lineage_fits_the_window(visit, works_link, width, shown, other):
    page = visit(works_link, ONE, viewport={"width": width, "height": 740})
    assert page.locator(f"svg.lineage.{shown}").is_visible()
    assert not page.locator(f"svg.lineage.{other}").is_visible()


def test_lineage_is_followed_by_keyboard(visit, works_link):
    page = visit(works_link, ONE)
    tab_to(page, "svg.wide a.parent")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/works/{documents.work_id(2)}")
    assert page.locator("h1").inner_text() == "Painter of cats"


def test_picture_is_looked_up_without_scripts(visit, works_link, files):
    page = visit(works_link, "/works/look-up", java_script_enabled=False)
    page.set_input_files("#content", files / "cat.png")
    page.locator("form.card button.primary").click()
    assert page.locator("h1").inner_text() == "It is a registered work"


def test_contributor_sees_the_command(visit, works_link, files):
    page = visit(works_link)
    claimed(page, works_link.partition("/open/")[0], files)
    assert f"--contributor {documents.ANN}" in page.locator("pre.command").inner_text()
