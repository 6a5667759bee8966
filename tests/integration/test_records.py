"""Step 12 of a verification with real proofs, on an embedded EVM, and on anvil if npm installed it."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from benchmarks.gas import anvil
from tests.integration import bench

from zkinfer.chain import answer_of, context_of, registration_of, request_for
from zkinfer.chain.errors import NotFinalError, NotRecordedError, OtherChainError, RecordMismatchError
from zkinfer.chain.records import Blocks, LedgerRecord
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.devchain import DevServer
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.rpc import connect
from zkinfer.contracts.signers import unsafe_dev_account
from zkinfer.prover import Prover

CONSUMER = "0x" + "cc" * 20
GAS = 8_000_000  # an estimate would run the pairing a dozen times


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def chain(request):
    if request.param == "embedded":
        yield from embedded()
        return
    bench.skip_without_anvil()
    yield from anvil()


def embedded():
    with DevServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        web3 = connect(server.url)
        yield Chain(web3, unsafe_dev_account(0, Chain(web3).id))
        server.shutdown()


@pytest.fixture(scope="module")
def ledger(chain):
    parts = plan(Governance(chain.address, (chain.address,), delay=60, test=True))
    deploy(chain, parts)
    return Ledger(chain, parts.addresses["InferenceLedger"])


@pytest.fixture(scope="module")
def asked(chain, digits, ledger):
    registry = chain.read("InferenceLedger", ledger.address, "REGISTRY")
    request = request_for(
        digits,
        bench.image(0),
        listing=Registry(chain, registry).register(registration_of(digits)),
        consumer=CONSUMER,
        requester=chain.address,
        expiry=chain.time() + 10_000,
    )
    ledger.request(request)
    return request


@pytest.fixture(scope="module")
def attested(chain, home, digits, ledger, asked):
    return Prover(home=home).prove(digits, bench.image(0), context_of(asked, chain.id, ledger.address))


@pytest.fixture
def verify(chain, home, digits, ledger):
    """Verify an attestation and its record on the ledger."""

    def verified(attestation, confirmations=1):
        record, steps = LedgerRecord(Blocks(chain._web3), ledger.address, confirmations=confirmations), []
        verifier = bench.verifier_of(home, bench.MODEL)
        verifier.verify(attestation, bench.policy_of(digits), record=record, observer=steps.append)
        return steps[-1]

    return verified


def test_open_request_is_not_recorded(verify, attested):
    with pytest.raises(NotRecordedError, match="still waits for an answer") as caught:
        verify(attested)
    assert caught.value.step.number == 12


def test_offline_attestation_is_refused(verify, honest):
    with pytest.raises(OtherChainError, match="made without a chain"):
        verify(honest)


def test_recorded_answer_is_accepted(chain, verify, ledger, asked, attested):
    answer = answer_of(attested, asked)
    ledger.record(*answer.posted, gas=GAS)
    step = verify(attested)
    assert (step.number, step.status) == (12, "passed")
    assert f"on chain {chain.id} by {ledger.address}" in step.detail


def test_recorded_answer_waits_for_its_confirmations(chain, verify, attested):
    with pytest.raises(NotFinalError, match="not yet at block"):
        verify(attested, confirmations=2)
    chain.send(CONSUMER, value=1)
    assert verify(attested, confirmations=2).status == "passed"


def test_proof_of_another_image_for_the_same_request_differs_from_the_record(
    chain, home, digits, ledger, asked, verify
):
    context = context_of(asked, chain.id, ledger.address)
    with pytest.raises(RecordMismatchError, match="other outputs"):
        verify(Prover(home=home).prove(digits, bench.image(1), context))


def test_command_checks_the_chain_without_disclosing_the_node_url(chain, home, ledger, attested, tmp_path):
    url = str(chain._web3.provider.endpoint_uri)
    (tmp_path / "answer.json").write_bytes(attested.to_bytes())
    asking = ("--rpc", url.replace("://", "://me:5ec4e7@"), "--ledger", ledger.address, "--confirmations", "1")
    command = ("verify", "answer.json", "--model", bench.MODEL, "--unsafe-accept-dev-setup", *asking, "--json")
    done = subprocess.run(
        [Path(sys.executable).with_name("zkinfer"), *command],
        cwd=tmp_path,
        env={"ZKINFER_HOME": str(home.root), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)["steps"]
    assert [step["status"] for step in steps] == ["passed"] * 12
    assert "recorded on the chain" in done.stderr
    assert "5ec4e7" not in done.stdout + done.stderr
