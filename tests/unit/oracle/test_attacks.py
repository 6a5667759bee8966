"""What a stranger, a slow peer, a dishonest signer or a wrong clock could do to an operator."""

import time
from fractions import Fraction

import httpx2
import pytest
from tests.unit.oracle.fakes import KEYS, START, HubRound, operators
from tests.unit.oracle.test_votes import TICK, request_of

from zkinfer.contracts.feed_formats import Level, SignerConfig
from zkinfer.oracle.errors import VoteError
from zkinfer.oracle.feed import Delivered
from zkinfer.oracle.loop import FeedLoop
from zkinfer.oracle.peers import Peers
from zkinfer.oracle.schedule import closed_round
from zkinfer.oracle.store.gaps import GapReason
from zkinfer.oracle.store.rounds import RoundKey
from zkinfer.oracle.votes import MOST_REFUSED, Voter


def test_signature_from_a_public_report_makes_nobody_compute(three, clock, monkeypatch):
    """Reports are public, so anybody has a signature of a signer over some hash."""
    asking, asked = three[:2]
    old = request_of(asking, at=int(clock()) - 600)
    fresh = asking.model.observed(int(clock()), 50)
    forged = old.model_copy(update={"round": TICK, "source": "0x" + fresh.source_file.hex()})
    monkeypatch.setattr(asked.model, "answer", lambda observed: pytest.fail("it computed for a stranger"))
    with pytest.raises(VoteError):
        asked.voter.vote(forged)


def test_peer_that_drips_its_answer_delays_no_round(three):
    feed = three[0].feed
    stored = three[0].store.rounds.record(feed.new_round(three[0].model.observe(TICK), 100, feed.address))

    def drip():
        for _ in range(60):
            time.sleep(0.2)
            yield b" "

    class Stream(httpx2.SyncByteStream):
        def __iter__(self):
            yield from drip()

    peers = Peers(
        ["https://slow"], transport=httpx2.MockTransport(lambda request: httpx2.Response(200, stream=Stream()))
    )
    began = time.monotonic()
    peers.ask(feed, stored, b"{}", {feed.address: b"\1" * 65})
    assert time.monotonic() - began < 6
    peers.close()


def test_clock_that_leapt_ahead_and_came_back_gives_no_second_signature(three, clock):
    asking, asked, third = three
    asked.voter.vote(request_of(asking))
    asked.store.rounds.prune(START + 400 * 86400 - 90 * 86400)  # what the daemon does, with its clock ahead
    with pytest.raises(VoteError):
        asked.voter.vote(request_of(third, value=101))


def test_clock_that_leapt_ahead_and_came_back_does_not_end_the_feed(three, clock):
    one = three[0]
    clock.now += 86400
    one.loop.step()
    clock.now -= 86400
    clock.now += 50
    for _ in range(30):
        clock.now += 1
        one.loop.step()
    assert one.store.rounds.find(RoundKey(one.feed.id, one.feed.round_at(clock()) - 1)) or one.store.rounds.find(
        RoundKey(one.feed.id, one.feed.round_at(clock()))
    )


def test_own_signature_over_an_unknown_report_is_noticed(three):
    """Another process has this operator's key, or its database was lost."""
    asking, asked, third = three
    asked.voter.vote(request_of(asking))
    other = request_of(third, value=101, key=asked.key)
    with pytest.raises(VoteError, match="key"):
        asked.voter.vote(other)


def test_one_signer_cannot_make_an_operator_ask_its_source_without_end(three, monkeypatch):
    asking, asked = three[:2]
    asked_source = []
    observe = asked.model.observe
    monkeypatch.setattr(asked.model, "observe", lambda number: asked_source.append(number) or observe(number))
    for value in range(200, 230):
        with pytest.raises(VoteError):
            asked.voter.vote(request_of(asking, value=value))
    assert len(asked_source) == MOST_REFUSED


def replayed(asking, asked, clock, at, key=None):
    """An old public report of a signer, as a request for the present round."""
    old = request_of(asking, at=at, key=key)
    fresh = asking.model.observed(int(clock()), 100)
    return old.model_copy(update={"round": TICK, "source": "0x" + fresh.source_file.hex()})


def test_stranger_cannot_use_up_the_patience_with_an_honest_signer(three, clock):
    asking, asked = three[:2]
    for number in range(MOST_REFUSED + 1):
        with pytest.raises(VoteError, match="gives another report"):
            asked.voter.vote(replayed(asking, asked, clock, int(clock()) - 600 - number))
    assert len(asked.voter.vote(request_of(asking)).signatures) == 2


@pytest.mark.parametrize("first", [True, False])
def test_own_public_signature_that_a_stranger_replays_is_no_alarm(three, clock, first):
    asking, asked = three[:2]
    if first:
        asked.voter.vote(request_of(asking))
    with pytest.raises(VoteError, match="gives another report"):
        asked.voter.vote(replayed(asking, asked, clock, int(clock()) - 600, key=asked.key))
    old = request_of(asking, at=int(clock()) - 600, key=asked.key)  # of a round that was forgotten
    with pytest.raises(VoteError, match="s old"):
        asked.voter.vote(old)


def voter_after_a_loss(operator):
    """A daemon that begins with a new database, in a tick in which an earlier one may have signed."""
    closed = {operator.feed.id: closed_round(operator.feed, operator.store.gaps.last_tick(operator.feed.id), START)}
    return Voter({operator.feed.id: operator.feed}, operator.store, operator.clock, closed=closed)


def test_lost_database_gives_no_second_signature_to_a_peer(three, clock):
    asking, asked, _ = three
    voter = voter_after_a_loss(asked)
    with pytest.raises(VoteError, match="may have been signed here before"):
        voter.vote(request_of(asking))
    clock.now += 10
    assert len(voter.vote(request_of(asking)).signatures) == 2


def test_database_without_a_hole_closes_nothing(three):
    asking, asked, _ = three
    asked.store.gaps.looked_at(asked.feed.id, TICK - 1)
    assert len(voter_after_a_loss(asked).vote(request_of(asking)).signatures) == 2


def test_round_on_record_is_signed_again_after_a_hole(three):
    asking, asked, _ = three
    first = asked.voter.vote(request_of(asking))
    assert voter_after_a_loss(asked).vote(request_of(asking)) == first


def test_lost_database_makes_no_second_report_of_its_own(three, clock, chain):
    one = three[0]
    closed = {one.feed.id: closed_round(one.feed, None, START)}
    one.loop = FeedLoop(one.feed, one.store, {chain.name: chain}, one.peers, one.alerts, clock, closed=closed)
    for _ in range(20):
        one.loop.step()
        clock.now += 1
    assert one.store.rounds.numbers(one.feed.id, TICK, TICK + 1) == [TICK + 1]
    (gap,) = one.store.gaps.of(one.feed.id)
    assert (gap.first, gap.last, gap.reason) == (TICK, TICK, GapReason.NOT_RUNNING)


@pytest.mark.parametrize(("answer", "posts"), [(100, 0), (111, 1)])
def test_honest_operator_pays_for_no_round_of_another_that_is_not_due(tmp_path, clock, chain, answer, posts):
    """One signer could propose a round in each tick, and leave it to the others to post it."""
    lying, honest, _ = operators(tmp_path, clock, [chain], delivered=Delivered.ATTESTED, deviation=Fraction(1, 10))
    chain.state[(honest.feed.id, TICK - 1)] = HubRound(100, START - 1, Level.ATTESTED)
    honest.model.value = answer
    honest.voter.vote(request_of(lying, value=answer))
    for _ in range(40):
        honest.loop._finish_observed()
        honest.deliveries[0].step()
        clock.now += 1
    assert [number for number, _ in chain.sent] == [TICK] * posts


def test_report_of_a_clock_that_was_ahead_is_not_served_or_posted_when_its_time_comes(tmp_path, clock, chain):
    """Its data would be old by then, and its time fresh."""
    alone = SignerConfig.of([KEYS[0].address], 1)
    (one,) = operators(tmp_path, clock, [chain], count=1, config=alone)
    chain.config, chain.refuses = alone, "FromTheFuture"
    clock.now += 3600
    one.loop.step()
    one.proofs.step()
    clock.now -= 3600
    chain.refuses = ""
    for _ in range(3):
        one.step()
        clock.now += 1
    sent = len(chain.sent)
    clock.now += 3600
    for _ in range(6):
        one.proofs.step()
        one.deliveries[0].step()
        clock.now += 1
    assert chain.sent[sent:] == []
    assert one.store.rounds.report_at(one.feed.id, int(clock())).observed_at < START + 60
    one.stop()
