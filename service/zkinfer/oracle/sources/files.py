"""A series in a file, which another program keeps up to date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError, why
from zkinfer.circuits.storage import read_file
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.sources.documents import MAX_BYTES, observe_document

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.recipes import Recipe


@dataclass(frozen=True, slots=True)
class FileSource:
    """A JSON file. Replace it atomically, by renaming: a file that is being written is refused as incomplete.

    Args:
        path: of the file.
        max_age: seconds since it was written, beyond which it is refused: its writer has stopped. None for any age.
    """

    path: Path
    max_age: float | None = None

    @property
    def origin(self) -> str:
        """The name of the file, without its folder."""
        return self.path.name

    def observe(self, recipe: Recipe, now: int) -> Observation:
        """The series in the file now, in Unix seconds; raises SourceError if it cannot be used, or is too old."""
        self._require_recent(now)
        return observe_document(self, recipe, now)

    def _require_recent(self, now: int) -> None:
        if self.max_age is None:
            return
        try:
            written = self.path.stat().st_mtime
        except OSError as err:
            raise SourceError(f"{self.path} cannot be read: {why(err)}.", "Check the path of the source.") from err
        if now - written > self.max_age:
            raise SourceError(
                f"{self.path} was written {now - written:.0f} s ago; at most {self.max_age:g} s are allowed.",
                "Does the program that writes it still run?",
            )

    def fetch(self) -> bytes:
        """The document; raises SourceError if it cannot be read."""
        try:
            return read_file(self.path, max_bytes=MAX_BYTES, cure="Check the path of the source.")
        except InputError as err:
            raise SourceError(err.cause, err.cure) from err
