from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.oracle.series import fractions, recipe, returns

from zkinfer.oracle.errors import RecipeError, SourceError
from zkinfer.oracle.recipes import Recipe, is_plain_number, plain_number

PRICES = st.fractions(1, 1000, max_denominator=10**6)


def test_recipe_survives_encoding():
    assert Recipe.from_bytes(recipe().to_bytes()) == recipe()


def test_digest_is_pinned():
    assert recipe().digest == "0x3f280c493c137c7eed6a1e217098de752224954a4ef0d383a98b2cf8b5e83ea1"


@pytest.mark.parametrize(
    "changed",
    [
        {"select": "prices[*].open"},
        {"bounds": ("1", "1001")},
        {"form": "return"},
        {"tolerance": "0.02"},
        {"encoding": {"scale": 5}},
        {"encoding": {"signed": False}},
        {"count": 4, "encoding": {"shape": (4,)}},
    ],
)
def test_digest_depends_on_every_field(changed):
    assert recipe(**changed).digest != recipe().digest


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"count": 4}, "reads 3 numbers"),
        ({"count": 0}, "count"),
        ({"bounds": ("2", "1")}, "ordered"),
        ({"bounds": ("0", "1"), "form": "return"}, "positive"),
        ({"bounds": ("1", "1e3")}, "shortest form"),
        ({"bounds": ("1", "10.0")}, "shortest form"),
        ({"bounds": ("-0", "10")}, "shortest form"),
        ({"tolerance": "1"}, "below 1"),
        ({"tolerance": "-0.1"}, "at least 0"),
        ({"select": "prices.close"}, "exactly once"),
        ({"form": "sum"}, "form"),
        ({"kind": "table"}, "kind"),
        ({"encoding": {"width": 3}}, "width"),
        ({"encoding": {"scale": 65}}, "scale"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_impossible_recipe_is_refused(changed, reason):
    with pytest.raises(RecipeError, match=reason):
        recipe(**changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\n",
        lambda data: data[:-1],
        lambda data: data.replace(b'"count":3', b'"count":3.0'),
        lambda data: data.replace(b'"count":3', b'"count": 3'),
        lambda data: data.replace(b"recipe/1", b"recipe/2"),
        lambda data: b"[]",
        lambda data: b"x" * (1 << 15),
    ],
)
def test_document_in_another_form_is_refused(change):
    with pytest.raises(RecipeError, match="not a recipe"):
        Recipe.from_bytes(change(recipe().to_bytes()))


def test_levels_round_down():
    assert recipe().integers(fractions("1", "1.99", "999.999")) == [16, 31, 15999]


def test_negative_levels_round_down():
    one = recipe(bounds=("-10", "10"))
    assert one.integers(fractions("-0.01", "0", "-1")) == [-1, 0, -16]


def test_returns_round_down():
    assert returns().integers(fractions("100", "101", "100", "100")) == [10, -11, 0]


@given(st.lists(PRICES, min_size=4, max_size=4))
def test_returns_are_the_floor_of_the_exact_change(prices):
    changes = [(after / before - 1) * 1024 for before, after in pairwise(prices)]
    integers = returns().integers(prices)
    assert all(integer <= change < integer + 1 for integer, change in zip(integers, changes, strict=True))


@given(st.lists(PRICES, min_size=4, max_size=4), st.fractions(1, 10, max_denominator=9))
def test_returns_do_not_depend_on_the_unit(prices, unit):
    wide = returns(bounds=("1", "100000"))
    assert wide.integers([unit * one for one in prices]) == wide.integers(prices)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (("1", "2"), "needs 3 numbers"),
        (("1", "2", "3", "4"), "needs 3 numbers"),
        (("1", "2", "1000.01"), "Number 2 .* outside"),
        (("0.99", "2", "3"), "Number 0 .* outside"),
    ],
)
def test_numbers_that_the_recipe_excludes_are_refused(numbers, reason):
    with pytest.raises(SourceError, match=reason):
        recipe().integers(fractions(*numbers))


@pytest.mark.parametrize(
    ("encoding", "numbers", "packed"),
    [
        ({}, ("1", "2", "3"), "001000200030"),
        ({"width": 1, "scale": 0}, ("1", "2", "127"), "01027f"),
        ({"width": 1, "scale": 0, "signed": False}, ("1", "2", "255"), "0102ff"),
    ],
)
def test_inputs_are_packed_as_in_a_statement(encoding, numbers, packed):
    assert recipe(encoding=encoding).inputs(fractions(*numbers)).hex() == packed


def test_negative_inputs_are_in_twos_complement():
    assert returns().inputs(fractions("100", "99", "99", "99")).hex() == "fff500000000"


@pytest.mark.parametrize("encoding", [{"width": 1, "scale": 0}, {"width": 1, "scale": 1, "signed": False}])
def test_input_beyond_the_width_is_refused(encoding):
    with pytest.raises(SourceError, match="Input 2 of the model is"):
        recipe(encoding=encoding).inputs(fractions("1", "2", "128"))


@pytest.mark.parametrize(
    ("other", "agrees"),
    [(("100", "101", "99"), True), (("100", "101.01", "99"), False), (("100", "101"), False)],
)
def test_observations_agree_within_the_tolerance(other, agrees):
    assert recipe().agrees(fractions("100", "100", "100"), fractions(*other)) == agrees


def test_beside_a_zero_only_a_zero_agrees():
    assert recipe().agrees(fractions("0"), fractions("0"))
    assert not recipe().agrees(fractions("0"), fractions("0.0001"))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1", "1"),
        ("-1.50", "-1.5"),
        ("1e3", "1000"),
        ("12E-4", "0.0012"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("007", "7"),
        ("100", "100"),
    ],
)
def test_number_is_written_in_its_shortest_form(text, plain):
    assert plain_number(text) == plain
    assert is_plain_number(plain)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_shortest_form_keeps_the_value(number):
    assert Fraction(plain_number(str(number))) == Fraction(number)
    assert is_plain_number(plain_number(str(number)))


@pytest.mark.parametrize(
    "text", ["", "-", "1.", ".5", "0x10", "1e999", "NaN", "Infinity", "1_000", " 1", "1\n", "1" * 61]
)
def test_other_texts_are_no_numbers(text):
    with pytest.raises(SourceError, match="not a number"):
        plain_number(text)


@pytest.mark.parametrize("text", ["1" * 61, "1e60", "1e-60"])
def test_number_of_too_many_digits_is_refused(text):
    with pytest.raises(SourceError, match="at most 60 characters"):
        plain_number(text)
