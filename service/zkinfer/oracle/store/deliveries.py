"""Deliveries of rounds to chains."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import and_, func, insert, select, update

from zkinfer.oracle.errors import RoundStateError
from zkinfer.oracle.states import OPEN_DELIVERIES, DeliveryState, require_delivery_change
from zkinfer.oracle.store.rounds import RoundKey
from zkinfer.oracle.store.tables import deliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Row

    from zkinfer.prover.jobs.database import Database


@dataclass(frozen=True, slots=True)
class DeliveryKey:
    """A round that a chain (by its name in the configuration) is to get at a level: `attested` or `proven`."""

    round: RoundKey
    chain: str
    level: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it is on record.

    `height` is the block at which the chain was first seen to have the round; `attempts` counts what was sent.
    """

    key: DeliveryKey
    state: DeliveryState
    height: int | None
    transaction: str | None
    attempts: int
    reason: str | None
    changed_at: int

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """The delivery of a row."""
        return cls(
            key=DeliveryKey(RoundKey(row.feed, row.number), row.chain, row.level),
            state=DeliveryState(row.state),
            height=row.height,
            transaction=row.transaction,
            attempts=row.attempts,
            reason=row.reason,
            changed_at=row.changed_at,
        )


class Deliveries:
    """The deliveries on record. Every write raises StoreError if nothing was written."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def plan(self, key: DeliveryKey) -> None:
        """Record a delivery that waits, unless it is on record already."""

        def work(connection: Connection) -> None:
            if connection.execute(select(deliveries.c.feed).where(_is(key))).first() is None:
                connection.execute(
                    insert(deliveries).values(
                        feed=key.round.feed,
                        number=key.round.number,
                        chain=key.chain,
                        level=key.level,
                        state=str(DeliveryState.WAITING),
                        attempts=0,
                        changed_at=int(self._clock()),
                    )
                )

        self._database.write(work)

    def move(
        self,
        key: DeliveryKey,
        state: DeliveryState,
        *,
        height: int | None = None,
        transaction: str | None = None,
        reason: str | None = None,
    ) -> bool:
        """Change the state of a delivery; False if it was in that state already, and nothing changed.

        Raises RoundStateError if there is no such delivery, or the state may not follow.
        """
        given = {"height": height, "transaction": transaction, "reason": reason}
        values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if state == DeliveryState.WAITING:
            values["height"] = None
        if state == DeliveryState.SENT:
            values["attempts"] = deliveries.c.attempts + 1

        def work(connection: Connection) -> bool:
            found = connection.scalar(select(deliveries.c.state).where(_is(key)))
            if found is None:
                raise RoundStateError(f"Round {key.round.number} was not to go to {key.chain}.")
            if not require_delivery_change(DeliveryState(found), state):
                return False
            values.update(state=str(state), changed_at=int(self._clock()))
            connection.execute(update(deliveries).where(_is(key)).values(values))
            return True

        return self._database.write(work)

    def open(self, chain: str) -> list[Delivery]:
        """The deliveries to a chain on which work remains, newest round first."""
        query = select(deliveries).where(
            deliveries.c.chain == chain, deliveries.c.state.in_([str(one) for one in OPEN_DELIVERIES])
        )
        return self._all(query.order_by(deliveries.c.number.desc(), deliveries.c.level.desc()))

    def newest(self, feed: str, chain: str, *states: DeliveryState) -> Delivery | None:
        """The delivery of a feed's newest round to a chain, at the highest level; in one of these states, if given."""
        query = select(deliveries).where(deliveries.c.feed == feed, deliveries.c.chain == chain)
        if states:
            query = query.where(deliveries.c.state.in_([str(one) for one in states]))
        found = self._all(query.order_by(deliveries.c.number.desc(), deliveries.c.level.desc()).limit(1))
        return found[0] if found else None

    def undelivered(self, feed: str, chain: str, limit: int) -> list[Delivery]:
        """The deliveries of a feed to a chain that ended without it, newest round first."""
        ended = [str(DeliveryState.SUPERSEDED), str(DeliveryState.REFUSED)]
        query = select(deliveries).where(
            deliveries.c.feed == feed, deliveries.c.chain == chain, deliveries.c.state.in_(ended)
        )
        return self._all(query.order_by(deliveries.c.number.desc(), deliveries.c.level.desc()).limit(limit))

    def of_round(self, key: RoundKey) -> list[Delivery]:
        """The deliveries of a round."""
        return self._all(select(deliveries).where(deliveries.c.feed == key.feed, deliveries.c.number == key.number))

    def counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        """How many deliveries there are, by chain and state."""
        query = select(deliveries.c.chain, deliveries.c.state, func.count())
        with self._database.reading() as connection:
            found = connection.execute(query.group_by(deliveries.c.chain, deliveries.c.state))
            return {(chain, DeliveryState(state)): count for chain, state, count in found}

    def _all(self, query: Any) -> list[Delivery]:  # noqa: ANN401 - SQLAlchemy's own generic type
        with self._database.reading() as connection:
            return [Delivery.of(row) for row in connection.execute(query)]


def _is(key: DeliveryKey) -> Any:  # noqa: ANN401 - SQLAlchemy's own types
    return and_(
        deliveries.c.feed == key.round.feed,
        deliveries.c.number == key.round.number,
        deliveries.c.chain == key.chain,
        deliveries.c.level == key.level,
    )
