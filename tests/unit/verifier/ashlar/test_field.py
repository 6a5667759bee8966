from random import Random

import pytest

from zkinfer.verifier.ashlar.field import Element, at_index, bits_of, eq, eq_table, in_block, powers, product

P = 8191


def points(count, seed=1):
    rng = Random(seed)
    return [Element(rng.randrange(P), P) for _ in range(count)]


def test_arithmetic_is_that_of_integers_modulo_the_order():
    a, b = Element(5000, P), Element(-3, P)
    assert int(b) == P - 3
    assert [int(v) for v in (a + b, a - b, b - a, a * b, 2 - a, 2 + a, 2 * a, a**3)] == [
        v % P for v in (4997, 5003, -5003, -15000, -4998, 5002, 10000, 5000**3)
    ]


def test_element_equals_integers_of_its_class_alone():
    assert Element(3, P) == 3 + P == Element(3 - P, P)
    assert Element(3, P) != 4
    assert Element(3, P) != "3"
    assert len({Element(3, P), Element(3 + P, P)}) == 1


def test_bits_are_least_significant_first():
    assert bits_of(0b1101, 4) == [1, 0, 1, 1]
    assert bits_of(0b1101, 2) == [1, 0]
    assert bits_of(5, 0) == []


def test_eq_of_corners_is_their_equality():
    for a in range(8):
        for b in range(8):
            assert eq(bits_of(a, 3), bits_of(b, 3)) == (a == b)


def test_eq_of_points_of_different_length_is_refused():
    with pytest.raises(ValueError, match="argument"):
        eq(points(2), points(3))


def test_table_of_eq_has_the_values_of_each_index():
    x = points(4)
    assert eq_table(x, 11) == [at_index(i, x) for i in range(11)]
    assert sum(eq_table(x, 16)) == 1


def test_index_of_more_bits_than_the_point_is_refused():
    with pytest.raises(ValueError, match="more than 3 bits"):
        at_index(8, points(3))


def test_block_is_the_sum_of_its_places():
    x = points(5)
    assert in_block(12, 2, x) == sum(at_index(i, x) for i in range(12, 16))
    assert in_block(0, 5, x) == 1


def test_powers_and_product_begin_with_one():
    assert powers(Element(3, P), 4) == [1, 3, 9, 27]
    assert product([]) == 1
    assert product([Element(3, P), 4]) == 12
