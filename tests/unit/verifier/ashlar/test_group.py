from random import Random

import pytest
from tests.ashlar.numbers import KnownTau

from zkinfer.circuits.srs import bn254
from zkinfer.circuits.srs.ceremonies import TAU
from zkinfer.verifier.ashlar import EncodingError, MalformedKeyError
from zkinfer.verifier.ashlar.group import BN254

G, P = bn254.GENERATOR, bn254.FIELD


def packed(x, y):
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def test_point_and_infinity_are_decoded():
    assert BN254.decode(packed(1, 2)) == G
    assert BN254.decode(bytes(64)) is None


@pytest.mark.parametrize("data", [packed(1 + P, 2), packed(1, 2 + P), packed(P, 0), packed(0, P), b"\xff" * 64])
def test_coordinate_that_is_not_below_the_modulus_is_refused(data):
    with pytest.raises(EncodingError, match="modulus"):
        BN254.decode(data)


@pytest.mark.parametrize("data", [packed(1, 1), packed(1, 0), packed(0, 1), packed(P - 1, 2)])
def test_point_off_the_curve_is_refused(data):
    with pytest.raises(EncodingError, match="curve"):
        BN254.decode(data)


def test_combination_is_the_sum_of_multiples():
    rng = Random(5)
    points = [bn254.multiply(G, rng.randrange(BN254.order)) for _ in range(9)]
    scalars = [0, 1, -1, BN254.order + 2, *(rng.randrange(BN254.order) for _ in range(5))]
    total = None
    for scalar, point in zip(scalars, points, strict=True):
        total = bn254.add(total, bn254.multiply(point, scalar))
    assert BN254.combine(list(zip(scalars, points, strict=True))) == total


def test_combination_of_infinity_or_of_opposites_is_infinity():
    assert BN254.combine([]) is None
    assert BN254.combine([(5, None), (0, G)]) is None
    assert BN254.combine([(5, G), (3, None), (-5, G)]) is None


def test_pairing_tells_tau_times_a_point_from_others():
    tau_g2 = KnownTau.tau_g2
    base = bn254.multiply(G, 77)
    shifted = bn254.multiply(base, TAU)
    assert BN254.is_tau_times(shifted, base, tau_g2)
    assert BN254.is_tau_times(None, None, tau_g2)
    assert not BN254.is_tau_times(bn254.negate(shifted), base, tau_g2)
    assert not BN254.is_tau_times(None, base, tau_g2)
    assert not BN254.is_tau_times(shifted, None, tau_g2)


def test_tau_that_is_no_point_of_the_group_is_refused():
    BN254.require_tau(KnownTau.tau_g2)
    with pytest.raises(MalformedKeyError, match="infinity"):
        BN254.require_tau(bytes(128))
