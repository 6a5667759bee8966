"""The loop of one feed: look at each tick, observe, record what is due, and gather the signatures.

Each call of `FeedLoop.step` does what can be done now and returns. All that it knows afterwards is in the store, so a
daemon that is killed at any point goes on from there.

1. Ticks that nobody looked at become gaps.
2. A tick is looked at once its turn has come: observe, answer, and ask whether a round is due.
3. What is due is recorded; the first report for a round, own or a peer's, stays.
4. It is signed here, and peers are asked; another operator's round only after its turn has passed.
5. With enough signatures it is published and planned for the chains.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import InputError
from zkinfer.contracts.errors import ChainError, FeedSignatureError
from zkinfer.contracts.feed_formats import sign
from zkinfer.oracle.alerts import AlertKind
from zkinfer.oracle.chains import last_round
from zkinfer.oracle.feed import FAILURES, packed
from zkinfer.oracle.schedule import Last, due, last_vote, proposal_time, takeover_time
from zkinfer.oracle.states import RoundState
from zkinfer.oracle.store.deliveries import DeliveryKey
from zkinfer.oracle.store.gaps import Gap, GapReason
from zkinfer.oracle.store.leases import feed_lease
from zkinfer.oracle.store.rounds import RoundKey
from zkinfer.service.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zkinfer.oracle.alerts import Alerts
    from zkinfer.oracle.chains import HubState
    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.peers import Peers
    from zkinfer.oracle.store import Store
    from zkinfer.oracle.store.rounds import StoredRound

LEASE_SECONDS: Final = 15
"""Seconds without a sign of life after which another daemon with the same database takes over."""


class FeedLoop:
    """Makes the rounds of one feed.

    Args:
        feed: the feed.
        store: of this daemon.
        chains: by name.
        peers: the other signers; None without any.
        alerts: to the operator.
        clock: Unix seconds.
        closed: by feed, up to which round none is made that is not on record; see `closed_round`.
    """

    def __init__(
        self,
        feed: Feed,
        store: Store,
        chains: Mapping[str, HubState],
        peers: Peers | None,
        alerts: Alerts,
        clock: Callable[[], float] = time.time,
        closed: Mapping[str, int] | None = None,
    ) -> None:
        self.feed = feed
        self._closed = {} if closed is None else closed
        self._store = store
        self._chains = [chains[name] for name in feed.chains]
        self._peers = peers
        self._alerts = alerts
        self._clock = clock
        self._asked = threading.Event()
        self._failure: tuple[GapReason, str] | None = None
        self._retry_at = self._ask_again_at = 0.0
        self._has_looked = False
        self._looked: int | None = None

    @property
    def poll_seconds(self) -> float:
        """Seconds between two steps."""
        return min(max(self.feed.spec.tick / 10, 0.1), 2.0)

    def ask(self) -> None:
        """Make a round due at the next tick, whatever the chains have."""
        self._asked.set()

    def step(self) -> bool:
        """Do what can be done now; whether this daemon works on the feed at all.

        Raises StoreError if the database cannot be used.
        """
        if not self._store.leases.hold(feed_lease(self.feed.id), LEASE_SECONDS):
            return False
        number = self.feed.round_at(self._clock())
        last = self._note_missed(number)
        if last < number or (self._is_ahead(last, number) and self._looked != number):
            self._look(number)
        self._finish_observed()
        return True

    def _is_ahead(self, last: int, number: int) -> bool:
        """Whether a tick of the future was looked at: the clock was wrong then, or is now."""
        if last <= number + 1:
            self._alerts.end(AlertKind.CLOCK_WENT_BACK, self.feed.name)
            return False
        text = f"The tick {last} was looked at before, and it is {number} now. Check this machine's clock."
        self._alerts.begin(AlertKind.CLOCK_WENT_BACK, self.feed.name, text)
        if self._looked != number:
            self._store.rounds.withdraw(self.feed.id, number + 1, "It was made by a clock that was ahead.")
            self._retry_at = self._ask_again_at = 0.0  # they were of that clock, too
        return True

    def _note_missed(self, number: int) -> int:
        """Step 1; returns the last tick that was looked at."""
        last = self._store.gaps.last_tick(self.feed.id)
        if last is None:
            self._store.gaps.looked_at(self.feed.id, number - 1)
            last = number - 1
        if last + 1 < number:
            unknown = GapReason.TOO_SLOW if self._has_looked else GapReason.NOT_RUNNING
            reason, detail = self._failure or (unknown, "")
            self._note_gaps(last + 1, number - 1, reason, detail)
            self._store.gaps.looked_at(self.feed.id, number - 1)
            self._failure, self._retry_at, last = None, 0.0, number - 1
        self._has_looked = True
        return last

    def _note_gaps(self, first: int, last: int, reason: GapReason, detail: str) -> None:
        """Record gaps around the rounds that exist."""
        for known in [*self._store.rounds.numbers(self.feed.id, first, last), last + 1]:
            if first < known:
                self._store.gaps.note(self.feed.id, Gap(first, known - 1, reason, detail))
            first = known + 1

    def _look(self, number: int) -> None:
        """Steps 2 and 3; the tick counts as looked at unless its turn has not come, or the source refused."""
        with self.feed.deciding:
            if not self._settle(number):
                return
        self._store.gaps.looked_at(self.feed.id, number)
        self._failure, self._retry_at, self._looked = None, 0.0, number

    def _settle(self, number: int) -> bool:
        """Whether it is settled that a round is not due, or which report it has."""
        now = self._clock()
        if self._store.rounds.find(RoundKey(self.feed.id, number)) is not None:
            return True
        if number <= self._closed.get(self.feed.id, -1):
            detail = "The tick began before the daemon, whose database does not reach up to it."
            self._store.gaps.note(self.feed.id, Gap(number, number, GapReason.NOT_RUNNING, detail))
            return True
        if now < max(proposal_time(self.feed, number), self._retry_at):
            return False
        found = self._observe(number)
        if found is None:
            self._retry_at = now + max(self.feed.spec.tick / 10, 0.5)
            return False
        self._propose(number, *found)
        return True

    def _observe(self, number: int) -> tuple[Observation, int] | None:
        """The observation of a round and its answer; None if there is none, which the operator is told."""
        model = self.feed.model
        try:
            observed = model.observe(number)
            if self.feed.round_at(observed.observed_at) != number:
                raise InputError(
                    f"The source answered after the tick {number}.", "Use a faster source, or a longer tick."
                )
        except FAILURES as err:
            self._fail(GapReason.SOURCE_REFUSED, AlertKind.SOURCE_REFUSED, str(err))
            return None
        self._alerts.end(AlertKind.SOURCE_REFUSED, self.feed.name)
        try:
            answer = model.answer(observed)
        except FAILURES as err:
            self._fail(GapReason.ANSWER_REFUSED, AlertKind.ANSWER_REFUSED, str(err))
            return None
        self._alerts.end(AlertKind.ANSWER_REFUSED, self.feed.name)
        return observed, answer

    def _fail(self, reason: GapReason, kind: AlertKind, detail: str) -> None:
        self._failure = (reason, detail)
        self._alerts.begin(kind, self.feed.name, detail)

    def _propose(self, number: int, observed: Observation, answer: int) -> None:
        """Record a round that is due."""
        reason = due(self.feed, number, answer, self._lasts(), asked=self._asked.is_set())
        if reason is None:
            return
        self._asked.clear()
        stored = self._store.rounds.record(self.feed.new_round(observed, answer, self.feed.address))
        log.info("round", feed=self.feed.name, round=number, answer=str(stored.answer), reason=str(reason))

    def _lasts(self) -> list[Last | None]:
        """The newest round of each chain that answers; the newest on record if none does."""
        found = []
        for chain in self._chains:
            try:
                found.append(last_round(self._store, self.feed, chain, self._clock()))
            except ChainError as err:
                log.warning("chain unreachable", chain=chain.name, reason=err.cause)
        return found or [self._last_on_record()]

    def _last_on_record(self) -> Last | None:
        known = self._store.rounds.newest(self.feed.id, RoundState.SIGNED, RoundState.PROVEN)
        return None if known is None else Last(known.observed_at, known.answer)

    def _finish_observed(self) -> None:
        """Steps 4 and 5, for each round that lacks signatures."""
        for stored in self._store.rounds.in_state(self.feed.id, RoundState.OBSERVED):
            if self._complete(stored):
                return  # older ones have been given up
            if self._clock() > last_vote(self.feed.spec, stored.observed_at):
                self._give_up(stored, "Too few signers have signed within the tick.")
            elif self._is_mine(stored) and self._clock() >= self._ask_again_at:
                self._ask_again_at = self._clock() + max(self.feed.spec.tick / 5, 1.0)
                self._ask_peers(stored)
                if self._complete(stored):
                    return

    def _is_mine(self, stored: StoredRound) -> bool:
        if self.feed.owns(stored):
            return True
        return self._clock() >= takeover_time(self.feed, stored.key.number, stored.observed_at)

    def _ask_peers(self, stored: StoredRound) -> None:
        signatures = self._store.rounds.signatures(stored.key)
        if self.feed.signer is not None and self.feed.address not in signatures:
            own = packed(sign(self.feed.unsigned_of(stored).signing_hash, self.feed.signer))
            self._store.rounds.sign(stored.key, self.feed.address, own)
            signatures[self.feed.address] = own
        if self._peers is None or self.feed.config is None or len(signatures) >= self.feed.config.threshold:
            return
        source = self._store.rounds.source(stored.source_digest) or b""
        for signer, signature in self._peers.ask(self.feed, stored, source, signatures).items():
            self._store.rounds.sign(stored.key, signer, signature)

    def _complete(self, stored: StoredRound) -> bool:
        """Publish a round if it has enough signatures."""
        signatures = self._store.rounds.signatures(stored.key)
        try:
            payload = self.feed.attested(self.feed.unsigned_of(stored), signatures.values())
        except FeedSignatureError:
            return False
        for chain in self.feed.chains:
            for level in self.feed.delivered.levels:
                self._store.deliveries.plan(DeliveryKey(stored.key, chain, level.name.lower()))
        self._store.rounds.advance(stored.key, RoundState.SIGNED, payload=payload.encode())
        self._alerts.end(AlertKind.PEERS_DISAGREE, self.feed.name)
        self._drop_older(stored)
        return True

    def _drop_older(self, signed: StoredRound) -> None:
        """Rounds before a signed one that still lack signatures are given up, unless it is from the future."""
        if signed.observed_at > self._clock():
            return
        for older in self._store.rounds.in_state(self.feed.id, RoundState.OBSERVED):
            if older.key.number < signed.key.number:
                self._give_up(older, "A newer round was signed before.")

    def _give_up(self, stored: StoredRound, reason: str) -> None:
        """A round without enough signatures ends; it is a gap, unless another operator has brought it to a chain."""
        if self._has_arrived(stored):
            self._store.rounds.advance(stored.key, RoundState.SUPERSEDED, reason="Another operator has finished it.")
            return
        refusals = self._peers.refusals(stored.key) if self._peers else ""
        why = GapReason.PEERS_DISAGREE if refusals else GapReason.TOO_SLOW
        self._store.rounds.advance(stored.key, RoundState.REFUSED, reason=refusals or reason)
        number = stored.key.number
        self._store.gaps.note(self.feed.id, Gap(number, number, why, refusals or reason))
        if refusals:
            self._alerts.begin(AlertKind.PEERS_DISAGREE, self.feed.name, refusals)

    def _has_arrived(self, stored: StoredRound) -> bool:
        for chain in self._chains:
            try:
                if chain.round_of(self.feed.id, stored.key.number) is not None:
                    return True
            except ChainError:
                continue
        return False
