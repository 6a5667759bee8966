from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar.draft import StoredFunction, Table, TableKind
from zkinfer.circuits.engines.ashlar.stored import StoredTable, stored_table
from zkinfer.circuits.errors import EngineError, UnsupportedModelError


def table(value, **kwargs):
    return StoredTable(d.stored(value, **({"width": 8} | kwargs)))


@pytest.mark.parametrize(("half", "even"), [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2)])
def test_rational_at_a_tie_goes_to_the_even_integer(half, even):
    assert table(lambda x: Fraction(half, 2)).at(0) == even


def test_scales_of_input_and_output_are_applied():
    assert table(lambda x: x * x, q_scale=2, scale=3).at(5) == round(Fraction(25, 16) * 8)
    assert table(lambda x: x * x, q_scale=-1, scale=-2).at(3) == 9


def test_decimal_is_rounded_like_the_number_it_stands_for():
    assert table(lambda x: Decimal(2).sqrt(), scale=6).at(0) == 91


@pytest.mark.parametrize("digits", ["2.5", f"2.5{'0' * 28}1", f"2.4{'9' * 30}", f"-1.5{'0' * 28}1"])
def test_decimal_too_close_to_a_tie_is_refused(digits):
    with pytest.raises(UnsupportedModelError, match="too close to a tie"):
        table(lambda x: Decimal(digits)).at(0)


def test_decimal_beyond_the_least_distance_is_rounded():
    assert table(lambda x: Decimal(f"2.5{'0' * 28}11")).at(0) == 3
    assert table(lambda x: Decimal(f"2.4{'9' * 28}89")).at(0) == 2


def test_values_are_clamped_to_the_width():
    assert [table(lambda x: x * 1000, width=3).at(q) for q in (-1, 0, 1)] == [-8, 0, 7]


def test_value_of_2_to_the_15_is_refused_and_the_next_accepted():
    assert table(lambda x: Fraction(-32767), width=15).at(0) == -32767
    with pytest.raises(UnsupportedModelError, match="-32768"):
        table(lambda x: Fraction(-40000), width=15).at(0)


def reciprocal(x):
    return 1 / x if x else None


def test_undefined_row_is_refused_within_the_interval_and_0_elsewhere():
    made = table(reciprocal, scale=4)
    assert made.image(1, 4, "y") == (4, 16)
    assert made.column(2).tolist() == [-8, -16, 0, 16]
    with pytest.raises(UnsupportedModelError, match="'y' is undefined at 0"):
        made.image(-1, 1, "y")


def test_image_includes_rows_in_between():
    assert table(lambda x: -x * x + 3).image(-2, 1, "y") == (-1, 3)


def test_look_up_gives_the_column():
    made = table(d.square)
    q = np.array([[3, -4], [0, 3]])
    assert made.look_up(q).tolist() == [[9, 16], [0, 9]]


@pytest.mark.parametrize("value", [0.5, "1", Decimal("NaN"), Decimal("Infinity")])
def test_function_that_gives_no_exact_number_is_refused(value):
    with pytest.raises(EngineError, match="no number"):
        table(lambda x: value).at(0)


def test_clamp_is_no_stored_table():
    with pytest.raises(EngineError, match="no function"):
        StoredTable(Table(TableKind.CLAMP_U, 8))


def test_rows_of_equal_tables_are_kept():
    first = stored_table(d.stored(d.square, width=8, name="square"))
    assert stored_table(d.stored(lambda x: x * x, width=8, name="square")) is first
    for other in ({"width": 7}, {"scale": 1}, {"q_scale": 1}, {"name": "another"}):
        assert stored_table(d.stored(d.square, **({"width": 8, "name": "square"} | other))) is not first


def test_each_row_is_computed_once():
    calls = []
    made = StoredTable(Table(TableKind.STORED, 8, StoredFunction("f", lambda x: calls.append(x) or Fraction(1))))
    made.column(3)
    made.image(-4, 3, "y")
    assert len(calls) == 8
