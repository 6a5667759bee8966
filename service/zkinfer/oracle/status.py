"""The state of feeds at a glance, from the chains and, if the daemon runs here, from its store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from zkinfer.contracts.errors import ChainError
from zkinfer.oracle.chains import ImpatientState
from zkinfer.oracle.store.deliveries import Delivery
from zkinfer.oracle.store.gaps import Gap
from zkinfer.oracle.store.leases import feed_lease

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zkinfer.contracts.feed_formats import Level
    from zkinfer.oracle.chains import ChainAccess
    from zkinfer.oracle.store import Store


PATIENCE: Final = 10.0
"""Seconds to wait for a node; one that is silent must not hide the state of feeds on other chains."""
DAEMON_PATIENCE: Final = 30
"""Seconds after the end of a tick until which a daemon that runs has looked at it, even if a node kept it waiting."""


@dataclass(frozen=True, slots=True)
class WatchedFeed:
    """A feed to look at: its name in the configuration, its id, what is expected of it, and the chains that get it."""

    name: str
    id: str
    tick: int
    heartbeat: int
    level: Level
    chains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """A feed on one chain.

    Args:
        feed: its name.
        feed_id: its id.
        chain: the chain's name.
        tick: seconds of a round.
        heartbeat: seconds within which there is a round.
        round: the newest round of the expected level; None if there is none, or the chain did not answer.
        answer: of that round.
        level: of that round.
        age: seconds since its observation.
        contradicted: whether a proof contradicted the signers.
        balance: of the posting account, in wei; None without one.
        waiting: why the newest round is not on the chain yet, as the daemon found.
        gaps: on record, newest first.
        undelivered: rounds that the chain did not get although they were made, newest first.
        unreachable: why the chain did not answer.
        looked_at: when the last tick began that a daemon has looked at; None if none did.
        has_daemon: whether a daemon works on the feed now.
    """

    feed: str
    feed_id: str
    chain: str
    tick: int
    heartbeat: int
    round: int | None = None
    answer: int | None = None
    level: str = ""
    age: int | None = None
    contradicted: bool = False
    balance: int | None = None
    waiting: str = ""
    gaps: tuple[Gap, ...] = ()
    undelivered: tuple[Delivery, ...] = ()
    unreachable: str = ""
    looked_at: int | None = None
    has_daemon: bool = False

    @property
    def gap(self) -> Gap | None:
        """The last gap."""
        return self.gaps[0] if self.gaps else None

    @property
    def late(self) -> bool:
        """Whether consumers of the feed would find it too old, or could not find out."""
        return self.age is None or self.age > self.heartbeat

    @property
    def fine(self) -> bool:
        """Whether nothing needs the operator."""
        return not (self.late or self.contradicted)

    def document(self) -> dict[str, Any]:
        """The JSON form; large numbers as text."""
        return {
            "feed": self.feed,
            "feedID": self.feed_id,
            "chain": self.chain,
            "round": self.round,
            "answer": None if self.answer is None else str(self.answer),
            "level": self.level or None,
            "age": self.age,
            "heartbeat": self.heartbeat,
            "late": self.late,
            "contradicted": self.contradicted,
            "balance": None if self.balance is None else str(self.balance),
            "waiting": self.waiting or None,
            "unreachable": self.unreachable or None,
            "daemon": self.has_daemon,
            "lookedAt": self.looked_at,
            "gaps": [self._gap_document(gap) for gap in self.gaps],
            "undelivered": [
                {
                    "round": one.key.round.number,
                    "report": one.key.level,
                    "state": str(one.state),
                    "reason": one.reason,
                }
                for one in self.undelivered
            ],
        }

    def span(self, gap: Gap) -> tuple[int, int]:
        """When a gap began and ended, in Unix seconds."""
        return gap.first * self.tick, (gap.last + 1) * self.tick

    def _gap_document(self, gap: Gap) -> dict[str, Any]:
        began, ended = self.span(gap)
        return {
            "first": gap.first,
            "last": gap.last,
            "from": began,
            "to": ended,
            "reason": str(gap.reason),
            "detail": gap.detail,
        }


def status_of(
    feeds: Iterable[WatchedFeed],
    chains: Mapping[str, ChainAccess],
    store: Store | None,
    now: float,
    *,
    gaps: int = 1,
) -> list[FeedStatus]:
    """The state of each feed on each of its chains.

    Args:
        feeds: to look at.
        chains: by name.
        store: of the daemon; None if it does not run here.
        now: Unix seconds.
        gaps: how many gaps, and how many undelivered rounds, at most.

    Raises:
        StoreError: the database cannot be used.
    """
    states = {name: ImpatientState(chain, PATIENCE) for name, chain in chains.items()}
    return [_status(feed, chains[name], states[name], store, now, gaps=gaps) for feed in feeds for name in feed.chains]


def _status(
    feed: WatchedFeed, chain: ChainAccess, state: ImpatientState, store: Store | None, now: float, *, gaps: int
) -> FeedStatus:
    known, undelivered, waiting = list[Gap](), list[Delivery](), ""
    looked_at, has_daemon = None, False
    if store is not None:
        looked_at, has_daemon = _daemon(feed, store, now)
        known = store.gaps.of(feed.id, gaps)
        undelivered = store.deliveries.undelivered(feed.id, chain.name, gaps)
        newest = store.deliveries.newest(feed.id, chain.name)
        waiting = (newest.reason or "") if newest is not None else ""
    try:
        latest = state.latest(feed.id, feed.level)
        contradicted = state.ask(lambda: chain.is_contradicted(feed.id))
        balance = state.ask(chain.balance) if chain.posts else None
    except ChainError as err:
        return FeedStatus(
            feed.name,
            feed.id,
            chain.name,
            feed.tick,
            feed.heartbeat,
            waiting=waiting,
            gaps=tuple(known),
            undelivered=tuple(undelivered),
            unreachable=str(err),
            looked_at=looked_at,
            has_daemon=has_daemon,
        )
    return FeedStatus(
        feed=feed.name,
        feed_id=feed.id,
        chain=chain.name,
        tick=feed.tick,
        heartbeat=feed.heartbeat,
        round=None if latest is None else latest[0],
        answer=None if latest is None else latest[1].answer,
        level="" if latest is None else latest[1].level.name.lower(),
        age=None if latest is None else max(int(now) - latest[1].observed_at, 0),
        contradicted=contradicted,
        balance=balance,
        waiting=waiting,
        gaps=tuple(known),
        undelivered=tuple(undelivered),
        looked_at=looked_at,
        has_daemon=has_daemon,
    )


def _daemon(feed: WatchedFeed, store: Store, now: float) -> tuple[int | None, bool]:
    """When the last tick began that a daemon looked at, and whether one works on the feed now.

    It does if it has the feed's lease, and has looked at the tick before this one: a lease alone can be that of a
    machine that went down.
    """
    last = store.gaps.last_tick(feed.id)
    if last is None:
        return None, False
    recent = (last + 2) * feed.tick + DAEMON_PATIENCE >= now
    return last * feed.tick, recent and store.leases.is_held(feed_lease(feed.id))
