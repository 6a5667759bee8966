"""C2PA manifest stores: taken out of a file that carries one, and the id of the manifest that is active in it.

A store alone says nothing: whoever takes one from here compares its SHA-256 with one that was registered. Files are
read in a child process with limits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zkinfer.circuits.errors import EngineError, InputError, why
from zkinfer.circuits.sandbox.child import Limits, run
from zkinfer.circuits.storage import private_directory
from zkinfer.works.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILE: Final = 64 << 20
MAX_STORE: Final = 8 << 20
SUFFIX: Final = ".c2pa"
_LIMITS: Final = Limits(seconds=60.0, memory=2_400_000_000)
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_APP11: Final = 0xEB
_SCAN: Final = 0xDA
_BOX: Final = 8
"""Bytes of the head of a JUMBF box, which each segment of a JPEG repeats."""


@dataclass(frozen=True, slots=True)
class ManifestStore:
    """A manifest store, and the id of its active manifest; not verified."""

    manifest_id: str
    data: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the store, as hex."""
        return hashlib.sha256(self.data).hexdigest()


def read_store(path: Path) -> ManifestStore | None:
    """The manifest store in a `.c2pa` file, or embedded in a PNG, JPEG or WebP; None if there is none.

    Raises:
        CredentialsError: the file or its store is too large, or could not be read safely.
        InputError: the file cannot be read.
    """
    with private_directory() as folder:
        out = folder / "store"
        try:
            found = run(
                "zkinfer.works.manifest_store:read_here",
                {"path": str(path.absolute()), "out": str(out)},
                limits=_LIMITS,
            )
        except EngineError as err:
            raise CredentialsError(f"The credentials of {path.name} could not be read safely: {err.cause}") from err
        return ManifestStore(str(found["id"]), out.read_bytes()) if found["id"] else None


def read_here(path: str, out: str) -> dict[str, Any]:
    """Write the store to a file, and return its active manifest's id; runs in the child of `read_store`.

    Raises InputError if the file cannot be read or is too large.
    """
    from zkinfer.works.credentials import report_of  # noqa: PLC0415 - the library is loaded in the child alone

    try:
        if Path(path).stat().st_size > MAX_FILE:
            raise InputError(f"{Path(path).name} exceeds the limit of {MAX_FILE:,} bytes.", "Give its .c2pa file.")
        data = Path(path).read_bytes()
    except OSError as err:
        raise InputError(f"{Path(path).name} cannot be read: {why(err)}.") from err
    store = data if path.endswith(SUFFIX) else embedded_store(data)
    if not 0 < len(store) <= MAX_STORE:
        return {"id": ""}
    found = str((report_of(store, "application/c2pa") or {}).get("active_manifest") or "")
    if found:
        Path(out).write_bytes(store)
    return {"id": found}


def embedded_store(data: bytes) -> bytes:
    """The manifest store in a PNG, JPEG or WebP as C2PA 2.2, appendix A, embeds it; empty if there is none."""
    if data.startswith(_PNG):
        return next((body for kind, body in _png_chunks(data) if kind == b"caBX"), b"")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return next((body for kind, body in _riff_chunks(data) if kind == b"C2PA"), b"")
    return b"".join(_jpeg_boxes(data)) if data.startswith(b"\xff\xd8") else b""


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG)
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        place += 12 + size


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _jpeg_boxes(data: bytes) -> Iterator[bytes]:
    """The parts of the store: segments APP11 whose first box is of JUMBF, up to the picture's data."""
    place, begun = 2, False
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != _SCAN:
        size = int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place + 4 : place + 2 + size]
        if data[place + 1] == _APP11 and segment[:2] == b"JP" and segment[12:16] == b"jumb":
            yield segment[8 + _BOX :] if begun else segment[8:]
            begun = True
        place += 2 + size
