"""The loop of a feed, with three operators that vote on each other's reports, and one chain."""

from fractions import Fraction

from tests.unit.oracle.fakes import CONFIG, START, FakeChain, operators

from zkinfer.contracts.feed_formats import FeedPayload, Level
from zkinfer.oracle.alerts import AlertKind
from zkinfer.oracle.feed import Delivered
from zkinfer.oracle.states import DeliveryState, RoundState
from zkinfer.oracle.store.gaps import Gap, GapReason
from zkinfer.oracle.store.rounds import RoundKey

TICK = START // 10


def first_of(operators_, number):
    """The operator whose turn it is first in a round."""
    wanted = CONFIG.signers[number % 3]
    return next(one for one in operators_ if one.feed.address == wanted)


def run(operators_, clock, seconds, chain=None):
    for _ in range(seconds):
        for one in operators_:
            one.step()
        if chain is not None:
            chain.mine()
        clock.now += 1


def test_round_is_signed_by_two_proven_once_and_final(three, clock, chain):
    run(three, clock, 8, chain)
    first = first_of(three, TICK)
    stored = first.store.rounds.find(RoundKey(first.feed.id, TICK))
    payload = FeedPayload.decode(stored.payload)
    assert stored.state == RoundState.PROVEN
    assert CONFIG.require(payload.signing_hash, payload.signatures)
    assert sum(len(one.model.proofs) for one in three) == 1
    assert chain.latest(first.feed.id, Level.PROVEN)[0] == TICK
    states = {one.state for operator in three for one in operator.store.deliveries.of_round(stored.key)}
    assert states == {DeliveryState.FINAL}


def test_every_tick_has_its_round_and_another_operator_proposes(three, clock, chain):
    run(three, clock, 30, chain)
    for number in (TICK, TICK + 1, TICK + 2):
        assert chain.round_of(three[0].feed.id, number).level == Level.PROVEN
        assert first_of(three, number).model.proofs == [number]
    assert len(chain.sent) == 3


def test_round_that_is_not_due_is_neither_recorded_nor_a_gap(tmp_path, clock, chain):
    three = operators(tmp_path, clock, [chain], deviation=Fraction(1, 100))
    run(three, clock, 40, chain)
    assert [number for number, _ in chain.sent] == [TICK]
    assert three[0].store.gaps.of(three[0].feed.id) == []
    for one in three:
        one.model.value = 101
    run(three, clock, 10, chain)
    assert [number for number, _ in chain.sent] == [TICK, TICK + 4]


def test_heartbeat_makes_a_round_due_before_it_is_late(tmp_path, clock, chain):
    three = operators(tmp_path, clock, [chain], deviation=None)
    run(three, clock, 130, chain)
    ages = [later - earlier for (earlier, _), (later, _) in zip(chain.sent, chain.sent[1:], strict=False)]
    assert len(chain.sent) >= 2
    assert all(age * 10 <= 60 for age in ages)


def test_asked_for_round_is_due_at_once(tmp_path, clock, chain):
    three = operators(tmp_path, clock, [chain], deviation=None)
    run(three, clock, 10, chain)
    first_of(three, TICK + 1).loop.ask()
    run(three, clock, 10, chain)
    assert [number for number, _ in chain.sent] == [TICK, TICK + 1]


def test_source_that_refuses_makes_a_gap_with_its_reason_and_an_alert(three, clock, chain):
    for one in three:
        one.model.error = "The source says 503."
    run(three, clock, 25, chain)
    gaps = three[0].store.gaps.of(three[0].feed.id)
    assert gaps == [Gap(TICK, TICK + 1, GapReason.SOURCE_REFUSED, "The source says 503.")]
    assert (AlertKind.SOURCE_REFUSED, "fake") in three[0].alerts.active
    assert chain.sent == []
    for one in three:
        one.model.error = ""
    run(three, clock, 10, chain)
    assert chain.sent[0][0] == TICK + 2
    assert (AlertKind.SOURCE_REFUSED, "fake") not in three[0].alerts.active


def test_source_that_recovers_within_the_tick_leaves_no_gap(three, clock, chain):
    for one in three:
        one.model.error = "It says 503."
    run(three, clock, 3, chain)
    for one in three:
        one.model.error = ""
    run(three, clock, 7, chain)
    assert chain.sent[0] == (TICK, Level.PROVEN)
    assert three[0].store.gaps.of(three[0].feed.id) == []


def test_answer_out_of_bounds_makes_no_round(three, clock, chain):
    for one in three:
        one.model.value = 1001
    run(three, clock, 12, chain)
    (gap,) = three[0].store.gaps.of(three[0].feed.id)
    assert gap.reason == GapReason.ANSWER_REFUSED
    assert "outside the feed's bounds" in gap.detail
    assert chain.sent == []


def test_operators_that_disagree_make_no_round_and_say_so(three, clock, chain):
    for one, value in zip(three, (100, 200, 300), strict=True):
        one.model.value = value
    run(three, clock, 35, chain)
    assert chain.sent == []
    gaps = [gap for one in three for gap in one.store.gaps.of(one.feed.id)]
    assert {gap.reason for gap in gaps} == {GapReason.PEERS_DISAGREE}
    assert any("The observations differ" in gap.detail for gap in gaps)
    assert any((AlertKind.PEERS_DISAGREE, "fake") in one.alerts.active for one in three)


def test_one_lying_operator_is_outvoted(three, clock, chain):
    three[0].model.value = 900
    run(three, clock, 40, chain)
    answers = {one.answer for one in chain.state.values()}
    assert answers == {100}
    assert len(chain.sent) >= 3


def test_dead_proposer_is_replaced_within_the_tick(three, clock, chain):
    first_of(three, TICK).stop()
    run([one for one in three if one.alive], clock, 10, chain)
    assert chain.sent[0] == (TICK, Level.PROVEN)


def test_round_of_a_proposer_that_died_after_signing_is_finished_by_another(three, clock, chain):
    first = first_of(three, TICK)
    first.loop.step()
    first.stop()
    run([one for one in three if one.alive], clock, 45, chain)
    assert chain.round_of(first.feed.id, TICK) is None or chain.round_of(first.feed.id, TICK).level == Level.PROVEN
    assert chain.latest(first.feed.id, Level.PROVEN)[0] >= TICK + 1


def test_killed_operator_says_that_it_did_not_run(three, clock, chain):
    run(three, clock, 10, chain)
    victim = three[1]
    victim.stop()
    run([three[0], three[2]], clock, 30, chain)
    victim.start()
    victim.others = {one.host: one for one in three if one is not victim}
    run(three, clock, 10, chain)
    gaps = victim.store.gaps.of(victim.feed.id)
    assert gaps == [Gap(TICK + 1, TICK + 3, GapReason.NOT_RUNNING, "")]


def test_clock_that_goes_back_makes_no_second_report(three, clock, chain):
    run(three, clock, 12, chain)
    reports = {number: one.answer for (_, number), one in chain.state.items()}
    clock.now -= 12
    for one in three:
        one.model.value = 101
    run(three, clock, 12, chain)
    assert {number: one.answer for (_, number), one in chain.state.items()} == reports


def test_two_daemons_with_one_store_take_turns(tmp_path, clock, chain):
    one = operators(tmp_path, clock, [chain], count=1, config=None)[0]
    other = operators(tmp_path, clock, [chain], count=1, config=None)[0]
    assert one.loop.step()
    assert not other.loop.step()


def test_chain_that_is_down_does_not_stop_the_other(tmp_path, clock):
    up, down = FakeChain("up"), FakeChain("down", id=1)
    three = operators(tmp_path, clock, [up, down])
    down.down = True
    run(three, clock, 10)
    assert up.sent == [(TICK, Level.PROVEN)]
    down.down = False
    run(three, clock, 10)
    assert down.round_of(three[0].feed.id, TICK + 1).level == Level.PROVEN


def test_attested_feed_is_never_proven(tmp_path, clock, chain):
    three = operators(tmp_path, clock, [chain], delivered=Delivered.ATTESTED)
    run(three, clock, 10, chain)
    assert chain.sent == [(TICK, Level.ATTESTED)]
    assert all(one.model.proofs == [] for one in three)


def test_round_that_was_recorded_but_not_signed_before_a_kill_does_not_stop_the_next(tmp_path, clock, chain):
    (one,) = operators(tmp_path, clock, [chain], count=1, config=None)
    one.store.rounds.record(one.feed.new_round(one.model.observe(TICK), 100, ""))
    clock.now += 10
    one.store.rounds.record(one.feed.new_round(one.model.observe(TICK + 1), 100, ""))
    one.loop.step()
    states = [one.store.rounds.find(RoundKey(one.feed.id, TICK + more)).state for more in (0, 1)]
    assert states == [RoundState.REFUSED, RoundState.SIGNED]
    assert one.store.gaps.of(one.feed.id)[0].reason == GapReason.TOO_SLOW
