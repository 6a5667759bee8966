"""A group in which the commitment to a polynomial is its value at a known tau, over any prime.

Proofs made with it follow the protocol byte for byte, but for the points, and are made and checked in milliseconds.
Over small primes false proofs are accepted now and then, with the probabilities of the soundness argument.
"""

from __future__ import annotations

from dataclasses import dataclass

from zkinfer.circuits.srs import bn254
from zkinfer.circuits.srs.ceremonies import TAU
from zkinfer.verifier.ashlar.errors import EncodingError, MalformedKeyError
from zkinfer.verifier.ashlar.group import Bn254


@dataclass(frozen=True)
class Numbers:
    """Numbers modulo `order` in the place of points; x holds the number and y is 0."""

    order: int = bn254.ORDER
    tau: int = 987654321

    generator = 1

    @property
    def modulus(self):
        """Of coordinates."""
        return self.order

    @property
    def tau_g2(self):
        return (self.tau % self.order).to_bytes(128, "big")

    def encode(self, value):
        return (value % self.order).to_bytes(32, "big") + bytes(32)

    def decode(self, data):
        value, y = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")
        if value >= self.order or y:
            raise EncodingError("no number of this group")
        return value

    def negated(self, point):
        return self.encode(-point)

    def require_tau(self, tau_g2):
        if tau_g2 != self.tau_g2:
            raise MalformedKeyError("W1", "another tau")

    def combine(self, terms):
        return sum(int(scalar) * value for scalar, value in terms) % self.order

    def is_tau_times(self, shifted, base, tau_g2):
        return (shifted - int.from_bytes(tau_g2, "big") * base) % self.order == 0


class KnownTau(Bn254):
    """BN254 under the public tau of `insecure-dev`: multiplies where a verifier pairs, which decides the same."""

    tau = TAU
    modulus = bn254.FIELD
    tau_g2 = bn254.multiply_g2(TAU)

    def encode(self, value):
        return packed(bn254.multiply(bn254.GENERATOR, value) if value % self.order else None)

    def negated(self, point):
        return packed(bn254.negate(point))

    def is_tau_times(self, shifted, base, tau_g2):
        assert tau_g2 == self.tau_g2
        return shifted == bn254.multiply(base, TAU)


def packed(point):
    return b"".join(number.to_bytes(32, "big") for number in point or (0, 0))
