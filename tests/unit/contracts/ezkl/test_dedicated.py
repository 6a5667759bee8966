from dataclasses import replace

import pytest
from tests.unit.contracts.ezkl.dedicated import GENERATED, REGISTRATION, SELECTOR, created, routed, wanted_in

from zkinfer.contracts import PatchError, patch_dedicated, patch_reusable
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.errors import CodeMismatchError, DeploymentError, RevertedError
from zkinfer.contracts.ezkl.dedicated import (
    DedicatedVerifier,
    deploy_dedicated,
    guardian_of,
    require_guardian,
    verify_dedicated,
)
from zkinfer.contracts.ezkl.solc import DEDICATED_ANCHOR, REUSABLE_ANCHOR, Generated
from zkinfer.contracts.registry import EmergencyStop, Registry
from zkinfer.contracts.signers import unsafe_dev_account

NAMES = ["Halo2Verifier", "DedicatedHalo2Adapter", "EmergencyStop"]


@pytest.fixture
def wanted(book):
    return wanted_in(book)


def test_verifier_adapter_and_emergency_stop_are_created_once(chain, wanted):
    reported = []
    assert deploy_dedicated(chain, wanted, GENERATED.creation, lambda *part: reported.append(part)) == NAMES
    assert reported == [(name, address, True) for name, address in wanted.addresses.items()]
    before = chain._web3.eth.block_number
    assert deploy_dedicated(chain, wanted, GENERATED.creation) == []
    assert chain._web3.eth.block_number == before


def test_contracts_reference_each_other_the_key_and_the_selector(chain, book):
    at = created(chain, book).addresses
    stop, adapter = at["EmergencyStop"], at["DedicatedHalo2Adapter"]
    assert chain.read("EmergencyStop", stop, "VERIFIER") == adapter
    assert chain.read("DedicatedHalo2Adapter", adapter, "HALO2") == at["Halo2Verifier"]
    assert "0x" + chain.read("DedicatedHalo2Adapter", adapter, "KEY_DIGEST").hex() == REGISTRATION.key_digest
    assert chain.read("DedicatedHalo2Adapter", adapter, "selector") == SELECTOR
    assert chain.read("EmergencyStop", stop, "owner") == book.guardian


def test_model_can_be_registered_once_the_verifier_is_routed(chain, book):
    registry = Registry(chain, book.addresses["ModelRegistry"])
    created(chain, book)
    with pytest.raises(RevertedError, match="SelectorUnknown"):
        registry.register(REGISTRATION)
    routed(chain, book)
    assert registry.verifier_is_live(registry.register(REGISTRATION))


def test_dry_run_quotes_three_creations_and_sends_none(chain, wanted):
    rehearsal = Chain(chain._web3, chain._signer, rehearsal=True)
    assert deploy_dedicated(rehearsal, wanted, GENERATED.creation) == NAMES
    quoted = sum(quote.gas for quote in rehearsal.quotes)
    assert not chain.code(wanted.addresses["Halo2Verifier"])
    deploy_dedicated(chain, wanted, GENERATED.creation)
    latest = chain._web3.eth.block_number
    used = sum(chain._web3.eth.get_block(number)["gasUsed"] for number in range(latest - 2, latest + 1))
    assert used <= quoted <= 1.5 * used


def test_address_depends_on_code_key_guardian_and_salt(wanted):
    others = [
        replace(wanted, creation_hash=wanted.code_hash),
        replace(wanted, key_digest=wanted.code_hash),
        replace(wanted, guardian="0x" + "66" * 20),
        replace(wanted, salt=b"\1" * 32),
    ]
    assert len({one.addresses["EmergencyStop"] for one in [wanted, *others]}) == 5
    assert replace(wanted, accepted="0x" + "66" * 20).addresses == wanted.addresses


def test_code_over_the_contract_size_limit_is_refused(wanted):
    DedicatedVerifier.of(Generated(b"", bytes(24_576)), wanted.key_digest, wanted.guardian, wanted.salt)
    with pytest.raises(DeploymentError, match=r"has 24,577 bytes of code; a contract has at most 24,576.*all circuits"):
        DedicatedVerifier.of(Generated(b"", bytes(24_577)), wanted.key_digest, wanted.guardian, wanted.salt)


def test_stopped_verifier_is_not_deployed_again(chain, book):
    wanted = created(chain, book)
    EmergencyStop(chain, wanted.addresses["EmergencyStop"]).stop()
    verify_dedicated(chain, wanted)
    with pytest.raises(DeploymentError, match=r"of this circuit at 0x\w+ was stopped, for ever.*another key"):
        deploy_dedicated(chain, wanted, GENERATED.creation)


def test_deployed_code_other_than_declared_is_refused(chain, wanted):
    lying = replace(wanted, code_hash="0x" + "11" * 32)
    with pytest.raises(RevertedError, match="The contract refused"):  # the factory gives no reason
        deploy_dedicated(chain, lying, GENERATED.creation)
    with pytest.raises(CodeMismatchError, match=r"code of Halo2Verifier at 0x\w+ is 0x\w+, not 0x1111"):
        verify_dedicated(chain, lying)


def test_missing_verifier_is_reported(chain, wanted):
    with pytest.raises(DeploymentError, match=r"There is no Halo2Verifier at .*Deploy first"):
        verify_dedicated(chain, wanted)


@pytest.mark.parametrize("name", NAMES[1:])
def test_another_contract_at_its_address_is_detected(monkeypatch, chain, book, name):
    wanted, code = created(chain, book), chain.code
    monkeypatch.setattr(chain, "code", lambda at: b"\1" if at == wanted.addresses[name] else code(at))
    with pytest.raises(CodeMismatchError, match=f"not that of {name}"):
        verify_dedicated(chain, wanted)


def test_new_guardian_is_detected_until_accepted(chain, book):
    wanted, other = created(chain, book), Chain(chain._web3, unsafe_dev_account(1, chain.id))
    assert require_guardian(chain, wanted) == book.guardian
    stop = wanted.addresses["EmergencyStop"]
    chain.write("EmergencyStop", stop, "transferOwnership", other.address)
    other.write("EmergencyStop", stop, "acceptOwnership")
    with pytest.raises(DeploymentError, match=f"is {other.address} instead of {book.guardian}.*--accept-governance"):
        require_guardian(chain, wanted)
    assert require_guardian(chain, replace(wanted, accepted=guardian_of(chain, wanted))) == other.address


REUSABLE = f"contract Halo2VerifierReusable {{\n{REUSABLE_ANCHOR}rest\n}}"
DEDICATED = f"contract Halo2Verifier {{\n{DEDICATED_ANCHOR}rest\n}}"
PATCHES = [(patch_reusable, REUSABLE, REUSABLE_ANCHOR), (patch_dedicated, DEDICATED, DEDICATED_ANCHOR)]


@pytest.mark.parametrize(
    ("patch", "source", "proof", "instances"),
    [(patch_reusable, REUSABLE, "0x84", "0xa4"), (patch_dedicated, DEDICATED, "0x64", "0x84")],
)
def test_patch_adds_both_assertions_and_nothing_else(patch, source, proof, instances):
    before, after = source.splitlines(), patch(source).splitlines()
    added = [line for line in after if line not in before]
    assert f"eq(proof.offset, {proof})" in added[1]
    assert f"eq(instances.offset, add({instances}, proof.length))" in added[2]
    assert len(added) == 3
    assert [line for line in after if line not in added] == before


@pytest.mark.parametrize(("patch", "source", "anchor"), PATCHES)
def test_patch_without_anchor_is_refused(patch, source, anchor):
    with pytest.raises(PatchError, match=r"0 times instead of once\. The engine generates a verifier"):
        patch(source.replace(anchor, ""))


@pytest.mark.parametrize(("patch", "source", "anchor"), PATCHES)
def test_patch_with_two_anchors_is_refused(patch, source, anchor):
    with pytest.raises(PatchError, match="2 times instead of once"):
        patch(source + anchor)


@pytest.mark.parametrize(("patch", "source"), [(patch_reusable, DEDICATED), (patch_dedicated, REUSABLE)])
def test_patch_for_the_other_verifier_is_refused(patch, source):
    with pytest.raises(PatchError, match="0 times"):
        patch(source)


@pytest.mark.parametrize(("patch", "source", "anchor"), PATCHES)
def test_patched_source_keeps_its_anchor_once(patch, source, anchor):
    assert patch(source).count(anchor) == 1
