"""What one chain is to get next: the payloads that a step found ready, posted in one transaction where possible.

An account has one transaction under way at a time, and each waits for a block. Posted one by one, the rounds of several
feeds would pile up, and newer ones would replace most of them unposted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.errors import ChainError, FeedContradictedError, FeeLimitError, RevertedError
from zkinfer.oracle.alerts import AlertKind
from zkinfer.oracle.states import DeliveryState
from zkinfer.service.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zkinfer.oracle.alerts import Alerts
    from zkinfer.oracle.chains import ChainAccess
    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.store import Store
    from zkinfer.oracle.store.deliveries import Delivery
    from zkinfer.oracle.store.rounds import StoredRound

MAX_BYTES: Final = 96 * 1024
"""Of the payloads in one transaction: nodes refuse transactions of more than 128 KiB."""
_RETRY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A delivery whose payload can be posted."""

    delivery: Delivery
    feed: Feed
    stored: StoredRound

    @property
    def payload(self) -> bytes:
        """What the hub gets: the round at the highest level that there is."""
        return self.stored.payload or b""


class Outbox:
    """Posts to one chain, and records what became of each delivery.

    Args:
        chain: the chain.
        store: of this daemon.
        alerts: to the operator.
        clock: Unix seconds.

    Attributes:
        is_in_doubt: whether a failure may come from the account's balance or from a contradiction; the reader of it
            sets it back.
    """

    def __init__(self, chain: ChainAccess, store: Store, alerts: Alerts, clock: Callable[[], float]) -> None:
        self._chain = chain
        self._store = store
        self._alerts = alerts
        self._clock = clock
        self._post_after = 0.0
        self.is_in_doubt = False

    def may_post(self) -> bool:
        """Whether the pause after a failure is over, or was begun by a clock that was ahead."""
        return not 0 < self._post_after - self._clock() < 2 * _RETRY_SECONDS

    def send(self, ready: Sequence[Ready]) -> None:
        """Post together what fits one transaction, or one by one if that is refused."""
        batch = _fitting(ready)
        if len(batch) > 1 and self._send_together(batch):
            return
        for one in batch:
            if self.may_post():
                self._send(one)

    def move(self, delivery: Delivery, state: DeliveryState, **facts: object) -> None:
        """Record what became of a delivery."""
        known = {name: value for name, value in facts.items() if value is not None}
        self._store.deliveries.move(delivery.key, state, **known)  # type: ignore[arg-type] # checked by the caller
        number, level = delivery.key.round.number, delivery.key.level
        log.info("delivery", chain=self._chain.name, round=number, report=level, state=str(state))

    def _send_together(self, batch: list[Ready]) -> bool:
        """Whether one transaction did it, or must be tried again later; False if they are to be tried one by one."""
        for one in batch:
            self.move(one.delivery, DeliveryState.SENT)
        try:
            transaction = self._chain.post_all([one.payload for one in batch])
        except (RevertedError, FeedContradictedError) as err:
            log.info("posting one by one", chain=self._chain.name, reason=err.cause)
            for one in batch:
                self.move(one.delivery, DeliveryState.WAITING)
            return False
        except ChainError as err:
            self._wait(batch, err)
        else:
            self._note_sent(batch, transaction)
        return True

    def _send(self, one: Ready) -> None:
        self.move(one.delivery, DeliveryState.SENT)
        try:
            transaction = self._chain.post(one.payload)
        except (RevertedError, FeedContradictedError) as err:
            if self._chain.time() < one.stored.observed_at:  # its blocks are behind; it will take the report soon
                self._post_after = self._clock() + 1.0
                self.move(one.delivery, DeliveryState.WAITING, reason=str(err))
                return
            self.move(one.delivery, DeliveryState.REFUSED, reason=str(err))
            self._alerts.begin(AlertKind.POST_REFUSED, self._about(one), str(err))
            self.is_in_doubt = True  # a contradiction may be the cause
        except ChainError as err:
            self._wait([one], err)
        else:
            self._note_sent([one], transaction)

    def _wait(self, batch: list[Ready], err: ChainError) -> None:
        """Try again after a pause."""
        self._post_after = self._clock() + _RETRY_SECONDS
        for one in batch:
            self.move(one.delivery, DeliveryState.WAITING, reason=str(err))
        if isinstance(err, FeeLimitError):
            self.is_in_doubt = True  # the balance may be the cause

    def _note_sent(self, batch: list[Ready], transaction: str | None) -> None:
        height = self._chain.height()
        for one in batch:
            self._alerts.end(AlertKind.POST_REFUSED, self._about(one))
            self.move(one.delivery, DeliveryState.SEEN, height=height, transaction=transaction)

    def _about(self, one: Ready) -> str:
        return f"{one.feed.name} on {self._chain.name}"


def _fitting(ready: Sequence[Ready]) -> list[Ready]:
    """The first ones whose payloads fit one transaction together; at least one. The others wait for the next step."""
    found: list[Ready] = []
    size = 0
    for one in ready:
        size += len(one.payload)
        if found and size > MAX_BYTES:
            break
        found.append(one)
    return found
