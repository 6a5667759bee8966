from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.unit.ui.conftest import Browser
from tests.unit.ui.test_charts import MODEL

from zkinfer.circuits.errors import InputError
from zkinfer.client import CallError
from zkinfer.client.values import Progress
from zkinfer.ui.app import application
from zkinfer.ui.browser import ServerBrowser
from zkinfer.ui.settings import ServerAccess

AT = datetime(2026, 11, 30, tzinfo=UTC)
PROOF = Progress(
    operation="operations/proofs/abc",
    state="SUCCEEDED",
    done=True,
    progress=1.0,
    queue_position=None,
    attempt=1,
    cancel_requested=False,
    model="m<b>",
    version="1",
    model_id="",
    request_id="0x01",
    created_at=AT,
    started_at=AT,
    finished_at=AT,
    estimated_end=None,
    attestation_digest="sha256:00",
    error="",
)


class Server:
    """What a server would answer."""

    def __init__(self, attestation):
        self.data = attestation
        self.found = [replace(MODEL, labels=("Not <audited>.",))]

    def models(self, *, timeout):
        return self.found

    def list(self, *, most):
        return [PROOF, replace(PROOF, operation="operations/proofs/run", state="PROVING", done=False, progress=0.25)]

    def state(self, operation):
        return next((proof for proof in self.list(most=2) if proof.operation == operation), None) or self.fail()

    def unverified_attestation(self, operation, *, timeout):
        return self.data

    def fail(self):
        raise CallError("There is no such operation.", code="NOT_FOUND")

    def close(self):
        pass


@pytest.fixture
def server(proven):
    return Server(proven.data)


@pytest.fixture
def browser(parts, server):
    reader = ServerBrowser(ServerAccess("127.0.0.1:8001", token="s3cret"))
    reader._client = server
    made = replace(parts, browser=reader)
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
    assert answer.status_code == 422
    assert "no model" in answer.text


def test_unavailable_model_shows_its_reason(browser, server):
    server.found = [replace(MODEL, ready=False, reason="It is damaged.", cost=None, fidelity=None)]
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


@pytest.mark.parametrize("name", ["nothing", "a.b", "x" * 200])
def test_unknown_proof_is_refused(browser, name):
    assert browser.get(f"/server/proofs/{name}").status_code == 422


def test_server_that_is_away_is_named(parts):
    reader = ServerBrowser(ServerAccess("127.0.0.1:9", token="s3cret"))
    with pytest.raises(CallError, match="cannot be reached"):
        reader.models()
    reader.close()
    with pytest.raises(InputError, match="not the name of a proof"):
        reader.proof("../x")


def test_pages_of_a_server_do_not_exist_without_one(parts):
    found = Browser(application(parts))
    found.get(f"/open/{parts.access.key}")
    assert "zkinfer ui --server" in found.get("/server").text
    assert found.get("/server/models/m/1").status_code == 404
    assert found.get("/server/proofs/abc").status_code == 404
