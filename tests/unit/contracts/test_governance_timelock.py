import pytest
from tests.unit.contracts.deployed import deployed_chain

from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import EZKL_SELECTOR, Governance, plan, verify_running
from zkinfer.contracts.errors import DeploymentError, RevertedError, TransactionFailedError
from zkinfer.contracts.governance import Timelock, route_addition, route_removal
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.signers import unsafe_dev_account

DELAY = 60


@pytest.fixture(scope="module")
def module_deployment():
    return deployed_chain(DELAY)


@pytest.fixture
def removal(book):
    return route_removal(book.addresses["VerifierRouter"], EZKL_SELECTOR)


@pytest.fixture
def timelock(chain, book):
    return Timelock(chain, book.addresses["TimelockController"])


def wait(chain):
    chain._web3.provider.ethereum_tester.time_travel(chain.time() + DELAY + 1)


def test_route_is_removed_only_after_the_delay(book, chain, timelock, removal):
    assert timelock.state(removal) == "unset"
    timelock.schedule(removal)
    assert (timelock.state(removal), timelock.due(removal)) == ("waiting", chain.time() + DELAY)
    with pytest.raises(RevertedError, match="TimelockUnexpectedOperationState"):
        timelock.execute(removal)
    wait(chain)
    timelock.execute(removal)
    assert timelock.state(removal) == "done"
    with pytest.raises(RevertedError, match="Selector"):
        chain.read("VerifierRouter", book.addresses["VerifierRouter"], "verifierOf", EZKL_SELECTOR)
    with pytest.raises(DeploymentError, match=r"the route of 0x[0-9a-f]{8} was removed, for ever"):
        verify_running(chain, plan(Governance(chain.address, (chain.address,), delay=DELAY)))
    assert Registry(chain, book.addresses["ModelRegistry"]).selector_is_live(EZKL_SELECTOR) is False


def test_each_step_is_sent_once(chain, timelock, removal):
    timelock.schedule(removal)
    assert timelock.schedule(removal) is None
    wait(chain)
    timelock.execute(removal)
    assert timelock.execute(removal) is None
    assert timelock.schedule(removal) is None


def test_operation_advances_to_waiting_then_done(chain, timelock, removal):
    assert timelock.advance(removal) == "waiting"
    block = chain._web3.eth.block_number
    assert (timelock.advance(removal), chain._web3.eth.block_number) == ("waiting", block)
    wait(chain)
    assert timelock.advance(removal) == "done"
    block = chain._web3.eth.block_number
    assert (timelock.advance(removal), chain._web3.eth.block_number) == ("done", block)


def test_used_selector_is_not_routed_again(book, chain, timelock):
    again = route_addition(book.addresses["VerifierRouter"], EZKL_SELECTOR, book.addresses["EzklStop"])
    timelock.schedule(again)
    wait(chain)
    with pytest.raises(RevertedError, match="Selector"):
        timelock.execute(again)


@pytest.mark.parametrize("step", [Timelock.schedule, Timelock.execute, Timelock.advance])
def test_other_accounts_cannot_schedule_or_execute(book, chain, timelock, removal, step):
    if step is Timelock.execute:
        timelock.schedule(removal)
        wait(chain)
    other = Chain(chain._web3, unsafe_dev_account(1, chain.id))
    with pytest.raises(RevertedError, match="AccessControlUnauthorizedAccount"):
        step(Timelock(other, timelock.address), removal)


def test_cancelled_operation_can_be_scheduled_again(chain, timelock, removal):
    timelock.schedule(removal)
    timelock.cancel(timelock.id_of(removal))
    assert timelock.state(removal) == timelock.state(timelock.id_of(removal)) == "unset"
    timelock.schedule(removal)
    wait(chain)
    timelock.cancel(timelock.id_of(removal))
    with pytest.raises(RevertedError, match="TimelockUnexpectedOperationState"):
        timelock.execute(removal)


def test_operation_that_is_not_pending_cannot_be_cancelled(chain, timelock, removal):
    named = timelock.id_of(removal)
    with pytest.raises(TransactionFailedError, match=f"0x{named.hex()} was never scheduled, or is cancelled"):
        timelock.cancel(named)
    timelock.schedule(removal)
    wait(chain)
    timelock.execute(removal)
    with pytest.raises(TransactionFailedError, match=f"0x{named.hex()} was executed already"):
        timelock.cancel(named)


def test_other_accounts_cannot_cancel(chain, timelock, removal):
    timelock.schedule(removal)
    other = Timelock(Chain(chain._web3, unsafe_dev_account(1, chain.id)), timelock.address)
    with pytest.raises(RevertedError, match="AccessControlUnauthorizedAccount"):
        other.cancel(timelock.id_of(removal))
    assert timelock.state(removal) == "waiting"


def test_operation_id_follows_from_its_content(book, timelock, removal):
    other = route_removal(book.addresses["VerifierRouter"], b"\1\2\3\4")
    assert timelock.id_of(removal) != timelock.id_of(other)
