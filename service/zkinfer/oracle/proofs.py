"""Prove rounds: one proof for each, whatever the number of chains, and only of a feed's newest signed round."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.errors import ChainError
from zkinfer.contracts.feed_formats import FeedPayload, Level
from zkinfer.oracle.alerts import AlertKind
from zkinfer.oracle.errors import OracleError
from zkinfer.oracle.feed import FAILURES
from zkinfer.oracle.schedule import takeover_time
from zkinfer.oracle.states import RoundState
from zkinfer.oracle.store.gaps import Gap, GapReason
from zkinfer.service.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zkinfer.oracle.alerts import Alerts
    from zkinfer.oracle.chains import HubState
    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.store import Store
    from zkinfer.oracle.store.rounds import StoredRound

_ATTEMPTS: Final = 2


class ProofLoop:
    """Proves the rounds of one feed.

    Args:
        feed: the feed, of which chains get proven rounds.
        store: of this daemon.
        chains: by name.
        alerts: to the operator.
        clock: Unix seconds.
    """

    def __init__(
        self,
        feed: Feed,
        store: Store,
        chains: Mapping[str, HubState],
        alerts: Alerts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.feed = feed
        self._store = store
        self._chains = [chains[name] for name in feed.chains]
        self._alerts = alerts
        self._clock = clock

    def step(self) -> bool:
        """Prove the newest signed round, if it is this operator's to prove; whether a proof was made.

        Raises StoreError if the database cannot be used.
        """
        if Level.PROVEN not in self.feed.delivered.levels:
            return False
        # A round from the future is of an operator whose clock is ahead: it waits, and must not supersede any.
        known = self._store.rounds.in_state(self.feed.id, RoundState.SIGNED)
        known = [one for one in known if one.observed_at <= self._clock()]
        signed = max(known, key=lambda one: one.key.number, default=None)
        if signed is None or signed.expires_at <= self._clock():
            return False
        if len(known) > 1:
            self._store.rounds.supersede(self.feed.id, signed.key.number, "A newer round was signed before its proof.")
        if not self._is_wanted(signed):
            return False
        return self._prove(signed)

    def _is_wanted(self, signed: StoredRound) -> bool:
        """Another operator's round is proven here only if its turn has passed and a chain still lacks the proof."""
        if self.feed.owns(signed):
            return True
        if self._clock() < takeover_time(self.feed, signed.key.number, signed.observed_at):
            return False
        return not all(self._has_proof(chain, signed) for chain in self._chains)

    def _has_proof(self, chain: HubState, signed: StoredRound) -> bool:
        try:
            found = chain.round_of(self.feed.id, signed.key.number)
        except ChainError:
            return False
        return found is not None and found.level >= Level.PROVEN

    def _prove(self, signed: StoredRound) -> bool:
        payload = FeedPayload.decode(signed.payload or b"")
        for attempt in range(1, _ATTEMPTS + 1):
            began = time.monotonic()
            try:
                proven = self.feed.model.prove(payload)
                if proven.signing_hash != payload.signing_hash or proven.level != Level.PROVEN:
                    raise OracleError("The proof is of another report than the signed one.", "This is a defect.")
            except FAILURES as err:
                log.warning("proof failed", feed=self.feed.name, round=signed.key.number, attempt=attempt)
                if attempt == _ATTEMPTS:
                    self._refuse(signed, str(err))
                continue
            spent = round((time.monotonic() - began) * 1000)
            self._store.rounds.advance(signed.key, RoundState.PROVEN, payload=proven.encode(), milliseconds=spent)
            self._alerts.end(AlertKind.PROOF_FAILED, self.feed.name)
            log.info("proven", feed=self.feed.name, round=signed.key.number, seconds=spent / 1000)
            return True
        return False

    def _refuse(self, signed: StoredRound, reason: str) -> None:
        self._store.rounds.advance(signed.key, RoundState.REFUSED, reason=reason)
        number = signed.key.number
        self._store.gaps.note(self.feed.id, Gap(number, number, GapReason.PROOF_FAILED, reason))
        self._alerts.begin(AlertKind.PROOF_FAILED, self.feed.name, reason)
