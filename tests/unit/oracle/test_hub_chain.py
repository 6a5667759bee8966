"""A hub on an embedded chain, through the eyes of the daemon."""

import pytest
from tests.unit.contracts.deployed import deployed_chain
from tests.vectors.make_feed_proofs import THRESHOLD, Maker, feed, reference, registration
from tests.vectors.make_feeds import config

from zkinfer.contracts.errors import RpcError, TransactionFailedError
from zkinfer.contracts.feed_formats import Level
from zkinfer.contracts.feeds import FeedHub
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.signers import unsafe_dev_account
from zkinfer.contracts.transactions import Limits
from zkinfer.oracle.configuration import ChainPart, FeedsFile
from zkinfer.oracle.errors import FeedsFileError
from zkinfer.oracle.hub_chain import HubChain, open_chain

SIGNERS = config(5, THRESHOLD)


@pytest.fixture(scope="module")
def deployed():
    """A chain, its hub's address, and a feed on it."""
    chain, book = deployed_chain(test=True)
    Registry(chain, book.addresses["ModelRegistry"]).register(registration())
    hub = FeedHub(chain, book.addresses["FeedHub"])
    spec = feed(owner=chain.address, publisher=chain.address)
    hub.configure(SIGNERS)
    hub.create(spec, SIGNERS.digest)
    return chain, hub.address, spec


def opened(deployed, account=1):
    chain, hub, _ = deployed
    signer = None if account is None else unsafe_dev_account(account, chain.id)
    return HubChain("base", chain._web3, hub, signer, limits=Limits(), confirmations=3, min_balance=1)


def test_posted_payload_is_seen_once(deployed):
    found, spec = opened(deployed), deployed[2]
    payload = Maker(spec, reference()).payload(found.time()).encode()
    before = found.height()
    assert found.post(payload).startswith("0x")
    assert found.post(payload) is None
    assert found.height() == before + 1
    number, seen = found.latest(Maker(spec, reference()).payload(found.time()).report.feed_id, Level.ATTESTED)
    assert found.round_of(Maker(spec, reference()).payload(1).report.feed_id, number) == seen
    assert not found.is_contradicted(Maker(spec, reference()).payload(1).report.feed_id)


def test_account_that_pays_has_a_balance(deployed):
    found = opened(deployed)
    assert (found.posts, found.balance() > 0, found.confirmations) == (True, True, 3)
    assert found.id == deployed[0].id


def test_chain_without_an_account_only_reads(deployed):
    found = opened(deployed, account=None)
    assert (found.posts, found.balance()) == (False, 0)
    with pytest.raises(TransactionFailedError, match="no account to post with on base"):
        found.post(b"")


def test_feed_that_is_missing_or_has_other_signers_is_refused(deployed):
    found, spec = opened(deployed), deployed[2]
    name = Maker(spec, reference()).payload(1).report.feed_id
    found.require_feed(name, SIGNERS.digest)
    with pytest.raises(FeedsFileError, match="the feed's signers are"):
        found.require_feed(name, config(3, 2).digest)
    with pytest.raises(FeedsFileError, match="has no feed"):
        found.require_feed("0x0003" + "00" * 30, SIGNERS.digest)


def test_node_that_is_down_is_no_reason_not_to_open_the_chain():
    part = ChainPart.model_validate({"rpc": "http://127.0.0.1:1", "hub": "0x" + "11" * 20})
    found = open_chain("base", part, FeedsFile.model_construct())
    with pytest.raises(RpcError):
        found.height()
