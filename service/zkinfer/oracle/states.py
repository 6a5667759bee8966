"""The states of a round and of its delivery to a chain, and the changes between them.

A round is observed, signed by enough signers, and proven. Each chain then gets it: sent, seen on the chain, final after
the chain's confirmations. A reorganised chain may lose what was seen; so a delivery can go back, a round cannot.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from zkinfer.oracle.errors import RoundStateError

if TYPE_CHECKING:
    from collections.abc import Mapping


class RoundState(StrEnum):
    """How far a round has come."""

    OBSERVED = "observed"
    SIGNED = "signed"
    PROVEN = "proven"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


class DeliveryState(StrEnum):
    """How far the delivery of a round to one chain has come."""

    WAITING = "waiting"
    SENT = "sent"
    SEEN = "seen"
    FINAL = "final"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


ROUND_CHANGES: Final[Mapping[RoundState, frozenset[RoundState]]] = {
    RoundState.OBSERVED: frozenset({RoundState.SIGNED, RoundState.SUPERSEDED, RoundState.REFUSED}),
    RoundState.SIGNED: frozenset({RoundState.PROVEN, RoundState.SUPERSEDED, RoundState.REFUSED}),
    RoundState.PROVEN: frozenset(),
    RoundState.SUPERSEDED: frozenset(),
    RoundState.REFUSED: frozenset(),
}
"""The states that may follow each state of a round."""

DELIVERY_CHANGES: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    DeliveryState.WAITING: frozenset(
        # Seen without being sent: somebody else has posted the same report.
        {DeliveryState.SENT, DeliveryState.SEEN, DeliveryState.SUPERSEDED, DeliveryState.REFUSED}
    ),
    DeliveryState.SENT: frozenset({DeliveryState.WAITING, DeliveryState.SEEN, DeliveryState.REFUSED}),
    DeliveryState.SEEN: frozenset({DeliveryState.WAITING, DeliveryState.FINAL}),
    DeliveryState.FINAL: frozenset(),
    DeliveryState.SUPERSEDED: frozenset(),
    DeliveryState.REFUSED: frozenset(),
}
"""The states that may follow each state of a delivery."""

OPEN_DELIVERIES: Final = tuple(state for state, following in DELIVERY_CHANGES.items() if following)
"""The states of a delivery on which work remains."""


def require_round_change(before: RoundState, after: RoundState) -> bool:
    """Whether a round must be changed; False if it is in that state already.

    Raises RoundStateError if the state may not follow.
    """
    return _require(before, after, ROUND_CHANGES[before], "round")


def require_delivery_change(before: DeliveryState, after: DeliveryState) -> bool:
    """As `require_round_change`, for a delivery."""
    return _require(before, after, DELIVERY_CHANGES[before], "delivery")


def _require(
    before: StrEnum, after: StrEnum, allowed: frozenset[RoundState] | frozenset[DeliveryState], what: str
) -> bool:
    if before == after:
        return False
    if after not in allowed:
        raise RoundStateError(f"A {what} that is {before} cannot become {after}.", "Another process has finished it.")
    return True
