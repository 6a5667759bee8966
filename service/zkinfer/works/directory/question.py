"""What is looked up: a digest, a fingerprint, or a file, of which both are taken here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.storage import private_directory
from zkinfer.works.content import HEAD, PICTURES, decode, media_type_of
from zkinfer.works.credentials import Marks, read_marks
from zkinfer.works.directory.messages import MAX_CONTENT_BYTES
from zkinfer.works.directory.search import LIMITS, whole
from zkinfer.works.errors import CredentialsError, QueryError
from zkinfer.works.iscc import parse
from zkinfer.works.pixels import normalise
from zkinfer.works.prints import Print, print_of

if TYPE_CHECKING:
    from zkinfer.v1 import works_pb2

_SHA256: Final = re.compile(r"(?:0x)?([0-9a-f]{64})")
_WORK: Final = re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for.

    Args:
        sha256: of the file, as 0x and hex; empty if unknown.
        code: its fingerprint; None if unknown.
        marks: what C2PA says in the file; None if there is no file.
        remarks: what could not be looked at, in sentences.
    """

    sha256: str = ""
    code: Print | None = None
    marks: Marks | None = None
    remarks: tuple[str, ...] = field(default=())


def question_of(query: works_pb2.LookupWorkRequest, roots: Path | None = None) -> Question:
    """Read a question; `roots` and what it raises as for `of_iscc` and `of_content`."""
    kind = query.WhichOneof("query")
    if kind is None:
        raise QueryError("Nothing is looked up.", "Give the SHA-256, the ISCC or the file.")
    if kind == "content":
        return of_content(query.content, roots)
    return Question(sha256=read_sha256(query.sha256)) if kind == "sha256" else of_iscc(query.iscc)


def of_iscc(text: str) -> Question:
    """A fingerprint; raises CodeError if it is malformed, or of a picture that has none."""
    bits, length = parse(text)
    return Question(code=whole(bits, 64 if length == min(LIMITS) else 256))


def of_content(content: bytes, roots: Path | None = None) -> Question:
    """A file: its digest, its credentials, and its fingerprint if it is a picture.

    It is decoded in a child process with limits.

    Args:
        content: of the file.
        roots: certificates in PEM whose C2PA signers are trusted.

    Raises:
        QueryError: it is empty, or exceeds `MAX_CONTENT_BYTES`.
        ContentError: it is a picture that cannot be decoded.
    """
    if not 0 < len(content) <= MAX_CONTENT_BYTES:
        raise QueryError(
            f"The file has {len(content):,} bytes; at most {MAX_CONTENT_BYTES:,} are looked up.",
            "Give its SHA-256 or its ISCC instead.",
        )
    digest = "0x" + sha256(content).hexdigest()
    media_type = media_type_of(content[:HEAD], Path("file"))
    if media_type not in PICTURES:
        return Question(digest, remarks=("the file is no picture that can be decoded, so it was found by digest only",))
    with private_directory() as folder:
        path = folder / "file"
        path.write_bytes(content)
        code, unprinted = _code_of(path)
        marks, unread = _marks_of(path, media_type, content, roots)
    return Question(digest, code, marks, unprinted + unread)


def read_sha256(text: str) -> str:
    """A SHA-256 as 0x and hex; raises QueryError for anything else."""
    found = _SHA256.fullmatch(text.strip().lower())
    if found is None:
        raise QueryError(f"{text[:80]!r} is no SHA-256.", "It has 64 hex digits.")
    return "0x" + found[1]


def read_work(text: str) -> str:
    """A work's id as the directory writes it; raises QueryError for anything else."""
    word = text.strip().lower()
    if not _WORK.fullmatch(word):
        raise QueryError(f"{text[:80]!r} is no work.", "A work's id is 0x and 64 hex digits.")
    return word


def read_distance(query: works_pb2.LookupWorkRequest, code: Print | None) -> int | None:
    """The most bits that may differ, or None for the default; raises QueryError if that is more than tells anything."""
    if not query.HasField("distance"):
        return None
    most = LIMITS[256 if code is None else code.length]
    if query.distance > most:
        raise QueryError(
            f"Fingerprints that differ in {query.distance} bits need not be of one picture.", f"Ask for at most {most}."
        )
    return int(query.distance)


def _code_of(path: Path) -> tuple[Print | None, tuple[str, ...]]:
    pixels = normalise(decode(path))
    try:
        return print_of(pixels), ()
    except DataError:
        return None, ("the picture is flat or too regular for a fingerprint, so it was found by digest only",)


def _marks_of(path: Path, media_type: str, content: bytes, roots: Path | None) -> tuple[Marks | None, tuple[str, ...]]:
    if b"c2pa" not in content:  # so that most files need no second child
        return Marks("none"), ()
    try:
        return read_marks(path, media_type, root=roots), ()
    except CredentialsError as err:
        return None, (f"the file's C2PA credentials were not looked at: {err.cause}",)
