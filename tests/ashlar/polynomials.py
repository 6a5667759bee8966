"""Polynomials modulo a prime, as lists of coefficients from the lowest, and their roots."""

from __future__ import annotations

from itertools import zip_longest
from random import Random


def plus(one, other):
    return [a + b for a, b in zip_longest(one, other, fillvalue=0)]


def times(one, other, p):
    product = [0] * (len(one) + len(other) - 1)
    for place, a in enumerate(one):
        for k, b in enumerate(other):
            product[place + k] += a * b
    return [value % p for value in product]


def divided(one, other, p):
    """Quotient and remainder; the divisor has the leading coefficient 1."""
    rest, quotient = list(one), [0] * max(1, len(one) - len(other) + 1)
    for place in range(len(one) - len(other), -1, -1):
        quotient[place] = factor = rest[place + len(other) - 1] % p
        for k, b in enumerate(other):
            rest[place + k] -= factor * b
    return quotient, [value % p for value in rest[: len(other) - 1]]


def monic(one, p):
    """Without leading zeros, divided by its leading coefficient; empty for 0."""
    one = [value % p for value in one]
    while one and not one[-1]:
        one.pop()
    return times([pow(one[-1], -1, p)], one, p) if one else []


def common_divisor(one, other, p):
    one, other = monic(one, p), monic(other, p)
    while other:
        one, other = other, monic(divided(one, other, p)[1], p)
    return one


def power(base, exponent, modulus, p):
    """base^exponent modulo a polynomial with the leading coefficient 1."""
    result = [1]
    for bit in f"{exponent:b}":
        result = divided(times(result, result, p), modulus, p)[1]
        if bit == "1":
            result = divided(times(result, base, p), modulus, p)[1]
    return result


def roots(one, p):
    """All roots below the odd prime: those of the common divisor with X^p - X, split at random until it is linear."""
    one = monic(one, p)
    if len(one) < 2:
        return []
    linear = common_divisor(one, plus(power([0, 1], p, one, p), [0, -1]), p)
    return sorted(_split(linear, p, Random(1)))


def _split(one, p, random):
    """The roots of a product of different X - u."""
    if len(one) < 3:
        return [-one[0] % p] if len(one) == 2 else []
    while True:
        half = plus(power([random.randrange(p), 1], (p - 1) // 2, one, p), [-1])
        part = common_divisor(one, half, p)
        if 1 < len(part) < len(one):
            return _split(part, p, random) + _split(divided(one, part, p)[0], p, random)
