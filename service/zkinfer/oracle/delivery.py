"""Deliver rounds to one chain: post the newest, watch what others posted, and follow reorganisations.

A delivery is seen once the hub has the round at its level, whoever posted it, and final when the hub still has it after
the chain's confirmations. If a reorganisation removes it before, it waits again. Posting what is there already changes
nothing, so a daemon that was killed while it posted asks the hub first and goes on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.feed_formats import Level
from zkinfer.oracle.alerts import AlertKind
from zkinfer.oracle.outbox import Outbox, Ready
from zkinfer.oracle.schedule import Last, due, takeover_time
from zkinfer.oracle.states import DeliveryState, RoundState
from zkinfer.service.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zkinfer.oracle.alerts import Alerts
    from zkinfer.oracle.chains import ChainAccess
    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.store import Store
    from zkinfer.oracle.store.deliveries import Delivery
    from zkinfer.oracle.store.rounds import StoredRound

LEASE_SECONDS: Final = 120
_CHECK_SECONDS: Final = 30.0


class DeliveryLoop:
    """Delivers the rounds of all feeds to one chain.

    Args:
        chain: the chain.
        feeds: that it gets, by id.
        store: of this daemon.
        alerts: to the operator.
        clock: Unix seconds.
    """

    def __init__(
        self,
        chain: ChainAccess,
        feeds: Mapping[str, Feed],
        store: Store,
        alerts: Alerts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.chain = chain
        self._feeds = feeds
        self._store = store
        self._alerts = alerts
        self._clock = clock
        self._outbox = Outbox(chain, store, alerts, clock)
        self._checked_at = 0.0
        self.balance: int | None = None

    def step(self) -> bool:
        """Bring each open delivery forward; whether any is still open.

        Raises:
            ChainError: the chain does not answer; nothing is lost.
            StoreError: the database cannot be used.
        """
        open_ = self._store.deliveries.open(self.chain.name)
        handled: set[tuple[str, str]] = set()
        ready: dict[tuple[str, int], Ready] = {}
        for delivery in open_:
            feed = self._feeds.get(delivery.key.round.feed)
            stored = self._store.rounds.find(delivery.key.round)
            # A round from the future is of an operator whose clock is ahead: it waits, and must not supersede any.
            if feed is None or stored is None or stored.observed_at > self._clock():
                continue
            if self._bring_forward(delivery, feed, stored, handled):
                # Of one round the highest level comes first, and its payload serves the lower one too.
                ready.setdefault((feed.id, stored.key.number), Ready(delivery, feed, stored))
        self._outbox.send([*ready.values()])
        self._check_state()
        return bool(self._store.deliveries.open(self.chain.name)) if open_ else False

    def _bring_forward(
        self, delivery: Delivery, feed: Feed, stored: StoredRound, handled: set[tuple[str, str]]
    ) -> bool:
        """One step of one delivery; whether it is to be posted now.

        `handled` names feed and level of newer rounds that were ready to be posted.
        """
        level = Level[delivery.key.level.upper()]
        found = self.chain.round_of(feed.id, stored.key.number)
        shown = found is not None and found.level >= level
        is_to_post = False
        if found is not None and (found.answer, found.observed_at) != (stored.answer, stored.observed_at):
            self._end_as_other(delivery)
        elif delivery.state == DeliveryState.SEEN:
            self._confirm(delivery, shown=shown)
        elif shown:
            self._outbox.move(delivery, DeliveryState.SEEN, height=self.chain.height())
        elif delivery.state == DeliveryState.SENT:
            self._outbox.move(delivery, DeliveryState.WAITING)  # it was interrupted, or reorganised away
        elif not self._drop(delivery, feed, stored, level, handled):
            is_to_post = self._may_post(feed, stored, level)
        if shown or _is_ready(stored, level):
            handled.add((feed.id, delivery.key.level))
        return is_to_post

    def _confirm(self, delivery: Delivery, *, shown: bool) -> None:
        if not shown:
            log.warning("reorganised away", chain=self.chain.name, round=delivery.key.round.number)
            self._outbox.move(delivery, DeliveryState.WAITING)
        elif self.chain.height() - (delivery.height or 0) + 1 >= self.chain.confirmations:
            self._outbox.move(delivery, DeliveryState.FINAL)

    def _end_as_other(self, delivery: Delivery) -> None:
        """Others brought another report of this round to the chain; its answer never changes."""
        if delivery.state == DeliveryState.SEEN:
            self._outbox.move(delivery, DeliveryState.WAITING)
        self._outbox.move(delivery, DeliveryState.REFUSED, reason="The chain has another report for this round.")

    def _drop(
        self, delivery: Delivery, feed: Feed, stored: StoredRound, level: Level, handled: set[tuple[str, str]]
    ) -> bool:
        """Whether a waiting delivery is not needed any more, which is recorded with the reason."""
        if stored.state in (RoundState.REFUSED, RoundState.SUPERSEDED) and not _is_ready(stored, level):
            state = DeliveryState.REFUSED if stored.state == RoundState.REFUSED else DeliveryState.SUPERSEDED
            reason = stored.reason
        elif (feed.id, delivery.key.level) in handled:
            state, reason = DeliveryState.SUPERSEDED, "A newer round was ready before it was posted."
        elif stored.expires_at <= self._clock():
            state, reason = DeliveryState.REFUSED, delivery.reason or "It expired before it was posted."
        else:
            return False
        self._outbox.move(delivery, state, reason=reason)
        return True

    def _may_post(self, feed: Feed, stored: StoredRound, level: Level) -> bool:
        """Whether to post now, and not to wait for the operator who proposed the round."""
        if not (_is_ready(stored, level) and self.chain.posts and self._outbox.may_post()):
            return False
        lease = f"account:{self.chain.id}:{self.chain.account}"
        return self._is_its_turn(feed, stored) and self._store.leases.hold(lease, LEASE_SECONDS)

    def _is_its_turn(self, feed: Feed, stored: StoredRound) -> bool:
        """Whether nobody else is to be waited for. Another operator's round is paid for only if the chain needs it."""
        if feed.owns(stored):
            return True
        if self._clock() < takeover_time(feed, stored.key.number, stored.observed_at):
            return False
        latest = self.chain.latest(feed.id, feed.highest)
        last = None if latest is None else Last(latest[1].observed_at, latest[1].answer)
        return due(feed, stored.key.number, stored.answer, [last]) is not None

    def _check_state(self) -> None:
        """From time to time: the balance, the age of each feed, and contradictions."""
        now = self._clock()
        if 0 <= now - self._checked_at < _CHECK_SECONDS and not self._outbox.is_in_doubt:  # less: the clock went back
            return
        self._checked_at, self._outbox.is_in_doubt = now, False
        if self.chain.posts:
            self.balance = self.chain.balance()
            text = f"{self.chain.account} has {self.balance} wei, less than {self.chain.min_balance}."
            low = self.balance < self.chain.min_balance
            self._report(low, AlertKind.BALANCE_LOW, self.chain.name, text)
        for feed in self._feeds.values():
            about = f"{feed.name} on {self.chain.name}"
            text = "A proof contradicted the feed's signers: its attested level is closed."
            self._report(self.chain.is_contradicted(feed.id), AlertKind.CONTRADICTED, about, text)
            latest = self.chain.latest(feed.id, feed.highest)
            late = latest is None or now - latest[1].observed_at > feed.spec.heartbeat
            self._report(late, AlertKind.LATE, about, f"The newest round is older than {feed.spec.heartbeat} s.")

    def _report(self, holds: bool, kind: AlertKind, about: str, text: str) -> None:
        if holds:
            self._alerts.begin(kind, about, text)
        else:
            self._alerts.end(kind, about)


def _is_ready(stored: StoredRound, level: Level) -> bool:
    """Whether there is something to post at this level."""
    return stored.state == RoundState.PROVEN or (stored.payload is not None and level == Level.ATTESTED)
