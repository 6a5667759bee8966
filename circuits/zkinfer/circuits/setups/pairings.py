"""The group G2 and the pairing of BN254, by py_ecc; tau*G2 travels as 128 bytes (see `Ceremony.tau_g2`)."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.setups.curve import FIELD, ORDER, Point, negate

_recursion_limit = sys.getrecursionlimit()
_bn254: Any = import_module("py_ecc.optimized_bn128")  # it has no types, and no explicit exports for mypy
# py_ecc raises the limit to 100,000, where other code's runaway recursion ends in a crash instead of an error.
sys.setrecursionlimit(_recursion_limit)
_DAMAGED = "The file is damaged or no BN254 setup; get it again."


def pack_g2(x: tuple[int, int], y: tuple[int, int]) -> bytes:
    """Write a G2 point from (real, imaginary) coordinates as 128 bytes in the order of EIP-197."""
    return b"".join(number.to_bytes(32, "big") for number in (x[1], x[0], y[1], y[0]))


def generator_g2() -> bytes:
    """The generator of G2."""
    return _pack(_bn254.G2)


def multiply_g2(scalar: int) -> bytes:
    """A scalar in 1..ORDER-1 times the generator of G2."""
    return _pack(_bn254.multiply(_bn254.G2, scalar))


def require_g2(packed: bytes) -> None:
    """Refuse with SetupError what is no point of the prime-order group G2; infinity is refused too."""
    x, y = _coordinates(packed)
    if max(*x, *y) >= FIELD or not any((*x, *y)):
        raise SetupError("tau*G2 has a coordinate outside the field, or is infinity.", _DAMAGED)
    point = _unpack(packed)
    if not _bn254.is_on_curve(point, _bn254.b2):
        raise SetupError("tau*G2 is not on the curve.", _DAMAGED)
    if not _bn254.is_inf(_bn254.multiply(point, ORDER)):
        raise SetupError("tau*G2 is outside the prime-order subgroup.", _DAMAGED)


def same_ratio(shifted: Point | None, base: Point | None, tau_g2: bytes) -> bool:
    """Whether shifted = tau * base: e(shifted, G2) = e(base, tau*G2). Nothing about the points is checked here."""
    left = _bn254.pairing(_bn254.G2, _g1(shifted), final_exponentiate=False)
    right = _bn254.pairing(_unpack(tau_g2), _g1(negate(base)), final_exponentiate=False)
    return bool(_bn254.final_exponentiate(left * right) == _bn254.FQ12.one())


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
