"""The data mining property of PLUS and IPTC in a file's bytes, wherever its XMP stands and however it is packed.

Nothing is parsed as a whole, so a damaged or unknown file is searched as well. XMP that a search of the bytes would
miss is unpacked first: what PNG and PDF compress, what PNG writes as hex, what JPEG splits over segments.
Specification of the property and its words: IPTC Photo Metadata 2023.1, "Data Mining".
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from zkinfer.works.errors import ContentError
from zkinfer.works.kinds import Permission, strictest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_UNPACKED: Final = 16 << 20
_WORD: Final = re.compile(rb"dmi-([a-z0-9_-]{1,80})")
_BEFORE: Final = b"vocab/"
_PROPERTY: Final = re.compile(rb":datamining\s*[=>/]")
_NAMESPACE: Final = b"ns.useplus.org"
_SILENT: Final = "unspecified"
_ANSWERS: Final = {
    "allowed": Permission.ALLOWED,
    "prohibited-seeconstraint": Permission.CONSTRAINED,
    "prohibited-seeembeddedrightsexpr": Permission.CONSTRAINED,
}
_PNG_KEYWORD: Final = re.compile(rb"XML:com\.adobe\.xmp\0|Raw profile type (?:xmp|XMP|APP1|app1)\0")
_JPEG_EXTENSION: Final = re.compile(rb"(?s)http://ns\.adobe\.com/xmp/extension/\0(.{32}).{4}(.{4})")
_PDF_METADATA: Final = re.compile(rb"(?s)/Subtype\s*/XML\b.{0,400}?stream\r?\n")


def training_in(data: bytes) -> Permission | None:
    """The strictest answer in these bytes, in UTF-8, UTF-16 or UTF-32; None if there is none.

    A word that is not known, and a property without any known word, are a no.
    """
    plain = data.replace(b"\0", b"").lower()
    words = [one for one in map(_word, _iterated(plain)) if one]
    answers = [_ANSWERS.get(one, Permission.NOT_ALLOWED) for one in words if one != _SILENT]
    if not words and _NAMESPACE in plain and _PROPERTY.search(plain):
        answers.append(Permission.NOT_ALLOWED)
    return strictest_of(answers) if answers else None


def unpacked(data: bytes) -> bytes:
    """The XMP of these bytes that is compressed, written as hex, or split.

    Raises:
        ContentError: it is damaged, or larger than `MAX_UNPACKED`.
    """
    return b"\n".join((*_from_png(data), *_from_jpeg(data), *_from_pdf(data)))


def _iterated(plain: bytes) -> Iterator[tuple[bytes, bool]]:
    for found in _WORD.finditer(plain):
        yield found[1], plain.endswith(_BEFORE, 0, found.start())


def _word(found: tuple[bytes, bool]) -> str:
    """The word, or nothing if four letters stand there by chance: an unknown word counts in the vocabulary's URI."""
    word, is_in_uri = found[0].decode("ascii").rstrip("-"), found[1]
    return word if is_in_uri or word in (*_ANSWERS, _SILENT) or word.startswith("prohibited") else ""


def _from_png(data: bytes) -> Iterator[bytes]:
    left = MAX_UNPACKED
    for found in _PNG_KEYWORD.finditer(data):
        length, kind = (
            data[max(0, found.start() - 8) : found.start()][:4],
            data[max(0, found.start() - 4) : found.start()],
        )
        text = data[found.end() : found.start() + int.from_bytes(length, "big")]
        if kind == b"iTXt":
            is_packed, text = text[:1] == b"\1", text[2:].split(b"\0", 2)[-1]
        elif kind == b"zTXt":
            is_packed, text = True, text[1:]
        elif kind == b"tEXt":
            is_packed = False
        else:
            continue
        text = _inflated(text, left) if is_packed else text
        left -= len(text)
        if left < 0:
            raise ContentError(f"Its XMP has more than {MAX_UNPACKED:,} bytes.", "Save it again.")
        yield _from_hex(text) if found[0].startswith(b"Raw") else text


def _from_hex(text: bytes) -> bytes:
    """The content of a raw profile: its name, its length, and hex digits."""
    try:
        return bytes.fromhex(text.split(None, 2)[2].decode("ascii"))
    except (IndexError, ValueError) as err:
        raise ContentError("Its XMP is damaged.", "Save it again.") from err


def _from_jpeg(data: bytes) -> Iterator[bytes]:
    parts: dict[bytes, list[tuple[bytes, bytes]]] = defaultdict(list)
    for found in _JPEG_EXTENSION.finditer(data):
        begin = found.start() - 2  # the length of the segment, which counts itself
        end = begin + int.from_bytes(data[max(0, begin) : begin + 2], "big")
        parts[found[1]].append((found[2], data[found.end() : end]))
    for chunks in parts.values():
        yield b"".join(chunk for _, chunk in sorted(chunks))


def _from_pdf(data: bytes) -> Iterator[bytes]:
    left = MAX_UNPACKED
    for found in _PDF_METADATA.finditer(data) if b"%PDF-" in data[:1024] else ():
        head = data[found.end() : found.end() + 2]
        if head[:1] == b"x" and int.from_bytes(head, "big") % 31 == 0:  # RFC 1950, 2.2
            text = _inflated(data[found.end() :], left)
            left -= len(text)
            yield text


def _inflated(data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, limit + 1)
    except zlib.error as err:
        raise ContentError("Its XMP is damaged.", "Save it again.") from err
    if len(found) > limit or not stream.eof:
        raise ContentError(f"Its XMP is damaged, or has more than {MAX_UNPACKED:,} bytes.", "Save it again.")
    return found
