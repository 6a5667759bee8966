import json
import threading

import pytest

from zkinfer.ui.task_pages import own_policy
from zkinfer.ui.tasks import Task
from zkinfer.ui.verify_pages import CHECKS


@pytest.fixture
def verified(browser, proven, finished):
    files = {"attestation": ("answer.json", proven.data), "model": ("tiny.onnx", proven.model)}
    return finished(browser.post("/verify", {"unsafe_dev_setup": "on"}, files))


@pytest.mark.parametrize(
    ("suffix", "kind", "begin"),
    [
        ("html", "text/html", b"<!doctype"),
        ("pdf", "application/pdf", b"%PDF"),
        ("md", "text/markdown", b"# "),
        ("json", "application/json", b"{"),
    ],
)
def test_report_is_given_in_each_form(browser, verified, suffix, kind, begin):
    answer = browser.get(f"/tasks/{verified.id}/report.{suffix}")
    assert answer.headers["content-type"].startswith(kind)
    assert answer.content.startswith(begin)
    assert "content-disposition" not in answer.headers
    saved = browser.get(f"/tasks/{verified.id}/report.{suffix}?save")
    assert saved.headers["content-disposition"] == f'attachment; filename="report.{suffix}"'


def test_report_states_its_own_policy_in_the_header_too(browser, verified):
    answer = browser.get(f"/tasks/{verified.id}/report.html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_document_without_policy_is_refused():
    with pytest.raises(ValueError, match="no policy"):
        own_policy(b"<!doctype html><p>")


@pytest.mark.parametrize(
    ("accept", "language", "words"), [("fr", "fr", "Ce qui a été contrôlé"), ("de", "en", "What was checked")]
)
def test_report_is_in_the_language_of_the_page(browser, verified, accept, language, words):
    text = browser.get(f"/tasks/{verified.id}/report.html", headers={"accept-language": accept}).text
    assert f'<html lang="{language}"' in text
    assert words in text


def test_command_of_the_report_repeats_the_verification(browser, verified):
    report = json.loads(browser.get(f"/tasks/{verified.id}/report.json").content)
    assert report["repeat"] == "zkinfer verify answer.json --model tiny.onnx --unsafe-accept-dev-setup"


def test_report_in_another_form_is_not_found(browser, verified):
    assert browser.get(f"/tasks/{verified.id}/report.exe").status_code == 404


def test_task_of_another_session_is_not_found(browser, parts, verified):
    browser.http.cookies.clear()
    browser.get(f"/open/{parts.access.key}")
    for path in ("", "/events", "/report.html"):
        assert browser.get(f"/tasks/{verified.id}{path}").status_code == 404


def test_events_tell_every_step_and_then_the_end(browser, verified):
    answer = browser.get(f"/tasks/{verified.id}/events", headers={"accept-language": "fr"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *steps, last = answer.text.strip().split("\n\n")
    assert last == "event: done\ndata: {}"
    found = [json.loads(step.removeprefix("data: ")) for step in steps]
    assert [one["line"] for one in found if one["state"] != "running"] == list(CHECKS)
    assert found[1]["word"] == "réussi"


def test_running_task_is_shown_without_scripts_too(browser, parts):
    held = threading.Event()
    session = next(iter(parts.access._sessions))
    task = parts.tasks.start(Task("verify", session, CHECKS, lambda task: held.wait(10)))
    text = browser.get(f"/tasks/{task.id}").text
    held.set()
    assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in text
    assert f'data-events="/tasks/{task.id}/events"' in text


def test_outputs_are_shown(browser, verified):
    (name,) = verified.result.verdict.inference.outputs
    assert f"<bdi>{name}</bdi>" in browser.get(f"/tasks/{verified.id}").text
