from dataclasses import replace

import pytest
from eth_abi.abi import encode

from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import deploy
from zkinfer.contracts.errors import DeploymentError, RpcError
from zkinfer.contracts.governance import Powers, read_governance, verify_deployment
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.signers import unsafe_dev_account

MALLORY = "0x" + "66" * 20


@pytest.fixture
def wanted(book):
    return book.plan


def call_from_timelock(chain, wanted, signature, types, *arguments):
    """Let the timelock call itself."""
    timelock = wanted.addresses["TimelockController"]
    data = keccak256(signature.encode())[:4] + encode(types, arguments)
    call = (timelock, 0, data, bytes(32), bytes(32))
    chain.write("TimelockController", timelock, "schedule", *call, 0)
    chain.write("TimelockController", timelock, "execute", *call)


def test_fresh_deployment_is_governed_as_planned(chain, wanted):
    found = verify_deployment(chain, wanted)
    assert found.powers == Powers.planned(wanted)
    assert found.offers == {}


@pytest.mark.parametrize(
    ("role", "message"),
    [
        (keccak256(b"PROPOSER_ROLE"), "the timelock's list of proposers is "),
        (keccak256(b"EXECUTOR_ROLE"), "the timelock's list of executors is "),
        (keccak256(b"CANCELLER_ROLE"), "the timelock's list of cancellers is "),
        (bytes(32), "the timelock's list of administrators is "),
    ],
)
def test_role_granted_later_is_refused_until_accepted(chain, wanted, role, message):
    call_from_timelock(chain, wanted, "grantRole(bytes32,address)", ["bytes32", "address"], role, MALLORY)
    with pytest.raises(DeploymentError, match=rf"{message}.*{MALLORY[2:]}.* instead of .*--accept-governance"):
        verify_deployment(chain, wanted)
    found = read_governance(chain, wanted).powers
    assert verify_deployment(chain, wanted, found).powers == found
    with pytest.raises(DeploymentError, match="the timelock's delay is 0 instead of 9"):
        verify_deployment(chain, wanted, replace(found, delay=9))


def test_revoked_role_is_detected(chain, wanted):
    role = keccak256(b"PROPOSER_ROLE")
    call_from_timelock(chain, wanted, "revokeRole(bytes32,address)", ["bytes32", "address"], role, chain.address)
    with pytest.raises(DeploymentError, match="the timelock's list of proposers is empty instead of 0x"):
        verify_deployment(chain, wanted)


def test_changed_delay_is_detected(chain, wanted):
    call_from_timelock(chain, wanted, "updateDelay(uint256)", ["uint256"], 5)
    with pytest.raises(DeploymentError, match="the timelock's delay is 5 instead of 0"):
        verify_deployment(chain, wanted)


@pytest.mark.parametrize("engine", ["Ezkl", "Ashlar"])
def test_offered_guardian_is_reported_and_an_accepted_one_refused(chain, wanted, engine):
    stop = wanted.addresses[f"{engine}Stop"]
    other = Chain(chain._web3, unsafe_dev_account(1, chain.id))
    chain.write("EmergencyStop", stop, "transferOwnership", other.address)
    assert verify_deployment(chain, wanted).offers == {f"{engine.lower()}_guardian": other.address}
    other.write("EmergencyStop", stop, "acceptOwnership")
    with pytest.raises(DeploymentError, match=f"verifier is {other.address} instead of {chain.address}"):
        verify_deployment(chain, wanted)
    assert deploy(chain, wanted) == []  # idempotent, as it does not check governance


def test_node_without_logs_gives_no_verdict(monkeypatch, chain, wanted):
    def forgetful(*_):
        raise RpcError("The node refused: history is pruned.")

    monkeypatch.setattr(chain, "logs", forgetful)
    with pytest.raises(RpcError, match="pruned"):
        verify_deployment(chain, wanted)


def test_node_that_silently_lacks_logs_gives_no_verdict(monkeypatch, chain, wanted):
    monkeypatch.setattr(chain, "logs", lambda *_: [])
    with pytest.raises(
        RpcError, match=r"no log of the role that 0x[0-9a-f]{40} was granted.*Use a node that keeps all logs"
    ):
        verify_deployment(chain, wanted)


@pytest.mark.parametrize("role", ["PROPOSER_ROLE", "EXECUTOR_ROLE", "CANCELLER_ROLE", None])
def test_node_lacking_one_log_of_the_deployment_gives_no_verdict(monkeypatch, chain, wanted, role):
    lost, logs = bytes(32) if role is None else keccak256(role.encode()), chain.logs
    monkeypatch.setattr(chain, "logs", lambda at, topics: [] if topics[1] == lost else logs(at, topics))
    with pytest.raises(RpcError, match="has no log of the role"):
        read_governance(chain, wanted)
