"""An auditor's way through the page: upload, checks, verdict, report."""

import json
import re

import pytest
from playwright.sync_api import expect

DROP = """([selector, files]) => {
  const holder = new DataTransfer();
  for (const [name, text] of files) holder.items.add(new File([text], name));
  document.querySelector(selector).dispatchEvent(new DragEvent("drop", {dataTransfer: holder, bubbles: true}));
}"""


def choose(page, proven, *, accept=True):
    page.set_input_files("#attestation", proven.attestation)
    page.set_input_files("#model", proven.model)
    if accept:
        page.check("#unsafe_dev_setup")
    if proven.experimental:
        page.check(f"#engine_{proven.experimental}")


@pytest.mark.parametrize(
    ("locale", "title"), [("en-GB", "Valid, but forgeable"), ("fr-FR", "Valide, mais falsifiable")]
)
def test_attestation_is_verified_in_each_language(visit, link, proven, locale, title):
    page = visit(link, locale=locale)
    choose(page, proven)
    page.locator("form.card button.primary").click()
    page.wait_for_selector(".verdict")
    assert page.locator("h1").inner_text() == title
    assert page.locator(".lines li[data-state=passed]").count() == 11


def test_development_setup_is_refused_by_default(visit, link, proven):
    page = visit(link)
    choose(page, proven, accept=False)
    page.get_by_role("button", name="Verify").click()
    page.wait_for_selector(".verdict[data-outcome=refused]")
    assert "anyone can forge" in page.locator(".reason").inner_text()
    assert page.locator(".lines li[data-state=not_reached]").count() == 10


def test_report_is_read_and_saved_in_each_form(visit, link, proven):
    page = visit(link)
    choose(page, proven)
    page.get_by_role("button", name="Verify").click()
    for form, begin in (("HTML", b"<!doctype"), ("PDF", b"%PDF"), ("MD", b"# "), ("JSON", b"{")):
        with page.expect_download() as download:
            page.get_by_role("link", name=f"Save as {form}").click()
        content = download.value.path().read_bytes()
        assert content.startswith(begin)
    assert json.loads(content)["outcome"] == "forgeable"
    page.get_by_role("link", name="Read the report").click()
    expect(page).to_have_title(re.compile("^Forgeable: answer.json"))


def test_dropped_files_are_sorted_by_their_names(visit, link):
    page = visit(link)
    names = ["a.json", "m.onnx", "manifest.json", "my-policy.json", "image-1.json", "key.pub", "other.txt"]
    page.evaluate(DROP, ["form[data-drop]", [[name, "x"] for name in names]])
    given = {
        field: page.evaluate(f"Array.from(document.getElementById('{field}').files).map(file => file.name)")
        for field in ("attestation", "model", "circuit", "policy", "input", "signer")
    }
    assert given == dict(
        zip(given, ([names[0]], [names[1]], [names[2]], [names[3]], [names[4]], [names[5]]), strict=True)
    )
    assert page.locator("details.more").get_attribute("open") is not None


def test_too_large_upload_is_stopped_before_it_is_sent(visit, link, tmp_path):
    page = visit(link)
    page.evaluate("document.querySelector('[data-drop]').dataset.limit = 10")
    (tmp_path / "large").write_bytes(b"0" * 20)
    page.set_input_files("#attestation", tmp_path / "large")
    page.set_input_files("#model", tmp_path / "large")
    page.get_by_role("button", name="Verify").click()
    assert "larger than" in page.get_by_role("alert").inner_text()


def test_page_works_without_scripts(visit, link, proven):
    page = visit(link, java_script_enabled=False)
    choose(page, proven)
    page.get_by_role("button", name="Verify").click()
    page.wait_for_selector(".verdict")
    assert page.locator("h1").inner_text() == "Valid, but forgeable"


def test_language_is_switched_in_place(visit, link):
    page = visit(link, "/demo")
    page.get_by_role("button", name="FR").click()
    assert page.locator("h1").inner_text() == "Prouver un chiffre"
    assert page.locator("html").get_attribute("lang") == "fr"
    page.get_by_role("button", name="EN").click()
    assert page.locator("h1").inner_text() == "Prove a digit"
