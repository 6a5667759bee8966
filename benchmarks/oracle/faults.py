"""Faults at random, the same for the same seed: episodes of several at once, and quiet after each until all is well."""

from __future__ import annotations

import random
import time
from collections import Counter
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
    REORGANISATION = "node: reorganisation"
    FEES = "node: base fee of 300 gwei"


AT_ONCE: Final = 3
"""Faults that begin in one episode, at most; the next may begin before the last has ended."""
_BEGIN_SECONDS: Final = 5.0
_QUIET_TICKS: Final = 2
_WEIGHTS: Final = {Kind.KILL: 4, Kind.STOP: 2, Kind.SOURCE: 5, Kind.REORGANISATION: 3}


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
    while True:
        found: list[Fault] = []
        for _ in range(chance.randint(1, AT_ONCE)):
            one = _fault(chance, operators, nodes, longest)
            if not any(_excludes(one, other) for other in found):
                found.append(one)
        yield sorted(found, key=lambda one: one.after)


def _fault(chance: random.Random, operators: int, nodes: int, longest: float) -> Fault:
    kinds = [*Kind]
    (kind,) = chance.choices(kinds, [_WEIGHTS.get(one, 2) for one in kinds])
    target = chance.randrange(operators if kind in (Kind.KILL, Kind.STOP, Kind.SOURCE) else nodes)
    after, seconds = chance.uniform(0, _BEGIN_SECONDS), chance.uniform(2, longest)
    mode = chance.choice([*Mode]) if kind == Kind.SOURCE else None
    depth = chance.randint(1, CONFIRMATIONS - 1) if kind == Kind.REORGANISATION else 0
    return Fault(kind, target, round(after, 1), round(seconds, 1), mode, depth)


def _excludes(one: Fault, other: Fault) -> bool:
    """Whether two faults cannot be in one episode."""
    nodes = {Kind.HANG, Kind.RESTART, Kind.REORGANISATION, Kind.FEES}
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
            Kind.REORGANISATION: (lambda: node.reorganise(one.depth), nothing),
            Kind.FEES: (node.spike, nothing),
        }[one.kind]
