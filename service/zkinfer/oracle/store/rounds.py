"""Rounds, their signatures, and the source files that they were made from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import and_, delete, exists, func, insert, not_, select, update

from zkinfer.oracle.errors import RoundStateError
from zkinfer.oracle.states import RoundState, require_round_change
from zkinfer.oracle.store.tables import deliveries, floors, rounds, signatures, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Row

    from zkinfer.prover.jobs.database import Database

MAX_PAGE_BYTES = 4 << 20
"""Bytes of reports that are read at a time."""


@dataclass(frozen=True, slots=True)
class RoundKey:
    """A round of a feed; `number` is its time in ticks."""

    feed: str
    number: int


@dataclass(frozen=True, slots=True)
class NewRound:
    """What is known once a round was observed.

    Args:
        key: of the round.
        observed_at: Unix seconds.
        expires_at: Unix seconds after which chains refuse the report.
        answer: in the feed's decimals.
        source: the file that the inputs were made from; empty if a contract gives them.
        source_digest: names the source in the report.
        inputs: packed, as in the statement of a proof.
        signing_hash: what the signers sign; it commits to all of the above.
        config_digest: the signers' configuration.
        proposer: address of the signer who observed it; empty without signers.
    """

    key: RoundKey
    observed_at: int
    expires_at: int
    answer: int
    source: bytes
    source_digest: str
    inputs: bytes
    signing_hash: str
    config_digest: str
    proposer: str


@dataclass(frozen=True, slots=True)
class StoredRound:
    """A round as it is on record; `milliseconds` is the duration of its proof, `payload` its best report so far."""

    key: RoundKey
    state: RoundState
    observed_at: int
    expires_at: int
    answer: int
    source_digest: str
    inputs: bytes
    signing_hash: str
    config_digest: str
    proposer: str
    payload: bytes | None
    reason: str | None
    milliseconds: int | None
    created_at: int

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """The round of a row."""
        return cls(
            key=RoundKey(row.feed, row.number),
            state=RoundState(row.state),
            observed_at=row.observed_at,
            expires_at=row.expires_at,
            answer=int(row.answer),
            source_digest=row.source_digest,
            inputs=row.inputs,
            signing_hash=row.signing_hash,
            config_digest=row.config_digest,
            proposer=row.proposer,
            payload=row.payload,
            reason=row.reason,
            milliseconds=row.milliseconds,
            created_at=row.created_at,
        )


class Rounds:
    """The rounds on record. Every write raises StoreError if nothing was written."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def record(self, new: NewRound) -> StoredRound:
        """Record a round unless there is one, and return the one on record: the first report stays for ever.

        Raises RoundStateError for a round that may have been on record and was forgotten.
        """
        now = int(self._clock())

        def work(connection: Connection) -> StoredRound:
            if (row := _find(connection, new.key)) is None:
                _require_above_floor(connection, new.key)
                if new.source:
                    _put_source(connection, new.source_digest, new.source, now)
                row = connection.execute(insert(rounds).values(**_columns(new, now)).returning(rounds)).one()
            return StoredRound.of(row)

        return self._database.write(work)

    def sign(self, key: RoundKey, signer: str, signature: bytes) -> None:
        """Keep the signature of one signer (lower-case address) for the round on record."""

        def work(connection: Connection) -> None:
            wanted = and_(_is(signatures, key), signatures.c.signer == signer)
            if connection.execute(select(signatures.c.signer).where(wanted)).first() is None:
                connection.execute(
                    insert(signatures).values(feed=key.feed, number=key.number, signer=signer, signature=signature)
                )

        self._database.write(work)

    def advance(
        self,
        key: RoundKey,
        state: RoundState,
        *,
        payload: bytes | None = None,
        reason: str | None = None,
        milliseconds: int | None = None,
    ) -> bool:
        """Change the state of a round; False if it was in that state already, and nothing changed.

        Raises RoundStateError if there is no such round, or the state may not follow.
        """
        given = {"payload": payload, "reason": reason, "milliseconds": milliseconds}
        values = {name: value for name, value in given.items() if value is not None}

        def work(connection: Connection) -> bool:
            row = _require(connection, key)
            if not require_round_change(RoundState(row.state), state):
                return False
            now = int(self._clock())
            connection.execute(
                update(rounds).where(_is(rounds, key)).values(state=str(state), changed_at=now, **values)
            )
            return True

        return self._database.write(work)

    def supersede(self, feed: str, before: int, reason: str) -> int:
        """Give up the signed rounds before this one, which are not proven; returns how many there were."""

        def work(connection: Connection) -> int:
            signed = rounds.c.state == str(RoundState.SIGNED)
            result = connection.execute(
                update(rounds)
                .where(rounds.c.feed == feed, rounds.c.number < before, signed)
                .values(state=str(RoundState.SUPERSEDED), reason=reason, changed_at=int(self._clock()))
            )
            return result.rowcount

        return self._database.write(work)

    def withdraw(self, feed: str, after: int, reason: str) -> int:
        """Refuse the rounds after this one, and drop their reports; returns how many there were.

        When their time comes, their data are old: nobody must get them as fresh. They stay the only ones of their
        numbers.
        """

        def work(connection: Connection) -> int:
            standing = rounds.c.state != str(RoundState.REFUSED)
            result = connection.execute(
                update(rounds)
                .where(rounds.c.feed == feed, rounds.c.number > after, standing)
                .values(state=str(RoundState.REFUSED), payload=None, reason=reason, changed_at=int(self._clock()))
            )
            return result.rowcount

        return self._database.write(work)

    def numbers(self, feed: str, first: int, last: int) -> list[int]:
        """The rounds on record from `first` to `last`, ascending."""
        query = select(rounds.c.number).where(rounds.c.feed == feed, rounds.c.number.between(first, last))
        with self._database.reading() as connection:
            return [*connection.scalars(query.order_by(rounds.c.number))]

    def in_state(self, feed: str, state: RoundState) -> list[StoredRound]:
        """The rounds of a feed in a state, newest first."""
        query = select(rounds).where(rounds.c.feed == feed, rounds.c.state == str(state))
        with self._database.reading() as connection:
            return [StoredRound.of(row) for row in connection.execute(query.order_by(rounds.c.number.desc()))]

    def find(self, key: RoundKey) -> StoredRound | None:
        """The round, if it is on record."""
        with self._database.reading() as connection:
            row = _find(connection, key)
        return None if row is None else StoredRound.of(row)

    def signatures(self, key: RoundKey) -> dict[str, bytes]:
        """The signatures of a round, by signer."""
        with self._database.reading() as connection:
            found = connection.execute(select(signatures).where(_is(signatures, key)))
            return {row.signer: row.signature for row in found}

    def newest(self, feed: str, *states: RoundState) -> StoredRound | None:
        """The newest round of a feed in one of these states; in any, if none is given."""
        query = select(rounds).where(rounds.c.feed == feed).order_by(rounds.c.number.desc()).limit(1)
        if states:
            query = query.where(rounds.c.state.in_([str(one) for one in states]))
        return self._one(query)

    def report_at(self, feed: str, time_: int) -> StoredRound | None:
        """The newest round with a report that was observed at or before a time."""
        query = select(rounds).where(
            rounds.c.feed == feed, rounds.c.observed_at <= time_, rounds.c.payload.is_not(None)
        )
        return self._one(query.order_by(rounds.c.observed_at.desc()).limit(1))

    def reports_from(self, feed: str, time_: int, limit: int, max_bytes: int = MAX_PAGE_BYTES) -> list[StoredRound]:
        """The first rounds with a report that were observed at or after a time, oldest first.

        There are at most `limit`, and only one if it alone has more than `max_bytes`.
        """
        query = select(rounds).where(
            rounds.c.feed == feed, rounds.c.observed_at >= time_, rounds.c.payload.is_not(None)
        )
        found, size = list[StoredRound](), 0
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=8).execute(query.order_by(rounds.c.observed_at).limit(limit))
            for row in rows:
                size += len(row.payload)
                if found and size > max_bytes:
                    break
                found.append(StoredRound.of(row))
            rows.close()
        return found

    def source(self, digest: str) -> bytes | None:
        """The source file with this digest."""
        with self._database.reading() as connection:
            found: bytes | None = connection.scalar(select(sources.c.content).where(sources.c.digest == digest))
        return found

    def counts(self) -> Mapping[tuple[str, RoundState], int]:
        """How many rounds there are, by feed and state."""
        query = select(rounds.c.feed, rounds.c.state, func.count()).group_by(rounds.c.feed, rounds.c.state)
        with self._database.reading() as connection:
            return {(feed, RoundState(state)): count for feed, state, count in connection.execute(query)}

    def prune(self, before: int) -> int:
        """Forget rounds that expired before a time, with what belongs to them; returns how many there were.

        Neither they nor earlier ones can be recorded again, whatever the clock says later.
        """
        old = rounds.c.expires_at < before

        def work(connection: Connection) -> int:
            for table in (signatures, deliveries):
                owner = and_(table.c.feed == rounds.c.feed, table.c.number == rounds.c.number)
                connection.execute(delete(table).where(exists().where(owner, old)))
            newest = select(rounds.c.feed, func.max(rounds.c.number)).where(old).group_by(rounds.c.feed)
            for feed, number in connection.execute(newest).all():
                _raise_floor(connection, feed, number)
            gone = connection.execute(delete(rounds).where(old)).rowcount
            used = exists().where(rounds.c.source_digest == sources.c.digest)
            connection.execute(delete(sources).where(sources.c.created_at < before, not_(used)))
            return gone

        return self._database.write(work)

    def _one(self, query: Any) -> StoredRound | None:  # noqa: ANN401 - SQLAlchemy's own generic type
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else StoredRound.of(row)


def _is(table: Any, key: RoundKey) -> Any:  # noqa: ANN401 - SQLAlchemy's own types
    return and_(table.c.feed == key.feed, table.c.number == key.number)


def _find(connection: Connection, key: RoundKey) -> Row[Any] | None:
    return connection.execute(select(rounds).where(_is(rounds, key))).first()


def _require_above_floor(connection: Connection, key: RoundKey) -> None:
    floor = connection.scalar(select(floors.c.number).where(floors.c.feed == key.feed))
    if floor is not None and key.number <= floor:
        raise RoundStateError(
            f"Round {key.number} of {key.feed} may have been signed, and was forgotten.",
            "Has the clock gone back? Rounds go on after the last one that was forgotten.",
        )


def _raise_floor(connection: Connection, feed: str, number: int) -> None:
    before = connection.scalar(select(floors.c.number).where(floors.c.feed == feed))
    if before is None:
        connection.execute(insert(floors).values(feed=feed, number=number))
    elif before < number:
        connection.execute(update(floors).where(floors.c.feed == feed).values(number=number))


def _require(connection: Connection, key: RoundKey) -> Row[Any]:
    if (row := _find(connection, key)) is None:
        raise RoundStateError(f"There is no round {key.number} of {key.feed}.", "It has expired and was forgotten.")
    return row


def _columns(new: NewRound, now: int) -> dict[str, Any]:
    return {
        "feed": new.key.feed,
        "number": new.key.number,
        "state": str(RoundState.OBSERVED),
        "observed_at": new.observed_at,
        "expires_at": new.expires_at,
        "answer": str(new.answer),
        "source_digest": new.source_digest,
        "inputs": new.inputs,
        "signing_hash": new.signing_hash,
        "config_digest": new.config_digest,
        "proposer": new.proposer,
        "created_at": now,
        "changed_at": now,
    }


def _put_source(connection: Connection, digest: str, content: bytes, now: int) -> None:
    if connection.scalar(select(sources.c.digest).where(sources.c.digest == digest)) is None:
        connection.execute(insert(sources).values(digest=digest, content=content, created_at=now))
