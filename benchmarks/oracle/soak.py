"""Operators of feeds through a series of faults, and the judgement of their record."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from benchmarks.oracle.audits import Audit, audit_all
from benchmarks.oracle.betrayal import Betrayal, betray
from benchmarks.oracle.faults import Player, Quiet, episodes
from benchmarks.oracle.lab import FeedPlan, Lab, LabPlan, lab
from benchmarks.oracle.nodes import wait_until
from benchmarks.oracle.records import Record, record_of
from benchmarks.oracle.rules import Truth, broken_rules
from benchmarks.oracle.watchers import PullingUser, Reader, Webhook, repeated

from zkinfer.circuits.engines import engine_named
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.feed_events import reported_rounds
from zkinfer.contracts.feed_formats import Level
from zkinfer.oracle.answers import answer_of

if TYPE_CHECKING:
    from pathlib import Path

TICK: Final = 6
HEARTBEAT: Final = 36
AHEAD: Final = (0.0, 0.0, 5.0)
BETRAYED: Final = "betrayed"
AUDITED: Final = 100
"""The newest reports of each feed on each chain that are audited."""
FEEDS: Final = (FeedPlan("fast"), FeedPlan("slow", 3, level="proven"), FeedPlan(BETRAYED, 2))
_LONGEST_FAULT: Final = 15.0
_START_SECONDS: Final = 180
_TOLD_SECONDS: Final = 45.0  # daemons look for contradictions each 30 s


@dataclass(frozen=True)
class Outcome:
    """A soak and its record."""

    seconds: float
    record: Record
    truth: Truth
    betrayal: Betrayal
    player: Player
    user: PullingUser
    silent: int
    audit: Audit
    broken: list[str]

    @property
    def quiets(self) -> list[Quiet]:
        """The times without faults."""
        return self.player.quiets


def soak(folder: Path, rounds: int, seed: int) -> Outcome:
    """Run two chains, three operators and three feeds until there are so many rounds, and check the record."""
    with ExitStack() as stack:
        webhook = Webhook()
        stack.callback(webhook.stop)
        plan = LabPlan(2, 3, 2, TICK, HEARTBEAT, seed, FEEDS, AHEAD, webhook.url)
        found = stack.enter_context(lab(folder, plan))
        for one in found.operators:
            one.start()
        wait_until(lambda: _all_proven(found), "the operators made no round", _START_SECONDS)
        readers, user = [Reader(found, name) for name in found.nodes], PullingUser(found, seed)
        stack.callback(user.close)
        player = Player(found)
        first, began = int(time.time()) // TICK + 1, time.monotonic()
        with repeated(user.step, *(one.step for one in readers)):
            betrayal = _play(found, player, first, rounds, seed)
            broken = [*_ends(found, webhook, betrayal)]
        seconds = time.monotonic() - began
        ended = _ended(first)
        broken += _stopped(found, player)
        record = record_of(found, ended, [reading for one in readers for reading in one.readings])
        truth = _truth(found, betrayal)
        broken += broken_rules(record, truth, player.quiets)
        audit = audit_all(found, truth.lies, AUDITED)
        silent = sum(one.silent for one in readers)
        return Outcome(seconds, record, truth, betrayal, player, user, silent, audit, broken + audit.broken)


def _all_proven(found: Lab) -> bool:
    hubs = [*found.hubs.values()]
    return all(hub.latest(feed.id, Level.PROVEN) is not None for hub in hubs for feed in found.feeds.values())


def _play(found: Lab, player: Player, first: int, rounds: int, seed: int) -> Betrayal:
    """Episodes until there are enough rounds; the lie is told when half of them are there."""
    betrayal, told = None, episodes(seed, len(found.operators), len(found.nodes), _LONGEST_FAULT)
    while betrayal is None or _count(found, _ended(first)) < rounds:
        player.play(next(told))
        if betrayal is None and _count(found, _ended(first)) >= rounds / 2:
            betrayal = betray(found, BETRAYED, engine_named("ashlar"))
    return betrayal


def _ended(first: int) -> range:
    """The rounds from the first on that are judged: the last ones may still be on their way."""
    return range(first, int(time.time()) // TICK - 3)


def _count(found: Lab, ended: range) -> int:
    """How many of these rounds of all feeds are on chains, counted on each."""
    hubs = {name: hub.address for name, hub in found.hubs.items()}
    return len(
        {
            (name, feed.id, one.round)
            for name, hub in hubs.items()
            for feed in found.feeds.values()
            for one in reported_rounds(Chain(found.nodes[name].web3), hub, feed.id)
            if one.round in ended
        }
    )


def _ends(found: Lab, webhook: Webhook, betrayal: Betrayal) -> list[str]:
    """Whether operators notice the contradiction, and find everything fresh."""
    wanted = {f"{BETRAYED} on {name}" for name in found.nodes}
    end = max(betrayal.shown_at + _TOLD_SECONDS, time.time() + 1)
    while (told := webhook.about("contradicted")) != wanted and time.time() < end:
        time.sleep(0.5)
    broken = [] if told == wanted else [f"Operators were told of contradictions in {sorted(told)}."]
    for one in found.operators:
        for line in one.status()[1].get("feeds", [{}]):
            if line.get("late", True):
                broken.append(f"Operator {one.number} finds a feed late without a fault: {line}.")
            if line.get("contradicted") != (line.get("feed") == BETRAYED):
                broken.append(f"Operator {one.number} has a wrong word on contradictions: {line}.")
    return broken


def _stopped(found: Lab, player: Player) -> list[str]:
    """End the daemons; whether each ended well, now and before."""
    player.exits += [one.stop() for one in found.operators]
    broken = [
        f"Operator {one.number} crashed with exit code {code}." for one in found.operators for code in one.crashes
    ]
    return broken + [f"A daemon ended with exit code {code}." for code in player.exits if code]


def _truth(found: Lab, betrayal: Betrayal) -> Truth:
    engine = engine_named("ashlar")

    @cache
    def answer(feed: str, inputs: bytes) -> int:
        return answer_of(found.circuit, engine, found.feeds[feed].spec, inputs).value

    lies = frozenset((betrayal.feed, number) for number in betrayal.rounds)
    return Truth(found.feeds, found.source.series, answer, AHEAD, lies)
