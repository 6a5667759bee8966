"""Step 12 of a verification with real proofs, on an embedded EVM, and on anvil if npm installed it."""

import json
import socket
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import pytest
from benchmarks.gas import anvil
from tests.integration import bench
from web3 import HTTPProvider, Web3

from zkinfer.chain import answer_of, context_of, registration_of, request_for
from zkinfer.chain.blocks import Blocks
from zkinfer.chain.errors import (
    LedgerError,
    NodeError,
    NotFinalError,
    NotRecordedError,
    OtherChainError,
    RecordMismatchError,
)
from zkinfer.chain.records import LedgerRecord
from zkinfer.contracts.abi import call_data, function_named
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.devchain import DevServer
from zkinfer.contracts.identifiers import keccak256
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


class Liar(HTTPProvider):
    """A node that alters the results of one method; `lie` gets the parameters and the true result."""

    def __init__(self, url, method, lie):
        super().__init__(url)
        self.method, self.lie = method, lie

    def make_request(self, method, params):
        reply = super().make_request(method, params)
        if method == self.method and "result" in reply:
            reply["result"] = self.lie(params, reply["result"])
        return reply


@pytest.fixture
def verify(chain, home, digits, ledger):
    """Verify an attestation and its record on the ledger, as the chain's node or a liar tells it."""

    def verified(attestation, confirmations=1, liar=None):
        web3 = chain._web3 if liar is None else Web3(Liar(chain._web3.provider.endpoint_uri, *liar))
        record, steps = LedgerRecord(Blocks(web3), ledger.address, confirmations=confirmations), []
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


def flipped(text):
    """Hexadecimal data with the last bit changed."""
    return text[:-1] + f"{int(text[-1], 16) ^ 1:x}"


def test_wrong_code_of_a_node_is_noticed(verify, attested):
    liar = ("eth_getCode", lambda _, code: flipped(code))
    with pytest.raises(LedgerError, match="The code is not that of InferenceLedger"):
        verify(attested, liar=liar)


def test_wrong_record_of_a_node_is_noticed(verify, attested):
    entry = call_data(function_named("InferenceLedger", "entryOf"), (bytes(32),))[:4].hex()

    def lie(params, result):
        return result[:-64] + flipped(result[-64:-12]) + result[-12:] if entry in str(params) else result

    with pytest.raises(RecordMismatchError, match="other outputs on record"):
        verify(attested, liar=("eth_call", lie))


def test_wrong_chain_of_a_node_is_noticed(verify, attested):
    with pytest.raises(OtherChainError, match="the node is on chain 1"):
        verify(attested, liar=("eth_chainId", lambda *_: "0x1"))


def test_block_that_changes_its_hash_is_noticed(verify, attested):
    hashes = (f"0x{number:064x}" for number in count())
    liar = ("eth_getBlockByNumber", lambda _, block: block | {"hash": next(hashes)})
    with pytest.raises(NodeError, match="changed while it was read"):
        verify(attested, liar=liar)


def test_record_that_is_not_in_the_final_block_is_refused(verify, chain, attested):
    first = chain._web3.provider.make_request("eth_getBlockByNumber", ["0x0", False])["result"]
    liar = ("eth_getBlockByNumber", lambda params, block: first if params[0] == "finalized" else block)
    with pytest.raises(NotFinalError, match="not yet at block 0"):
        verify(attested, confirmations=None, liar=liar)


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


def run_verify(home, folder, attested, *options):
    """Run `zkinfer verify` on the attestation in a folder; returns the process and its document."""
    (folder / "answer.json").write_bytes(attested.to_bytes())
    command = ("verify", "answer.json", "--model", bench.MODEL, "--unsafe-accept-dev-setup", "--json", *options)
    done = subprocess.run(
        [Path(sys.executable).with_name("zkinfer"), *command],
        cwd=folder,
        env={"ZKINFER_HOME": str(home.root), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done, json.loads(done.stdout)


def test_command_checks_the_chain_without_disclosing_the_node_url(chain, home, ledger, attested, tmp_path):
    url = str(chain._web3.provider.endpoint_uri)
    asking = ("--rpc", url.replace("://", "://me:5ec4e7@"), "--ledger", ledger.address, "--confirmations", "1")
    done, found = run_verify(home, tmp_path, attested, *asking, "--report", "report.json", "--report", "report.html")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert [step["status"] for step in found["steps"]] == ["passed"] * 12
    assert "recorded on the chain, as one node says" in done.stderr
    block = chain._web3.eth.get_block(found["record"]["block"])
    assert found["record"] == report["record"]
    assert found["record"]["blockHash"] == "0x" + bytes(block["hash"]).hex()
    codes = {one["address"]: one["keccak256"] for one in found["record"]["code"]}
    assert codes[ledger.address] == "0x" + keccak256(chain.code(ledger.address)).hex()
    page = (tmp_path / "report.html").read_text()
    assert f"block {found['record']['block']} ({found['record']['blockHash']}), with 1 confirmation" in page
    assert "5ec4e7" not in done.stdout + done.stderr + page + json.dumps(report)


def test_command_with_two_nodes_says_that_both_agree(chain, home, ledger, attested, tmp_path):
    url = str(chain._web3.provider.endpoint_uri)
    nodes = ("--rpc", url.replace("localhost", "127.0.0.1"), "--rpc", url.replace("127.0.0.1", "localhost"))
    done, found = run_verify(home, tmp_path, attested, *nodes, "--ledger", ledger.address, "--confirmations", "1")
    assert done.returncode == 0, done.stderr
    assert found["record"]["nodes"] == 2
    assert "recorded on the chain, as 2 nodes say" in done.stderr


def test_command_with_a_node_that_is_down_writes_verdict_and_report_and_accepts_nothing(
    chain, home, ledger, attested, tmp_path
):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{closed.getsockname()[1]}/5ec4e7"
        nodes = ("--rpc", str(chain._web3.provider.endpoint_uri), "--rpc", down)
        asking = (*nodes, "--ledger", ledger.address, "--confirmations", "1", "--report", "report.json")
        done, found = run_verify(home, tmp_path, attested, *asking)
    assert (done.returncode, found["ok"], found["error"]["type"]) == (1, False, "NodeError")
    assert [step["status"] for step in found["steps"]] == ["passed"] * 11 + ["failed"]
    assert found["steps"][-1]["detail"].startswith("Node 2 (127.0.0.1): ")
    assert "Verdict: refused; the chain's record, which was required of answer.json, cannot be read" in done.stderr
    report = (tmp_path / "report.json").read_text()
    assert json.loads(report)["outcome"] == "refused"
    assert "5ec4e7" not in done.stdout + done.stderr + report
