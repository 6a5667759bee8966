from dataclasses import replace

import pytest
from tests.unit.contracts.deployed import embedded_chain

from zkinfer.circuits.engines import engines_by_name
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import (
    CANARY_KEY,
    FACTORY,
    STOPS,
    Governance,
    Part,
    deploy,
    plan,
    require_running,
    verify_running,
)
from zkinfer.contracts.errors import DeploymentError, RevertedError

GUARDIAN = "0x" + "9a" * 20
PROPOSER = "0x" + "b0" * 20


@pytest.fixture(scope="module")
def chain():
    return embedded_chain()


@pytest.fixture(scope="module")
def planned(chain):
    return plan(Governance(chain.address, (PROPOSER,), delay=60))


@pytest.fixture(scope="module")
def deployed(chain, planned):
    deploy(chain, planned)
    return planned


def test_create2_address_depends_on_code_and_salt():
    part = Part("", b"\0", bytes(32))
    assert len({part.address, replace(part, salt=b"\1" * 32).address, replace(part, creation=b"\1").address}) == 3


def test_every_engine_has_a_verifier_under_its_selector():
    assert {engine.evm_selector for engine in engines_by_name().values()} == set(STOPS)


def test_plan_is_deterministic():
    assert plan(Governance(GUARDIAN, (PROPOSER,))) == plan(Governance(GUARDIAN, (PROPOSER,)))


@pytest.mark.parametrize(
    ("change", "unmoved"),
    [
        ({"guardian": PROPOSER}, {"TimelockController"}),
        ({"delay": 1}, {"EzklStop", "AshlarStop"}),
        ({"proposers": (GUARDIAN,)}, {"EzklStop", "AshlarStop"}),
    ],
)
def test_other_governance_moves_only_dependent_contracts(change, unmoved):
    unmoved |= {CANARY_KEY, "Halo2VerifierReusable", "ReusableHalo2Adapter", "AshlarVerifier"}
    governance = Governance(GUARDIAN, (PROPOSER,))
    one, other = plan(governance).addresses, plan(replace(governance, **change)).addresses
    assert {name for name in one if one[name] == other[name]} == unmoved


def test_test_deployment_has_another_registry_and_ledger():
    one = plan(Governance(GUARDIAN, (PROPOSER,))).addresses
    other = plan(Governance(GUARDIAN, (PROPOSER,), test=True)).addresses
    moved = {name for name in one if one[name] != other[name]}
    assert moved == {"ModelRegistry", "InferenceLedger", "ERC7992Adapter", "FeedHub"}


def test_deploy_reports_every_part_and_is_idempotent(chain, deployed):
    reported = []
    assert deploy(chain, deployed, lambda *part: reported.append(part)) == []
    assert reported == [(part.name, part.address, False) for part in deployed.parts]


def test_deployed_contracts_reference_each_other(chain, deployed):
    at = deployed.addresses
    assert chain.read("InferenceLedger", at["InferenceLedger"], "REGISTRY") == at["ModelRegistry"]
    assert chain.read("InferenceLedger", at["InferenceLedger"], "ROUTER") == at["VerifierRouter"]
    assert chain.read("ModelRegistry", at["ModelRegistry"], "TEST_DEPLOYMENT") is False
    for selector, stop in STOPS.items():
        assert chain.read("VerifierRouter", at["VerifierRouter"], "verifierOf", selector) == at[stop]
    assert chain.read("ReusableHalo2Adapter", at["ReusableHalo2Adapter"], "CANARY_KEY") == at[CANARY_KEY]


def test_timelock_has_no_administrator_but_itself(chain, deployed):
    timelock = deployed.addresses["TimelockController"]
    for account, has in [(chain.address, False), (timelock, True)]:
        assert chain.read("TimelockController", timelock, "hasRole", bytes(32), account) is has


def test_missing_deployment_is_detected(chain):
    with pytest.raises(DeploymentError, match=r"There is no CanaryKey at 0x[0-9a-f]{40} on chain \d+\. Deploy first"):
        verify_running(chain, plan(Governance(GUARDIAN, (PROPOSER,)), salt=b"\7" * 32))


def test_other_code_at_the_factory_is_detected(monkeypatch, chain, planned):
    code = chain.code
    monkeypatch.setattr(chain, "code", lambda address: b"\1" if address == FACTORY else code(address))
    with pytest.raises(DeploymentError, match="There is no deployment factory"):
        deploy(chain, planned)


def test_guardian_cannot_renounce():
    chain = embedded_chain()
    wanted = plan(Governance(chain.address, (PROPOSER,), delay=60))
    deploy(chain, wanted)
    with pytest.raises(RevertedError, match="RenouncingRefused"):
        chain.write("EmergencyStop", wanted.addresses["EzklStop"], "renounceOwnership")
    verify_running(chain, wanted)


@pytest.mark.parametrize("selector", STOPS)
def test_stopped_verifier_is_detected_and_not_deployed_with_anew(selector):
    chain = embedded_chain()
    wanted = plan(Governance(chain.address, (PROPOSER,), delay=60))
    deploy(chain, wanted)
    chain.write("EmergencyStop", wanted.addresses[STOPS[selector]], "stop")
    with pytest.raises(DeploymentError, match=rf"the verifier 0x{selector.hex()} is live is False instead of True"):
        verify_running(chain, wanted)
    (other,) = set(STOPS) - {selector}
    require_running(chain, wanted, [other])
    before = chain._web3.eth.block_number
    assert deploy(chain, wanted) == []  # its other verifier goes on
    with pytest.raises(DeploymentError, match=r"was stopped, for ever.*another --salt creates the same"):
        deploy(chain, plan(Governance(chain.address, (GUARDIAN,), test=True)))
    assert chain._web3.eth.block_number == before  # nothing was created


def test_only_the_guardian_can_stop(chain):
    wanted = plan(Governance(GUARDIAN, (PROPOSER,), delay=60))
    deploy(chain, wanted)
    with pytest.raises(RevertedError, match="OwnableUnauthorizedAccount"):
        chain.write("EmergencyStop", wanted.addresses["EzklStop"], "stop")


def test_dry_run_quotes_everything_and_creates_nothing(planned):
    chain = embedded_chain()
    rehearsal = Chain(chain._web3, chain._signer, rehearsal=True)
    assert deploy(rehearsal, planned) == [part.name for part in planned.parts]
    assert len(rehearsal.quotes) == len(planned.parts) + 2  # the deployer of the factory, and the canary
    assert not chain.code(planned.addresses["InferenceLedger"])


def test_dry_run_quotes_at_least_the_gas_used(planned):
    chain = embedded_chain()
    quoted = sum(part.gas for part in planned.parts)
    before = chain._web3.eth.block_number
    deploy(chain, planned)
    blocks = range(before + 1, chain._web3.eth.block_number + 1)
    used = sum(chain._web3.eth.get_block(number)["gasUsed"] for number in blocks)
    assert used <= quoted + 500_000 <= 1.5 * used
