"""Faults in random order, the same for the same seed: episodes of several at once, and quiet after each."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from benchmarks.oracle.operators import CONFIRMATIONS
from benchmarks.oracle.sources import DECEITFUL, Mode

from zkinfer.contracts.feed_formats import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.oracle.lab import Lab


class Kind(StrEnum):
    """What fails."""

    KILL = "daemon: kill -9"
    STOP = "daemon: SIGTERM"
    SOURCE = "source"
    HANG = "node: suspended"
    RESTART = "node: ended and started"
    CRASH = "node: kill -9"
    REORGANISATION = "node: reorganisation"
    FEES = "node: base fee of 300 gwei"


AT_ONCE: Final = 3
"""Faults that begin in one episode, at most; the next may begin before the last has ended."""
_BEGIN_SECONDS: Final = 5.0
_QUIET_TICKS: Final = 2
_CARDS: Final = (
    *[(Kind.KILL, None)] * 4,
    *[(Kind.STOP, None)] * 2,
    *[(kind, None) for kind in (Kind.HANG, Kind.RESTART, Kind.CRASH, Kind.FEES)] * 2,
    *[(Kind.REORGANISATION, None)] * 3,
    *[(Kind.SOURCE, mode) for mode in Mode],
)
"""How often each fault comes until all have come."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        kind: what fails.
        target: number of the operator or of the node.
        after: seconds from the begin of the episode.
        seconds: that it lasts.
        mode: of a source.
        depth: blocks of a reorganisation.
    """

    kind: Kind
    target: int
    after: float
    seconds: float
    mode: Mode | None = None
    depth: int = 0

    @property
    def title(self) -> str:
        """The kind, with what a source does."""
        return f"{self.kind}: {self.mode}" if self.mode else str(self.kind)


def episodes(seed: int, operators: int, nodes: int, longest: float) -> Iterator[list[Fault]]:
    """Endlessly many episodes.

    At most one operator gets answers that it cannot recognise as false: with two, the liars would be a majority.

    Args:
        seed: decides them all.
        operators: how many there are.
        nodes: how many there are.
        longest: seconds of a fault.
    """
    chance = random.Random(seed)  # noqa: S311 - reproducible
    deck, held = _deck(chance), deque[tuple[Kind, Mode | None]]()
    while True:
        found: list[Fault] = []
        for _ in range(chance.randint(1, AT_ONCE)):
            card = held.popleft() if held else next(deck)
            one = _fault(chance, card, operators, nodes, longest)
            if any(_excludes(one, other) for other in found):
                held.append(card)
            else:
                found.append(one)
        yield sorted(found, key=lambda one: one.after)


def _deck(chance: random.Random) -> Iterator[tuple[Kind, Mode | None]]:
    """All cards in random order, again and again: so a series of this length has every fault."""
    while True:
        yield from chance.sample(_CARDS, len(_CARDS))


def _fault(chance: random.Random, card: tuple[Kind, Mode | None], operators: int, nodes: int, longest: float) -> Fault:
    kind, mode = card
    target = chance.randrange(operators if kind in (Kind.KILL, Kind.STOP, Kind.SOURCE) else nodes)
    after, seconds = chance.uniform(0, _BEGIN_SECONDS), chance.uniform(2, longest)
    depth = chance.randint(1, CONFIRMATIONS - 1) if kind == Kind.REORGANISATION else 0
    return Fault(kind, target, round(after, 1), round(seconds, 1), mode, depth)


def _excludes(one: Fault, other: Fault) -> bool:
    """Whether two faults cannot be in one episode."""
    nodes = {Kind.HANG, Kind.RESTART, Kind.CRASH, Kind.REORGANISATION, Kind.FEES}
    daemons = {Kind.KILL, Kind.STOP}
    same = one.target == other.target
    return (
        (same and {one.kind, other.kind} <= nodes)
        or (same and {one.kind, other.kind} <= daemons)
        or (same and one.kind == other.kind)
        or (one.mode in DECEITFUL and other.mode in DECEITFUL)
    )


@dataclass(frozen=True, slots=True)
class Quiet:
    """A time without faults, in Unix seconds; `after` names the faults before it."""

    begin: float
    end: float
    after: tuple[str, ...]


@dataclass
class Player:
    """Plays episodes on a lab.

    Args:
        lab: that suffers them.
    """

    lab: Lab
    counts: Counter[str] = field(default_factory=Counter)
    quiets: list[Quiet] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)

    def play(self, faults: list[Fault]) -> None:
        """One episode, and the quiet after it: until every feed has a new proven round everywhere, or a heartbeat."""
        began = time.monotonic()
        steps: list[tuple[float, Callable[[], object]]] = []
        for one in faults:
            begin, end = self._actions(one)
            steps += [(one.after, begin), (one.after + one.seconds, end)]
        for at, action in sorted(steps, key=lambda step: step[0]):
            time.sleep(max(began + at - time.monotonic(), 0))
            action()
        now, plan = time.time(), self.lab.plan
        self.counts.update(one.title for one in faults)
        time.sleep(_QUIET_TICKS * plan.tick)
        while time.time() < now + plan.heartbeat + plan.tick and not self._is_well(now):
            time.sleep(1.0)
        self.quiets.append(Quiet(now, time.time(), tuple(one.title for one in faults)))

    def _is_well(self, since: float) -> bool:
        """Whether every feed has a proven round on every chain that was observed since a time."""
        latest = [
            hub.latest(feed.id, Level.PROVEN) for hub in self.lab.hubs.values() for feed in self.lab.feeds.values()
        ]
        return all(found is not None and found[1].observed_at >= since for found in latest)

    def _actions(self, one: Fault) -> tuple[Callable[[], object], Callable[[], object]]:
        """How a fault begins and ends."""
        if one.mode is not None:
            mode, source = one.mode, self.lab.source
            return lambda: source.fail(one.target, mode), lambda: source.recover(one.target)
        if one.kind in (Kind.KILL, Kind.STOP):
            operator = self.lab.operators[one.target]
            return operator.kill if one.kind == Kind.KILL else lambda: self.exits.append(
                operator.stop()
            ), operator.start
        node = [*self.lab.nodes.values()][one.target]
        nothing = lambda: None  # noqa: E731 - what lasts by itself has no end
        return {
            Kind.HANG: (node.pause, node.resume),
            Kind.RESTART: (node.stop, node.start),
            Kind.CRASH: (node.crash, node.start),
            Kind.REORGANISATION: (lambda: node.reorganise(one.depth), nothing),
            Kind.FEES: (node.spike, nothing),
        }[one.kind]
