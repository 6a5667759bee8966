"""The contracts with real proofs, on an embedded EVM, and on anvil if npm installed it."""

import socket
import subprocess
import time
from dataclasses import replace

import pytest
from eth_account import Account
from tests.integration import bench
from tests.paths import ANVIL
from tests.unit.contracts.deployed import embedded_chain
from tests.vectors import make_chain  # noqa: F401 - puts the scripts beside the contracts on the path
from web3 import HTTPProvider, Web3

import compiler
from zkinfer.chain import answer_of, registration_of
from zkinfer.chain.errors import ListingError
from zkinfer.chain.listings import verify_listing
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.statement import Context
from zkinfer.circuits.tensors import quantise
from zkinfer.contracts import (
    ANY_INPUT,
    CONTRACTS,
    Request,
    input_commitment,
    load,
    output_commitment,
)
from zkinfer.contracts.address_book import AddressBook
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.errors import DeploymentError, RevertedError
from zkinfer.contracts.governance import verify_deployment
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.registry import Registry
from zkinfer.prover import Prover

ANVIL_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
PROVER = "0x" + "77" * 20
CONSUMER = "0x" + "cc" * 20
GAS = 8_000_000  # an estimate would run the pairing a dozen times


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def chain(request):
    if request.param == "embedded":
        yield embedded_chain()
        return
    bench.skip_without_anvil()
    yield from anvil()


def anvil():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([ANVIL, "--port", str(port), "--silent"])
    web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}"))
    try:
        while not web3.is_connected():
            assert process.poll() is None
            time.sleep(0.05)
        yield Chain(web3, Account.from_key(ANVIL_KEY))
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def planned(chain):
    return plan(Governance(chain.address, (chain.address,), delay=60, test=True))


@pytest.fixture(scope="module")
def deployed(chain, planned):
    deploy(chain, planned)
    return planned.addresses


@pytest.fixture(scope="module")
def registration(digits):
    return registration_of(digits)


@pytest.fixture(scope="module")
def listing(chain, deployed, registration):
    return Registry(chain, deployed["ModelRegistry"]).register(registration)


@pytest.fixture(scope="module")
def ledger(chain, deployed):
    return Ledger(chain, deployed["InferenceLedger"])


@pytest.fixture(scope="module")
def asked(chain, digits, listing):
    program = digits.manifest.program
    pixels = program.layout.pack(quantise(bench.image(0)["image"], program.inputs[0]))
    return Request(
        listing=listing,
        input_commitment=input_commitment(pixels),
        consumer=CONSUMER,
        requester=chain.address,
        expiry=chain.time() + 10_000,
        prover=PROVER,
        prover_fee=1000,
        refund_to=chain.address,
    )


@pytest.fixture(scope="module")
def answer(chain, home, digits, ledger, asked):
    return answer_to(asked, chain, home, digits, ledger)


def answer_to(asked, chain, home, digits, ledger):
    """Open the request; returns inputs, outputs and a proof for it."""
    context = Context.model_validate(
        {
            "chainId": chain.id,
            "consumer": asked.consumer,
            "requestId": ledger.request(asked),
            "requester": asked.requester,
            "expiry": asked.expiry,
        }
    )
    return answer_of(Prover(home=home).prove(digits, bench.image(0), context), asked).posted[1:]


def test_deployment_is_idempotent(chain, deployed, planned):
    assert deploy(chain, planned) == []


def test_every_contract_has_its_planned_address(chain, deployed):
    for name in set(deployed) & set(CONTRACTS):
        load(name).require_code(chain.code(deployed[name]))


def test_other_governance_is_another_deployment(chain, deployed, planned):
    other = plan(replace(planned.governance, guardian=CONSUMER))
    assert other.addresses["InferenceLedger"] != deployed["InferenceLedger"]
    with pytest.raises(DeploymentError, match=r"There is no EzklStop at .* Deploy first"):
        verify_deployment(chain, other)


def test_insecure_setup_is_refused_by_a_production_registry(chain, registration):
    strict = plan(Governance(chain.address, (chain.address,), delay=60))
    deploy(chain, strict)
    with pytest.raises(RevertedError, match=r"refused: InsecureSetup\(\)"):
        Registry(chain, strict.addresses["ModelRegistry"]).register(registration)


def test_registration_is_idempotent(chain, deployed, registration, listing):
    registry = Registry(chain, deployed["ModelRegistry"])
    assert registry.register(registration) == listing
    assert registry.status(listing) == "active"


def test_listing_is_verified_with_the_model_and_refused_with_a_crafted_key(
    chain, home, digits, deployed, planned, registration, listing
):
    book = AddressBook(chain.id, planned.governance)
    checked = (digits, bench.MODEL, home)
    found = verify_listing(chain, book, listing, *checked, unsafe_accept_dev_setup=True)
    assert found.model_id == digits.model_id
    with pytest.raises(ListingError, match="insecure-dev"):
        verify_listing(chain, book, listing, *checked)
    crafted = replace(registration, key=registration.key[:-32] + bytes(31) + b"\7")
    taken = Registry(chain, deployed["ModelRegistry"]).register(crafted)
    with pytest.raises(ListingError, match="the model id is"):
        verify_listing(chain, book, taken, *checked, unsafe_accept_dev_setup=True)


def test_changed_answer_is_refused(ledger, asked, answer):
    inputs, outputs, proof = answer
    with pytest.raises(RevertedError, match="ProofRejected"):
        ledger.record(asked, inputs, [*outputs[:-1], outputs[-1] + 1], proof, gas=GAS)
    assert ledger.entry(ledger.id_of(asked)).state == "open"


def test_answer_to_another_request_is_refused(ledger, asked, answer):
    other = replace(asked, salt="0x" + "01" * 32)
    ledger.request(other)
    with pytest.raises(RevertedError, match="ProofRejected"):
        ledger.record(other, *answer, gas=GAS)


def test_honest_answer_is_recorded_once_and_paid_once(chain, ledger, asked, answer):
    ledger.record(asked, *answer, gas=GAS)
    entry = ledger.entry(ledger.id_of(asked))
    digest = output_commitment(answer[1])
    assert (entry.state, entry.output_digest) == ("recorded", digest[: 2 + 52])
    assert entry.recorded_at == chain.time()
    assert ledger.record(asked, *answer) is None
    assert ledger.credit(PROVER) == asked.prover_fee
    with pytest.raises(RevertedError, match="NotOpen"):
        chain.write("InferenceLedger", ledger.address, "refund", _abi(asked))


def test_same_model_in_another_layout_is_another_listing(chain, deployed, registration, listing):
    registry = Registry(chain, deployed["ModelRegistry"])
    other = registry.register(in_another_layout(registration))
    assert other != listing
    assert registry.model_id(other) == registry.model_id(listing)


def test_answer_after_a_revocation_pays_its_prover_and_is_not_recorded(
    chain, home, digits, deployed, ledger, registration, asked
):
    registry = Registry(chain, deployed["ModelRegistry"])
    listing = registry.register(in_another_layout(registration))
    mine, before = replace(asked, listing=listing, input_commitment=ANY_INPUT), ledger.credit(PROVER)
    inputs, outputs, proof = answer_to(mine, chain, home, digits, ledger)
    answer = (widened(inputs), outputs, proof)
    registry.revoke(listing)
    with pytest.raises(RevertedError, match="NotRefundable"):
        ledger.refund(mine)
    ledger.record(mine, *answer, gas=GAS)
    entry = ledger.entry(ledger.id_of(mine))
    assert (entry.state, entry.recorded_at, int(entry.output_digest, 16)) == ("paid", 0, 0)
    assert ledger.credit(PROVER) == before + mine.prover_fee
    assert ledger.record(mine, *answer) is None
    assert ledger.record_batch([(mine, *answer)]) is None


def in_another_layout(registration):
    """The same circuit with wider inputs, as a key does not determine the width."""
    return replace(registration, layout=replace(registration.layout, input_width=8))


def widened(inputs):
    """Inputs of four bytes, packed in eight."""
    integers = (int.from_bytes(inputs[at : at + 4], "big", signed=True) for at in range(0, len(inputs), 4))
    return b"".join(integer.to_bytes(8, "big", signed=True) for integer in integers)


def test_engine_generates_one_reusable_verifier_for_all_circuits(home, digits):
    setup = home.setups.find_or_generate(digits.manifest.program.setup_size, "insecure-dev").path
    engine = EzklEngine()
    source = engine.evm_verifier(digits.folder, setup)
    assert source.startswith("// SPDX-License-Identifier: MIT")
    assert len(compiler.patch(source).splitlines()) == len(source.splitlines()) + 3


def _abi(request):
    fields = (getattr(request, name) for name in type(request).__slots__)
    return tuple(bytes.fromhex(one[2:]) if isinstance(one, str) and len(one) == 66 else one for one in fields)
