"""Roots of polynomials, with which a liar of the tests solves for the point of a false hint."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ashlar import cases, polynomials

SMALL, ORDER = 8191, cases.KNOWN_TAU.order


@settings(deadline=None, max_examples=25)
@given(roots=st.sets(st.integers(0, SMALL - 1), max_size=5))
def test_roots_of_a_product_are_found_beside_a_factor_without_roots(roots):
    product = [1, 0, 1]  # -1 is no square modulo a prime that is 3 modulo 4
    for root in roots:
        product = polynomials.times(product, [-root, 1], SMALL)
    assert polynomials.roots(product, SMALL) == sorted(roots)


def test_roots_modulo_the_order_are_found():
    assert polynomials.roots(polynomials.times([-3, 1], [-5, 1], ORDER), ORDER) == [3, 5]


def test_constants_and_nothing_have_no_roots():
    assert polynomials.roots([7], SMALL) == []
    assert polynomials.roots([0, 0], SMALL) == []


def test_quotient_and_remainder_give_the_dividend():
    quotient, rest = polynomials.divided([5, 4, 3, 2], [1, 1], SMALL)
    assert polynomials.plus(polynomials.times(quotient, [1, 1], SMALL), rest) == [5, 4, 3, 2]
