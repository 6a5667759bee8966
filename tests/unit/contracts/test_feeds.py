from dataclasses import replace

import pytest
from tests.unit.contracts.deployed import deployed_chain
from tests.vectors.make_feed_proofs import LIE, THRESHOLD, Maker, feed, reference, registration
from tests.vectors.make_feeds import config

from zkinfer.contracts.abi import hex_to_bytes
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.errors import FeedContradictedError, FeedFormatError, RevertedError
from zkinfer.contracts.feed_formats import NO_CONFIG, Level, feed_id, proof_context
from zkinfer.contracts.feed_parts import face_of
from zkinfer.contracts.feeds import FeedHub, FeedRound, FeedState, deploy_face
from zkinfer.contracts.registry import EmergencyStop, Registry
from zkinfer.contracts.signers import unsafe_dev_account

SIGNERS = config(5, THRESHOLD)
GAS = 5_000_000
MOST_ATTESTED, MOST_BESIDE_THE_PROOF = 120_000, 110_000


@pytest.fixture(scope="module")
def module_deployment():
    return deployed_chain(test=True)


@pytest.fixture
def hub(chain, book):
    Registry(chain, book.addresses["ModelRegistry"]).register(registration())
    hub = FeedHub(chain, book.addresses["FeedHub"])
    hub.configure(SIGNERS)
    return hub


@pytest.fixture
def spec(chain):
    return feed(owner=chain.address, publisher=chain.address)


@pytest.fixture
def feed_of(hub, spec):
    return hub.create(spec, SIGNERS.digest)


@pytest.fixture
def maker(spec):
    return Maker(spec, reference())


@pytest.fixture
def now(chain):
    return chain.time()


def later(chain, seconds):
    chain._web3.provider.ethereum_tester.time_travel(chain.time() + seconds)


def test_feed_is_what_was_created(hub, spec, feed_of):
    assert feed_of == feed_id(spec)
    assert hub.spec_of(feed_of) == spec
    assert (hub.config_of(feed_of), hub.signers_of(SIGNERS.digest)) == (SIGNERS.digest, SIGNERS)
    assert hub.signers_of(NO_CONFIG) is None
    assert hub.state_of(feed_of) == FeedState(0, 0, 0, contradicted=False, sourced=False)
    assert hub.latest(feed_of, Level.ATTESTED) is None


def test_setup_is_idempotent(chain, hub, spec, feed_of):
    before = chain._web3.eth.block_number
    assert hub.configure(SIGNERS) == SIGNERS.digest
    assert hub.create(spec, SIGNERS.digest) == feed_of
    assert hub.choose(feed_of, SIGNERS.digest) is None
    assert chain._web3.eth.block_number == before


def test_attestation_then_proof_raise_the_level(hub, feed_of, maker, now):
    number = now // maker.spec.tick
    hub.verify(maker.payload(now))
    assert hub.latest(feed_of, Level.ATTESTED) == (number, FeedRound(900, now, Level.ATTESTED))
    assert hub.latest(feed_of, Level.PROVEN) is None
    hub.verify(maker.payload(now, proven=True))
    assert hub.latest(feed_of, Level.PROVEN) == (number, FeedRound(900, now, Level.PROVEN))
    assert hub.require_at(feed_of, number, Level.PROVEN) == 900


def test_posting_again_sends_nothing(hub, feed_of, maker, now):
    payload = maker.payload(now, proven=True)
    assert hub.verify(payload) is not None
    assert hub.verify(payload) is None
    assert hub.verify(maker.payload(now)) is None


def test_several_payloads_are_posted_in_one_transaction(chain, hub, feed_of, maker, now):
    later(chain, maker.spec.tick)
    payloads = [maker.payload(now, proven=True), maker.payload(now + maker.spec.tick)]
    before = chain.height()
    assert hub.verify_all(payloads) is not None
    assert chain.height() == before + 1
    assert [hub.round_of(feed_of, one.round).level for one in payloads] == [Level.PROVEN, Level.ATTESTED]
    assert hub.verify_all(payloads) is None


def test_refused_payload_keeps_the_others_out(hub, feed_of, maker, now):
    good, bad = maker.payload(now), replace(maker.payload(now - maker.spec.tick), signatures=())
    with pytest.raises(RevertedError, match="NotEnoughSigners"):
        hub.verify_all([good, bad])
    assert hub.latest(feed_of, Level.ATTESTED) is None


def test_late_proof_raises_the_level(chain, hub, feed_of, maker, now):
    hub.verify(maker.payload(now))
    later(chain, maker.spec.max_age + 10)
    hub.verify(maker.payload(now, proven=True))
    assert hub.latest(feed_of, Level.PROVEN) is not None


def test_expired_report_is_refused(chain, hub, feed_of, maker, now):
    later(chain, maker.spec.max_age + 10)
    for proven in (False, True):
        with pytest.raises(RevertedError, match=f"TooOld.*{now}"):
            hub.verify(maker.payload(now, proven=proven))


def test_other_answer_of_a_round_is_refused(hub, feed_of, maker, now):
    hub.verify(maker.payload(now))
    with pytest.raises(RevertedError, match=r"RoundHasAnswer.*answer = 900"):
        hub.verify(maker.payload(now, 901))


def test_too_few_signatures_are_refused(hub, feed_of, maker, now):
    with pytest.raises(RevertedError, match=r"NotEnoughSigners.*expected = 3, actual = 2"):
        hub.verify(replace(maker, count=2).payload(now))


def test_changed_proof_is_refused(hub, feed_of, maker, now):
    payload = maker.payload(now, proven=True)
    with pytest.raises(RevertedError, match="ProofRejected"):
        hub.verify(replace(payload, proof=payload.proof[:-1] + bytes([payload.proof[-1] ^ 1])))
    with pytest.raises(RevertedError, match="ProofRejected"):
        hub.verify(replace(payload, outputs=(payload.outputs[0] + 1, *payload.outputs[1:])))
    assert hub.latest(feed_of, Level.ATTESTED) is None


def test_contradiction_is_reported_and_closes_reading(hub, feed_of, maker, now):
    number = now // maker.spec.tick
    hub.verify(maker.payload(now, LIE))
    with pytest.raises(FeedContradictedError, match=feed_of):
        hub.verify(maker.payload(now, LIE, proven=True))
    assert hub.is_contradicted(feed_of)
    assert hub.state_of(feed_of).doubted_below == number + 1
    with pytest.raises(RevertedError, match="FeedContradicted"):
        hub.require_at(feed_of, number, Level.ATTESTED)
    with pytest.raises(RevertedError, match="ConfigContradicted"):
        hub._write("choose", bytes.fromhex(feed_of[2:]), bytes.fromhex(SIGNERS.digest[2:]))


def test_other_signers_open_a_contradicted_feed(hub, feed_of, maker, now):
    with pytest.raises(FeedContradictedError):
        hub.verify(maker.payload(now, LIE, proven=True))
    other = config(3, 2)
    hub.configure(other)
    assert hub.choose(feed_of, other.digest) is not None
    assert not hub.is_contradicted(feed_of)


def test_gas_of_rounds_is_below_the_limits(chain, book, hub, feed_of, maker, now):
    attested = hub.verify(maker.payload(now), gas=GAS)["gasUsed"]
    later(chain, maker.spec.tick)
    payload = maker.payload(chain.time(), proven=True)
    proven = hub.verify(payload, gas=GAS)["gasUsed"]
    program = chain.read(
        "ModelRegistry", book.addresses["ModelRegistry"], "programOf", bytes.fromhex(maker.spec.listing[2:])
    )
    statement = (
        bytes.fromhex(proof_context(payload.request_id)[2:]),
        payload.inputs,
        list(payload.outputs),
        payload.proof,
    )
    alone = (program[6], program[4], program[3], *statement)
    verified = chain.write("AshlarVerifier", book.addresses["AshlarVerifier"], "verify", *alone, gas=GAS)["gasUsed"]
    assert attested <= MOST_ATTESTED
    assert proven - verified <= MOST_BESIDE_THE_PROOF


def test_feed_of_another_owner_is_refused(hub, spec):
    with pytest.raises(RevertedError, match=r"NotFeedOwner.*Only the owner") as refused:
        hub.create(replace(spec, owner="0x" + "77" * 20), SIGNERS.digest)
    assert "Pay with the owner's account" in refused.value.cure


def test_stranger_does_not_choose(chain, hub, feed_of):
    other = config(3, 2)
    hub.configure(other)
    stranger = FeedHub(Chain(chain._web3, unsafe_dev_account(1, chain.id)), hub.address)
    with pytest.raises(RevertedError, match="NotFeedOwner"):
        stranger.choose(feed_of, other.digest)


def test_limit_of_the_maximum_age_is_the_hubs(chain, hub, spec):
    widest = 2**32 - 1 - chain.time()
    with pytest.raises(FeedFormatError, match="32 bits"):
        hub.create(replace(spec, max_age=widest + 1), SIGNERS.digest)
    with pytest.raises(RevertedError, match=r"ImpossibleSpec\(field = maxAge\)"):
        hub._write("create", replace(spec, max_age=widest + 1).fields, hex_to_bytes(SIGNERS.digest))
    with pytest.raises(RevertedError, match="UnknownConfig"):  # that is checked after the age
        hub._write("create", replace(spec, max_age=widest - 60).fields, b"\7" * 32)


def test_unknown_feed_is_refused(hub):
    with pytest.raises(RevertedError, match=r"UnknownFeed.*no such feed") as refused:
        hub.spec_of(NO_CONFIG)
    assert "zkinfer oracle create" in refused.value.cure


def test_face_shows_its_level_and_stops_with_the_verifier(chain, book, hub, feed_of, maker, now):
    faces = [deploy_face(chain, hub.address, feed_of, level) for level in (Level.ATTESTED, Level.PROVEN)]
    assert faces == [face_of(hub.address, feed_of, level).address for level in (Level.ATTESTED, Level.PROVEN)]
    assert deploy_face(chain, hub.address, feed_of, Level.PROVEN) == faces[1]
    hub.verify(maker.payload(now, proven=True))
    number = now // maker.spec.tick
    for face in faces:
        assert chain.read("FeedFace", face, "latestRoundData") == (number, 900, now, now, number)
    EmergencyStop(chain, book.addresses["AshlarStop"]).stop()
    with pytest.raises(RevertedError, match="FeedStopped"):
        chain.read("FeedFace", faces[1], "latestRoundData")
    assert chain.read("FeedFace", faces[0], "latestRoundData")[1] == 900


def test_rehearsal_quotes_and_sends_nothing(chain, hub, feed_of, maker, now):
    rehearsal = Chain(chain._web3, chain._signer, rehearsal=True)
    FeedHub(rehearsal, hub.address).verify(maker.payload(now))
    assert len(rehearsal.quotes) == 1
    assert hub.latest(feed_of, Level.ATTESTED) is None
