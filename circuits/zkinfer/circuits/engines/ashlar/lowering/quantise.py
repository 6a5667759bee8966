"""From real weights to integers (section 2.3, D1 to D7).

Single IEEE operations and exact rationals only: no sum, product of matrices or transcendental function of floats may
decide an integer.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

WEIGHT_BITS, OUTPUT_WEIGHT_BITS, BIAS_BITS, COEFFICIENT_BITS = 15, 31, 60, 31


def rounded(values: Floats, exponent: int | Integers, limit: int, name: str) -> Integers:
    """rint(values 2^exponent), half to even, below 2^limit in magnitude.

    Args:
        values: real numbers; `exponent` broadcasts over them.
        exponent: the number of fraction bits.
        limit: the bits that a result may have.
        name: of the node, for messages.

    Raises:
        UnsupportedModelError: a value is not finite, or a result is too large.
    """
    if not np.isfinite(values).all():
        raise UnsupportedModelError(
            f"The weights of {name!r} hold {values[~np.isfinite(values)][0]}.", "Check the training of the model."
        )
    with np.errstate(over="ignore"):
        result = np.rint(np.ldexp(values, exponent))
    if not (np.abs(result) < 2.0**limit).all():
        most = float(np.abs(result).max())
        raise UnsupportedModelError(
            f"A weight of {name!r} becomes {most:.6g}, and less than 2^{limit} is possible.",
            "Lower its exponent, or the scales of what it reads; equalise weights of very unlike size before export.",
        )
    return np.asarray(result, np.int64)


def shifted(integers: Integers, bits: int, limit: int, name: str) -> Integers:
    """integers 2^bits, below 2^limit in magnitude; raises UnsupportedModelError if one is larger."""
    most = max(abs(int(integers.max(initial=0))), abs(int(integers.min(initial=0))))
    if most << bits >= 1 << limit:
        raise UnsupportedModelError(
            f"A number of {name!r} becomes {most << bits:,} at the scale of the sum, above 2^{limit}.",
            "Raise its exponent, or lower the scales of the other terms.",
        )
    return np.asarray(integers << bits)


def coefficient(exact: Fraction, name: str) -> int:
    """A rational number rounded half to even, for a term of kind 2 (D6); raises if it exceeds its field."""
    result = round(exact)
    if abs(result) >= 1 << COEFFICIENT_BITS:
        raise UnsupportedModelError(
            f"The factor of {name!r} becomes {result:,}, above 2^{COEFFICIENT_BITS}.",
            "Lower its exponent, or the scales of the other terms.",
        )
    return result


def power(bits: int) -> Fraction:
    """2^bits."""
    return Fraction(1 << bits) if bits >= 0 else Fraction(1, 1 << -bits)


def offset_bias(
    bias: Floats, exponent: int, weights: Integers, offsets: Sequence[Fraction], scales: Sequence[int], name: str
) -> Integers:
    """The bias behind addends that were folded into the weights, the exact sum rounded once (D7).

    Args:
        bias: real numbers, the last dimension one for each row of `weights`.
        exponent: the fraction bits of the sum.
        weights: integers, [rows, columns].
        offsets: what is added to each column.
        scales: the fraction bits of each column's cells.
        name: of the node, for messages.

    Raises:
        UnsupportedModelError: a bias is not finite, or too large.
    """
    if not np.isfinite(bias).all():
        raise UnsupportedModelError(f"The bias of {name!r} is not finite.", "Check the training of the model.")
    exact = [offset * power(scale) for offset, scale in zip(offsets, scales, strict=True)]
    common = math.lcm(*(one.denominator for one in exact))
    numerators = np.array([one.numerator * (common // one.denominator) for one in exact], object)
    sums = [Fraction(total, common) for total in weights.astype(object) @ numerators]
    flat = bias.reshape(-1, len(sums))
    scale = power(exponent)
    result = [
        [round(Fraction(one) * scale + extra) for one, extra in zip(row, sums, strict=True)] for row in flat.tolist()
    ]
    largest = max((abs(one) for row in result for one in row), default=0)
    if largest >= 1 << BIAS_BITS:
        raise UnsupportedModelError(
            f"The bias of {name!r} becomes {largest:,}, above 2^{BIAS_BITS}.", "Lower the exponent of its weights."
        )
    return np.array(result, dtype=np.int64).reshape(bias.shape)
