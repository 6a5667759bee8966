"""The boxes of a C2PA manifest store, as far as it takes to give its active manifest alone.

A store is a JUMBF superbox (ISO 19566-5): a description box, and one superbox for each manifest. The last one is the
active manifest (C2PA 2.2, section 11.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zkinfer.works.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUPERBOX: Final = b"jumb"
_DESCRIPTION: Final = b"jumd"
_SHORT, _LONG = 8, 16


def only_active(store: bytes) -> bytes:
    """A store with nothing but the active manifest; raises CredentialsError if it is malformed."""
    outer = list(_boxes(store))
    if [kind for kind, _ in outer] != [_SUPERBOX]:
        raise _malformed()
    description, *manifests = _boxes(_content(outer[0][1]))
    if description[0] != _DESCRIPTION or not manifests or any(kind != _SUPERBOX for kind, _ in manifests):
        raise _malformed()
    content = description[1] + manifests[-1][1]
    return (_SHORT + len(content)).to_bytes(4, "big") + _SUPERBOX + content


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each box, its header included; at least one."""
    place = 0
    while place < len(data) or place == 0:
        size = int.from_bytes(data[place : place + 4], "big")
        least = _SHORT
        if size == 1:
            size, least = int.from_bytes(data[place + _SHORT : place + _LONG], "big"), _LONG
        if size < least or place + size > len(data):
            raise _malformed()
        yield data[place + 4 : place + _SHORT], data[place : place + size]
        place += size


def _content(box: bytes) -> bytes:
    return box[_LONG if box[:4] == b"\0\0\0\1" else _SHORT :]


def _malformed() -> CredentialsError:
    return CredentialsError("The manifest store is malformed.", "Fetch it whole, and read it with C2PA's tools.")
