import pytest
from tests.unit.ui.conftest import MAX_UPLOAD, ORIGIN

FORM = {"language": "fr", "back": "/"}


@pytest.mark.parametrize("path", ["/", "/demo", "/server", "/tasks/x", "/tasks/x/events", "/tasks/x/report.html"])
def test_page_without_session_is_refused(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code == 403
    assert "the link that zkinfer ui has printed" in answer.text


def test_wrong_key_opens_no_session(stranger):
    answer = stranger.get("/open/wrong")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_cookie_is_for_this_page_alone(stranger, parts):
    cookie = stranger.get(f"/open/{parts.access.key}").headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
    assert parts.access.key not in cookie


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8642", "", "a b", "[::2]:8642"]
)
def test_foreign_host_is_refused(browser, host):
    answer = browser.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "under a name that is not its own" in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost:9000", "LOCALHOST", "[::1]:8642"])
def test_own_host_is_accepted(stranger, host):
    assert stranger.get("/static/page.css", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:8643", "http://localhost:8642", ""]
)
def test_post_of_another_origin_is_refused(browser, origin):
    answer = browser.post("/language", FORM, origin=origin)
    assert answer.status_code == 403
    assert "not sent by this page" in answer.text


def test_post_without_origin_is_refused(browser):
    token = browser.token()
    assert browser.http.post("/language", data=FORM | {"token": token}).status_code == 403


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_post_with_another_token_is_refused(browser, token):
    answer = browser.post("/language", FORM, token=token)
    assert answer.status_code == 403
    assert "Load the page again" in answer.text


def test_token_of_another_session_is_refused(browser, parts):
    foreign = parts.access.enter(parts.access.key).token
    assert browser.post("/language", FORM, token=foreign).status_code == 403


def test_stated_length_beyond_the_limit_is_refused(browser):
    answer = browser.post("/verify", files={"model": ("m.onnx", b"0" * MAX_UPLOAD)})
    assert answer.status_code == 413
    assert "too large" in answer.text


def test_body_beyond_the_limit_is_refused_whatever_its_length_says(browser):
    def chunks():
        for _ in range(MAX_UPLOAD // 1000 + 10):
            yield b"0" * 1000

    headers = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded"}
    assert browser.http.post("/verify", content=chunks(), headers=headers).status_code == 413


@pytest.mark.parametrize("path", ["/", "/demo", "/nothing", "/static/page.js", "/static/nothing"])
def test_every_answer_carries_the_headers(browser, path):
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


def test_static_files_outside_the_folder_are_not_served(stranger):
    assert stranger.get("/static/..%2Fapp.py").status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(browser, method):
    answer = browser.http.request(method, "/", headers={"origin": ORIGIN})
    assert answer.status_code == 405
