from dataclasses import replace

import pytest
from tests.unit.chain.fake_chain import (
    CHAIN,
    LEDGER,
    MODEL,
    OUTPUTS,
    REGISTRY,
    REQUEST,
    ROUTER,
    SOMEWHERE,
    FakeBlocks,
    FakeChain,
    answer_stating,
    answer_to,
)

from zkinfer.chain import context_of
from zkinfer.chain.errors import (
    LedgerError,
    NodeError,
    NotFinalError,
    NotRecordedError,
    OtherChainError,
    RecordMismatchError,
)
from zkinfer.chain.records import LedgerRecord
from zkinfer.contracts import ANY_INPUT, load, output_commitment
from zkinfer.contracts.address_book import AddressBook
from zkinfer.contracts.deploy import Governance
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.verifier import RefusedError


def agree(blocks, answer=None, ledger=LEDGER, **options):
    return LedgerRecord(blocks, ledger, **options).agree(answer or answer_to(blocks.request_told or REQUEST))


@pytest.mark.parametrize("seconds", [1 << 40, 1 << 63, (1 << 64) - 1])
def test_record_at_a_time_that_no_calendar_has_is_refused(seconds, monkeypatch):
    digest = bytes.fromhex(output_commitment(OUTPUTS)[2:])[:26]
    monkeypatch.setattr(FakeChain, "entry", lambda self: (2, seconds, digest))
    with pytest.raises(NodeError, match="no calendar"):
        agree(FakeBlocks())


def test_record_of_this_answer_agrees():
    recorded = agree(FakeBlocks())
    block = f"block 96 (0x{96:064x}), finalised"
    assert str(recorded) == f"on chain 31337 by {LEDGER}, 2027-01-15 08:00:00 UTC, seen at {block}"
    assert (recorded.listing, recorded.confirmations) == (REQUEST.listing, None)


def test_code_that_was_compared_is_named_with_its_hash():
    code = {one.name: (one.address, one.code_hash) for one in agree(FakeBlocks()).code}
    ledger = "0x" + keccak256(load("InferenceLedger").deployed).hex()
    assert code.keys() == {"InferenceLedger", "ModelRegistry", "VerifierRouter"}
    assert code["InferenceLedger"] == (LEDGER, ledger)


def test_required_confirmations_are_told():
    assert str(agree(FakeBlocks(), confirmations=1)).endswith("with 1 confirmation")
    assert str(agree(FakeBlocks(), confirmations=2)).endswith("with 2 confirmations")


def test_block_that_changes_while_it_is_read_gives_no_verdict():
    blocks = FakeBlocks()
    blocks.forks = True
    with pytest.raises(NodeError, match="block 96 changed while it was read"):
        agree(blocks)


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("codes", {LEDGER: "other"}, LedgerError, "The code is not that of"),
        ("outputs", (7, -9), RecordMismatchError, "other outputs on record"),
        ("model", "0x" + "ab" * 32, RecordMismatchError, "The request is for the model"),
        ("state", "open", NotFinalError, "not yet at block 96"),
    ],
)
def test_settled_block_that_contradicts_the_latest_is_refused(name, value, error, says):
    blocks = FakeBlocks()
    blocks.then[name] = value
    with pytest.raises(error, match=says):
        agree(blocks)


def test_record_agrees_with_a_given_request():
    blocks = FakeBlocks()
    blocks.request = None
    assert agree(blocks, request=REQUEST)


def test_record_of_a_request_for_any_input_agrees():
    assert agree(FakeBlocks(replace(REQUEST, input_commitment=ANY_INPUT)))


@pytest.mark.parametrize(("chain_id", "made"), [(1, "for a request on chain 1"), (0, "without a chain")])
def test_proof_for_another_chain_is_refused(chain_id, made):
    context = answer_to(REQUEST).context.model_copy(update={"chain_id": chain_id})
    with pytest.raises(OtherChainError, match=f"made {made}; the node is on chain 31337"):
        agree(FakeBlocks(), answer_to(REQUEST, context=context))


def test_address_without_code_is_not_a_ledger():
    with pytest.raises(LedgerError, match=f"no InferenceLedger at {SOMEWHERE}"):
        agree(FakeBlocks(), ledger=SOMEWHERE)


@pytest.mark.parametrize("address", [LEDGER, REGISTRY, ROUTER])
def test_unknown_code_is_not_a_ledger(address):
    blocks = FakeBlocks()
    blocks.codes[address] = "other"
    with pytest.raises(LedgerError, match="The code is not that of"):
        agree(blocks)


@pytest.mark.parametrize("address", [REGISTRY, ROUTER])
def test_ledger_with_a_missing_dependency_is_refused(address):
    blocks = FakeBlocks()
    del blocks.codes[address]
    with pytest.raises(LedgerError, match=f"at {address}: the account has no code"):
        agree(blocks)


def test_ledger_and_registry_with_different_routers_are_refused():
    blocks = FakeBlocks()
    blocks.registrys_router = SOMEWHERE
    with pytest.raises(LedgerError, match="different routers"):
        agree(blocks)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("none", "no such request"),
        ("open", "still waits"),
        ("refunded", "refunded the fees"),
        ("paid", "the model was revoked before"),
    ],
)
def test_request_without_an_answer_is_not_recorded(state, message):
    blocks = FakeBlocks()
    blocks.state = state
    with pytest.raises(NotRecordedError, match=message):
        agree(blocks)


def test_recorded_outputs_that_differ_are_a_mismatch():
    with pytest.raises(RecordMismatchError, match="other outputs on record"):
        agree(FakeBlocks(), answer_stating(outputs=(7, -9)))


def test_record_is_final_only_up_to_the_final_block():
    with pytest.raises(NotFinalError, match="not yet at block 96"):
        agree(FakeBlocks(depth=3))
    assert agree(FakeBlocks(depth=4))


@pytest.mark.parametrize(("depth", "confirmations", "final"), [(0, 1, True), (3, 4, True), (2, 4, False)])
def test_record_is_final_after_the_requested_confirmations(depth, confirmations, final):
    if final:
        assert agree(FakeBlocks(depth=depth), confirmations=confirmations)
        return
    with pytest.raises(NotFinalError, match="not yet at block 97"):
        agree(FakeBlocks(depth=depth), confirmations=confirmations)


def test_ledger_deployed_after_the_final_block_has_nothing_final():
    blocks = FakeBlocks()
    blocks.deployed_at = 99
    with pytest.raises(NotFinalError, match="Wait, then verify again"):
        agree(blocks)


def test_request_other_than_that_of_the_proof_is_a_mismatch():
    with pytest.raises(RecordMismatchError, match="given or logged has another id"):
        agree(FakeBlocks(), request=replace(REQUEST, salt="0x" + "01" * 32))


@pytest.mark.parametrize("change", [{"consumer": SOMEWHERE}, {"requester": SOMEWHERE}, {"expiry": 1}])
def test_proof_for_another_context_under_the_same_id_is_a_mismatch(change):
    context = answer_to(REQUEST).context.model_copy(update=change)
    with pytest.raises(RecordMismatchError, match="another consumer, requester or expiry"):
        agree(FakeBlocks(), answer_to(REQUEST, context=context))


def test_forged_log_is_a_mismatch():
    blocks = FakeBlocks()
    blocks.request_told = replace(REQUEST, input_commitment=ANY_INPUT)
    with pytest.raises(RecordMismatchError, match="has another id"):
        agree(blocks, answer_to(REQUEST))


def test_request_without_a_log_gives_no_verdict():
    blocks = FakeBlocks()
    blocks.request_told = None
    with pytest.raises(NodeError, match=r"no log of the request\. Use a node that keeps all logs, or give the request"):
        agree(blocks, answer_to(REQUEST))


def test_recorded_answer_of_another_model_is_a_mismatch():
    blocks = FakeBlocks()
    blocks.model = "0x" + "ab" * 32
    with pytest.raises(RecordMismatchError, match=f"is for the model {blocks.model}; the proof is of {MODEL}"):
        agree(blocks)


def test_recorded_answer_to_another_input_is_a_mismatch():
    with pytest.raises(RecordMismatchError, match="about another input"):
        agree(FakeBlocks(), answer_stating(inputs=b"\5\7"))


def test_answer_of_a_since_revoked_listing_is_refused():
    blocks = FakeBlocks()
    blocks.status = "revoked"
    with pytest.raises(RecordMismatchError, match=f"its listing {REQUEST.listing} was revoked: no contract acts on it"):
        agree(blocks)


def test_answer_of_a_since_stopped_verifier_is_refused():
    blocks = FakeBlocks()
    blocks.live = False
    with pytest.raises(RecordMismatchError, match=r"was stopped or removed: it may be forged.*ask again"):
        agree(blocks)


def test_answer_of_a_since_deprecated_listing_agrees():
    blocks = FakeBlocks()
    blocks.status = "deprecated"
    assert agree(blocks)


def test_failing_node_gives_no_verdict(monkeypatch):
    def fail(*_):
        raise RpcError("The node sleeps.", "Wake it.")

    monkeypatch.setattr(FakeChain, "read", fail)
    with pytest.raises(NodeError, match=r"The node sleeps\. Wake it\.") as caught:
        agree(FakeBlocks())
    assert not isinstance(caught.value, RefusedError)


def deployed():
    """A deployment with the queried ledger, all of whose contracts are on the chain."""
    book = AddressBook(CHAIN, Governance(SOMEWHERE, (SOMEWHERE,)))
    blocks = FakeBlocks()
    blocks.codes |= {part.address: part.contract or part.name for part in book.plan.parts}
    return book, blocks


def test_record_of_a_whole_deployment_agrees():
    book, blocks = deployed()
    ledger = book.addresses["InferenceLedger"]
    answer = answer_to(REQUEST, context=context_of(REQUEST, CHAIN, ledger))
    recorded = agree(blocks, answer, ledger=book)
    assert recorded.ledger == ledger
    assert {one.name for one in recorded.code} == book.addresses.keys() | {"VerifierRouter", "ModelRegistry"}


def test_deployment_of_another_chain_is_refused():
    book, blocks = deployed()
    with pytest.raises(LedgerError, match="is on chain 5; the node is on chain 31337"):
        agree(blocks, ledger=replace(book, chain_id=5))


@pytest.mark.parametrize(
    "name", ["EzklStop", "AshlarStop", "AshlarVerifier", "ReusableHalo2Adapter", "Halo2VerifierReusable", "CanaryKey"]
)
def test_deployment_with_a_modified_contract_is_refused(name):
    book, blocks = deployed()
    blocks.codes[book.addresses[name]] = "other"
    with pytest.raises(LedgerError, match=r"The code is not that of|is not the canary's key"):
        agree(blocks, ledger=book)
