"""One payload on two chains: an embedded EVM and another one, which is anvil if npm installed it."""

from dataclasses import replace

import pytest
from tests.integration import bench
from tests.integration.test_chain import anvil
from tests.unit.contracts.deployed import embedded_chain
from tests.vectors.make_feed_proofs import LIE, THRESHOLD, Maker, feed, reference, registration
from tests.vectors.make_feeds import config

from zkinfer.contracts.abi import call_data, function_named
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, create, deploy, plan
from zkinfer.contracts.errors import FeedContradictedError, RevertedError
from zkinfer.contracts.feed_formats import Level
from zkinfer.contracts.feed_parts import apro_door_of, face_of, source_of
from zkinfer.contracts.feeds import FeedHub, deploy_face
from zkinfer.contracts.governance import verify_deployment
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.signers import unsafe_dev_account

pytestmark = pytest.mark.slow
SIGNERS = config(5, THRESHOLD)
LATE = 3600
"""Seconds before the chains' present, which differ a little."""


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def second(request):
    if request.param == "embedded":
        yield embedded_chain()
        return
    bench.skip_without_anvil()
    yield from anvil()


@pytest.fixture(scope="module")
def chains(second):
    """Two chains; the second one's first account deploys, and owns the feed, on both."""
    first = embedded_chain()
    return Chain(first._web3, unsafe_dev_account(0, first.id)), second


@pytest.fixture(scope="module")
def spec(chains):
    return feed(owner=chains[0].address, publisher=chains[0].address, max_age=2 * LATE)


@pytest.fixture(scope="module")
def hubs(chains, spec):
    """A hub with the feed on each chain."""
    made = []
    for chain in chains:
        wanted = plan(Governance(chain.address, (chain.address,), delay=60, test=True))
        deploy(chain, wanted)
        verify_deployment(chain, wanted)
        Registry(chain, wanted.addresses["ModelRegistry"]).register(registration())
        hub = FeedHub(chain, wanted.addresses["FeedHub"])
        hub.configure(SIGNERS)
        hub.create(replace(spec, owner=chain.address), SIGNERS.digest)
        made.append(hub)
    return made


@pytest.fixture(scope="module")
def maker(spec):
    return Maker(spec, reference())


@pytest.fixture(scope="module")
def start(chains, spec):
    """A time that is past on both chains, at the start of a round."""
    return (min(chain.time() for chain in chains) - LATE) // spec.tick * spec.tick


def test_accounts_and_feeds_are_the_same_on_both_chains(chains, hubs, maker):
    assert chains[0].address == chains[1].address
    assert hubs[0].address == hubs[1].address
    assert hubs[0].spec_of(maker.feed) == hubs[1].spec_of(maker.feed) == maker.spec


def test_same_bytes_are_posted_on_both_chains(chains, hubs, maker, start):
    payload = maker.payload(start, proven=True)
    number = payload.round
    for hub in hubs:
        hub.verify(payload)
        assert hub.require_at(maker.feed, number, Level.PROVEN) == 900
    faces = [deploy_face(chain, hub.address, maker.feed, Level.PROVEN) for chain, hub in zip(chains, hubs, strict=True)]
    assert faces[0] == faces[1] == face_of(hubs[0].address, maker.feed, Level.PROVEN).address
    for chain in chains:
        assert chain.read("FeedFace", faces[0], "latestRoundData") == (number, 900, start, start, number)


def test_user_posts_before_the_operator_who_goes_on(chains, hubs, maker, start):
    """A stranger pays for the round that it needs, through the door of another oracle's consumers."""
    payload = maker.payload(start + 2 * maker.spec.tick, proven=True)
    for chain, hub in zip(chains, hubs, strict=True):
        user = Chain(chain._web3, other_account(chain))
        door = create(chain, apro_door_of(hub.address))
        user.send(door, call_data(function_named("AproDoor", "verify"), (payload.encode(), b"")))
        assert hub.verify(payload) is None
        assert chain.read("AproDoor", door, "getPriceUnsafe", bytes.fromhex(maker.feed[2:]))[0] == 900


def test_feed_without_signers_takes_its_inputs_from_another_feed(chains, hubs, maker, start):
    """Whatever nobody signs needs a proof, of the inputs that the source computes."""
    for chain, hub in zip(chains, hubs, strict=True):
        face = deploy_face(chain, hub.address, maker.feed, Level.PROVEN)
        source = create(chain, source_of(face, maker.spec.recipe, tick=60, max_age=600, count=1, scale=3, width=2))
        sourced = hub.create(replace(maker.spec, source=source, description="From a contract"))
        assert hub.state_of(sourced).sourced
        bare = replace(Maker(hub.spec_of(sourced), maker.prove, count=0).payload(start), config_digest="0x" + "00" * 32)
        with pytest.raises(RevertedError, match="ProofMissing"):
            hub.verify(bare)


def test_contradiction_is_shown_on_each_chain(hubs, maker, start):
    payload = maker.payload(start + 4 * maker.spec.tick, LIE, proven=True)
    for hub in hubs:
        with pytest.raises(FeedContradictedError):
            hub.verify(payload)
        assert hub.is_contradicted(maker.feed)


def other_account(chain):
    return unsafe_dev_account(1, chain.id)
