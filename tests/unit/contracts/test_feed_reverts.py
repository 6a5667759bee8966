import pytest
from eth_abi.abi import encode

from zkinfer.contracts.abi import revert_advice, signature_of
from zkinfer.contracts.artifacts import CONTRACTS, load
from zkinfer.contracts.feed_reverts import FEED_REVERTS
from zkinfer.contracts.identifiers import keccak256

FEED_CONTRACTS = ("AggregatorSource", "AproDoor", "CreDoor", "FeedFace", "FeedHub", "FeedProxy")


def errors_of(contract):
    return {signature_of(one) for one in load(contract).abi if one["type"] == "error"}


@pytest.mark.parametrize("contract", FEED_CONTRACTS)
def test_every_error_of_a_feed_contract_has_a_meaning_and_a_cure(contract):
    assert errors_of(contract) <= FEED_REVERTS.keys()


def test_every_error_with_a_cure_exists():
    assert FEED_REVERTS.keys() <= set().union(*map(errors_of, CONTRACTS))


@pytest.mark.parametrize("texts", FEED_REVERTS.values(), ids=FEED_REVERTS)
def test_meaning_and_cure_are_sentences(texts):
    assert all(one[0].isupper() for one in texts)
    assert texts[0].endswith(".")


def test_advice_follows_from_the_revert_data_with_or_without_its_values():
    selector = keccak256(b"UnknownFeed(bytes32)")[:4]
    for data in (selector, selector + encode(["bytes32"], [b"\1" * 32]), "0x" + selector.hex()):
        meaning, cure = revert_advice(data)
        assert "no such feed" in meaning
        assert "zkinfer oracle create" in cure


@pytest.mark.parametrize("data", [None, b"", "0x12345678", keccak256(b"WrongValue(uint256,uint256)")[:4]])
def test_other_reverts_have_no_advice(data):
    assert revert_advice(data) == ("", "")
