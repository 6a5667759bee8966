"""A model goes on under another engine after the verifier of its first was stopped, with commands only."""

import json
import signal

import pytest
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain
from tests.integration import bench

from zkinfer.contracts.deploy import ASHLAR_SELECTOR, EZKL_SELECTOR

pytestmark = pytest.mark.slow
EZKL, ASHLAR = (f"0x{selector.hex()}" for selector in (EZKL_SELECTOR, ASHLAR_SELECTOR))


@pytest.fixture(scope="module")
def second(run_folder):
    """The digits' circuit under the second engine."""
    return str(bench.digits_under_ashlar(run_folder).folder)


@pytest.fixture(scope="module")
def chain(home, run_folder, digits, second):
    """A deployment on a separate chain, with a listing of the digits and a request for it."""
    folder = run_folder / "recovery"
    folder.mkdir()
    (folder / "image.json").write_text(json.dumps({"image": bench.image(0)["image"].tolist()}))
    running = Chain(Shell(home.root, folder, str(folder)), *EMBEDDED)
    running.book = ("--deployment", str(folder / "deployment.json"))
    done(running("deploy", "--test", *running.book))
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
def stopped(chain):
    done(chain("stop", "ezkl", "--yes", *chain.book))
    return chain


@pytest.fixture(scope="module")
def listing(stopped, second):
    """The listing under the other engine, the successor of the old one."""
    made = done(stopped("register", second, *stopped.book))
    assert made["selector"] == ASHLAR
    done(stopped("deprecate", stopped.old, "--successor", made["listing"], *stopped.book))
    return made["listing"]


def test_requests_under_the_stopped_verifier_are_refused_and_refunded(stopped, digits):
    for words in [("register", digits), ("request", digits, "--any-input", "--out", "new.json"), ("open", "old.json")]:
        assert f"whether the verifier {EZKL} is live is False" in refused(stopped(*words, *stopped.book))["cause"]
    done(stopped("refund", "old.json", *stopped.book))
    status = done(stopped.sees("status", "--listing", stopped.old, *stopped.book))
    assert status["verifiers"] == {EZKL: "stopped", ASHLAR: "live"}
    assert status["verifierRuns"] is False


def test_deployment_is_verified_by_its_live_verifier(stopped):
    assert refused(stopped.sees("verify-deployment", *stopped.book))["type"] == "DeploymentError"
    verified = done(stopped.sees("verify-deployment", "--selector", "ashlar", *stopped.book))
    assert verified["ashlar_guardian"] == stopped.start["account"].lower()


def test_successor_is_verified_with_the_model(stopped, listing, second):
    accepted = ("--accept-engine", "ashlar", "--unsafe-accept-dev-setup")
    words = ("verify-listing", listing, "--model", str(bench.MODEL), "--circuit", second, *accepted)
    checks = done(stopped.sees(*words, *stopped.book))["checks"]
    assert checks[-1] == {"what": "whether the verifier is live", "found": True}


def test_answer_is_recorded_and_read_by_a_consumer(stopped, listing, second):
    picture = ("--input", "image.json")
    done(stopped("request", second, *picture, "--out", "again.json", *stopped.book))
    done(stopped.shell("prove", second, *picture, "--request", "again.json", "--out", "answer.json", "--json"))
    posted = done(stopped("post", "answer.json", "--request", "again.json", *stopped.book))
    assert [one["state"] for one in posted["records"]] == ["recorded"]
    read = done(stopped.shell(*VERIFY, "--rpc", stopped.start["rpc"], *stopped.book, "--json", timeout=600))
    assert read["ok"] is True


VERIFY = ("verify", "answer.json", "--model", str(bench.MODEL), "--unsafe-accept-dev-setup", "--confirmations", "1")
VERIFY += ("--accept-engine", "ashlar")


def test_record_is_not_used_after_its_own_verifier_is_stopped(stopped, listing):
    done(stopped("stop", "ashlar", "--yes", *stopped.book))
    error = refused(stopped.shell(*VERIFY, "--rpc", stopped.start["rpc"], *stopped.book, "--json", timeout=600))
    assert error["type"] == "RecordMismatchError"
    reopened = refused(stopped("open", "again.json", *stopped.book))
    assert f"whether the verifier {ASHLAR} is live is False" in reopened["cause"]
