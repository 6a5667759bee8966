"""Gaps: ticks at which a round was due and none was made, each with its reason. Gaps are never filled afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import and_, delete, insert, select, update

from zkinfer.oracle.store.tables import gaps, ticks

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from zkinfer.prover.jobs.database import Database


class GapReason(StrEnum):
    """Why there is no round."""

    NOT_RUNNING = "not running"
    TOO_SLOW = "too slow"
    SOURCE_REFUSED = "source refused"
    ANSWER_REFUSED = "answer refused"
    PEERS_DISAGREE = "peers disagree"
    PROOF_FAILED = "proof failed"


@dataclass(frozen=True, slots=True)
class Gap:
    """The rounds from `first` to `last`, which do not exist; `detail` is the first cause that was found."""

    first: int
    last: int
    reason: GapReason
    detail: str

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """The gap of a row."""
        return cls(row.first, row.last, GapReason(row.reason), row.detail)


class Gaps:
    """The gaps on record, and the last tick that was looked at. Every write raises StoreError if it failed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, feed: str, gap: Gap) -> None:
        """Record a gap; one that continues the last for the same reason extends it."""

        def work(connection: Connection) -> None:
            last = connection.execute(
                select(gaps).where(gaps.c.feed == feed, gaps.c.first <= gap.last).order_by(gaps.c.first.desc()).limit(1)
            ).first()
            if last is not None and last.last >= gap.last:
                return
            if last is not None and last.last + 1 >= gap.first and last.reason == gap.reason:
                connection.execute(
                    update(gaps).where(gaps.c.feed == feed, gaps.c.first == last.first).values(last=gap.last)
                )
                return
            first = gap.first if last is None else max(gap.first, last.last + 1)
            connection.execute(
                insert(gaps).values(feed=feed, first=first, last=gap.last, reason=str(gap.reason), detail=gap.detail)
            )

        self._database.write(work)

    def of(self, feed: str, limit: int = 20) -> list[Gap]:
        """The newest gaps of a feed, newest first."""
        query = select(gaps).where(gaps.c.feed == feed).order_by(gaps.c.first.desc()).limit(limit)
        with self._database.reading() as connection:
            return [Gap.of(row) for row in connection.execute(query)]

    def last_tick(self, feed: str) -> int | None:
        """The last tick of a feed that a daemon has looked at."""
        with self._database.reading() as connection:
            found: int | None = connection.scalar(select(ticks.c.number).where(ticks.c.feed == feed))
        return found

    def looked_at(self, feed: str, number: int) -> int | None:
        """Remember that a tick was looked at, and return the one before; never goes back."""

        def work(connection: Connection) -> int | None:
            before: int | None = connection.scalar(select(ticks.c.number).where(ticks.c.feed == feed))
            if before is None:
                connection.execute(insert(ticks).values(feed=feed, number=number))
            elif number > before:
                connection.execute(update(ticks).where(ticks.c.feed == feed).values(number=number))
            return before

        return self._database.write(work)

    def prune(self, feed: str, before: int) -> None:
        """Forget the gaps of a feed that ended before a round."""
        old = and_(gaps.c.feed == feed, gaps.c.last < before)
        self._database.write(lambda connection: connection.execute(delete(gaps).where(old)))
