import pytest

from zkinfer.contracts.abi import revert_advice, signature_of
from zkinfer.contracts.artifacts import CONTRACTS, load
from zkinfer.contracts.feed_reverts import FEED_REVERTS
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.work_reverts import WORK_REVERTS

WORK_CONTRACTS = ("ContributorFund", "Market", "Similarity", "Studio", "Till", "Works")


def errors_of(contract):
    return {signature_of(one) for one in load(contract).abi if one["type"] == "error"}


@pytest.mark.parametrize("contract", WORK_CONTRACTS)
def test_every_error_of_a_work_contract_has_a_meaning_and_a_cure(contract):
    shared = {"AddressMissing(string)", "PaymentFailed(address)", "WrongValue(uint256,uint256)"}
    assert errors_of(contract) - shared <= WORK_REVERTS.keys() | FEED_REVERTS.keys()


def test_every_error_with_a_cure_exists_and_has_one_meaning():
    assert WORK_REVERTS.keys() <= set().union(*map(errors_of, CONTRACTS))
    assert not WORK_REVERTS.keys() & FEED_REVERTS.keys()


@pytest.mark.parametrize("texts", WORK_REVERTS.values(), ids=WORK_REVERTS)
def test_meaning_and_cure_are_sentences(texts):
    assert all(one[0].isupper() for one in texts)
    assert texts[0].endswith(".")


def test_advice_follows_from_the_revert_data():
    meaning, cure = revert_advice(keccak256(b"BadSignature()")[:4])
    assert "did not sign exactly this registration" in meaning
    assert "zkinfer works agree" in cure


def test_empty_withdrawal_says_how_income_is_credited():
    meaning, cure = revert_advice(keccak256(b"NothingToWithdraw()")[:4])
    assert meaning == "Nothing is credited to the paying account."
    assert "zkinfer works settle" in cure
