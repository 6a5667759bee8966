import json

import pytest

from zkinfer.verifier import Attestation


@pytest.fixture
def answered(browser, finished):
    task = finished(browser.post("/demo", {"sample": "7"}))
    assert task.error is None, task.error
    return task


def test_every_digit_can_be_chosen_without_a_pointer(browser):
    text = browser.get("/demo").text
    assert text.count('type="radio" name="sample"') == 10
    assert "A handwritten 7" in text


def test_page_names_the_engine_and_the_setup(browser):
    text = browser.get("/demo").text
    assert "Proven with fake/1" in text
    assert "insecure-dev" in text


def test_answer_is_proven_and_verified(browser, answered):
    assert answered.result.digit == 7
    assert answered.result.checked.report.outcome == "forgeable"
    text = browser.get(f"/tasks/{answered.id}").text
    assert "It is a 7" in text
    assert "Tamper with it" in text


def test_every_claim_is_compared(answered):
    assert [one.status for one in answered.result.checked.report.properties] == ["passed"] * 4


def test_drawn_picture_prevails_over_the_sample(browser, finished, parts):
    pixels = ",".join(["0"] * 24 + ["16"] * 16 + ["0"] * 24)
    task = finished(browser.post("/demo", {"sample": "7", "pixels": pixels}))
    assert task.result.image == tuple([0] * 24 + [16] * 16 + [0] * 24)


@pytest.mark.parametrize("field", ["answer", "proof", "request", "model", "date"])
def test_every_forgery_is_refused(browser, answered, finished, field):
    task = finished(browser.post(f"/tasks/{answered.id}/forge", {"field": field}))
    assert task.result.report.outcome == "refused"
    text = browser.get(f"/tasks/{task.id}").text
    assert 'data-outcome="refused"' in text
    assert '<h1 id="verdict">The ' in text


def test_accepted_forgery_is_not_called_refused(browser, answered, finished, parts, monkeypatch):
    monkeypatch.setattr(type(parts.demo), "_check", lambda self, *_: answered.result.checked)
    task = finished(browser.post(f"/tasks/{answered.id}/forge", {"field": "proof"}))
    text = browser.get(f"/tasks/{task.id}").text
    assert "is refused" not in text
    assert "Valid, but forgeable" in text


def test_attestation_can_be_saved(browser, answered):
    answer = browser.get(f"/tasks/{answered.id}/attestation")
    assert Attestation.from_bytes(answer.content).predicate.recipe.engine == "fake/1"
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    "form",
    [
        {"sample": "10"},
        {"sample": "-1"},
        {"sample": "x"},
        {"sample": "99999"},
        {},
        {"pixels": "a,b"},
        {"pixels": "1,-2"},
    ],
)
def test_malformed_choice_is_refused(browser, form):
    assert browser.post("/demo", form).status_code == 422


@pytest.mark.parametrize("pixels", ["16", ",".join(["17"] * 64), ",".join(["0"] * 64)])
def test_unusable_picture_gives_no_answer(browser, finished, pixels):
    task = finished(browser.post("/demo", {"pixels": pixels}))
    assert "picture" in task.error.cause
    assert browser.get(f"/tasks/{task.id}").status_code == 422


def test_unknown_field_is_refused(browser, answered):
    assert browser.post(f"/tasks/{answered.id}/forge", {"field": "nothing"}).status_code == 422


def test_verification_has_no_answer_to_forge(browser, proven, finished):
    files = {"attestation": ("a.json", proven.data), "model": ("m.onnx", proven.model)}
    task = finished(browser.post("/verify", {}, files))
    assert browser.post(f"/tasks/{task.id}/forge", {"field": "proof"}).status_code == 404
    assert browser.get(f"/tasks/{task.id}/attestation").status_code == 404


def test_report_of_an_answer_is_given(browser, answered):
    report = json.loads(browser.get(f"/tasks/{answered.id}/report.json").content)
    assert report["outcome"] == "forgeable"


def test_without_the_native_core_the_default_engine_proves_and_the_page_says_why(browser, parts, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.engines.ashlar.core.missing", lambda: "The native core is not installed.")
    monkeypatch.setattr(parts.demo, "chosen", None)
    text = browser.get("/demo").text
    assert "Proven with ezkl/" in text
    assert "The native core is not installed." in text


def test_with_the_native_core_the_faster_engine_proves(browser, parts, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.engines.ashlar.core.missing", lambda: "")
    monkeypatch.setattr(parts.demo, "chosen", None)
    assert "Proven with ashlar/" in browser.get("/demo").text
