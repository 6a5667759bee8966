import pytest
from tests.unit.contracts.deployed import deployed_chain
from tests.vectors.make_feed_proofs import THRESHOLD, Maker, feed, reference, registration
from tests.vectors.make_feeds import config

from zkinfer.contracts.deploy import create
from zkinfer.contracts.errors import RevertedError, TransactionFailedError
from zkinfer.contracts.feed_formats import Level
from zkinfer.contracts.feed_parts import apro_door_of, cre_door_of, deploy_face, face_of, proxy_of, source_of
from zkinfer.contracts.feeds import FeedHub
from zkinfer.contracts.registry import Registry

FORWARDER, WORKFLOW_OWNER = "0x" + "f0" * 20, "0x" + "c4" * 20
RECIPE = "0x" + "22" * 32


@pytest.fixture(scope="module")
def module_deployment():
    return deployed_chain(test=True)


@pytest.fixture
def hub(chain, book):
    return FeedHub(chain, book.addresses["FeedHub"])


@pytest.fixture
def spec(chain):
    return feed(owner=chain.address, publisher=chain.address)


@pytest.fixture
def feed_of(chain, book, hub, spec):
    Registry(chain, book.addresses["ModelRegistry"]).register(registration())
    hub.configure(config(5, THRESHOLD))
    return hub.create(spec, config(5, THRESHOLD).digest)


@pytest.fixture
def face(chain, hub, feed_of):
    return deploy_face(chain, hub.address, feed_of, Level.ATTESTED)


def read(chain, part, name, *arguments):
    return chain.read(part.contract, part.address, name, *arguments)


def test_face_of_an_unknown_feed_is_not_created(chain, hub):
    with pytest.raises((RevertedError, TransactionFailedError)):
        create(chain, face_of(hub.address, RECIPE, Level.PROVEN))
    assert not chain.code(face_of(hub.address, RECIPE, Level.PROVEN).address)


def test_proxy_numbers_the_rounds_of_its_first_face(chain, hub, spec, feed_of, face):
    part = proxy_of(face, chain.address, 3600)
    create(chain, part)
    now = chain.time()
    hub.verify(Maker(spec, reference()).payload(now))
    number = (1 << 64) | now // spec.tick
    assert read(chain, part, "latestRoundData") == (number, 900, now, now, number)
    assert (read(chain, part, "DELAY"), read(chain, part, "owner")) == (3600, chain.address)


def test_source_reads_the_answers_of_a_face(chain, hub, spec, feed_of, face):
    now = chain.time()
    hub.verify(Maker(spec, reference()).payload(now))
    part = source_of(face, RECIPE, tick=spec.tick, max_age=600, count=1, scale=3, width=2)
    create(chain, part)
    number = now // spec.tick
    assert read(chain, part, "inputsOf", number, now) == (72).to_bytes(2, "big")  # 9.00 with three bits
    with pytest.raises(RevertedError, match="NotYet"):
        read(chain, part, "inputsOf", number, now - 1)


def test_source_with_impossible_numbers_is_not_created(chain, feed_of, face):
    part = source_of(face, RECIPE, tick=60, max_age=600, count=1, scale=3, width=3, form="return")
    with pytest.raises((RevertedError, TransactionFailedError)):
        create(chain, part)
    assert not chain.code(part.address)


def test_doors_know_their_hub(chain, hub):
    apro, cre = apro_door_of(hub.address), cre_door_of(hub.address, FORWARDER, WORKFLOW_OWNER)
    for part in (apro, cre):
        assert create(chain, part) == part.address
        assert read(chain, part, "HUB") == hub.address
    assert read(chain, apro, "s_feeManager") == apro.address
    assert (read(chain, cre, "FORWARDER"), read(chain, cre, "WORKFLOW_OWNER")) == (FORWARDER, WORKFLOW_OWNER)


def test_creating_again_sends_nothing(chain, hub):
    create(chain, apro_door_of(hub.address))
    before = chain._web3.eth.block_number
    create(chain, apro_door_of(hub.address))
    assert chain._web3.eth.block_number == before
