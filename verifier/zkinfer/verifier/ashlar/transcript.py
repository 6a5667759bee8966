"""The hash chain that challenges come from, and the messages of a proof (sections 5.2 and 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import keccak256
from zkinfer.verifier.ashlar.errors import EncodingError, StatementLengthError
from zkinfer.verifier.ashlar.field import Element
from zkinfer.verifier.ashlar.program import HASHED, POINT, STORED, WORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zkinfer.verifier.ashlar.group import Group, GroupPoint
    from zkinfer.verifier.ashlar.program import Header, Program


class Transcript:
    """The state of the hash chain; `order` is the modulus of challenges."""

    def __init__(self, seed: bytes, order: int) -> None:
        self._state = keccak256(seed).value
        self._order = order

    def absorb(self, message: bytes) -> Element:
        """Hash a message into the state; returns a challenge that depends on it."""
        self._state = keccak256(self._state + message).value
        return Element(int.from_bytes(self._state, "big"), self._order)

    def next(self) -> Element:
        """A further challenge, without a message."""
        return self.absorb(b"")

    def many(self, count: int) -> list[Element]:
        """Further challenges."""
        return [self.next() for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What follows from header and program: numbers of chunks, of variables and of values."""

    x_chunks: int
    p_chunks: int
    h_chunks: int
    rounds: int
    """mA: the variables of the first sumcheck."""
    tau: int
    """mT: the coordinates of tau."""
    values: int
    """The scalars of message 5."""

    @classmethod
    def of(cls, header: Header, program: Program) -> Sizes:
        """The sizes of a well-formed key."""
        cells, rows, hashed = 1 << header.n, 1 << header.nt, header.mode == HASHED
        rounds = max(header.n, header.nt)
        return cls(
            x_chunks=_chunks(1 << program.blocks[0].bits, header.c) if hashed else 0,
            p_chunks=_chunks(3 * cells + rows, header.c),
            h_chunks=_chunks(2 * cells + rows, header.c),
            rounds=rounds,
            tau=max(rounds, *(output.bits for output in program.outputs)),
            values=8 + hashed + any(table.kind == STORED for table in program.tables),
        )


def _chunks(length: int, c: int) -> int:
    return -(-length >> c)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a proof: its bytes, and the points or the scalars in them."""

    data: bytes
    points: tuple[GroupPoint, ...]
    scalars: tuple[Element, ...]


def require_length(proof: bytes, sizes: Sizes, nb: int) -> None:
    """Step 2: the proof has exactly the messages of its key."""
    length = sum(POINT * points + WORD * scalars for points, scalars in contents(sizes, nb))
    if len(proof) != length:
        raise StatementLengthError(f"The proof has {len(proof)} bytes; those of this key have {length}.")


def decode_proof(proof: bytes, sizes: Sizes, nb: int, group: Group) -> Iterator[Message]:
    """Step 4: decode all messages of a proof of the right length, in order.

    Raises:
        EncodingError: a scalar or a coordinate is not below its modulus, or a point is not on the curve.
    """
    messages, place = [], 0
    for points, scalars in contents(sizes, nb):
        data = proof[place : place + POINT * points + WORD * scalars]
        place += len(data)
        split = POINT * points
        messages.append(Message(data, decode_points(data[:split], group), _scalars(data[split:], group.order)))
    return iter(messages)


def decode_points(data: bytes, group: Group) -> tuple[GroupPoint, ...]:
    """Decode points of 64 bytes; raises EncodingError."""
    return tuple(group.decode(data[at : at + POINT]) for at in range(0, len(data), POINT))


def contents(sizes: Sizes, nb: int) -> Sequence[tuple[int, int]]:
    """The numbers of points and of scalars in each message."""
    return (
        (sizes.x_chunks + sizes.p_chunks, 0),
        (sizes.h_chunks, 0),
        (0, 1),
        *[(0, 3)] * sizes.rounds,
        (0, sizes.values),
        *[(0, 2)] * nb,
        (1, 0),
        (0, 4),
        (1, 0),
        (1, 0),
    )


def _scalars(data: bytes, order: int) -> tuple[Element, ...]:
    numbers = [int.from_bytes(data[at : at + WORD], "big") for at in range(0, len(data), WORD)]
    if any(number >= order for number in numbers):
        raise EncodingError("A scalar of the proof is not below the order of the group.")
    return tuple(Element(number, order) for number in numbers)
