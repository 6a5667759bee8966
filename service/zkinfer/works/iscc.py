"""Fingerprints of pictures by ISO 24138 (ISCC): the Image-Code of 64 and 256 bits.

The first bit is the most significant. Bits 0 to 63 belong to the 8 x 8 lowest frequencies, row by row; the next blocks
are to their right, below them, and below to the right. In C2PA this is the soft binding `io.iscc.v0`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import iscc_core

from zkinfer.works.content import decode
from zkinfer.works.errors import CodeError
from zkinfer.works.pixels import normalise

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

LENGTHS: Final = (64, 256)
_PREFIX: Final = "ISCC:"
_MAX_CHARACTERS: Final = 80


@dataclass(frozen=True)
class Fingerprint:
    """The fingerprint of a picture.

    Args:
        pixels: `[32, 32]`, see `zkinfer.works.pixels`.
    """

    pixels: NDArray[np.uint8]

    @cached_property
    def iscc64(self) -> str:
        """The Image-Code of 64 bits, for look-ups: `ISCC:EEA...`."""
        return self._code(64)

    @cached_property
    def iscc256(self) -> str:
        """The Image-Code of 256 bits, for evidence: `ISCC:EED...`."""
        return self._code(256)

    @property
    def bits64(self) -> int:
        """The bits of `iscc64` as a number."""
        return parse(self.iscc64)[0]

    @property
    def bits256(self) -> int:
        """The bits of `iscc256` as a number."""
        return parse(self.iscc256)[0]

    def _code(self, length: int) -> str:
        values: list[int] = self.pixels.flatten().tolist()
        return str(iscc_core.gen_image_code_v0(values, length)["iscc"])


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint of a picture; raises as `decode`."""
    return Fingerprint(normalise(decode(path)))


def parse(code: str) -> tuple[int, int]:
    """The bits of an Image-Code as a number, and how many they are: 64 or 256.

    Raises CodeError for anything but an Image-Code of version 0 in its canonical form.
    """
    if len(code) > _MAX_CHARACTERS:
        raise _no_code(code)
    try:
        main, sub, version, _, digest = iscc_core.decode_header(iscc_core.decode_base32(code.removeprefix(_PREFIX)))
        expected = _encode(digest)
    except (ValueError, AssertionError, TypeError, IndexError, KeyError) as err:  # all that the library raises
        raise _no_code(code) from err
    length = 8 * len(digest)
    if length not in LENGTHS or (main, sub, version) != _HEADER or code != expected:
        raise _no_code(code)
    return int.from_bytes(digest, "big"), length


def encode(bits: int, length: int) -> str:
    """The Image-Code of some bits, 64 or 256."""
    return _encode(bits.to_bytes(length // 8, "big"))


def distance(one: str, other: str) -> int:
    """The number of bits in which two codes differ, over the length of the shorter one.

    The first 64 bits of a code of 256 are the code of 64. Raises CodeError.
    """
    (first, length), (second, other_length) = parse(one), parse(other)
    common = min(length, other_length)
    return (first >> (length - common) ^ second >> (other_length - common)).bit_count()


def _encode(digest: bytes) -> str:
    text: str = iscc_core.encode_component(*_HEADER[:2], _HEADER[2], 8 * len(digest), digest)
    return _PREFIX + text


def _no_code(code: str) -> CodeError:
    return CodeError(
        f"{code[:_MAX_CHARACTERS]!r} is no ISCC Image-Code of 64 or 256 bits.",
        "It looks like ISCC:EEA... or ISCC:EED...",
    )


_HEADER: Final[tuple[Any, Any, Any]] = (iscc_core.MT.CONTENT, iscc_core.ST_CC.IMAGE, iscc_core.VS.V0)
