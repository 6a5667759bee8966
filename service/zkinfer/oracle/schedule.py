"""Whether a round is due, and whose turn it is: functions of the clock and of what chains have.

Any operator may propose a round; who is first differs from round to round, and the others wait for a share of the tick,
so that two proposals for one round are rare. If the first one fails, the next finishes the same round.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.contracts.feed_formats import FeedSpec
    from zkinfer.oracle.feed import Feed

MAX_PATIENCE: Final = 10.0
"""Seconds that an operator waits at most for the proposal of each operator before it."""
MAX_SKEW: Final = 5
"""Seconds by which the clocks of operators may differ."""


class Due(StrEnum):
    """Why a round is due."""

    FIRST = "first"
    HEARTBEAT = "heartbeat"
    DEVIATION = "deviation"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Last:
    """The newest round that a chain has or is about to get."""

    observed_at: int
    answer: int


def due(feed: Feed, number: int, answer: int, lasts: Iterable[Last | None], *, asked: bool = False) -> Due | None:
    """Why a round is due for any of the chains; None if it is not.

    Args:
        feed: the feed.
        number: of the round.
        answer: of the round.
        lasts: for each chain, its newest round; None if it has none.
        asked: whether somebody asked for a round.
    """
    if asked:
        return Due.ASKED
    reasons = [_due(feed, number, answer, last) for last in lasts]
    return min((one for one in reasons if one is not None), key=list(Due).index, default=None)


def _due(feed: Feed, number: int, answer: int, last: Last | None) -> Due | None:
    if last is None:
        return Due.FIRST
    if last.observed_at >= number * feed.spec.tick:
        return None  # the chain has this round, or a later one
    # A round of the next tick would come too late.
    if (number + 2) * feed.spec.tick > last.observed_at + feed.spec.heartbeat:
        return Due.HEARTBEAT
    if feed.deviation is not None and abs(answer - last.answer) >= feed.deviation * abs(last.answer):
        return Due.DEVIATION
    return None


def rank(feed: Feed, number: int) -> int:
    """How many operators come before this one in a round; 0 for a feed without signers."""
    if feed.config is None:
        return 0
    signers = feed.config.signers
    return (signers.index(feed.address) - number) % len(signers)


def proposal_time(feed: Feed, number: int) -> float:
    """From when on this operator proposes a round itself, in Unix seconds; the last one long before the tick ends."""
    start = number * feed.spec.tick
    if feed.config is None:
        return float(start)
    share = feed.spec.tick / (len(feed.config.signers) + 1)
    return start + rank(feed, number) * min(share, MAX_PATIENCE)


def closed_round(feed: Feed, last_tick: int | None, now: float) -> int:
    """Up to which round a daemon that begins now signs nothing that is not on record.

    If its database does not reach up to this tick, it may be new or a backup, and an earlier daemon may have signed
    what it does not know. That daemon has ended; so it is enough to wait for the next tick.

    Args:
        feed: the feed.
        last_tick: the last tick on record that was looked at.
        now: Unix seconds.
    """
    if last_tick is not None and last_tick >= feed.round_at(now) - 1:
        return -1
    return feed.round_at(now + MAX_SKEW)


def last_vote(spec: FeedSpec, observed_at: int) -> float:
    """Until when operators sign a report: a tick after its observation."""
    return float(observed_at + spec.tick + MAX_SKEW)


def takeover_time(feed: Feed, number: int, observed_at: int) -> float:
    """From when on this operator finishes a round that another proposed, if no chain has it by then.

    Half of the heartbeat, or of the time until the report expires, is shared among the operators.
    """
    if feed.config is None:
        return float(observed_at)
    whole = min(feed.spec.heartbeat, feed.spec.max_age)
    return observed_at + max(rank(feed, number), 1) * whole / (2 * len(feed.config.signers))
