"""A series in a file, which another program keeps up to date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import read_file
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.sources.documents import MAX_BYTES, observe_document

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.recipes import Recipe


@dataclass(frozen=True, slots=True)
class FileSource:
    """A JSON file. Replace it atomically, by renaming: a file that is being written is refused as incomplete."""

    path: Path

    @property
    def origin(self) -> str:
        """The name of the file, without its folder."""
        return self.path.name

    def observe(self, recipe: Recipe, now: int) -> Observation:
        """The series in the file now, in Unix seconds; raises SourceError if the file cannot be read or used."""
        return observe_document(self, recipe, now)

    def fetch(self) -> bytes:
        """The document; raises SourceError if it cannot be read."""
        try:
            return read_file(self.path, max_bytes=MAX_BYTES)
        except InputError as err:
            raise SourceError(err.cause, err.cure or "Check the path of the source.") from err
