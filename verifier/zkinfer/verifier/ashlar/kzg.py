"""The opening: one claim about a sum of committed polynomials, checked with one pairing (part 9; steps 11 to 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from zkinfer.verifier.ashlar.errors import HintError
from zkinfer.verifier.ashlar.field import at_index, product

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zkinfer.verifier.ashlar.field import Element, Scalar
    from zkinfer.verifier.ashlar.group import Group, GroupPoint


class Opening(NamedTuple):
    """The opening's scalars: challenges, the values in message 8, and what follows from them."""

    zeta: Element
    delta: Element
    """The spec's delta', which batches f and S."""
    z: Element
    f0: Element
    f1: Element
    s0: Element
    hint: Element


class Line(NamedTuple):
    """S at 1/zeta, the line L* at z, and (z - zeta)(z - 1/zeta)."""

    s1: Scalar
    lz: Scalar
    zz: Scalar


def require_hint(opening: Opening) -> None:
    """Step 11: the hint is the inverse of zeta (zeta^2 - 1), so that zeta is none of 0, 1 and -1."""
    zeta = opening.zeta
    if opening.hint * zeta * (zeta * zeta - 1) != 1:
        raise HintError("The hint is not the inverse of zeta (zeta^2 - 1).")


def line(opening: Opening, low: Sequence[Scalar], claim: Scalar) -> Line:
    """Steps 12 and 13, with a correct hint: the claim says that f is `claim` at the point `low`."""
    zeta, delta, z, f0, f1, s0, hint = opening
    inverse, over_difference = hint * (zeta * zeta - 1), hint * zeta * zeta
    s1 = zeta * (f0 * _eq_polynomial(low, inverse) + f1 * _eq_polynomial(low, zeta) - 2 * claim - zeta * s0)
    y0, y1 = f0 + delta * s0, f1 + delta * s1
    slope = (y0 - y1) * over_difference
    return Line(s1, y0 + slope * (z - zeta), (z - zeta) * (z - inverse))


def _eq_polynomial(low: Sequence[Scalar], x: Scalar) -> Scalar:
    """p(x): the polynomial whose coefficient i is `at_index(i, low)`."""
    factors = []
    for u in low:
        factors.append(1 - u + u * x)
        x = x * x
    return product(factors)


def chunk_weights(
    kernels: Mapping[str, Scalar], high: Sequence[Scalar], commitments: Mapping[str, Sequence[GroupPoint]]
) -> list[tuple[Scalar, GroupPoint]]:
    """Step 10: the commitments to all chunks, each with its weight in f."""
    return [
        (kernels[name] * at_index(index, high), point)
        for name, chunks in commitments.items()
        for index, point in enumerate(chunks)
    ]


def pairing_point(
    group: Group,
    chunks: Sequence[tuple[Scalar, GroupPoint]],
    opening: Opening,
    through: Line,
    points: tuple[GroupPoint, GroupPoint, GroupPoint],
) -> GroupPoint:
    """Step 14: A, which is tau times the last of the points [S], [W], [W'] if the opening is right."""
    s, w, w_last = points
    terms = [(opening.delta, s), (0 - through.lz, group.generator), (0 - through.zz, w), (opening.z, w_last)]
    return group.combine([*chunks, *terms])
