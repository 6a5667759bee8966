import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc import bn128

from zkinfer.circuits.setups import curve
from zkinfer.circuits.setups.curve import GENERATOR, ORDER, FixedBase, MultiSum

scalars = st.integers(min_value=0, max_value=ORDER - 1)


def by_py_ecc(scalar):
    point = bn128.multiply(bn128.G1, scalar)
    return None if point is None else (int(point[0]), int(point[1]))


@settings(max_examples=10, deadline=None)
@given(scalars)
def test_multiply_any_scalar_agrees_with_py_ecc(scalar):
    assert curve.multiply(GENERATOR, scalar) == by_py_ecc(scalar)


def test_multiply_by_order_gives_infinity():
    assert curve.multiply(GENERATOR, ORDER) is None


def test_add_pairs_doublings_opposites_and_plain_sums_agree_with_py_ecc():
    two, three = by_py_ecc(2), by_py_ecc(3)
    sums = curve.add_pairs([two, two, two], [two, curve.negate(two), three])
    assert sums == [by_py_ecc(4), None, by_py_ecc(5)]


def test_add_pairs_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        curve.add_pairs([GENERATOR, GENERATOR], [GENERATOR])


def test_add_infinity_changes_nothing():
    assert curve.add(None, GENERATOR) == curve.add(GENERATOR, None) == GENERATOR
    assert curve.add(None, None) is None


def test_invert_all_with_a_zero_is_refused():
    with pytest.raises(ValueError, match="not invertible"):
        curve.invert_all([3, 0, 5], ORDER)


@given(st.lists(st.integers(min_value=1, max_value=ORDER - 1), min_size=1, max_size=20))
def test_invert_all_times_the_value_is_one(values):
    inverses = curve.invert_all(values, ORDER)
    assert all(value * inverse % ORDER == 1 for value, inverse in zip(values, inverses, strict=True))


def test_collapse_points_that_cancel_leave_nothing():
    groups = [[GENERATOR, curve.negate(GENERATOR)], [GENERATOR] * 5, []]
    curve.collapse(groups)
    assert groups == [[], [by_py_ecc(5)], []]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(scalars, st.integers(min_value=1, max_value=9)), max_size=6), st.integers(2, 9))
def test_multi_sum_in_two_batches_agrees_with_the_sum_of_scalars(terms, window):
    total = MultiSum(curve.ORDER_BITS, window)
    for batch in (terms[:2], terms[2:]):
        total.add([by_py_ecc(base) for _, base in batch], [scalar for scalar, _ in batch])
    assert total.total() == by_py_ecc(sum(scalar * base for scalar, base in terms) % ORDER)


def test_fixed_base_edge_scalars_agree_with_py_ecc():
    edges = [0, 1, 2, 31, 32, 33, ORDER - 1, ORDER // 2]
    assert FixedBase(GENERATOR, 5).multiply_all(edges) == [by_py_ecc(scalar) for scalar in edges]


@pytest.mark.parametrize("k", [1, 11, 28])
def test_domain_root_has_exactly_the_order_of_the_domain(k):
    root = curve.domain_root(k)
    assert pow(root, 1 << k, ORDER) == 1
    assert pow(root, 1 << (k - 1), ORDER) == ORDER - 1


def test_domain_root_is_the_one_of_halo2curves():
    assert hex(curve.domain_root(28)) == "0x3ddb9f5166d18b798865ea93dd31f743215cf6dd39329c8d34f1ed960c37c9c"


def test_on_curve_of_a_point_beside_the_curve_is_false():
    assert curve.on_curve(GENERATOR)
    assert not curve.on_curve((1, 3))
    assert not curve.on_curve((0, 0))
