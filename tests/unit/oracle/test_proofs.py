import pytest
from tests.unit.oracle.fakes import START, operators

from zkinfer.contracts.feed_formats import Level
from zkinfer.oracle.alerts import AlertKind
from zkinfer.oracle.feed import Delivered
from zkinfer.oracle.schedule import takeover_time
from zkinfer.oracle.states import RoundState
from zkinfer.oracle.store.gaps import GapReason
from zkinfer.oracle.store.rounds import RoundKey

TICK = START // 10


def signed(three, clock):
    """The operator that proposed the round, and another; both have the signed round."""
    for _ in range(8):
        for one in three:
            one.loop.step()
        clock.now += 0.5
    stored = [one.store.rounds.find(RoundKey(one.feed.id, TICK)) for one in three]
    owner = next(one for one, found in zip(three, stored, strict=True) if found and one.feed.owns(found))
    other = next(
        one
        for one, found in zip(three, stored, strict=True)
        if one is not owner and found and found.state == RoundState.SIGNED
    )
    return owner, other


def test_proposer_proves_once(three, clock):
    owner, _ = signed(three, clock)
    assert owner.proofs.step()
    assert not owner.proofs.step()
    stored = owner.store.rounds.find(RoundKey(owner.feed.id, TICK))
    assert (stored.state, owner.model.proofs) == (RoundState.PROVEN, [TICK])
    assert stored.milliseconds is not None


def test_another_operator_proves_only_after_its_turn_and_if_a_chain_lacks_the_proof(three, clock, chain):
    _, other = signed(three, clock)
    assert not other.proofs.step()
    stored = other.store.rounds.find(RoundKey(other.feed.id, TICK))
    clock.now = takeover_time(other.feed, TICK, stored.observed_at)
    assert other.proofs.step()


def test_another_operator_does_not_prove_what_the_chain_has(three, clock, chain):
    owner, other = signed(three, clock)
    owner.proofs.step()
    owner.deliveries[0].step()
    assert chain.round_of(owner.feed.id, TICK).level == Level.PROVEN
    clock.now += 40
    assert not other.proofs.step()
    assert other.model.proofs == []


def test_only_the_newest_signed_round_is_proven(tmp_path, clock, chain):
    (one,) = operators(tmp_path, clock, [chain], count=1, config=None)
    for _ in range(3):
        one.loop.step()
        clock.now += 10
    one.proofs.step()
    states = [one.store.rounds.find(RoundKey(one.feed.id, TICK + more)).state for more in range(3)]
    assert states == [RoundState.SUPERSEDED, RoundState.SUPERSEDED, RoundState.PROVEN]
    assert one.model.proofs == [TICK + 2]


def test_round_from_the_future_is_not_proven_yet_and_supersedes_none(tmp_path, clock, chain):
    (one,) = operators(tmp_path, clock, [chain], count=1, config=None)
    one.loop.step()
    clock.now += 10
    one.loop.step()
    clock.now -= 5
    assert one.proofs.step()
    assert one.model.proofs == [TICK]


def test_failed_proof_is_a_gap_and_an_alert(three, clock):
    owner, _ = signed(three, clock)
    owner.model.unprovable = True
    assert not owner.proofs.step()
    stored = owner.store.rounds.find(RoundKey(owner.feed.id, TICK))
    assert (stored.state, stored.reason) == (RoundState.REFUSED, "The engine failed.")
    assert owner.store.gaps.of(owner.feed.id)[0].reason == GapReason.PROOF_FAILED
    assert (AlertKind.PROOF_FAILED, "fake") in owner.alerts.active


def test_proof_of_another_report_is_not_published(three, clock, monkeypatch):
    owner, _ = signed(three, clock)
    prove = owner.model.prove
    other = owner.model.observed(int(clock()), 101)
    monkeypatch.setattr(owner.model, "prove", lambda payload: prove(owner.feed.unsigned(other, 101)))
    assert not owner.proofs.step()
    assert "another report than the signed one" in owner.store.rounds.find(RoundKey(owner.feed.id, TICK)).reason


@pytest.mark.parametrize("seconds", [60, 600])
def test_expired_round_is_not_proven(three, clock, seconds):
    owner, _ = signed(three, clock)
    clock.now += seconds
    assert not owner.proofs.step()


def test_attested_feed_has_nothing_to_prove(tmp_path, clock, chain):
    (one,) = operators(tmp_path, clock, [chain], count=1, config=None, delivered=Delivered.ATTESTED)
    one.loop.step()
    assert not one.proofs.step()
