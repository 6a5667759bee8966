"""BN254: fast sums of G1 points in plain Python integers; G2 and pairings by py_ecc.

An affine addition costs one field inversion, thirty times a multiplication. Sums are therefore computed in batches
that share one inversion (Montgomery's trick), which reduces an addition to about six multiplications.

Nothing here is constant-time: trusted setups and the scalars used with them are public.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


FIELD = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
"""The modulus of coordinates."""
ORDER = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
"""The order of the groups: the modulus of scalars."""
ORDER_BITS = 254
Point = tuple[int, int]
"""An affine point of G1, never infinity; where infinity can occur, the type is `Point | None`."""
GENERATOR: Point = (1, 2)
_TWO_ADICITY = 28
# 7 generates the multiplicative group; halo2curves derives its ROOT_OF_UNITY of bn256 from it (circom uses 5).
_ROOT_OF_UNITY = pow(7, (ORDER - 1) >> _TWO_ADICITY, ORDER)
_DAMAGED = "The file is damaged or not a BN254 setup; download it again."
_recursion_limit = sys.getrecursionlimit()
_bn254: Any = import_module("py_ecc.optimized_bn128")  # has no types or explicit exports for mypy
# py_ecc raises the limit to 100,000; deep recursion, in the JSON parser for instance, would then crash the process.
sys.setrecursionlimit(_recursion_limit)


def domain_root(k: int) -> int:
    """The generator of halo2's domain of 2^k points: a primitive 2^k-th root of unity, for k up to 28."""
    return pow(_ROOT_OF_UNITY, 1 << (_TWO_ADICITY - k), ORDER)


def on_curve(point: Point) -> bool:
    """Whether y^2 = x^3 + 3. The cofactor is 1, so every point of the curve is in the group."""
    x, y = point
    return (y * y - x * x * x - 3) % FIELD == 0


def invert_all(values: Sequence[int], modulus: int) -> list[int]:
    """Invert every value with a single modular inversion; raises ValueError if one of them is 0."""
    results, product = [], 1
    for value in values:
        results.append(product)
        product = product * value % modulus
    inverse = pow(product, -1, modulus)
    for index in range(len(values) - 1, -1, -1):
        results[index] = results[index] * inverse % modulus
        inverse = inverse * values[index] % modulus
    return results


def add_pairs(lefts: Sequence[Point], rights: Sequence[Point]) -> list[Point | None]:
    """Add two lists of points element by element; None for a sum that is infinity."""
    runs = [right[0] - left[0] for left, right in zip(lefts, rights, strict=True)]
    rises = [right[1] - left[1] for left, right in zip(lefts, rights, strict=True)]
    opposites = _set_tangents(lefts, rises, runs) if 0 in runs else []
    sums: list[Point | None] = []
    for (x1, y1), (x2, _), rise, inverse in zip(lefts, rights, rises, invert_all(runs, FIELD), strict=True):
        slope = rise * inverse % FIELD
        x = (slope * slope - x1 - x2) % FIELD
        sums.append((x, (slope * (x1 - x) - y1) % FIELD))
    for index in opposites:
        sums[index] = None
    return sums


def add(left: Point | None, right: Point | None) -> Point | None:
    """Add two points, infinity (None) included."""
    if left is None or right is None:
        return right if left is None else left
    return add_pairs([left], [right])[0]


def negate(point: Point | None) -> Point | None:
    """The opposite point."""
    return None if point is None else (point[0], FIELD - point[1])


def multiply(point: Point | None, scalar: int) -> Point | None:
    """Multiply one point by a scalar of any size."""
    total: Point | None = None
    for bit in f"{scalar % ORDER:b}":
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def collapse(groups: Iterable[list[Point]]) -> None:
    """Sum each list in place, which leaves one point, or none if the sum is infinity."""
    active = [members for members in groups if len(members) > 1]
    while active:
        lefts: list[Point] = []
        rights: list[Point] = []
        for members in active:
            half = len(members) // 2
            lefts += members[:half]
            rights += members[half : 2 * half]
        sums = iter(add_pairs(lefts, rights))
        for members in active:
            half = len(members) // 2
            members[: 2 * half] = [point for point in islice(sums, half) if point is not None]
        active = [members for members in active if len(members) > 1]


class MultiSum:
    """A multi-scalar multiplication over points that arrive in batches (Pippenger's buckets, kept between batches).

    Args:
        bits: scalars are below 2^bits.
        window: bits per digit; memory is at most 2^window points per digit.
    """

    def __init__(self, bits: int, window: int) -> None:
        self._window = window
        self._digits = -(-bits // window)
        self._buckets: defaultdict[int, list[Point]] = defaultdict(list)

    def add(self, points: Sequence[Point], scalars: Sequence[int]) -> None:
        """Add scalar * point for each pair; scalars are non-negative and below 2^bits."""
        mask = (1 << self._window) - 1
        for position in range(self._digits):
            shift, base = position * self._window, position << self._window
            for point, scalar in zip(points, scalars, strict=True):
                digit = scalar >> shift & mask
                if digit:
                    self._buckets[base | digit].append(point)
        collapse(self._buckets.values())

    def total(self) -> Point | None:
        """The sum so far."""
        total: Point | None = None
        for members in reversed(self._by_bit()):
            total = add(total, total)
            if members:
                total = add(total, members[0])
        return total

    def _by_bit(self) -> list[list[Point]]:
        """One sum per bit of the scalars: a bucket contributes to every bit that is set in its digit."""
        bits: list[list[Point]] = [[] for _ in range(self._digits * self._window)]
        for key, members in self._buckets.items():
            position, digit = key >> self._window, key & ((1 << self._window) - 1)
            for bit in range(self._window):
                if digit >> bit & 1:
                    bits[position * self._window + bit] += members
        collapse(bits)
        return bits


class FixedBase:
    """Multiples of one point by many scalars, from a precomputed table of its multiples per digit.

    Args:
        base: the point.
        window: bits per digit; the table holds 2^window points per digit.
    """

    def __init__(self, base: Point, window: int) -> None:
        self._window = window
        self._rows: list[list[Point]] = []
        for _ in range(-(-ORDER_BITS // window)):
            row = _first_multiples(base, window)
            self._rows.append(row)
            base = row[-1]

    def multiply_all(self, scalars: Sequence[int]) -> list[Point | None]:
        """Multiply the base by each scalar; scalars are in 0..ORDER-1."""
        groups = [self._terms(scalar) for scalar in scalars]
        collapse(groups)
        return [members[0] if members else None for members in groups]

    def _terms(self, scalar: int) -> list[Point]:
        mask, terms = (1 << self._window) - 1, []
        for row in self._rows:
            digit = scalar & mask
            if digit:
                terms.append(row[digit - 1])
            scalar >>= self._window
        return terms


def pack_g2(x: tuple[int, int], y: tuple[int, int]) -> bytes:
    """Encode a G2 point with (real, imaginary) coordinates as 128 bytes in the order of EIP-197."""
    return b"".join(number.to_bytes(32, "big") for number in (x[1], x[0], y[1], y[0]))


def generator_g2() -> bytes:
    """The generator of G2."""
    return _pack(_bn254.G2)


def multiply_g2(scalar: int) -> bytes:
    """Multiply the generator of G2 by a scalar in 1..ORDER-1."""
    return _pack(_bn254.multiply(_bn254.G2, scalar))


def require_g2(packed: bytes) -> None:
    """Raise SetupError unless the bytes encode a finite point of the prime-order group G2."""
    x, y = _coordinates(packed)
    if max(*x, *y) >= FIELD or not any((*x, *y)):
        raise SetupError("tau*G2 has a coordinate outside the field, or is infinity.", _DAMAGED)
    point = _unpack(packed)
    if not _bn254.is_on_curve(point, _bn254.b2):
        raise SetupError("tau*G2 is not on the curve.", _DAMAGED)
    if not _bn254.is_inf(_bn254.multiply(point, ORDER)):
        raise SetupError("tau*G2 is outside the prime-order subgroup.", _DAMAGED)


def same_ratio(shifted: Point | None, base: Point | None, tau_g2: bytes) -> bool:
    """Whether shifted = tau * base, that is e(shifted, G2) = e(base, tau*G2). The points are not validated here."""
    left = _bn254.pairing(_bn254.G2, _g1(shifted), final_exponentiate=False)
    right = _bn254.pairing(_unpack(tau_g2), _g1(negate(base)), final_exponentiate=False)
    return bool(_bn254.final_exponentiate(left * right) == _bn254.FQ12.one())


def _set_tangents(lefts: Sequence[Point], rises: list[int], runs: list[int]) -> list[int]:
    """Replace the slope by that of the tangent where points are equal; returns the indices of opposite points."""
    opposites = []
    for index, run in enumerate(runs):
        if run:
            continue
        if rises[index]:
            opposites.append(index)
            runs[index] = 1  # any invertible value; the sum is overwritten
        else:
            x, y = lefts[index]
            rises[index], runs[index] = 3 * x * x, 2 * y  # y is never 0: the order is odd
    return opposites


def _first_multiples(base: Point, window: int) -> list[Point]:
    """The multiples 1 to 2^window of the base, by doubling the list."""
    row = [base]
    for _ in range(window):
        row += [point for point in add_pairs(row, [row[-1]] * len(row)) if point is not None]
    return row


def _g1(point: Point | None) -> Any:  # noqa: ANN401 - py_ecc has no types
    if point is None:
        return _bn254.Z1
    return (_bn254.FQ(point[0]), _bn254.FQ(point[1]), _bn254.FQ(1))


def _coordinates(packed: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    x1, x0, y1, y0 = (int.from_bytes(packed[at : at + 32], "big") for at in range(0, 128, 32))
    return (x0, x1), (y0, y1)


def _unpack(packed: bytes) -> Any:  # noqa: ANN401 - py_ecc has no types
    x, y = _coordinates(packed)
    return (_bn254.FQ2(x), _bn254.FQ2(y), _bn254.FQ2((1, 0)))


def _pack(point: Any) -> bytes:  # noqa: ANN401 - py_ecc has no types
    x, y = _bn254.normalize(point)
    (x0, x1), (y0, y1) = x.coeffs, y.coeffs
    return pack_g2((int(x0), int(x1)), (int(y0), int(y1)))
