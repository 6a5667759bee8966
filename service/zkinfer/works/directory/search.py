"""Find works by fingerprint: all codes lie in memory, and a question compares them all, in milliseconds for 100,000.

Two lengths serve two purposes. A code of 64 bits finds candidates; one of 256 is evidence of one picture, by the limit
that the contract has. Of a proven print only those bits are compared that rounding cannot have changed. Neither finds
what was cropped, mirrored or redrawn, and both can be made to collide by whoever wants to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from zkinfer.works.errors import CodeError
from zkinfer.works.prints import BLOCK_BITS, DISTANCE_LIMIT, HALF, LEAST_COMPARED, LENGTHS, Print

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from zkinfer.works.print_model import Length

LIMITS: Final = {64: 6, 256: DISTANCE_LIMIT}
"""Most bits that may differ, by the number of bits that are compared."""
_WORDS: Final = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A code of a work; `proven` if it is a print on chain, not one in a certificate."""

    work: str
    code: Print
    proven: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A work that was found: `distance` of the `compared` bits differ."""

    work: str
    proven: bool
    distance: int
    compared: int

    @property
    def is_evidence(self) -> bool:
        """Whether 256 bits say it; 64 only make a candidate."""
        return self.compared > min(LENGTHS)


def whole(bits: int, length: Length) -> Print:
    """A code all of whose bits count.

    Raises CodeError unless half of each block's bits are set: of a flat or regular picture they are not, and the codes
    of such pictures are alike.
    """
    blocks = (bits >> place & (1 << BLOCK_BITS) - 1 for place in range(0, length, BLOCK_BITS))
    if any(one.bit_count() != HALF for one in blocks):
        raise CodeError(
            "The code is of a flat or regular picture, which has no fingerprint.", "Look up its SHA-256 instead."
        )
    return Print(bits, (1 << length) - 1, length)


class Codes:
    """Many codes, ready for questions; its size is fixed."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        by_length: dict[int, list[Entry]] = {length: [] for length in LENGTHS}
        for one in entries:
            by_length[one.code.length].append(one)
        self._short, self._long = (_Table(by_length[length], length) for length in LENGTHS)

    def find(self, code: Print, most: int | None = None) -> list[Hit]:
        """The works with a similar code, at most one hit for each, nearest first.

        A code of 256 bits is compared with those of 256, and by its first 64 with shorter ones; a code of 64 by the
        first 64 of all.

        Args:
            code: what is looked for; only its sure bits are compared.
            most: bits that may differ; by default, and at most, `LIMITS`.
        """
        short = _shortened(code)
        hits = self._short.find(short, _limit(64, most))
        hits += (
            self._long.find(code, _limit(256, most))
            if code.length == max(LENGTHS)
            else self._long.find(short, _limit(64, most))
        )
        best: dict[str, Hit] = {}
        for one in sorted(hits, key=lambda hit: (not hit.is_evidence, hit.distance, not hit.proven)):
            best.setdefault(one.work, one)
        return list(best.values())


class _Table:
    """The codes of one length, as rows of words of 64 bits."""

    def __init__(self, entries: Sequence[Entry], length: int) -> None:
        self._entries = entries
        words = length // 64
        self._bits = _rows([one.code.bits for one in entries], words)
        self._sure = _rows([one.code.sure for one in entries], words)

    def find(self, code: Print, most: int) -> list[Hit]:
        if not self._entries:
            return []
        words = code.length // 64
        wanted, sure = _rows([code.bits], words), _rows([code.sure], words)
        common = self._sure[:, :words] & sure
        distances = _counts((self._bits[:, :words] ^ wanted) & common)
        found = np.flatnonzero(distances <= most)
        compared = _counts(common[found])
        enough = LEAST_COMPARED * code.length // max(LENGTHS)
        return [
            Hit(one.work, one.proven, int(distances[place]), count)
            for place, count in zip(found.tolist(), compared.tolist(), strict=True)
            if count >= enough
            for one in [self._entries[place]]
        ]


def _rows(numbers: Sequence[int], words: int) -> NDArray[np.uint64]:
    data = b"".join(one.to_bytes(8 * words, "big") for one in numbers)
    return np.frombuffer(data, dtype=">u8").astype(np.uint64).reshape(len(numbers), words)


def _counts(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return counts


def _shortened(code: Print) -> Print:
    shift = code.length - 64
    return Print(code.bits >> shift, code.sure >> shift, 64)


def _limit(length: int, most: int | None) -> int:
    return LIMITS[length] if most is None else min(most, LIMITS[length])
