"""The group that commitments lie in: points, their sums with coefficients, and the pairing check.

Everything else asks for a `Group`, so that tests can put numbers modulo a small prime in the place of points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs import bn254
from zkinfer.verifier.ashlar.errors import EncodingError, MalformedKeyError
from zkinfer.verifier.ashlar.program import POINT, WORD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.verifier.ashlar.field import Scalar

GroupPoint = Any
"""A point of a group; for BN254 the coordinates, or None for infinity."""
_WINDOW = 4


class Group(Protocol):
    """A group of prime order, as much of it as a verifier needs."""

    @property
    def order(self) -> int:
        """The order, which is the modulus of scalars."""

    @property
    def generator(self) -> GroupPoint:
        """The point that stands for the polynomial 1."""

    def decode(self, data: bytes) -> GroupPoint:
        """Decode 64 bytes; raises EncodingError unless they are the encoding of a point."""

    def require_tau(self, tau_g2: bytes) -> None:
        """Raise MalformedKeyError unless the bytes can be tau*G2."""

    def combine(self, terms: Iterable[tuple[Scalar, GroupPoint]]) -> GroupPoint:
        """The sum of points, each times its coefficient."""

    def is_tau_times(self, shifted: GroupPoint, base: GroupPoint, tau_g2: bytes) -> bool:
        """Whether the first point is tau times the second."""


class Bn254:
    """The group G1 of BN254."""

    order = bn254.ORDER
    generator = bn254.GENERATOR

    def decode(self, data: bytes) -> bn254.Point | None:
        """Decode x and y; 64 zero bytes are infinity."""
        x, y = int.from_bytes(data[:WORD], "big"), int.from_bytes(data[WORD:], "big")
        if x >= bn254.FIELD or y >= bn254.FIELD:
            raise EncodingError("A coordinate of a point is not below the modulus.")
        if data == bytes(POINT):
            return None
        if not bn254.on_curve((x, y)):
            raise EncodingError("A point is not on the curve.")
        return x, y

    def require_tau(self, tau_g2: bytes) -> None:
        """The bytes are a finite point of the group G2."""
        try:
            bn254.require_g2(tau_g2)
        except SetupError as err:
            raise MalformedKeyError("W1", err.cause) from err

    def combine(self, terms: Iterable[tuple[Scalar, bn254.Point | None]]) -> bn254.Point | None:
        """Add the multiples, four bits of all coefficients at a time."""
        finite = [(int(scalar) % self.order, point) for scalar, point in terms if point is not None]
        total = bn254.MultiSum(bn254.ORDER_BITS, _WINDOW)
        total.add([point for _, point in finite], [scalar for scalar, _ in finite])
        return total.total()

    def is_tau_times(self, shifted: bn254.Point | None, base: bn254.Point | None, tau_g2: bytes) -> bool:
        """The pairing check e(shifted, G2) = e(base, tau*G2)."""
        return bn254.same_ratio(shifted, base, tau_g2)


BN254 = Bn254()
