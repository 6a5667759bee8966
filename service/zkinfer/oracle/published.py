"""Published files: source files and recipes, named by the keccak256 of their bytes, in a folder or on a report server.

Who serves the folder as `/sources/` publishes them in the same form as a report server does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zkinfer.circuits.errors import InputError, why
from zkinfer.circuits.storage import read_file, write_atomically
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.observations import MAX_BYTES, digest_of
from zkinfer.oracle.sources.http import HttpSource


class Published(Protocol):
    """Where published files are."""

    def read(self, digest: str) -> bytes:
        """The file with this name, whose bytes were compared with it; raises SourceError, which names the file."""
        ...


@dataclass(frozen=True, slots=True)
class PublishedFolder:
    """A folder of published files."""

    folder: Path

    def read(self, digest: str) -> bytes:
        """The file with this name; raises SourceError if it is missing, or its bytes were changed."""
        path = self.folder / digest
        try:
            data = read_file(path, max_bytes=MAX_BYTES)
        except InputError as err:
            raise SourceError(err.cause, "Get it from an operator of the feed.") from err
        return _unchanged(data, digest, str(path))

    def write(self, data: bytes) -> Path:
        """Publish a file, unless it is there; returns its path. Raises InputError if it cannot be written."""
        path = self.folder / digest_of(data)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise InputError(f"{self.folder} cannot be created: {why(err)}.", "Choose another folder.") from err
        if not path.exists():
            write_atomically(path, data)
        return path


@dataclass(frozen=True, slots=True)
class PublishedUrl:
    """A report server, or any other that serves the files below `/sources/`."""

    url: str

    def read(self, digest: str) -> bytes:
        """The file with this name; raises SourceError if it cannot be fetched, or its bytes were changed."""
        source = HttpSource(f"{self.url.rstrip('/')}/sources/{digest}")
        name = f"{source.origin}/sources/{digest}"
        try:
            data = source.fetch()
        except SourceError as err:
            raise SourceError(
                f"{name} cannot be fetched: {err.cause}",
                "Get it from an operator of the feed, or give the server or folder that has it.",
            ) from err
        return _unchanged(data, digest, name)


@dataclass(frozen=True, slots=True)
class PublishedPlaces:
    """One place or several, each of which may have some of the files."""

    places: tuple[Published, ...]

    def read(self, digest: str) -> bytes:
        """The file with this name, from the first place that has it unchanged; raises SourceError if none has it."""
        refusals = []
        for place in self.places:
            try:
                return place.read(digest)
            except SourceError as err:
                refusals.append(err)
        raise SourceError(" ".join(one.cause for one in refusals), refusals[-1].cure)


def published_at(first: str, *more: str) -> Published:
    """The published files in folders or below URLs: the first place that has a file gives it."""
    return PublishedPlaces(tuple(_place(one) for one in (first, *more))) if more else _place(first)


def _place(text: str) -> PublishedFolder | PublishedUrl:
    return PublishedUrl(text) if text.startswith(("https://", "http://")) else PublishedFolder(Path(text))


def _unchanged(data: bytes, digest: str, name: str) -> bytes:
    found = digest_of(data)
    if found != digest:
        raise SourceError(f"{name} was changed: its hash is {found}.", "Get the file that was published at first.")
    return data
