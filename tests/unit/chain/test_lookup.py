from dataclasses import replace

import pytest
from tests.unit.chain.fake_chain import (
    LEDGER,
    MODEL,
    OUTPUTS,
    REGISTRY,
    REQUEST,
    ROUTER,
    SOMEWHERE,
    FakeBlocks,
    FakeChain,
)

from zkinfer.chain.errors import LedgerError, NodeError
from zkinfer.chain.lookup import LedgerLookup
from zkinfer.contracts import load, output_commitment
from zkinfer.contracts.identifiers import keccak256

ID = REQUEST.id(31337, LEDGER)


def state(blocks, ledger=LEDGER, **options):
    return LedgerLookup(blocks, ledger, **options).state_of(ID)


def test_record_is_read_in_the_newest_and_in_the_final_block():
    found = state(FakeBlocks())
    assert (found.state, found.settled_state, found.confirmations) == ("recorded", "recorded", None)
    assert (found.newest.number, found.settled.number) == (100, 96)
    assert found.output_digest == output_commitment(OUTPUTS)[:54]
    assert f"{found.recorded_at:%Y}" == "2027"


def test_listing_and_model_are_those_of_the_registry():
    model = state(FakeBlocks()).model
    assert (model.listing, model.model_id, model.status, model.verifier_live) == (
        REQUEST.listing,
        MODEL,
        "active",
        True,
    )


def test_code_of_each_contract_is_named_by_its_hash():
    code = {one.name: (one.address, one.code_hash) for one in state(FakeBlocks()).code}
    addresses = {"InferenceLedger": LEDGER, "ModelRegistry": REGISTRY, "VerifierRouter": ROUTER}
    assert code == {name: (at, "0x" + keccak256(load(name).deployed).hex()) for name, at in addresses.items()}


def test_record_of_the_newest_blocks_only_is_not_final():
    found = state(FakeBlocks(depth=2))
    assert (found.state, found.settled_state) == ("recorded", "none")
    assert state(FakeBlocks(depth=2), confirmations=2).settled_state == "recorded"


def test_ledger_that_is_newer_than_the_final_block_has_no_entry_there():
    blocks = FakeBlocks()
    blocks.deployed_at = 98
    assert state(blocks).settled_state == "none"


def test_open_request_has_neither_time_nor_digest():
    blocks = FakeBlocks(depth=-1)
    assert (state(blocks).recorded_at, state(blocks).output_digest) == (None, "")


@pytest.mark.parametrize(("status", "live"), [("revoked", True), ("active", False)])
def test_listing_that_is_not_sound_is_shown_as_it_is(status, live):
    blocks = FakeBlocks()
    blocks.status, blocks.live = status, live
    model = state(blocks).model
    assert (model.status, model.verifier_live) == (status, live)


@pytest.mark.parametrize("told", [None, replace(REQUEST, expiry=1)])
def test_model_without_a_log_of_the_request_is_unknown(told):
    assert state(FakeBlocks(request=told)).model is None


def test_code_that_is_not_the_ledgers_is_refused():
    blocks = FakeBlocks()
    blocks.codes[LEDGER] = "other"
    with pytest.raises(LedgerError, match="The code is not that of InferenceLedger"):
        state(blocks)
    with pytest.raises(LedgerError, match="no InferenceLedger"):
        state(FakeBlocks(), SOMEWHERE)


def test_code_that_was_another_one_in_the_final_block_is_refused():
    blocks = FakeBlocks()
    blocks.then["codes"] = blocks.codes | {ROUTER: "other"}
    with pytest.raises(LedgerError, match="The code is not that of VerifierRouter"):
        state(blocks)


def test_block_that_changes_its_hash_is_refused():
    blocks = FakeBlocks()
    blocks.forks = True
    with pytest.raises(NodeError, match="changed while it was read"):
        state(blocks)


def test_time_that_no_calendar_has_is_refused(monkeypatch):
    monkeypatch.setattr(FakeChain, "entry", lambda self: (2, 1 << 62, bytes(26)))
    with pytest.raises(NodeError, match="no calendar"):
        state(FakeBlocks())


def test_malformed_url_is_refused_without_naming_it():
    with pytest.raises(NodeError) as refusal:
        LedgerLookup.connect("ftp://s3cret", LEDGER)
    assert "s3cret" not in str(refusal.value)
