"""Jobs of Chainlink nodes that were promised a call: a node asks once, and waits, so a restart must not lose them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import delete, func, insert, select

from zkinfer.oracle.store.tables import jobs

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from zkinfer.prover.jobs.database import Database


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job that gets the next round.

    Args:
        key: which it has in this database.
        job_id: which the node gave it; None without one.
        feed: the feed's id.
        url: to call.
        after: the newest round when it was asked for; -1 if there was none.
        ends_at: Unix seconds after which the node is told that no round came.
    """

    key: str
    job_id: str | None
    feed: str
    url: str
    after: int
    ends_at: int

    @classmethod
    def make(cls, job_id: str | None, feed: str, url: str, after: int, ends_at: int) -> Self:
        """A job with a new key."""
        return cls(secrets.token_hex(16), job_id, feed, url, after, ends_at)

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """The job of a row."""
        return cls(row.key, row.job_id, row.feed, row.url, row.after, row.ends_at)


class Jobs:
    """The jobs that are not called back yet. Every write raises StoreError if it failed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job: PendingJob, most: int) -> bool:
        """Remember a job, unless so many are pending; whether it was remembered."""

        def work(connection: Connection) -> bool:
            if (connection.scalar(select(func.count()).select_from(jobs)) or 0) >= most:
                return False
            values = {name: getattr(job, name) for name in ("key", "job_id", "feed", "url", "after", "ends_at")}
            connection.execute(insert(jobs).values(values))
            return True

        return self._database.write(work)

    def end(self, job: PendingJob) -> None:
        """Forget a job, once its node was called or given up."""
        self._database.write(lambda connection: connection.execute(delete(jobs).where(jobs.c.key == job.key)))

    def pending(self) -> list[PendingJob]:
        """All jobs, the one that ends first at first."""
        with self._database.reading() as connection:
            return [PendingJob.of(row) for row in connection.execute(select(jobs).order_by(jobs.c.ends_at))]
