import pytest

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.setups import ceremonies, curve, pairings

# x = 1, and the y that goes with it: a point of the curve over the extension field, of another order
OUTSIDE_THE_SUBGROUP = bytes.fromhex(
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000001"
    "0d1271953ed9ea0836846e70a1934187998c7f790cb4d7511b7f8da82de048a4"
    "2869111d5381f072f8e2728fdb825a51aadd70e52c9830e9ab4b871c0531f1bb"
)


@pytest.mark.parametrize("ceremony", ceremonies.CEREMONIES, ids=lambda ceremony: ceremony.name)
def test_require_g2_of_every_pinned_tau_passes(ceremony):
    pairings.require_g2(ceremony.tau_g2)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (bytes(128), "infinity"),
        (b"\xff" * 128, "outside the field"),
        (bytes(127) + b"\1", "not on the curve"),
        (OUTSIDE_THE_SUBGROUP, "outside the prime-order subgroup"),
    ],
)
def test_require_g2_of_no_group_element_is_refused(packed, message):
    with pytest.raises(SetupError, match=message):
        pairings.require_g2(packed)


def test_generator_g2_is_written_as_eip_197_does():
    assert pairings.generator_g2().hex().startswith("198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2")


def test_same_ratio_of_points_with_it_is_true():
    assert pairings.same_ratio(
        curve.multiply(curve.GENERATOR, 35), curve.multiply(curve.GENERATOR, 5), pairings.multiply_g2(7)
    )


def test_same_ratio_of_points_without_it_is_false():
    assert not pairings.same_ratio(
        curve.multiply(curve.GENERATOR, 36), curve.multiply(curve.GENERATOR, 5), pairings.multiply_g2(7)
    )


def test_same_ratio_with_infinity_on_one_side_is_false():
    assert not pairings.same_ratio(None, curve.GENERATOR, pairings.multiply_g2(7))
