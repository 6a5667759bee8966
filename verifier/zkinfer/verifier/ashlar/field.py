"""Numbers modulo a prime, and multilinear polynomials at points of such numbers.

The prime is a parameter: a proof uses the order of BN254, tests also small primes, where false proofs that are
accepted with a probability of a few parts in the order can be counted.

A point lists the coordinates of an index, least significant bit first. A coordinate may be a number modulo the prime
or, where a bit is known, 0 or 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Element:
    """An integer modulo a prime `order`; arithmetic with integers and with elements of the same order."""

    __slots__ = ("order", "value")

    def __init__(self, value: int, order: int) -> None:
        self.value = value % order
        self.order = order

    def __add__(self, other: Scalar) -> Element:
        return Element(self.value + int(other), self.order)

    __radd__ = __add__

    def __sub__(self, other: Scalar) -> Element:
        return Element(self.value - int(other), self.order)

    def __rsub__(self, other: int) -> Element:
        return Element(other - self.value, self.order)

    def __mul__(self, other: Scalar) -> Element:
        return Element(self.value * int(other), self.order)

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> Element:
        return Element(pow(self.value, exponent, self.order), self.order)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Element, int)):
            return NotImplemented
        return (self.value - int(other)) % self.order == 0

    def __hash__(self) -> int:
        return hash((self.value, self.order))

    def __int__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"{self.value} mod {self.order}"


Scalar = Union[Element, int]  # noqa: UP007 - evaluated before both are types
"""A number modulo the prime; a plain integer stands for its remainder."""


def product(factors: Iterable[Scalar]) -> Scalar:
    """The product; 1 if there are no factors."""
    result: Scalar = 1
    for factor in factors:
        result = result * factor
    return result


def powers(base: Scalar, count: int) -> list[Scalar]:
    """The first `count` powers, from base^0 on."""
    result: list[Scalar] = []
    power: Scalar = 1
    for _ in range(count):
        result.append(power)
        power = power * base
    return result


def bits_of(number: int, count: int) -> list[int]:
    """The lowest `count` bits, least significant first."""
    return [number >> position & 1 for position in range(count)]


def eq(a: Sequence[Scalar], b: Sequence[Scalar]) -> Scalar:
    """The multilinear extension of "both indices are equal"; the points have as many coordinates."""
    return product(1 - x - y + 2 * x * y for x, y in zip(a, b, strict=True))


def at_index(index: int, x: Sequence[Scalar]) -> Scalar:
    """The multilinear extension of "x is this index"; an index of more bits than x has is an error of the caller."""
    if index >> len(x):
        raise ValueError(f"index {index} has more than {len(x)} bits")
    return eq(bits_of(index, len(x)), x)


def in_block(offset: int, bits: int, x: Sequence[Scalar]) -> Scalar:
    """The multilinear extension of "x lies in the aligned block of 2^bits places that starts at offset"."""
    return at_index(offset >> bits, x[bits:])


def eq_table(x: Sequence[Scalar], count: int) -> list[Scalar]:
    """The values of `at_index(i, x)` for i from 0 to count - 1, by doubling."""
    table: list[Scalar] = [1]
    for coordinate in reversed(x):
        # Each earlier coordinate becomes the new least significant bit.
        table = [entry for value in table for entry in (value - value * coordinate, value * coordinate)]
    return table[:count]
