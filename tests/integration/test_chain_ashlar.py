"""The digits under Ashlar on a chain: listed, asked, proven, recorded, acted on; and the gas of it."""

from dataclasses import replace

import pytest
from tests.integration import bench
from tests.integration.test_chain import GAS, anvil
from tests.unit.contracts.deployed import embedded_chain, rolled_back

from zkinfer.chain import answer_of, context_of, registration_of, request_for
from zkinfer.chain.errors import ListingError
from zkinfer.chain.listings import verify_listing
from zkinfer.cli.demo.onchain import DigitLock
from zkinfer.contracts import ASHLAR_SELECTOR
from zkinfer.contracts.abi import call_data, creation_code, function_named
from zkinfer.contracts.address_book import AddressBook
from zkinfer.contracts.deploy import Governance, Part, create_missing, deploy, plan
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.registry import EmergencyStop, Registry
from zkinfer.prover import Prover

pytestmark = pytest.mark.slow
PROVER = "0x" + "77" * 20
FEE = 1000
MOST_TO_VERIFY, MOST_TO_RECORD = 330_000, 110_000


@pytest.fixture(scope="module")
def digits(run_folder):
    return bench.digits_under_ashlar(run_folder)


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def chain(request):
    if request.param == "embedded":
        yield embedded_chain()
        return
    bench.skip_without_anvil()
    yield from anvil()


@pytest.fixture(scope="module")
def planned(chain):
    wanted = plan(Governance(chain.address, (chain.address,), delay=60, test=True))
    deploy(chain, wanted)
    return wanted


@pytest.fixture(scope="module")
def listing(chain, planned, digits):
    registration = registration_of(digits, fee=FEE)
    assert registration.selector == ASHLAR_SELECTOR
    return Registry(chain, planned.addresses["ModelRegistry"]).register(registration)


@pytest.fixture(scope="module")
def ledger(chain, planned):
    return Ledger(chain, planned.addresses["InferenceLedger"])


@pytest.fixture(scope="module")
def lock(chain, planned, listing, home, digits):
    """A contract that opens for the digit of the first image."""
    inference = Prover(home=home).prove(digits, bench.image(0)).predicate.statement
    digit = max(range(10), key=lambda one: inference.outputs[one])
    arguments = (planned.addresses["InferenceLedger"], bytes.fromhex(listing[2:]), digit, 1)
    part = Part("DigitLock", creation_code("DigitLock", arguments), bytes(32), "DigitLock")
    create_missing(chain, [part], lambda *_: None)
    return part.address


@pytest.fixture(scope="module")
def answer(chain, home, digits, ledger, listing, lock):
    """The proven answer to a request that the lock opened."""
    asked = request_for(
        digits,
        bench.image(0),
        listing=listing,
        consumer=lock,
        requester=chain.address,
        expiry=chain.time() + 10_000,
        prover=PROVER,
        prover_fee=FEE,
        owner_fee=FEE,
    )
    ledger.request(asked)
    return answer_of(
        Prover(home=home).prove(digits, bench.image(0), context_of(asked, chain.id, ledger.address)), asked
    )


@pytest.fixture
def statement(chain, planned, digits, ledger, answer):
    """The arguments of a bare `verify`."""
    registry = Registry(chain, planned.addresses["ModelRegistry"])
    found = chain.read("ModelRegistry", registry.address, "programOf", bytes.fromhex(answer.request.listing[2:]))
    context = context_of(answer.request, chain.id, ledger.address).hash
    return found[6], found[4], found[3], context, answer.inputs, list(answer.outputs), answer.proof


@pytest.fixture(autouse=True)
def undone(chain):
    with rolled_back(chain):
        yield


def gas_of(receipt):
    return int(receipt["gasUsed"])


def test_listing_is_verified_by_rebuilding_the_key(chain, planned, listing, home, digits):
    book = AddressBook(chain.id, planned.governance)
    checked = (chain, book, listing, digits, bench.MODEL, home)
    found = verify_listing(*checked, unsafe_accept_dev_setup=True, accept_engines=["ashlar"])
    assert found.model_id == digits.model_id
    with pytest.raises(ListingError, match=r"ashlar/0\.1\.0, an experimental engine\..*--accept-engine ashlar"):
        verify_listing(*checked, unsafe_accept_dev_setup=True)


def test_verification_and_record_stay_within_their_gas(chain, planned, statement, ledger, answer):
    data = call_data(function_named("AshlarVerifier", "verify"), statement)
    bare = gas_of(chain.send(planned.addresses["AshlarVerifier"], data, gas=GAS))
    recorded = gas_of(ledger.record(*answer.posted, gas=GAS))
    assert bare <= MOST_TO_VERIFY
    assert recorded <= bare + MOST_TO_RECORD


def test_answer_is_recorded_once_and_paid(ledger, answer):
    ledger.record(*answer.posted, gas=GAS)
    assert ledger.entry(ledger.id_of(answer.request)).state == "recorded"
    assert ledger.credit(PROVER) == FEE
    assert ledger.record(*answer.posted) is None


def test_contract_acts_on_the_recorded_answer(chain, home, digits, ledger, lock, answer):
    asked = DigitLock(lock).play(chain, answer.request.input_commitment, PROVER, 2 * FEE)
    proven = Prover(home=home).prove(digits, bench.image(0), context_of(asked, chain.id, ledger.address))
    settled = answer_of(proven, asked)
    with pytest.raises(RevertedError):
        DigitLock(lock).settle(chain, replace(settled, outputs=(settled.outputs[0] + 1, *settled.outputs[1:])))
    DigitLock(lock).settle(chain, settled)
    assert chain.read("DigitLock", lock, "winner") == chain.address


@pytest.mark.parametrize("place", [0, 33, 1000, -1])
def test_proof_with_a_changed_bit_is_refused(ledger, answer, place):
    changed = bytearray(answer.proof)
    changed[place] ^= 1
    with pytest.raises(RevertedError, match="ProofRejected"):
        ledger.record(*replace(answer, proof=bytes(changed)).posted, gas=GAS)
    assert ledger.entry(ledger.id_of(answer.request)).state == "open"


@pytest.mark.parametrize("change", [{"outputs": 1}, {"inputs": 1}])
def test_proof_of_another_statement_is_refused(ledger, answer, change):
    if "outputs" in change:
        other, reason = replace(answer, outputs=(answer.outputs[0] + 1, *answer.outputs[1:])), "ProofRejected"
    else:
        other, reason = replace(answer, inputs=answer.inputs[:-1] + b"\1"), "InputMismatch"
    with pytest.raises(RevertedError, match=reason):
        ledger.record(*other.posted, gas=GAS)


def test_stop_of_its_verifier_refuses_the_answer_and_frees_the_fees(chain, planned, ledger, answer):
    EmergencyStop(chain, planned.addresses["AshlarStop"]).stop()
    with pytest.raises(RevertedError, match="Stopped"):
        ledger.record(*answer.posted, gas=GAS)
    ledger.refund(answer.request)


def test_stop_of_the_other_engine_does_not_matter(chain, planned, ledger, answer):
    EmergencyStop(chain, planned.addresses["EzklStop"]).stop()
    ledger.record(*answer.posted, gas=GAS)
