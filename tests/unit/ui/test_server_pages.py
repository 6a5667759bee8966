import json
from dataclasses import replace

import pytest
from tests.unit.ui.conftest import Browser
from tests.unit.ui.test_server_values import MODEL, PROOF

from zkinfer.ui.app import application
from zkinfer.ui.browser import ServerBrowser
from zkinfer.ui.errors import ServerError
from zkinfer.ui.settings import ServerAccess

RUNNING = PROOF | {
    "name": "operations/proofs/run",
    "done": False,
    "metadata": PROOF["metadata"] | {"state": "PROOF_STATE_PROVING", "progress": 0.25},
}


class Server:
    """What a server would answer, by path."""

    def __init__(self, attestation):
        self.data, self.models = attestation, [MODEL | {"labels": ["Not <audited>."]}]

    async def get(self, path, *, query=None, most):
        if path == "v1/operations/proofs/abc/attestation":
            return self.data
        found = {
            "v1/models": {"models": self.models, "next_page_token": ""},
            "v1/models/m/versions/1": self.models[0],
            "v1/operations": {"operations": [PROOF, RUNNING]},
            "v1/operations/proofs/abc": PROOF,
            "v1/operations/proofs/run": RUNNING,
        }
        if path not in found:
            raise ServerError("There is no such thing.", "The server's error is 404.", status=404)
        return json.dumps(found[path]).encode()


@pytest.fixture
def server(proven):
    return Server(proven.data)


@pytest.fixture
def browser(parts, server):
    made = replace(parts, browser=ServerBrowser(ServerAccess("http://127.0.0.1:8000", token="s3cret"), server))
    found = Browser(application(made))
    found.get(f"/open/{made.access.key}")
    return found


def test_models_and_proofs_are_listed_and_escaped(browser):
    text = browser.get("/server").text
    assert 'href="/server/models/m/1"' in text
    assert 'href="/server/proofs/abc"' in text
    assert "m&lt;b&gt;" in text
    assert "s3cret" not in text


def test_model_shows_fidelity_and_cost(browser):
    text = browser.get("/server/models/m/1").text
    assert 'class="mark-p99" cx="180.0"' in text
    assert "500,000" in text
    assert "Not &lt;audited&gt;." in text


def test_unknown_model_is_refused(browser):
    answer = browser.get("/server/models/other/1")
    assert answer.status_code == 404
    assert "There is no such thing." in answer.text


def test_unavailable_model_shows_its_reason(browser, server):
    server.models = [{"name": "m", "version": "1", "state": "MODEL_STATE_UNAVAILABLE", "reason": "It is damaged."}]
    assert "It is damaged." in browser.get("/server").text
    assert "It is damaged." in browser.get("/server/models/m/1").text


def test_running_proof_refreshes_itself_and_offers_no_check(browser):
    text = browser.get("/server/proofs/run").text
    assert "25% of this attempt" in text
    assert '<meta http-equiv="refresh"' in text
    assert 'name="model"' not in text


def test_attestation_of_a_proof_is_verified_with_the_own_model(browser, proven, finished):
    files = {"model": ("tiny.onnx", proven.model)}
    task = finished(browser.post("/server/proofs/abc/verify", {"unsafe_dev_setup": "on"}, files))
    assert task.result.report.outcome == "forgeable"


def test_attestation_that_the_server_made_up_is_refused(browser, server, proven, finished):
    server.data = proven.data.replace(b"a", b"b", 1)
    task = finished(browser.post("/server/proofs/abc/verify", {}, {"model": ("tiny.onnx", proven.model)}))
    assert task.result.report.outcome == "refused"


def test_attestation_is_saved_as_unverified(browser, proven):
    answer = browser.get("/server/proofs/abc/attestation")
    assert answer.content == proven.data
    assert "unverified" in answer.headers["content-disposition"]


@pytest.mark.parametrize(("name", "status"), [("nothing", 404), ("a.b", 422), ("x" * 200, 422)])
def test_unknown_proof_is_refused(browser, name, status):
    assert browser.get(f"/server/proofs/{name}").status_code == status


def test_list_without_an_end_is_refused(browser, server):
    async def get(path, *, query=None, most):
        return b'{"models": [], "next_page_token": "1"}'

    server.get = get
    answer = browser.get("/server")
    assert answer.status_code == 502
    assert "more than 20 pages" in answer.text


def test_server_that_is_away_is_named(parts):
    made = replace(parts, browser=ServerBrowser(ServerAccess("http://127.0.0.1:9", token="s3cret")))
    found = Browser(application(made))
    found.get(f"/open/{made.access.key}")
    answer = found.get("/server")
    assert answer.status_code == 502
    assert "http://127.0.0.1:9 cannot be reached" in answer.text
    assert "s3cret" not in answer.text


def test_pages_of_a_server_do_not_exist_without_one(parts):
    found = Browser(application(parts))
    found.get(f"/open/{parts.access.key}")
    assert "zkinfer ui --server" in found.get("/server").text
    assert found.get("/server/models/m/1").status_code == 404
    assert found.get("/server/proofs/abc").status_code == 404
