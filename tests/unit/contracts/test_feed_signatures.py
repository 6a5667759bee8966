import pytest
from eth_account import Account
from tests.vectors.make_feeds import config, signers

from zkinfer.contracts.errors import FeedFormatError, FeedSignatureError
from zkinfer.contracts.feed_signatures import GROUP_ORDER, Signature, SignerConfig, recover, sign
from zkinfer.contracts.identifiers import keccak256

DIGEST = keccak256(b"a report")
ALICE, BOB, CAROL = signers(3)
BY_ALL = tuple(sign(DIGEST, one) for one in (ALICE, BOB, CAROL))


def test_signer_is_recovered():
    assert recover(DIGEST, sign(DIGEST, ALICE)) == ALICE.address


def test_account_of_the_chain_library_signs_the_same():
    account = Account.from_key(ALICE.key.to_bytes())
    assert sign(DIGEST, account) == BY_ALL[0]


def test_signature_over_another_hash_is_another_accounts():
    assert recover(keccak256(b"other"), BY_ALL[0]) != ALICE.address


def test_signature_of_no_account_is_refused():
    with pytest.raises(FeedSignatureError, match="no account"):
        recover(DIGEST, Signature(5, 1, 27))  # no point has this coordinate


@pytest.mark.parametrize("numbers", [(0, 1, 27), (1, 0, 27), (GROUP_ORDER, 1, 27), (1, 1, 29), (1, 1, 0)])
def test_signature_out_of_range_is_refused(numbers):
    with pytest.raises(FeedFormatError, match="out of range"):
        Signature(*numbers)


def test_signature_with_s_in_the_upper_half_is_refused():
    one = BY_ALL[0]
    with pytest.raises(FeedFormatError, match="lower half"):
        Signature(one.r, GROUP_ORDER - one.s, 55 - one.v)


@pytest.mark.parametrize("chosen", [(0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_enough_signatures_in_order_are_accepted(chosen):
    expected = tuple((ALICE, BOB, CAROL)[place].address for place in chosen)
    assert config().require(DIGEST, [BY_ALL[place] for place in chosen]) == expected


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [((), "0 signatures"), ((1,), "1 signatures"), ((1, 0), "order"), ((1, 1), "twice"), ((0, 2, 1), "order")],
)
def test_too_few_or_unordered_signatures_are_refused(chosen, reason):
    with pytest.raises(FeedSignatureError, match=reason):
        config().require(DIGEST, [BY_ALL[place] for place in chosen])


def test_signature_of_a_stranger_is_refused():
    stranger = signers(5)
    known = {one.address for one in (ALICE, BOB, CAROL)}
    other = next(one for one in stranger if one.address not in known)
    with pytest.raises(FeedSignatureError, match="not a signer"):
        config().require(DIGEST, [BY_ALL[0], sign(DIGEST, other)])


def test_signatures_are_arranged_in_the_order_of_the_signers():
    stranger = next(one for one in signers(5) if one.address not in config().signers)
    mixed = [sign(DIGEST, stranger), BY_ALL[2], BY_ALL[0], BY_ALL[2]]
    assert config().arrange(DIGEST, mixed) == (BY_ALL[0], BY_ALL[2])


def test_arranging_too_few_signatures_is_refused():
    with pytest.raises(FeedSignatureError, match="needs 2"):
        config().arrange(DIGEST, [BY_ALL[1], BY_ALL[1]])


def test_configuration_from_unsorted_accounts_is_the_same():
    shuffled = [CAROL.address.upper().replace("0X", "0x"), ALICE.address, BOB.address]
    assert SignerConfig.of(shuffled, 2) == config()


def test_digest_depends_on_signers_and_threshold():
    assert len({config().digest, config(3, 3).digest, config(2, 2).digest}) == 3


@pytest.mark.parametrize(
    ("accounts", "threshold"),
    [
        ((), 1),
        ((ALICE.address, ALICE.address), 1),
        ((BOB.address, ALICE.address), 1),
        (("0x" + "00" * 20, ALICE.address), 1),
        ((ALICE.address,), 0),
        ((ALICE.address,), 2),
        (("0x12",), 1),
        (tuple(one.address for one in signers(32)), 1),
    ],
)
def test_impossible_configuration_is_refused(accounts, threshold):
    with pytest.raises(FeedFormatError):
        SignerConfig(accounts, threshold)
