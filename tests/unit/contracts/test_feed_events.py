from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.unit.contracts.deployed import deployed_chain, rolled_back
from tests.vectors.make_feed_proofs import THRESHOLD, Maker, feed, reference, registration
from tests.vectors.make_feeds import config, signers, word

from zkinfer.contracts.abi import call_data, function_named
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.feed_events import posted_payload, reported_rounds
from zkinfer.contracts.feed_formats import Level
from zkinfer.contracts.feeds import FeedHub
from zkinfer.contracts.identifiers import input_commitment
from zkinfer.contracts.registry import Registry

SIGNERS = config(5, THRESHOLD)


@pytest.fixture(scope="module")
def scene():
    """A chain, its hub, and payloads: of a round that was attested, then proven, and of two that are not posted."""
    chain, book = deployed_chain(test=True)
    Registry(chain, book.addresses["ModelRegistry"]).register(registration())
    hub = FeedHub(chain, book.addresses["FeedHub"])
    spec = feed(owner=chain.address, publisher=chain.address)
    hub.create(spec, hub.configure(SIGNERS))
    maker, now = Maker(spec, reference()), chain.time()
    attested = maker.payload(now)
    others = [signed(replace(attested, round=attested.round - back), now - back * spec.tick) for back in (1, 2)]
    hub.verify(attested)
    hub.verify(maker.payload(now, proven=True))
    return SimpleNamespace(chain=chain, hub=hub, attested=attested, others=others)


def signed(payload, observed_at):
    """The payload, observed and signed at another time."""
    report = replace(payload.report, observed_at=observed_at, expires_at=observed_at + 600)
    unsigned = replace(payload, report=report, signatures=())
    by = signers(5)[:THRESHOLD]
    return replace(unsigned, signatures=tuple(one.unsafe_sign_hash(unsigned.signing_hash) for one in by))


@pytest.fixture
def chain(scene):
    with rolled_back(scene.chain):
        yield scene.chain


@pytest.fixture
def hub(scene):
    return scene.hub


@pytest.fixture
def posted(scene):
    return scene.attested


def rounds(chain, hub, posted, **options):
    return list(reported_rounds(chain, hub.address, posted.report.feed_id, **options))


@pytest.mark.parametrize("window", [1, 2, 10_000])
def test_reports_are_found_newest_first(chain, hub, posted, window):
    proven, attested = rounds(chain, hub, posted, window=window)
    assert (proven.level, attested.level) == (Level.PROVEN, Level.ATTESTED)
    assert proven.block == attested.block + 1
    for one in (proven, attested):
        assert (one.round, one.answer, one.observed_at) == (posted.round, 900, posted.report.observed_at)
        assert (one.source_digest, one.input_commitment) == (posted.source_digest, input_commitment(posted.inputs))


def test_posted_payload_is_read_from_the_transaction(chain, hub, posted):
    proven, attested = rounds(chain, hub, posted)
    found = posted_payload(chain, hub.address, proven)
    assert (found.level, found.signing_hash) == (Level.PROVEN, posted.signing_hash)
    assert posted_payload(chain, hub.address, attested) == posted


def test_payload_among_several_is_found(scene, chain, hub, posted):
    chain.write("FeedHub", hub.address, "verifyBulk", [one.encode() for one in scene.others], b"")
    found = rounds(chain, hub, posted)[:2]
    assert [posted_payload(chain, hub.address, one) for one in found] == scene.others[::-1]


def test_payloads_of_two_feeds_with_the_same_source_are_told_apart(scene, chain, hub, posted):
    """Two feeds of one model may differ in their bounds alone, and be posted together."""
    other = replace(hub.spec_of(posted.report.feed_id), description="The same again")
    hub.create(other, SIGNERS.digest)
    now = posted.report.observed_at
    payloads = [Maker(other, reference()).payload(now), scene.others[0]]
    payloads[1] = signed(replace(posted, round=posted.round - 1), now - other.tick)
    payloads[0] = signed(replace(payloads[0], round=posted.round - 1), now - other.tick)
    chain.write("FeedHub", hub.address, "verifyBulk", [one.encode() for one in payloads], b"")
    for payload in payloads:
        (found,) = (one for one in rounds(chain, hub, payload) if one.round == payload.round)
        assert posted_payload(chain, hub.address, found) == payload


def test_payload_that_another_contract_passed_on_is_missing(chain, hub, posted):
    found = rounds(chain, hub, posted)[0]
    assert posted_payload(chain, "0x" + "11" * 20, found) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1\2\3\4",
        call_data(function_named("FeedHub", "verify"), [b"no payload", b""]),
        call_data(function_named("FeedHub", "verify"), [b"", b""])[:40],
    ],
)
def test_other_calldata_holds_no_payload(chain, hub, posted, monkeypatch, data):
    found = rounds(chain, hub, posted)[0]
    monkeypatch.setattr(type(chain), "calldata", lambda *_: (hub.address, data))
    assert posted_payload(chain, hub.address, found) is None


def test_unknown_feed_is_refused(chain, hub):
    with pytest.raises(RpcError, match="no block in which"):
        list(reported_rounds(chain, hub.address, word(3)))


def test_unknown_transaction_is_refused(chain, hub, posted):
    lost = replace(rounds(chain, hub, posted)[0], transaction=word(3))
    with pytest.raises(RpcError, match="does not know the transaction"):
        posted_payload(chain, hub.address, lost)


def test_log_of_another_contract_is_refused(chain, hub, posted, monkeypatch):
    entries = chain.entries
    monkeypatch.setattr(
        type(chain), "entries", lambda _, *where: [replace(one, data=one.data[:70]) for one in entries(*where)]
    )
    with pytest.raises(RpcError, match="cannot be decoded"):
        rounds(chain, hub, posted)
