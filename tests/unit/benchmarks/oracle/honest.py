"""A small record without a fault, and the truth about it, for tests that break one thing each."""

from dataclasses import replace
from fractions import Fraction

from benchmarks.oracle.faults import Quiet
from benchmarks.oracle.records import Posted, Proof, Reason, Record
from benchmarks.oracle.rules import Truth
from benchmarks.oracle.sources import Series
from benchmarks.oracle.watchers import Reading
from tests.unit.oracle.fakes import CONFIG, KEYS, SPEC
from tests.unit.oracle.series import recipe

from zkinfer.contracts.feed_formats import FeedPayload, FeedReport, Level, feed_id, sign
from zkinfer.oracle.specs import FeedFile

CHAINS = ("a", "b")
FIRST = 100
ROUNDS = range(FIRST, FIRST + 4)
TICK = 10
RECIPE = recipe()
FEED = FeedFile(replace(SPEC, recipe=RECIPE.digest, tick=TICK), RECIPE, CONFIG)
SERIES = Series(("50", "51", "52"), 1, TICK, FIRST * TICK)
TRUTH = Truth({"feed": FEED}, {"feed": SERIES}, lambda _, inputs: sum(inputs) % 100, (0.0, 0.0, 5.0), frozenset())
QUIET = Quiet(FIRST * TICK, (FIRST + 3) * TICK, ("a fault",))


def numbers_of(number):
    return tuple(Fraction(one) for one in SERIES.at(number * TICK + 1)[-3:])


def source_of(number):
    return f"0x{number:064x}"


def payload(number, **changes):
    """The honest payload of a round; `keys` sign it."""
    keys = changes.pop("keys", KEYS[:2])
    inputs = RECIPE.inputs(numbers_of(number))
    answer = changes.pop("answer", TRUTH.answers("feed", inputs))
    seen = number * TICK + 1
    report = FeedReport(feed_id(FEED.spec), seen, seen + FEED.spec.max_age, answer)
    found = FeedPayload(CONFIG.digest, number, report, (), source_of(number), inputs)
    found = replace(found, **changes)
    return replace(found, signatures=tuple(sign(found.signing_hash, key) for key in keys))


def posted(chain, number, level=Level.PROVEN, **changes):
    given = changes.pop("payload", payload(number))
    seen = number * TICK + 1
    found = Posted(chain, "feed", number, level, given.report.answer, seen, seen + 2, "0xsender", given)
    return replace(found, **changes)


def record(**changes):
    """Each round on each chain, attested and then proven; one is missing on a chain, with a reason."""
    there = [(chain, number) for chain in CHAINS for number in ROUNDS if (chain, number) != ("b", FIRST + 2)]
    levels = (Level.ATTESTED, Level.PROVEN)
    found = Record(
        rounds=ROUNDS,
        posted=[posted(chain, number, level) for chain, number in there for level in levels],
        readings=[reading(chain, number) for chain, number in there],
        proofs=[Proof(0, "feed", number, number * TICK + 3.0, own=True) for number in ROUNDS],
        reasons=[Reason("feed", "b", FIRST + 2, FIRST + 2, "too slow")],
        numbers={source_of(number): numbers_of(number) for number in ROUNDS},
        contradictions={("feed", chain): 0 for chain in CHAINS},
    )
    return replace(found, **changes)


def reading(chain, number, **changes):
    one = posted(chain, number)
    found = Reading(chain, "feed", Level.PROVEN, one.block_time, number, one.answer, one.observed_at)
    return replace(found, **changes)
