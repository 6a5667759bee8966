"""Answers about works, from the directory's database: one work, the works that a file finds, who may use one.

An answer says of each statement what it rests on, and up to which block the chain was followed. Nothing here asks a
node: what is `proven` was checked when the chain was last followed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.v1 import works_pb2

MAX_CONTENT_BYTES: Final = 16 << 20
"""Of a file that is looked up."""
DEFAULT_RESULTS: Final = 10
MAX_RESULTS: Final = 100


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

    Raises:
        StoreError: the database cannot be opened, or a newer version wrote it.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        raise NotImplementedError

    def work(self, work: str) -> works_pb2.Work:
        """One work.

        Args:
            work: its id: 0x and 64 hex digits.

        Raises:
            QueryError: that is no id.
            NotIndexedError: there is no such work up to the last block that was followed.
        """
        raise NotImplementedError

    def lookup(self, query: works_pb2.LookupWorkRequest) -> works_pb2.LookupWorkResponse:
        """The works that a digest, a fingerprint or a file finds, best first. Nothing found is an answer.

        A file is decoded in a child process, which takes about a second; it is not kept.

        Raises:
            QueryError: no query, a malformed one, too many results, or an unknown use.
            CodeError: a malformed ISCC, or one of a picture without a fingerprint.
            ContentError: a picture that cannot be decoded, or is too large.
        """
        raise NotImplementedError

    def authorisation(self, query: works_pb2.CheckAuthorisationRequest) -> works_pb2.Authorisation:
        """Whether a licence covers a use of a work by somebody now.

        Raises:
            QueryError: a malformed work or subject, or unknown or no uses.
            NotIndexedError: as `work`.
        """
        raise NotImplementedError

    def manifest(self, manifest_id: str) -> bytes:
        """The C2PA manifest store whose active manifest has this id (`urn:c2pa:...`), as it was registered.

        Raises NotIndexedError if the directory has none.
        """
        raise NotImplementedError

    def manifests_by_iscc(self, iscc: str, max_results: int = DEFAULT_RESULTS) -> list[BoundManifest]:
        """The manifests of works with a similar fingerprint, best first, for C2PA's `byBinding`; raises CodeError."""
        raise NotImplementedError

    def manifests_by_content(self, content: bytes, max_results: int = DEFAULT_RESULTS) -> list[BoundManifest]:
        """The manifests of works that a file finds, by its digest or fingerprint; raises as `lookup`."""
        raise NotImplementedError

    def as_of(self) -> works_pb2.WorksBlock:
        """The last block that was followed."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the database."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
