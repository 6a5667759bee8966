"""Leases: several daemons that share a database take turns, so that one feed or one account is worked by one of them.

A holder beats; another daemon takes the lease once it has seen no beat for the lease's duration, by its own monotonic
clock. So no two clocks are compared. The lease of a process of this host that has ended is free at once, so that a
daemon that was killed can be started again without a wait.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import delete, insert, select, update

from zkinfer.oracle.store.tables import leases

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from zkinfer.prover.jobs.database import Database


class Leases:
    """The leases that this daemon holds or wants.

    Args:
        database: shared by the daemons that take turns.
        clock: monotonic seconds.
        holder: this daemon: the host, the process and when it began, and what makes it unique.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.monotonic, holder: str | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._holder = holder or _this_process()
        self._seen: dict[str, tuple[str, int, float]] = {}
        self._renewed: dict[str, float] = {}

    def hold(self, name: str, seconds: int) -> bool:
        """Take or renew a lease; whether this daemon holds it now.

        It is renewed only once a third of its duration has passed. Raises StoreError if the database cannot be used;
        then the lease is not held.
        """
        now = self._clock()
        if now - self._renewed.get(name, -seconds) < seconds / 3:
            return True
        held = self._database.write(lambda connection: self._hold(connection, name, seconds))
        if held:
            self._renewed[name] = now
        else:
            self._renewed.pop(name, None)
        return held

    def _hold(self, connection: Connection, name: str, seconds: int) -> bool:
        row = connection.execute(select(leases).where(leases.c.name == name)).first()
        if row is None:
            connection.execute(insert(leases).values(name=name, holder=self._holder, beat=0, seconds=seconds))
            return True
        if row.holder != self._holder and not self._lapsed(name, row.holder, row.beat, row.seconds):
            return False
        values = {"holder": self._holder, "beat": row.beat + 1, "seconds": seconds}
        connection.execute(update(leases).where(leases.c.name == name).values(values))
        return True

    def _lapsed(self, name: str, holder: str, beat: int, seconds: int) -> bool:
        if _has_ended(holder):
            return True
        now = self._clock()
        seen = self._seen.get(name)
        if seen is None or seen[:2] != (holder, beat):
            self._seen[name] = (holder, beat, now)
            return False
        return now - seen[2] > seconds

    def is_held(self, name: str) -> bool:
        """Whether a lease has a holder, as far as this host can tell: one that ended on another keeps it for a time."""
        with self._database.reading() as connection:
            holder: str | None = connection.scalar(select(leases.c.holder).where(leases.c.name == name))
        return holder is not None and not _has_ended(holder)

    def release(self) -> None:
        """Give up all leases of this daemon, so that another need not wait."""
        self._renewed.clear()
        self._database.write(
            lambda connection: connection.execute(delete(leases).where(leases.c.holder == self._holder))
        )


def feed_lease(feed: str) -> str:
    """The name of the lease on a feed with this id."""
    return f"feed:{feed}"


def _this_process() -> str:
    began = int(psutil.Process().create_time())
    return f"{socket.gethostname()[:64]} {os.getpid()} {began} {secrets.token_hex(8)}"


def _has_ended(holder: str) -> bool:
    """Whether a holder was a process of this host that no longer runs."""
    host, pid, began, _ = holder.split(" ")
    if host != socket.gethostname()[:64]:
        return False
    try:
        return int(psutil.Process(int(pid)).create_time()) != int(began)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
