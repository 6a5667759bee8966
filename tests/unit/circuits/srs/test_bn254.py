import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc import bn128

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs import bn254, ceremonies
from zkinfer.circuits.srs.bn254 import GENERATOR, ORDER, FixedBase, MultiSum

scalars = st.integers(min_value=0, max_value=ORDER - 1)


def by_py_ecc(scalar):
    point = bn128.multiply(bn128.G1, scalar)
    return None if point is None else (int(point[0]), int(point[1]))


@settings(max_examples=10, deadline=None)
@given(scalars)
def test_multiplication_by_any_scalar_agrees_with_py_ecc(scalar):
    assert bn254.multiply(GENERATOR, scalar) == by_py_ecc(scalar)


def test_multiplication_by_the_order_gives_infinity():
    assert bn254.multiply(GENERATOR, ORDER) is None


def test_add_pairs_doublings_opposites_and_plain_sums_agree_with_py_ecc():
    two, three = by_py_ecc(2), by_py_ecc(3)
    sums = bn254.add_pairs([two, two, two], [two, bn254.negate(two), three])
    assert sums == [by_py_ecc(4), None, by_py_ecc(5)]


def test_add_pairs_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        bn254.add_pairs([GENERATOR, GENERATOR], [GENERATOR])


def test_add_infinity_changes_nothing():
    assert bn254.add(None, GENERATOR) == bn254.add(GENERATOR, None) == GENERATOR
    assert bn254.add(None, None) is None


def test_invert_all_with_a_zero_is_refused():
    with pytest.raises(ValueError, match="not invertible"):
        bn254.invert_all([3, 0, 5], ORDER)


@given(st.lists(st.integers(min_value=1, max_value=ORDER - 1), min_size=1, max_size=20))
def test_invert_all_times_the_value_is_one(values):
    inverses = bn254.invert_all(values, ORDER)
    assert all(value * inverse % ORDER == 1 for value, inverse in zip(values, inverses, strict=True))


def test_collapsing_points_that_cancel_gives_infinity():
    groups = [[GENERATOR, bn254.negate(GENERATOR)], [GENERATOR] * 5, []]
    bn254.collapse(groups)
    assert groups == [[], [by_py_ecc(5)], []]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(scalars, st.integers(min_value=1, max_value=9)), max_size=6), st.integers(2, 9))
def test_multi_sum_in_two_batches_agrees_with_the_sum_of_scalars(terms, window):
    total = MultiSum(bn254.ORDER_BITS, window)
    for batch in (terms[:2], terms[2:]):
        total.add([by_py_ecc(base) for _, base in batch], [scalar for scalar, _ in batch])
    assert total.total() == by_py_ecc(sum(scalar * base for scalar, base in terms) % ORDER)


def test_fixed_base_edge_scalars_agree_with_py_ecc():
    edges = [0, 1, 2, 31, 32, 33, ORDER - 1, ORDER // 2]
    assert FixedBase(GENERATOR, 5).multiply_all(edges) == [by_py_ecc(scalar) for scalar in edges]


@pytest.mark.parametrize("k", [1, 11, 28])
def test_domain_root_has_the_order_of_the_domain(k):
    root = bn254.domain_root(k)
    assert pow(root, 1 << k, ORDER) == 1
    assert pow(root, 1 << (k - 1), ORDER) == ORDER - 1


def test_domain_root_is_the_one_of_halo2curves():
    assert hex(bn254.domain_root(28)) == "0x3ddb9f5166d18b798865ea93dd31f743215cf6dd39329c8d34f1ed960c37c9c"


def test_on_curve_of_a_point_off_the_curve_is_false():
    assert bn254.on_curve(GENERATOR)
    assert not bn254.on_curve((1, 3))
    assert not bn254.on_curve((0, 0))


# x = 1 and its y: a point on the curve over the extension field, but of another order
OUTSIDE_THE_SUBGROUP = bytes.fromhex(
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000001"
    "0d1271953ed9ea0836846e70a1934187998c7f790cb4d7511b7f8da82de048a4"
    "2869111d5381f072f8e2728fdb825a51aadd70e52c9830e9ab4b871c0531f1bb"
)


@pytest.mark.parametrize("ceremony", ceremonies.CEREMONIES, ids=lambda ceremony: ceremony.name)
def test_require_g2_of_every_pinned_tau_passes(ceremony):
    bn254.require_g2(ceremony.tau_g2)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (bytes(128), "infinity"),
        (b"\xff" * 128, "outside the field"),
        (bytes(127) + b"\1", "not on the curve"),
        (OUTSIDE_THE_SUBGROUP, "outside the prime-order subgroup"),
    ],
)
def test_require_g2_of_a_point_outside_the_group_is_refused(packed, message):
    with pytest.raises(SetupError, match=message):
        bn254.require_g2(packed)


def test_generator_g2_is_written_as_eip_197_does():
    assert bn254.generator_g2().hex().startswith("198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2")


def test_same_ratio_of_proportional_pairs_is_true():
    assert bn254.same_ratio(
        bn254.multiply(bn254.GENERATOR, 35), bn254.multiply(bn254.GENERATOR, 5), bn254.multiply_g2(7)
    )


def test_same_ratio_of_other_pairs_is_false():
    assert not bn254.same_ratio(
        bn254.multiply(bn254.GENERATOR, 36), bn254.multiply(bn254.GENERATOR, 5), bn254.multiply_g2(7)
    )


def test_same_ratio_with_infinity_on_one_side_is_false():
    assert not bn254.same_ratio(None, bn254.GENERATOR, bn254.multiply_g2(7))
