"""Answers about works, from the directory's database: one work, the works that a file finds, who may use one.

An answer says of each statement what it rests on, and up to which block the chain was followed. Nothing here asks a
node: what is `proven` was checked when the chain was last followed.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from zkinfer.v1 import works_pb2
from zkinfer.works.directory.authority import Asked, authorisation_of
from zkinfer.works.directory.label import UNKNOWN, label_of_copy, label_of_marks, strongest
from zkinfer.works.directory.matches import (
    answered,
    codes_in,
    in_order,
    manifest_ids,
    manifest_named,
    require_work,
    works_of_file,
)
from zkinfer.works.directory.messages import DEFAULT_RESULTS, MAX_RESULTS
from zkinfer.works.directory.question import (
    of_content,
    of_iscc,
    question_of,
    read_distance,
    read_work,
)
from zkinfer.works.directory.search import Codes
from zkinfer.works.directory.store import Store
from zkinfer.works.directory.views import label_of_certified_file, state_of, work_of
from zkinfer.works.errors import NotIndexedError, QueryError
from zkinfer.works.evidence import UNPROVEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from zkinfer.works.directory.question import Question
    from zkinfer.works.directory.search import Hit
    from zkinfer.works.directory.views import State
    from zkinfer.works.prints import Print

_FINGERPRINTS: Final = (
    "that works with similar fingerprints are one picture: whoever wants to can make two collide",
    "that a picture without a match is of no registered work: cropped or mirrored ones are not found",
)


@dataclass(frozen=True, slots=True)
class BoundManifest:
    """A manifest store whose work has a similar fingerprint; `similarity` from 0 to 100, where 100 is equal."""

    manifest_id: str
    similarity: int


class Directory:
    """The works of one contract on one chain. Safe to use from several threads.

    Every method raises StoreError if the database cannot be read, and DirectoryError if no chain was followed yet.

    Args:
        url: of the database, in SQLAlchemy's form: `sqlite:////path/works.db`, `postgresql+psycopg://...`.
        clock: Unix seconds, for licences that run out.
        roots: certificates in PEM whose C2PA signers are trusted; without any, a label says so of every signer.

    Raises:
        StoreError: the database cannot be opened, or a newer version wrote it.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time, roots: Path | None = None) -> None:
        self._store = Store.open(url)
        self._clock, self._roots = clock, roots
        self._codes: tuple[int, Codes] | None = None

    def work(self, work: str) -> works_pb2.Work:
        """One work.

        Args:
            work: its id: 0x and 64 hex digits.

        Raises:
            QueryError: that is no id.
            NotIndexedError: there is no such work up to the last block that was followed.
        """
        word = read_work(work)
        with self._reading() as (connection, state):
            return work_of(connection, state, word)

    def lookup(self, query: works_pb2.LookupWorkRequest) -> works_pb2.LookupWorkResponse:
        """The works that a digest, a fingerprint or a file finds, best first. Nothing found is an answer.

        First come works of the file itself, then those whose fingerprint of 256 bits is that of the same picture, each
        the oldest first; then candidates by 64 bits, the nearest first. A file is decoded in a child process, which
        takes about a second; it is not kept.

        Raises:
            QueryError: no query, a malformed one, too many results, or an unknown use.
            CodeError: a malformed ISCC, or one of a picture without a fingerprint.
            ContentError: a picture that cannot be decoded, or is too large.
        """
        asked = Asked.of(query.subject, query.uses) if query.subject or query.uses else None
        most = _results(query.max_results)
        question = question_of(query, self._roots)
        distance = read_distance(query, question.code)
        with self._reading() as (connection, state):
            exact = works_of_file(connection, question.sha256)
            hits = self._hits(connection, state, question.code, distance)
            matches = answered(connection, state, in_order(connection, exact, hits)[:most])
            answer = works_pb2.LookupWorkResponse(
                certified=bool(exact),
                label=_label_of(connection, question, matches),
                authorised=UNKNOWN,
                standing=matches[0].work.standing if matches else UNKNOWN,
                offers=matches[0].work.offers if matches else (),
                matches=matches,
                as_of=state.block,
                not_proven=[*UNPROVEN, *_FINGERPRINTS, *question.remarks],
            )
            if matches and asked is not None:
                first = authorisation_of(connection, state, matches[0].work.work, asked, int(self._clock()))
                answer.authorised = first.authorised
        return answer

    def authorisation(self, query: works_pb2.CheckAuthorisationRequest) -> works_pb2.Authorisation:
        """Whether a licence covers a use of a work by somebody now.

        Raises:
            QueryError: a malformed work or subject, or unknown or no uses.
            NotIndexedError: as `work`.
        """
        work, asked = read_work(query.work), Asked.of(query.subject, query.uses)
        with self._reading() as (connection, state):
            require_work(connection, state, work)
            return authorisation_of(connection, state, work, asked, int(self._clock()))

    def manifest(self, manifest_id: str) -> bytes:
        """The C2PA manifest store whose active manifest has this id (`urn:c2pa:...`), as it was registered.

        Of several, that of the work that was registered first. Raises NotIndexedError if the directory has none.
        """
        with self._reading() as (connection, _):
            # No id has a NUL, and PostgreSQL takes none in a query.
            found = None if "\0" in manifest_id else manifest_named(connection, manifest_id)
        if found is None:
            raise NotIndexedError("There is no manifest with this id.", "Ask for one that a look-up names.")
        return found

    def manifests_by_iscc(self, iscc: str, max_results: int = DEFAULT_RESULTS) -> list[BoundManifest]:
        """The manifests of works with a similar fingerprint, best first, for C2PA's `byBinding`.

        Raises CodeError, or QueryError for too many results.
        """
        return self._manifests(of_iscc(iscc), _results(max_results))

    def manifests_by_content(self, content: bytes, max_results: int = DEFAULT_RESULTS) -> list[BoundManifest]:
        """The manifests of works that a file finds, by its digest or fingerprint; raises as `lookup`."""
        return self._manifests(of_content(content), _results(max_results))

    def as_of(self) -> works_pb2.WorksBlock:
        """The last block that was followed."""
        with self._reading() as (_, state):
            return state.block

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[tuple[Connection, State]]:
        """One snapshot of the database."""
        database = self._store.database
        with database.reading() as connection:
            if database.is_server:  # SQLite has no other
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection, state_of(connection)

    def _hits(self, connection: Connection, state: State, code: Print | None, distance: int | None) -> list[Hit]:
        if code is None:
            return []
        known = self._codes
        if known is None or known[0] != state.revision:
            known = self._codes = (state.revision, Codes(codes_in(connection, state)))
        return known[1].find(code, distance)

    def _manifests(self, question: Question, most: int) -> list[BoundManifest]:
        with self._reading() as (connection, state):
            hits = self._hits(connection, state, question.code, None)
            found = in_order(connection, works_of_file(connection, question.sha256), hits)
            names = manifest_ids(connection, [one.work for one in found])
        best: dict[str, int] = {}
        for one in found:
            if one.work in names:
                best.setdefault(names[one.work], one.similarity)
        return [BoundManifest(name, similarity) for name, similarity in best.items()][:most]


def _label_of(
    connection: Connection, question: Question, matches: Sequence[works_pb2.WorkMatch]
) -> works_pb2.WorkLabel:
    """The label of what was looked up: from the first work that was found, and from its own credentials."""
    of_marks = None if question.marks is None else label_of_marks(question.marks)
    trusted = question.marks is not None and question.marks.state == "Trusted"
    if not matches:
        return strongest(None, of_marks)
    first = matches[0]
    by_content = first.by == "sha256" and first.work.content == question.sha256
    is_of_work = by_content or first.by == "print"
    label = first.work.label if is_of_work else label_of_certified_file(connection, first.work.work)
    if first.by != "sha256":
        label = label_of_copy(label, first.distance, first.compared)
    return strongest(label, of_marks, trusted=trusted)


def _results(wanted: int) -> int:
    if not 0 <= wanted <= MAX_RESULTS:
        raise QueryError(f"{wanted} results are too many.", f"Ask for at most {MAX_RESULTS}.")
    return wanted or DEFAULT_RESULTS
