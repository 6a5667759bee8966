"""The rules that a record must obey, and what breaks them. Each rule is a function of the record."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.errors import FeedSignatureError
from zkinfer.contracts.feed_formats import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.oracle.faults import Quiet
    from benchmarks.oracle.records import Posted, Record
    from benchmarks.oracle.sources import Series

    from zkinfer.oracle.specs import FeedFile

FETCH_SECONDS: Final = 3
"""Between the observation's time and the source's answer, in either direction."""


@dataclass(frozen=True)
class Truth:
    """What the rules compare with.

    Args:
        feeds: by name.
        series: of each feed.
        answers: the model's answer to packed inputs, in the decimals of a feed.
        ahead: seconds by which each operator's clock is ahead.
        lies: feed and round of each report that the signers lied about.
    """

    feeds: Mapping[str, FeedFile]
    series: Mapping[str, Series]
    answers: Callable[[str, bytes], int]
    ahead: tuple[float, ...]
    lies: frozenset[tuple[str, int]]

    def tick(self, feed: str) -> int:
        """Seconds of a round."""
        return self.feeds[feed].spec.tick

    def heartbeat(self, feed: str) -> int:
        """Seconds within which there is a round."""
        return self.feeds[feed].spec.heartbeat


def broken_rules(record: Record, truth: Truth, quiets: list[Quiet]) -> list[str]:
    """A sentence for each breach."""
    return [
        *written_twice(record),
        *out_of_bounds(record, truth),
        *at_another_time(record, truth),
        *different_on_chains(record, truth),
        *badly_signed(record, truth),
        *untrue(record, truth),
        *badly_read(record, truth),
        *unexplained(record, truth),
        *proven_needlessly(record, truth),
        *late_recoveries(record, truth, quiets),
        *wrongly_contradicted(record, truth),
        *(f"A daemon's log has a traceback: {text:.200}" for text in record.defects),
    ]


def written_twice(record: Record) -> Iterator[str]:
    """Each round rises in level, once for each, and keeps its answer and time."""
    seen: dict[tuple[str, str, int], Posted] = {}
    for one in record.posted:
        before = seen.get((one.chain, one.feed, one.round))
        if before is not None and before.level >= one.level:
            yield f"{_named(one)} was written twice."
        if before is not None and (before.answer, before.observed_at) != (one.answer, one.observed_at):
            yield f"{_named(one)} has two answers."
        seen[one.chain, one.feed, one.round] = one


def out_of_bounds(record: Record, truth: Truth) -> Iterator[str]:
    """Each answer is within the feed's bounds."""
    for one in record.posted:
        spec = truth.feeds[one.feed].spec
        if not spec.least <= one.answer <= spec.most:
            yield f"{_named(one)} is out of bounds."


def at_another_time(record: Record, truth: Truth) -> Iterator[str]:
    """Each round is of its tick, and came neither before its observation nor after its report had expired.

    A proof may come later, since it changes no answer.
    """
    known: set[tuple[str, str, int]] = set()
    for one in record.posted:
        spec, key = truth.feeds[one.feed].spec, (one.chain, one.feed, one.round)
        age = one.block_time - one.observed_at
        if one.observed_at // spec.tick != one.round:
            yield f"{_named(one)} is of another time."
        if age < 0 or (age > spec.max_age and key not in known):
            yield f"{_named(one)} came at an age of {age} s."
        known.add(key)


def different_on_chains(record: Record, truth: Truth) -> Iterator[str]:
    """All chains have the same report of a round, unless enough signers lie: then they can sign a second one."""
    reports: dict[tuple[str, int], set[bytes]] = defaultdict(set)
    for one in record.posted:
        if one.payload is None:
            yield f"{_named(one)} was not posted as a payload."
        else:
            reports[one.feed, one.round].add(one.payload.signing_hash)
    for (feed, number), found in reports.items():
        if len(found) > 1 and (feed, number) not in truth.lies:
            yield f"{feed}: the chains have different reports of round {number}."


def badly_signed(record: Record, truth: Truth) -> Iterator[str]:
    """Each payload is signed by as many signers as the feed demands."""
    for one in record.posted:
        config = truth.feeds[one.feed].config
        assert config is not None
        if one.payload is not None:
            try:
                config.require(one.payload.signing_hash, one.payload.signatures)
            except FeedSignatureError as err:
                yield f"{_named(one)} is badly signed: {err.cause}"


def untrue(record: Record, truth: Truth) -> Iterator[str]:
    """Each answer is the model's, to inputs that a truthful source showed at the time of the observation.

    So what is read as fresh is fresh. Only of the known lies, the attested answer is not looked at.
    """
    checked: set[tuple[str, int]] = set()
    for one in record.posted:
        if (one.feed, one.round) in truth.lies and one.level == Level.ATTESTED:
            continue
        if one.payload is not None and (one.feed, one.round) not in checked:
            checked.add((one.feed, one.round))
            yield from _untrue(record, truth, one, one.payload.source_digest, one.payload.inputs)


def _untrue(record: Record, truth: Truth, one: Posted, source: str, inputs: bytes) -> Iterator[str]:
    recipe, numbers = truth.feeds[one.feed].recipe, record.numbers.get(source)
    if numbers is None:
        yield f"{_named(one)} has a source file that nobody has."
        return
    first, last = one.observed_at - max(truth.ahead) - FETCH_SECONDS, one.observed_at + FETCH_SECONDS
    if not truth.series[one.feed].has_shown(recipe, numbers, first, last):
        yield f"{_named(one)} rests on numbers that the source did not have then."
    if recipe.inputs(numbers) != inputs:
        yield f"{_named(one)} has other inputs than its source file gives."
    if truth.answers(one.feed, inputs) != one.answer:
        yield f"{_named(one)} is not the model's answer."


def badly_read(record: Record, truth: Truth) -> Iterator[str]:
    """What faces show is what was posted, never from the future, and rounds have one answer in all readings."""
    posted = {(one.chain, one.feed, one.round): (one.answer, one.observed_at) for one in record.posted}
    shown: dict[tuple[str, str, int], tuple[int, int]] = {}
    for one in record.readings:
        if one.refusal:
            continue
        key, found = (one.chain, one.feed, one.round), (one.answer, one.updated_at)
        if shown.setdefault(key, found) != found or posted.get(key, found) != found:
            yield f"{one.chain}, {one.feed}: readings of round {one.round} differ."
        if one.updated_at > one.chain_time or one.updated_at // truth.tick(one.feed) != one.round:
            yield f"{one.chain}, {one.feed}: round {one.round} was read with the time {one.updated_at}."


def missing(record: Record, truth: Truth) -> list[tuple[str, str, int]]:
    """Chain, feed and number of each round that a chain lacks. In a soak every tick is due."""
    posted = {(one.chain, one.feed, one.round) for one in record.posted}
    chains = sorted({one.chain for one in record.posted})
    wanted = ((chain, feed, number) for chain in chains for feed in truth.feeds for number in record.rounds)
    return [one for one in wanted if one not in posted]


def unexplained(record: Record, truth: Truth) -> Iterator[str]:
    """For each missing round, an operator has a reason on record."""
    reasons = [(one.feed, one.chain, range(one.first, one.last + 1)) for one in record.reasons]
    known = {(feed, chain, number) for feed, chain, numbers in reasons for number in numbers}
    for chain, feed, number in missing(record, truth):
        if not {(feed, chain, number), (feed, "", number)} & known:
            yield f"{chain}, {feed}: nobody says why round {number} is missing."


def proven_needlessly(record: Record, truth: Truth) -> Iterator[str]:
    """A round is proven once by its proposer, and by another operator only when its turn has come by its clock."""
    for one in record.proofs:
        turn = one.round * truth.tick(one.feed) + truth.heartbeat(one.feed) / (2 * len(truth.ahead))
        if not one.own and one.time + truth.ahead[one.operator] < turn:
            yield f"{one.feed}: operator {one.operator} proved round {one.round} before its turn."
    for (operator, feed, number), count in Counter(
        (one.operator, one.feed, one.round) for one in record.proofs
    ).items():
        if count > 1:
            yield f"{feed}: operator {operator} proved round {number} {count} times."


def late_recoveries(record: Record, truth: Truth, quiets: list[Quiet]) -> Iterator[str]:
    """After each end of faults, every feed has a new proven round on every chain within a heartbeat."""
    for quiet in quiets:
        for (chain, feed), seconds in recoveries(record, truth, quiet).items():
            if seconds is None or seconds > truth.heartbeat(feed):
                yield f"{chain}, {feed}: not back within a heartbeat after {', '.join(quiet.after)}."


def recoveries(record: Record, truth: Truth, quiet: Quiet) -> dict[tuple[str, str], float | None]:
    """Seconds from the end of faults to the first proven round that was observed afterwards, by chain and feed."""
    found: dict[tuple[str, str], float | None] = {
        (chain, feed): None for chain in {one.chain for one in record.posted} for feed in truth.feeds
    }
    for one in record.posted:
        key = (one.chain, one.feed)
        fresh = one.level == Level.PROVEN and one.observed_at >= quiet.begin
        if fresh and (found[key] is None or one.block_time - quiet.begin < (found[key] or 0)):
            found[key] = max(one.block_time - quiet.begin, 0.0)
    return found


def wrongly_contradicted(record: Record, truth: Truth) -> Iterator[str]:
    """Each chain shows the contradiction of a betrayed feed once, and of no other."""
    betrayed = {feed for feed, _ in truth.lies}
    for (feed, chain), count in record.contradictions.items():
        if count != (feed in betrayed):
            yield f"{chain}, {feed}: {count} contradictions are on record."


def _named(one: Posted) -> str:
    return f"{one.chain}, {one.feed}: round {one.round} at {one.level.name.lower()}"
