from dataclasses import replace

import pytest

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
from zkinfer.contracts import ANY_INPUT, Request, commitment, load, load_canary
from zkinfer.contracts.book import AddressBook
from zkinfer.contracts.deploying import Governance
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.listing import STATUSES
from zkinfer.contracts.registration import SELECTOR
from zkinfer.verifier import ProvenAnswer, RefusedError

CHAIN = 31337
LEDGER, REGISTRY, ROUTER, SOMEWHERE = ("0x" + digits * 20 for digits in ("1e", "2e", "3e", "4e"))
MODEL = "0x" + "aa" * 32
INPUTS, OUTPUTS = (5, 6), (7, 8)
REQUEST = Request(
    listing="0x" + "bb" * 32,
    input_commitment=commitment(INPUTS),
    consumer="0x" + "c0" * 20,
    requester="0x" + "c0" * 20,
    expiry=2_000_000_000,
)
STATES = ["none", "open", "recorded", "refunded", "paid"]


def answer_to(request, **changes):
    context = context_of(request, CHAIN, LEDGER)
    return replace(ProvenAnswer(context, MODEL, INPUTS, OUTPUTS), **changes)


class FakeBlocks:
    """A chain with one deployment and one record, which lies `depth` blocks below the head."""

    head = 100

    def __init__(self, request=REQUEST, depth=10):
        self.request_told, self.depth, self.final = request, depth, 96
        self.codes = {LEDGER: "InferenceLedger", REGISTRY: "ModelRegistry", ROUTER: "VerifierRouter"}
        self.state, self.outputs, self.model = "recorded", OUTPUTS, MODEL
        self.id, self.registrys_router, self.deployed_at = CHAIN, ROUTER, 1
        self.status, self.live = "active", True

    def latest(self):
        return FakeChain(self, self.head)

    def at(self, block):
        return FakeChain(self, block)

    def settled(self, confirmations):
        return self.final if confirmations is None else self.head - confirmations + 1

    def request(self, ledger, request_id, until):
        assert until <= self.head
        return self.request_told


class FakeChain:
    def __init__(self, blocks, block):
        self.blocks, self.block, self.id = blocks, block, blocks.id

    def code(self, address):
        name = self.blocks.codes.get(address) if self.block >= self.blocks.deployed_at else None
        if name == "CanaryKey":
            return b"\0" + load_canary().key
        return b"" if name is None else b"\xfe" if name == "other" else load(name).deployed

    def read(self, contract, address, name, *arguments):
        answers = {
            "HOME_CHAIN": lambda: CHAIN,
            "REGISTRY": lambda: REGISTRY,
            "ROUTER": lambda: ROUTER if contract == "InferenceLedger" else self.blocks.registrys_router,
            "modelOf": lambda listing: (bytes.fromhex(self.blocks.model[2:]), listing),
            "statusOf": lambda listing: STATUSES.index(self.blocks.status),
            "programOf": lambda listing: (STATUSES.index(self.blocks.status), SELECTOR),
            "isLive": lambda selector: selector == SELECTOR and self.blocks.live,
            "entryOf": lambda request_id: self.entry(),
        }
        return answers[name](*arguments)

    def entry(self):
        digest = bytes.fromhex(commitment(self.blocks.outputs)[2:])[:26]
        known = self.block >= self.blocks.head - self.blocks.depth
        return (STATES.index(self.blocks.state), 1_800_000_000, digest) if known else (0, 0, bytes(26))


def agree(blocks, answer=None, ledger=LEDGER, **options):
    return LedgerRecord(blocks, ledger, **options).agree(answer or answer_to(blocks.request_told or REQUEST))


def test_record_of_this_answer_agrees():
    told = agree(FakeBlocks())
    assert told == f"on chain 31337 by {LEDGER}, 2027-01-15 08:00:00 UTC, seen at block 96"


def test_record_agrees_with_a_request_that_the_caller_has():
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


def test_address_without_code_is_no_ledger():
    with pytest.raises(LedgerError, match=f"no InferenceLedger at {SOMEWHERE}"):
        agree(FakeBlocks(), ledger=SOMEWHERE)


@pytest.mark.parametrize("address", [LEDGER, REGISTRY, ROUTER])
def test_other_code_is_no_ledger_of_ours(address):
    blocks = FakeBlocks()
    blocks.codes[address] = "other"
    with pytest.raises(LedgerError, match="The code is not that of"):
        agree(blocks)


@pytest.mark.parametrize("address", [REGISTRY, ROUTER])
def test_ledger_that_relies_on_nothing_is_no_ledger_of_ours(address):
    blocks = FakeBlocks()
    del blocks.codes[address]
    with pytest.raises(LedgerError, match=f"at {address}: nothing lies there"):
        agree(blocks)


def test_ledger_and_registry_with_different_routers_are_no_deployment():
    blocks = FakeBlocks()
    blocks.registrys_router = SOMEWHERE
    with pytest.raises(LedgerError, match="different routers"):
        agree(blocks)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("none", "no such request"),
        ("open", "still waits"),
        ("refunded", "gave the fees back"),
        ("paid", "the model was revoked before"),
    ],
)
def test_request_without_an_answer_is_not_recorded(state, said):
    blocks = FakeBlocks()
    blocks.state = state
    with pytest.raises(NotRecordedError, match=said):
        agree(blocks)


def test_other_outputs_on_record_are_a_mismatch():
    with pytest.raises(RecordMismatchError, match="other outputs on record"):
        agree(FakeBlocks(), answer_to(REQUEST, outputs=(7, 9)))


def test_record_is_final_only_below_the_last_block_that_counts():
    with pytest.raises(NotFinalError, match="not yet at block 96"):
        agree(FakeBlocks(depth=3))
    assert agree(FakeBlocks(depth=4))


@pytest.mark.parametrize(("depth", "confirmations", "final"), [(0, 1, True), (3, 4, True), (2, 4, False)])
def test_record_is_final_after_the_confirmations_that_are_wanted(depth, confirmations, final):
    if final:
        assert agree(FakeBlocks(depth=depth), confirmations=confirmations)
        return
    with pytest.raises(NotFinalError, match="not yet at block 97"):
        agree(FakeBlocks(depth=depth), confirmations=confirmations)


def test_ledger_that_was_not_there_at_the_last_block_that_counts_has_nothing_final():
    blocks = FakeBlocks()
    blocks.deployed_at = 99
    with pytest.raises(NotFinalError, match="Wait a while"):
        agree(blocks)


def test_other_request_than_the_proofs_is_a_mismatch():
    with pytest.raises(RecordMismatchError, match="not the id of the request which was given"):
        agree(FakeBlocks(), request=replace(REQUEST, salt="0x" + "01" * 32))


@pytest.mark.parametrize("change", [{"consumer": SOMEWHERE}, {"requester": SOMEWHERE}, {"expiry": 1}])
def test_proof_for_another_context_under_the_same_id_is_a_mismatch(change):
    context = answer_to(REQUEST).context.model_copy(update=change)
    with pytest.raises(RecordMismatchError, match="another consumer, requester or expiry"):
        agree(FakeBlocks(), answer_to(REQUEST, context=context))


def test_log_that_a_node_made_up_is_a_mismatch():
    blocks = FakeBlocks()
    blocks.request_told = replace(REQUEST, input_commitment=ANY_INPUT)
    with pytest.raises(RecordMismatchError, match="not the id"):
        agree(blocks, answer_to(REQUEST))


def test_request_that_nobody_tells_gives_no_verdict():
    blocks = FakeBlocks()
    blocks.request_told = None
    with pytest.raises(NodeError, match=r"no log of the request\. Ask one that keeps all logs, or give the request"):
        agree(blocks, answer_to(REQUEST))


def test_answer_of_another_model_on_record_is_a_mismatch():
    blocks = FakeBlocks()
    blocks.model = "0x" + "ab" * 32
    with pytest.raises(RecordMismatchError, match=f"asked the model {blocks.model}; the proof is of {MODEL}"):
        agree(blocks)


def test_answer_about_another_input_on_record_is_a_mismatch():
    with pytest.raises(RecordMismatchError, match="about another input"):
        agree(FakeBlocks(), answer_to(REQUEST, inputs=(5, 7)))


def test_answer_of_a_listing_that_was_revoked_since_is_refused():
    blocks = FakeBlocks()
    blocks.status = "revoked"
    with pytest.raises(RecordMismatchError, match=f"its listing {REQUEST.listing} was revoked: no contract acts on it"):
        agree(blocks)


def test_answer_whose_verifier_was_stopped_since_is_refused():
    blocks = FakeBlocks()
    blocks.live = False
    with pytest.raises(RecordMismatchError, match=r"was stopped or removed: it may be forged.*ask again"):
        agree(blocks)


def test_answer_of_a_listing_that_was_deprecated_since_agrees():
    blocks = FakeBlocks()
    blocks.status = "deprecated"
    assert agree(blocks)


def test_node_that_fails_gives_no_verdict(monkeypatch):
    def fail(*_):
        raise RpcError("The node sleeps.", "Wake it.")

    monkeypatch.setattr(FakeChain, "read", fail)
    with pytest.raises(NodeError, match=r"The node sleeps\. Wake it\.") as caught:
        agree(FakeBlocks())
    assert not isinstance(caught.value, RefusedError)


def deployed():
    """A deployment whose ledger is the one that is asked, on a chain where all of it lies."""
    book = AddressBook(CHAIN, Governance(SOMEWHERE, (SOMEWHERE,)))
    blocks = FakeBlocks()
    blocks.codes |= {part.address: part.name for part in book.plan.parts}
    return book, blocks


def test_record_of_a_whole_deployment_agrees():
    book, blocks = deployed()
    ledger = book.addresses["InferenceLedger"]
    answer = answer_to(REQUEST, context=context_of(REQUEST, CHAIN, ledger))
    assert ledger in agree(blocks, answer, ledger=book)


def test_deployment_of_another_chain_is_refused():
    book, blocks = deployed()
    with pytest.raises(LedgerError, match="one of chain 5; the node is on chain 31337"):
        agree(blocks, ledger=replace(book, chain_id=5))


@pytest.mark.parametrize("name", ["EmergencyStop", "ReusableHalo2Adapter", "Halo2VerifierReusable", "CanaryKey"])
def test_deployment_with_a_part_of_other_code_is_refused(name):
    book, blocks = deployed()
    blocks.codes[book.addresses[name]] = "other"
    with pytest.raises(LedgerError, match=r"The code is not that of|is not the canary's key"):
        agree(blocks, ledger=book)
