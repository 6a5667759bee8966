"""The works that a digest or a fingerprint finds, in the order in which they are answered, and their manifests.

A commitment proves when its maker knew a content and its pixels, nothing else. So a work is as old as its commitment
where its content or its proven print is found, and as its registration where its certificate or its manifest is: these
are chosen then, perhaps after another's file was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import case, select, union

from zkinfer.v1 import works_pb2
from zkinfer.works.directory.search import Entry, whole
from zkinfer.works.directory.tables import CERTIFIED, certificates, manifests, prints, works
from zkinfer.works.directory.views import work_of
from zkinfer.works.errors import NotIndexedError
from zkinfer.works.prints import Print

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from zkinfer.works.directory.search import Hit
    from zkinfer.works.directory.views import State

MAX_HITS: Final = 1000
"""Of the nearest works that are put in order."""
_PLACE: Final = (works.c.block, works.c.place)


@dataclass(frozen=True, slots=True)
class Match:
    """A work that was found.

    Args:
        work: its id.
        by: `sha256`, `certificate` or `print`.
        distance: bits that differ; None for a file itself.
        compared: of so many.
    """

    work: str
    by: str
    distance: int | None = None
    compared: int | None = None

    @property
    def similarity(self) -> int:
        """From 0 to 100, where 100 is equal."""
        if self.distance is None or not self.compared:
            return 100
        return 100 * (self.compared - self.distance) // self.compared


def works_of_file(connection: Connection, sha256: str) -> list[str]:
    """The works whose content, or whose certificate's file, has this SHA-256, oldest first."""
    if not sha256:
        return []
    by_content = select(works.c.work).where(works.c.content == sha256)
    by_certificate = select(works.c.work).join(certificates, CERTIFIED).where(certificates.c.sha256 == sha256)
    found = works.c.work.in_(union(by_content, by_certificate))  # each has its index, which a condition on both has not
    age = case((works.c.content == sha256, works.c.since), else_=works.c.registered)
    query = select(works.c.work).where(found).order_by(age, *_PLACE).limit(MAX_HITS)
    return list(connection.scalars(query))


def in_order(connection: Connection, exact: Sequence[str], hits: Sequence[Hit]) -> list[Match]:
    """The file's works; then works of the same picture by 256 bits, oldest first; then candidates, nearest first.

    The oldest comes first, not the nearest, since anybody can register a copy that is nearer.
    """
    known = set(exact)
    others = {one.work: one for one in hits if one.work not in known}
    nearest = dict(sorted(others.items(), key=lambda item: item[1].distance)[:MAX_HITS])
    query = select(works.c.work, works.c.since, works.c.registered, *_PLACE).where(works.c.work.in_(nearest))
    ages = {
        row.work: (row.since if nearest[row.work].proven else row.registered, row.block, row.place)
        for row in connection.execute(query)
    }
    ordered = sorted(ages, key=lambda work: (0 if (hit := nearest[work]).is_evidence else 1 + hit.distance, ages[work]))
    found = [Match(work, "sha256") for work in exact]
    return found + [_match(nearest[work]) for work in ordered]


def answered(connection: Connection, state: State, found: Iterable[Match]) -> list[works_pb2.WorkMatch]:
    """Matches as the interface describes them."""
    return [
        works_pb2.WorkMatch(
            work=work_of(connection, state, one.work), by=one.by, distance=one.distance, compared=one.compared
        )
        for one in found
    ]


def codes_in(connection: Connection, state: State) -> Iterator[Entry]:
    """The fingerprints of all works: those in certificates, and proven prints while they may be relied on."""
    query = select(works.c.work, certificates.c.bits64, certificates.c.bits256).join(certificates, CERTIFIED)
    for row in connection.execute(query):
        if row.bits256 is not None:
            yield Entry(row.work, whole(int(row.bits256, 16), 256), proven=False)
        elif row.bits64 is not None:
            yield Entry(row.work, whole(int(row.bits64, 16), 64), proven=False)
    if state.prints_sound:
        rows = connection.execute(select(prints).order_by(prints.c.block, prints.c.place))
        latest = {row.work: Print(int(row.bits, 16), int(row.sure, 16), 256) for row in rows}
        yield from (Entry(work, code, proven=True) for work, code in latest.items())


def require_work(connection: Connection, state: State, work: str) -> None:
    """Return if there is a work of this id; raise NotIndexedError if not."""
    if connection.scalar(select(works.c.work).where(works.c.work == work)) is None:
        raise NotIndexedError(
            f"There is no work {work} up to block {state.block.block}.", "Has it been registered, and is it settled?"
        )


def manifest_named(connection: Connection, manifest_id: str) -> bytes | None:
    """The store with this active manifest that the first registered work names; None if there is none."""
    query = (
        select(manifests.c.store)
        .join(works, works.c.manifest == manifests.c.digest)
        .where(manifests.c.manifest_id == manifest_id)
        .order_by(*_PLACE)
    )
    found: bytes | None = connection.scalar(query.limit(1))
    return found


def manifest_ids(connection: Connection, found: Iterable[str]) -> dict[str, str]:
    """The ids of the manifests that the directory has of these works."""
    query = (
        select(works.c.work, manifests.c.manifest_id)
        .join(manifests, manifests.c.digest == works.c.manifest)
        .where(works.c.work.in_(list(found)))
    )
    return {row.work: row.manifest_id for row in connection.execute(query)}


def _match(hit: Hit) -> Match:
    return Match(hit.work, "print" if hit.proven else "certificate", hit.distance, hit.compared)
