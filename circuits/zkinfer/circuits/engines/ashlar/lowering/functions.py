"""Real functions at rational points, for stored tables (rule D5).

A value is a rational where the function has one, and a decimal of `DIGITS` digits otherwise; None where it is
undefined. What depends on a decimal is a decimal.
"""

from __future__ import annotations

from decimal import Decimal, Overflow, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.engines.ashlar.lowering.transcendental import (
    CONTEXT,
    HALF,
    ONE,
    ZERO,
    decimal,
    erf,
    exp,
    gelu,
    log,
    sigmoid,
    softplus,
    sqrt,
    tanh,
)
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zkinfer.circuits.engines.ashlar.lowering.transcendental import Number

    Function = Callable[..., Number | None]

MAX_POWER = 64
_FAR, _NEAR = Decimal(10) ** 60, Decimal(10) ** -60


def evaluated(steps: Sequence[tuple[str, tuple[object, ...], Mapping[str, Any]]], at: Fraction) -> Number | None:
    """The last of a list of steps; each is an operator, its operands and its attributes.

    An operand is a rational constant, the number of an earlier step, or None for the point itself.

    Raises:
        UnsupportedModelError: a step exceeds what decimals can hold.
    """
    results: list[Number] = []
    with localcontext(CONTEXT):
        for operator, operands, attributes in steps:
            values = [
                at if one is None else one if isinstance(one, Fraction) else results[one]  # type: ignore[call-overload] # an index
                for one in operands
            ]
            try:
                result = FUNCTIONS[operator](*values, **attributes)
            except Overflow as err:
                raise UnsupportedModelError(
                    f"An activation with {operator} has no number of less than 10^18 digits at {float(at):.6g}.",
                    "Clip the input of the activation.",
                ) from err
            if result is None:
                return None
            results.append(result)
        return _short(results[-1])


def _short(value: Number) -> Number:
    """The value, or a number beyond every table or next to 0 in place of a decimal with a huge exponent."""
    if isinstance(value, Fraction) or not value:
        return value
    return min(max(abs(value), _NEAR), _FAR).copy_sign(value)


def exact(value: object) -> Fraction:
    """The exact value of a number of float32; a default of the ONNX standard is such a number too."""
    return Fraction(float(np.float32(value)))  # type: ignore[arg-type] # any real number


def _alike(one: Number, other: Number) -> tuple[Any, Any]:
    """Two rationals, or two decimals."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one, other
    return decimal(one), decimal(other)


def add(*values: Number) -> Number:
    """The sum."""
    result = values[0]
    for value in values[1:]:
        one, other = _alike(result, value)
        result = one + other
    return result


def sub(one: Number, other: Number) -> Number:
    """The difference."""
    return add(one, -other)


def mul(one: Number, other: Number) -> Number:
    """The product."""
    left, right = _alike(one, other)
    product: Number = left * right
    return product


def div(one: Number, other: Number) -> Number | None:
    """The quotient; undefined for a divisor of 0."""
    left, right = _alike(one, other)
    quotient: Number | None = left / right if right else None
    return quotient


def maximum(*values: Number) -> Number:
    """The largest; a decimal if one of them is."""
    return _chosen(max, values)


def minimum(*values: Number) -> Number:
    """The least; a decimal if one of them is."""
    return _chosen(min, values)


def _chosen(choose: Callable[..., Any], values: Sequence[Number]) -> Number:
    rational = all(isinstance(value, Fraction) for value in values)
    chosen: Number = choose(values if rational else [decimal(value) for value in values])
    return chosen


def power(base: Number, exponent: Number) -> Number | None:
    """A power with a constant exponent; undefined as a division by 0 is, and for roots of negative numbers."""
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        return None if exponent < 0 and not base else base ** int(exponent)
    if exponent == HALF:
        return sqrt(base)
    if base < 0 or (not base and exponent < 0):
        return None
    return (decimal(base).ln() * decimal(exponent)).exp() if base else ZERO


def elu(value: Number, alpha: Fraction = ONE) -> Number:
    """X above 0, else alpha (exp(x) - 1)."""
    return value if value >= 0 else mul(alpha, sub(exp(value), ONE))


def celu(value: Number, alpha: Fraction = ONE) -> Number | None:
    """X above 0, else alpha (exp(x / alpha) - 1)."""
    inner = value if value >= 0 else div(value, alpha)
    return value if value >= 0 or inner is None else mul(alpha, sub(exp(inner), ONE))


def selu(value: Number, alpha: Fraction, gamma: Fraction) -> Number:
    """Gamma times Elu."""
    return mul(gamma, elu(value, alpha))


def hard_sigmoid(value: Number, alpha: Fraction, beta: Fraction) -> Number:
    """Alpha x + beta, between 0 and 1."""
    return maximum(ZERO, minimum(ONE, add(mul(alpha, value), beta)))


def hard_swish(value: Number) -> Number:
    """X times (x / 6 + 1 / 2), the latter between 0 and 1."""
    return mul(value, hard_sigmoid(value, Fraction(1, 6), HALF))


def leaky_relu(value: Number, alpha: Fraction) -> Number:
    """X above 0, else alpha x."""
    return value if value >= 0 else mul(alpha, value)


def clip(value: Number, *, low: Fraction | None = None, high: Fraction | None = None) -> Number:
    """X, not below `low` and not above `high`."""
    result = value if low is None else maximum(value, low)
    return result if high is None else minimum(result, high)


def thresholded(value: Number, alpha: Fraction) -> Number:
    """X above alpha, else 0."""
    return value if value > alpha else ZERO


FUNCTIONS: dict[str, Function] = {
    "Abs": abs,
    "Add": add,
    "Celu": celu,
    "Clip": clip,
    "Div": div,
    "Elu": elu,
    "Erf": erf,
    "Exp": exp,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "LeakyRelu": leaky_relu,
    "Log": log,
    "Max": maximum,
    "Min": minimum,
    "Mish": lambda value: mul(value, tanh(softplus(value))),
    "Mul": mul,
    "Neg": lambda value: -value,
    "PRelu": leaky_relu,
    "Pow": power,
    "Reciprocal": lambda value: div(ONE, value),
    "Relu": lambda value: maximum(value, ZERO),
    "Selu": selu,
    "Sigmoid": sigmoid,
    "Softplus": softplus,
    "Softsign": lambda value: div(value, add(ONE, abs(value))),
    "Sqrt": sqrt,
    "Sub": sub,
    "Sum": add,
    "Tanh": tanh,
    "ThresholdedRelu": thresholded,
}
"""By operator; operands first, then attributes by name."""
DEFAULTS: dict[str, dict[str, float]] = {
    "Celu": {"alpha": 1.0},
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "ThresholdedRelu": {"alpha": 1.0},
}
"""The attributes that are real numbers, with the defaults of the ONNX standard."""
