"""A file as a work: its digest, its media type, and its picture if it is one."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from zkinfer.circuits.errors import EngineError, InputError, why
from zkinfer.circuits.sandbox.child import Limits, run
from zkinfer.circuits.storage import private_directory
from zkinfer.works.errors import ContentError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_PICTURE_BYTES: Final = 64 << 20
HEAD: Final = 16
_CHUNK: Final = 1 << 20
_LIMITS: Final = Limits(seconds=60.0, memory=2_400_000_000)
_SIGNATURES: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
PICTURES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/tiff", "image/webp"})


@dataclass(frozen=True, slots=True)
class Content:
    """A file.

    Args:
        path: where it is.
        sha256: of its bytes, as hex without a prefix.
        size: in bytes.
        media_type: by its first bytes if it is a picture, else by its name.
    """

    path: Path
    sha256: str
    size: int
    media_type: str

    @property
    def is_picture(self) -> bool:
        """Whether `decode` can read it, by its first bytes."""
        return self.media_type in PICTURES


def open_content(path: Path) -> Content:
    """Read a file once; raises InputError if it cannot be read."""
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                head = head or chunk[:HEAD]
                digest.update(chunk)
                size += len(chunk)
    except OSError as err:
        raise InputError(f"{path} cannot be read: {why(err)}.", "Give a file.") from err
    return Content(path, digest.hexdigest(), size, media_type_of(head, path))


def media_type_of(head: bytes, path: Path) -> str:
    """The media type of a file that begins with these `HEAD` bytes: a picture's by them, others' by the name."""
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    guessed = mimetypes.guess_type(path.name)[0] or ""
    # A name does not make a picture: what is none by its bytes must not be said to be one.
    return guessed if guessed and guessed not in PICTURES else "application/octet-stream"


def decode(path: Path) -> NDArray[np.uint8]:
    """The pixels of a picture, decoded in a child process with limits.

    Returns:
        `[height, width, 3]`, at most 40 million pixels, as a viewer shows them: turned by EXIF, over white.

    Raises:
        ContentError: too large, no JPEG, PNG, WebP, GIF or TIFF, damaged, or more than the decoder may use.
        InputError: the file cannot be read.
    """
    try:
        size = path.stat().st_size
    except OSError as err:
        raise InputError(f"{path} cannot be read: {why(err)}.", "Give a picture.") from err
    if size > MAX_PICTURE_BYTES:
        raise ContentError(
            f"The picture has {size:,} bytes, over the limit of {MAX_PICTURE_BYTES:,}.", "Give a smaller version."
        )
    with private_directory() as folder:
        out = folder / "rgb"
        arguments = {"path": str(path.absolute()), "out": str(out)}
        try:
            found = run("zkinfer.works.picture:decode", arguments, limits=_LIMITS)
        except InputError as err:
            raise ContentError(err.cause, err.cure) from err
        except EngineError as err:
            raise ContentError(f"The picture could not be decoded safely: {err.cause}", "Export it again.") from err
        return np.fromfile(out, dtype=np.uint8).reshape(found["height"], found["width"], 3)
