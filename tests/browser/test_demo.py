"""The demonstration in a browser: prove, tamper, draw, and all of it by keyboard."""

import pytest


def proven_answer(page):
    page.get_by_role("button", name="Answer and prove").click()
    page.wait_for_selector(".verdict")
    return page.locator("h1").inner_text()


def test_proof_arrives_line_by_line(visit, link):
    page = visit(link, "/demo")
    page.add_init_script(
        "new MutationObserver(() => { for (const line of document.querySelectorAll('.lines [data-state=passed]'))"
        " sessionStorage.setItem(line.id, '1'); }).observe(document, {subtree: true, attributes: true});"
    )
    assert proven_answer(page) == "It is a 0"
    seen = set(page.evaluate("Object.keys(sessionStorage)"))
    assert {"line-circuit", "line-answer", "line-proof", "line-7"} <= seen


@pytest.mark.parametrize("field", ["answer", "proof", "request", "model", "date"])
def test_tampered_proof_is_refused(visit, link, field):
    page = visit(link, "/demo")
    proven_answer(page)
    page.check(f"input[name=field][value={field}]")
    page.get_by_role("button", name="Forge and verify").click()
    page.wait_for_selector(".verdict[data-outcome=refused]")
    assert page.locator("h1").inner_text().endswith("is refused")
    assert page.locator(".lines li[data-state=failed]").count() == 1


def test_drawn_digit_is_read(visit, link):
    page = visit(link, "/demo")
    box = page.locator("#canvas").bounding_box()
    places = [
        (box["x"] + x * box["width"], box["y"] + y * box["height"])
        for x, y in ((0.3, 0.25), (0.75, 0.25), (0.45, 0.85))
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=12)
    page.mouse.up()
    assert proven_answer(page) == "It is a 7"


def test_cleared_drawing_gives_way_to_the_sample(visit, link):
    page = visit(link, "/demo")
    page.locator("#canvas").click()
    assert page.input_value("#pixels")
    page.get_by_role("button", name="Clear").click()
    assert not page.input_value("#pixels")
    assert proven_answer(page) == "It is a 0"


def tab_to(page, selector):
    """Press Tab until an element has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by keyboard")


def test_everything_is_done_by_keyboard(visit, link):
    page = visit(link)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    tab_to(page, "nav a[href='/demo']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/demo")
    tab_to(page, "input[name=sample]")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    tab_to(page, "button.primary")
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict")
    assert page.locator("h1").inner_text() == "It is a 3"
    tab_to(page, "input[name=field]")
    page.keyboard.press("ArrowDown")
    tab_to(page, "button.primary")
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict[data-outcome=refused]")
    assert page.locator("h1").inner_text() == "The changed proof is refused"


def test_focus_is_visible(visit, link):
    page = visit(link, "/demo")
    tab_to(page, "button.primary")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize(("motion", "name"), [("reduce", "none"), ("no-preference", "pulse")])
def test_nothing_moves_if_less_motion_is_preferred(visit, link, motion, name):
    page = visit(link, reduced_motion=motion)
    script = """() => {
      const line = document.createElement("p");
      line.dataset.state = "running";
      line.innerHTML = '<span class="state"></span>';
      document.body.append(line);
      return getComputedStyle(line.firstChild, "::before").animationName;
    }"""
    assert page.evaluate(script) == name
