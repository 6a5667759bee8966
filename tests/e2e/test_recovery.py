"""A model is recovered under a dedicated verifier after the shared one was stopped, with commands only."""

import json
import signal

import pytest
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain, compiler
from tests.integration import bench

from zkinfer.contracts.deploy import SHARED_SELECTOR

SHARED = "0x" + SHARED_SELECTOR.hex()


@pytest.fixture(scope="module")
def chain(home, run_folder, digits):
    """A deployment on a separate chain, with a listing of the digits and a request for it."""
    solc, folder = compiler(), run_folder / "recovery"
    folder.mkdir()
    (folder / "image.json").write_text(json.dumps({"image": bench.image(0)["image"].tolist()}))
    running = Chain(Shell(home.root, folder, str(folder)), *EMBEDDED)
    running.book = ("--deployment", str(folder / "deployment.json"))
    running.solc = ("--solc", solc)
    done(running("deploy", "--test", "--delay", "1s", *running.book))
    running.old = done(running("register", digits, *running.book))["listing"]
    done(running("request", digits, "--any-input", "--out", "old.json", *running.book))
    yield running
    running.end(signal.SIGTERM)


def done(outcome):
    assert outcome.status == 0, outcome.stderr
    return outcome.document


def refused(outcome):
    assert outcome.status == 1, outcome.stderr
    return outcome.document["error"]


@pytest.fixture(scope="module")
def stopped(chain, digits):
    """Deploy the dedicated verifier and schedule its route; then stop the shared one, and add the route."""
    deploy = ("deploy-verifier", digits, *chain.solc, *chain.book)
    rehearsed = done(chain(*deploy, "--route", "--dry-run"))
    assert (len(rehearsed["transactions"]), len(rehearsed["created"])) == (4, 3)
    chain.verifier = done(chain(*deploy, "--route"))
    assert chain.verifier["state"] in ("waiting", "ready")
    assert refused(chain("register", digits, "--selector", "dedicated", *chain.book))["type"] == "DeploymentError"
    done(chain("stop", "--yes", *chain.book))
    again = done(chain(*deploy, "--route"))
    assert (again["created"], again["state"], again["addresses"]) == ([], "done", chain.verifier["addresses"])
    assert done(chain(*deploy, "--route"))["transactions"] == []
    return chain


@pytest.fixture(scope="module")
def listing(stopped, digits):
    return done(stopped("register", digits, "--selector", "dedicated", *stopped.book))["listing"]


def test_requests_under_the_shared_verifier_are_refused_and_refunded(stopped, digits):
    for words in [("register", digits), ("request", digits, "--any-input", "--out", "new.json"), ("open", "old.json")]:
        assert "whether the verifier is live is False" in refused(stopped(*words, *stopped.book))["cause"]
    done(stopped("refund", "old.json", *stopped.book))
    status = done(stopped.sees("status", "--listing", stopped.old, *stopped.book))
    assert status["verifiers"] == {SHARED: "stopped", stopped.verifier["selector"]: "live"}
    assert status["verifierRuns"] is False


def test_deployment_is_verified_by_its_live_route(stopped):
    assert refused(stopped.sees("verify-deployment", *stopped.book))["type"] == "DeploymentError"
    verified = done(stopped.sees("verify-deployment", "--selector", stopped.verifier["selector"], *stopped.book))
    assert verified["dedicatedGuardians"] == {stopped.verifier["selector"]: stopped.start["account"].lower()}


def test_listing_is_verified_with_the_model_and_the_compiler(stopped, listing, digits):
    words = ("verify-listing", listing, "--model", str(bench.MODEL), "--circuit", digits, "--unsafe-accept-dev-setup")
    checks = done(stopped.sees(*words, *stopped.solc, *stopped.book))["checks"]
    assert checks[-1] == {"what": "the code of its verifier", "found": stopped.verifier["codeHash"]}
    assert refused(stopped.sees(*words, "--solc", "nowhere", *stopped.book))["type"] == "CompilerError"


def test_answer_is_recorded_by_its_own_verifier_and_read_by_a_consumer(stopped, listing, digits):
    picture = ("--input", "image.json")
    done(stopped("request", digits, *picture, "--selector", "dedicated", "--out", "again.json", *stopped.book))
    done(
        stopped.shell(
            "prove", digits, *picture, "--request", "again.json", "--out", "answer.json", "--json", timeout=600
        )
    )
    posted = done(stopped("post", "answer.json", "--request", "again.json", *stopped.book))
    assert [one["state"] for one in posted["records"]] == ["recorded"]
    words = ("verify", "answer.json", "--model", str(bench.MODEL), "--unsafe-accept-dev-setup", "--confirmations", "1")
    read = done(stopped.shell(*words, "--rpc", stopped.start["rpc"], *stopped.book, "--json", timeout=600))
    assert read["ok"] is True


def test_record_is_not_used_after_its_own_verifier_is_stopped(stopped, listing, digits):
    done(stopped("stop", "--selector", stopped.verifier["selector"], "--yes", *stopped.book))
    words = ("verify", "answer.json", "--model", str(bench.MODEL), "--unsafe-accept-dev-setup", "--confirmations", "1")
    error = refused(stopped.shell(*words, "--rpc", stopped.start["rpc"], *stopped.book, "--json", timeout=600))
    assert error["type"] == "RecordMismatchError"
    assert "was stopped, for ever" in refused(stopped("open", "again.json", *stopped.book))["cause"]
    assert refused(stopped("deploy-verifier", digits, *stopped.solc, *stopped.book))["type"] == "DeploymentError"
