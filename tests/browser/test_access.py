"""Accessibility and layout of every page: axe-core finds nothing serious, and nothing is wider than a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe


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


@pytest.fixture
def look(visit):
    """Opens a page as on a phone, in a colour scheme."""

    def opened(link, path, scheme):
        return visit(link, path, color_scheme=scheme, viewport={"width": 360, "height": 740}, bypass_csp=True)

    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/demo", "/server"])
def test_page_keeps_no_one_out(look, link, path, scheme):
    page = look(link, path, scheme)
    assert serious(page) == []
    assert overflow(page) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_results_keep_no_one_out(look, link, scheme):
    page = look(link, "/demo", scheme)
    page.get_by_role("button", name="Answer and prove").click()
    page.wait_for_selector(".verdict")
    assert serious(page) == []
    assert overflow(page) <= 0
    page.get_by_role("button", name="Forge and verify").click()
    page.wait_for_selector(".verdict[data-outcome=refused]")
    assert serious(page) == []
    assert overflow(page) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_server_keeps_no_one_out(look, server_link, scheme):
    page = look(server_link, "/server", scheme)
    for place in ("tbody a", ".cards a"):
        assert serious(page) == []
        assert overflow(page) <= 0
        page.locator(place).first.click()
        assert serious(page) == []
        assert overflow(page) <= 0
        page.go_back()


def test_finding_of_axe_fails(look, link):
    page = look(link, "/", "light")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"/static/icon.svg\"><button></button>')")
    assert {name for name, _ in serious(page)} == {"image-alt", "button-name"}
