"""Each rule accepts an honest record and refuses one with a single fault."""

import inspect
from dataclasses import replace
from fractions import Fraction

import pytest
from benchmarks.oracle import rules
from benchmarks.oracle.faults import Quiet
from benchmarks.oracle.records import Proof
from benchmarks.oracle.rules import broken_rules, missing, recoveries
from tests.unit.benchmarks.oracle.honest import (
    FIRST,
    QUIET,
    ROUNDS,
    SERIES,
    TICK,
    TRUTH,
    payload,
    posted,
    reading,
    record,
    source_of,
)
from tests.unit.oracle.fakes import KEYS

from zkinfer.contracts.feed_formats import Level


def broken(truth=TRUTH, quiets=(QUIET,), **changes):
    return broken_rules(record(**changes), truth, [*quiets])


def with_posted(*more):
    return [*record().posted, *more]


def instead(chain, number, **changes):
    """The posted reports, with both levels of one of them changed."""
    return [replace(one, **changes) if (one.chain, one.round) == (chain, number) else one for one in record().posted]


def test_honest_record_breaks_nothing():
    assert broken() == []


def test_round_written_twice_is_found():
    assert broken(posted=with_posted(posted("a", FIRST))) == ["a, feed: round 100 at proven was written twice."]


def test_falling_level_is_found():
    found = broken(posted=with_posted(posted("a", FIRST, Level.ATTESTED)))
    assert found == ["a, feed: round 100 at attested was written twice."]


def test_second_answer_is_found():
    other = payload(FIRST + 2, answer=1)
    both = [posted("b", FIRST + 2, Level.ATTESTED), posted("b", FIRST + 2, payload=other)]
    assert "b, feed: round 102 at proven has two answers." in broken(posted=with_posted(*both))


def test_answer_out_of_bounds_is_found():
    assert "a, feed: round 101 at proven is out of bounds." in broken(posted=instead("a", 101, answer=1001))


def test_round_of_another_tick_is_found():
    assert "a, feed: round 101 at proven is of another time." in broken(posted=instead("a", 101, observed_at=1020))


@pytest.mark.parametrize(("block_time", "age"), [(1010, -1), (1072, 61)])
def test_report_from_the_future_and_an_expired_one_are_found(block_time, age):
    found = broken(quiets=(), posted=instead("a", 101, block_time=block_time))
    assert f"a, feed: round 101 at attested came at an age of {age} s." in found


def test_late_proof_is_accepted():
    late = [replace(one, block_time=1072) if one.level == Level.PROVEN else one for one in record().posted]
    assert broken(quiets=(), posted=late) == []


def test_different_reports_on_chains_are_found():
    other = payload(101, keys=KEYS[1:], source_digest=source_of(103))
    assert "feed: the chains have different reports of round 101." in broken(posted=instead("b", 101, payload=other))


def test_report_without_payload_is_found():
    assert "b, feed: round 101 at proven was not posted as a payload." in broken(posted=instead("b", 101, payload=None))


def test_other_signers_of_one_report_are_accepted():
    assert broken(posted=instead("b", 101, payload=payload(101, keys=KEYS[1:]))) == []


def test_report_with_one_signature_is_found():
    (first, *_) = broken(posted=instead("b", 101, payload=payload(101, keys=KEYS[:1])))
    assert first.startswith("b, feed: round 101 at attested is badly signed")


def test_answer_that_is_not_the_models_is_found():
    wrong = {chain: instead(chain, 101, answer=7, payload=payload(101, answer=7)) for chain in ("a", "b")}
    both = [one for one in (*wrong["a"], *wrong["b"]) if one.round == 101 and one.answer == 7]
    rest = [one for one in record().posted if one.round != 101]
    shown = [one for one in record().readings if one.round != 101]
    assert broken(posted=[*rest, *both], readings=shown) == [
        "a, feed: round 101 at attested is not the model's answer."
    ]


def test_numbers_of_another_time_are_found():
    old = record().numbers | {source_of(103): record().numbers[source_of(101)]}
    assert "a, feed: round 103 at attested rests on numbers that the source did not have then." in broken(numbers=old)


def test_lost_source_file_is_found():
    kept = {digest: one for digest, one in record().numbers.items() if digest != source_of(103)}
    assert broken(numbers=kept) == ["a, feed: round 103 at attested has a source file that nobody has."]


def test_attested_lie_is_not_counted_and_a_proven_one_is():
    truth = replace(TRUTH, lies=frozenset({("feed", 101)}))
    lie = payload(101, answer=7)
    lies = [replace(one, answer=7, payload=lie) for one in record().posted if one.round == 101]
    rest = [one for one in record().posted if one.round != 101]
    shown = [one for one in record().readings if one.round != 101]
    shows = {("feed", "a"): 1, ("feed", "b"): 1}
    only_attested = [one for one in lies if one.level == Level.ATTESTED]
    assert broken(truth, posted=[*rest, *only_attested], readings=shown, contradictions=shows) == []
    assert broken(truth, posted=[*rest, *lies], readings=shown, contradictions=shows) == [
        "a, feed: round 101 at proven is not the model's answer."
    ]


@pytest.mark.parametrize("changes", [{"answer": 8}, {"updated_at": 1012}])
def test_reading_that_differs_from_the_record_is_found(changes):
    assert "a, feed: readings of round 101 differ." in broken(readings=[reading("a", 101, **changes)])


def test_readings_that_differ_from_each_other_are_found():
    gone = reading("b", 102)
    assert broken(readings=[gone]) == []
    assert broken(readings=[gone, replace(gone, answer=8)]) == ["b, feed: readings of round 102 differ."]


@pytest.mark.parametrize("changes", [{"chain_time": 1010}, {"round": 102}])
def test_reading_from_the_future_or_of_another_tick_is_found(changes):
    found = broken(
        readings=[
            reading("b", 102, updated_at=1011, chain_time=1013) if "round" in changes else reading("a", 101, **changes)
        ]
    )
    assert any("was read with the time 1011" in one for one in found)


def test_refused_readings_are_no_answers():
    assert broken(readings=[reading("a", 101, answer=8, refusal="FeedContradicted")]) == []


def test_missing_round_without_a_reason_is_found():
    assert missing(record(), TRUTH) == [("b", "feed", FIRST + 2)]
    assert broken(reasons=[]) == ["b, feed: nobody says why round 102 is missing."]


def test_reason_of_another_chain_explains_nothing():
    other = [replace(one, chain="a") for one in record().reasons]
    assert broken(reasons=other) == ["b, feed: nobody says why round 102 is missing."]


def test_gap_explains_a_round_on_every_chain():
    assert broken(reasons=[replace(one, chain="", first=100) for one in record().reasons]) == []


def test_proof_by_another_operator_before_its_turn_is_found():
    early = [*record().proofs, Proof(1, "feed", 101, 1019.0, own=False)]
    assert broken(proofs=early) == ["feed: operator 1 proved round 101 before its turn."]


@pytest.mark.parametrize(("operator", "time"), [(1, 1020.0), (2, 1015.0)])
def test_turn_comes_by_the_operators_own_clock(operator, time):
    assert broken(proofs=[*record().proofs, Proof(operator, "feed", 101, time, own=False)]) == []


def test_second_proof_by_one_operator_is_found():
    assert broken(proofs=[*record().proofs, record().proofs[0]]) == ["feed: operator 0 proved round 100 2 times."]


def test_feed_that_does_not_come_back_is_found():
    silent = [one for one in record().posted if one.chain == "a" or one.round == FIRST]
    rest = [replace(record().reasons[0], last=ROUNDS[-1])]
    after = Quiet((FIRST + 1) * TICK, (FIRST + 9) * TICK, ("this", "that"))
    found = broken(
        quiets=[after],
        posted=silent,
        readings=[],
        reasons=rest,
    )
    assert "b, feed: not back within a heartbeat after this, that." in found


def test_recovery_is_the_time_to_the_first_new_proven_round():
    quiet = Quiet(1005.0, 1040.0, ())
    assert recoveries(record(), TRUTH, quiet) == {("a", "feed"): 8.0, ("b", "feed"): 8.0}
    slow = [one for one in record().posted if one.level == Level.ATTESTED or one.round != 101]
    assert recoveries(record(posted=slow), TRUTH, quiet)["b", "feed"] == 28.0


@pytest.mark.parametrize("count", [1, 2])
def test_contradiction_of_an_honest_feed_is_found(count):
    found = broken(contradictions={("feed", "a"): count})
    assert found == [f"a, feed: {count} contradictions are on record."]


@pytest.mark.parametrize("count", [0, 2])
def test_contradiction_that_is_not_shown_once_is_found(count):
    truth = replace(TRUTH, lies=frozenset({("feed", 99)}))
    assert broken(truth, contradictions={("feed", "a"): count}) == [f"a, feed: {count} contradictions are on record."]


def test_traceback_in_a_log_is_found():
    assert broken(defects=["Traceback: x"]) == ["A daemon's log has a traceback: Traceback: x"]


def test_every_rule_is_applied():
    own = {name for name, one in vars(rules).items() if inspect.isgeneratorfunction(one) and name[0] != "_"}
    assert own == own & set(broken_rules.__code__.co_names)


def test_series_knows_what_it_has_shown():
    now = SERIES.at(FIRST * TICK + 25)
    numbers = [Fraction(one) for one in now[-3:]]
    recipe_ = TRUTH.feeds["feed"].recipe
    assert SERIES.has_shown(recipe_, numbers, FIRST * TICK + 20, FIRST * TICK + 21)
    assert not SERIES.has_shown(recipe_, [one * 2 for one in numbers], FIRST * TICK, FIRST * TICK + 100)
