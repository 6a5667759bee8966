"""Transcendental functions of rationals and decimals: rational at 0, decimals elsewhere.

Call them within `CONTEXT`, a local context of `DIGITS` digits.
"""

from __future__ import annotations

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from fractions import Fraction
from functools import lru_cache

Number = Fraction | Decimal
DIGITS = 80  # 60 are required; the others absorb the rounding of chains
CONTEXT = Context(prec=DIGITS, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[InvalidOperation, DivisionByZero, Overflow])
ZERO, HALF, ONE = Fraction(0), Fraction(1, 2), Fraction(1)
_ERF_IS_ONE = 14  # from here on, erf differs from 1 beyond the last digit


def decimal(value: Number) -> Decimal:
    """A number with `DIGITS` digits."""
    return value if isinstance(value, Decimal) else Decimal(value.numerator) / Decimal(value.denominator)


def sqrt(value: Number) -> Number | None:
    """The square root: rational for squares of rationals."""
    if value < 0:
        return None
    if isinstance(value, Fraction):
        up, down = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if up * up == value.numerator and down * down == value.denominator:
            return Fraction(up, down)
    return decimal(value).sqrt()


def exp(value: Number) -> Number:
    """The exponential."""
    return decimal(value).exp() if value else ONE


def log(value: Number) -> Number | None:
    """The natural logarithm."""
    return decimal(value).ln() if value > 0 else None


def sigmoid(value: Number) -> Number:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + (-decimal(value)).exp()) if value else HALF


def tanh(value: Number) -> Number:
    """The hyperbolic tangent."""
    if not value:
        return ZERO
    small = (-2 * abs(decimal(value))).exp()
    return ((1 - small) / (1 + small)).copy_sign(decimal(value))


def softplus(value: Number) -> Number:
    """log(1 + exp(x))."""
    number = decimal(value)
    return max(number, Decimal(0)) + (1 + (-abs(number)).exp()).ln()


def erf(value: Number) -> Number:
    """The error function, by a series of positive terms: x exp(-x^2) sum of (2 x^2)^n / (1 · 3 · 5 ...)."""
    if not value:
        return ZERO
    size = abs(decimal(value))
    if size > _ERF_IS_ONE:
        return Decimal(1).copy_sign(decimal(value))
    square, term, total, odd = size * size, size, size, 1
    least = Decimal(10) ** (-DIGITS - 5) * size
    while term > least * total or odd < 2 * square:
        odd += 2
        term = term * 2 * square / odd
        total += term
    return (2 * total * (-square).exp() / _pi().sqrt()).copy_sign(decimal(value))


@lru_cache(maxsize=1)
def _pi() -> Decimal:
    """By Machin's formula."""
    return 4 * (4 * _inverse_tangent(5) - _inverse_tangent(239))


def _inverse_tangent(inverse: int) -> Decimal:
    """arctan(1 / inverse)."""
    power_, total, odd, sign = Decimal(1) / inverse, Decimal(0), 1, 1
    while power_ > Decimal(10) ** (-DIGITS - 5):
        total += sign * power_ / odd
        power_, odd, sign = power_ / (inverse * inverse), odd + 2, -sign
    return total


def gelu(value: Number, approximate: str = "none") -> Number:
    """x times the normal distribution at x, or the usual approximation of it by tanh."""
    if not value:
        return ZERO
    x = decimal(value)
    if approximate == "none":
        return x * (1 + decimal(erf(x / Decimal(2).sqrt()))) / 2
    inner = (2 / _pi()).sqrt() * (x + Decimal("0.044715") * x**3)
    return x * (1 + decimal(tanh(inner))) / 2
