import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.ui.work_text import ether, income_rows, pattern, span
from zkinfer.ui.work_values import WorkIncome


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        ("0", "0"),
        ("1", "0.000000000000000001"),
        (str(10**18), "1"),
        ("20000000000000000", "0.02"),
        ("1" + "0" * 24, "1,000,000"),
    ],
)
def test_wei_are_ether_to_the_last_digit(wei, text):
    assert ether(wei) == text


@given(st.integers(0, 10**30))
def test_ether_loses_nothing(wei):
    whole, _, part = ether(str(wei)).replace(",", "").partition(".")
    assert int(whole) * 10**18 + int(part.ljust(18, "0")) == wei


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (0, ("ever", 0)),
        (1, ("seconds", 1)),
        (90, ("seconds", 90)),
        (86_400, ("days", 1)),
        (2 * 365 * 86_400, ("years", 2)),
    ],
)
def test_duration_has_the_largest_unit_that_fits(seconds, found):
    assert span(seconds) == found


def test_income_has_shares_of_what_was_received():
    rows = income_rows(WorkIncome(received="8", shared="2", kept="5", pending="1"))
    assert [(row.name, row.share) for row in rows] == [("shared", 0.25), ("kept", 0.625), ("pending", 0.125)]


def test_work_without_income_has_empty_bars():
    assert {row.share for row in income_rows(WorkIncome(received="0", shared="0", kept="0", pending="0"))} == {0.0}


def test_first_bit_is_top_left_and_the_last_bottom_right():
    assert [(dot.x, dot.y, dot.sure) for dot in pattern(f"0x{(1 << 255) + 1:064x}", f"0x{1:064x}")] == [
        (0, 0, False),
        (15, 15, True),
    ]


def test_blocks_lie_beside_and_below_each_other():
    places = [pattern(f"0x{1 << (255 - 64 * block):064x}", "")[0] for block in range(4)]
    assert [(dot.x, dot.y) for dot in places] == [(0, 0), (8, 0), (0, 8), (8, 8)]


def test_work_without_a_print_has_no_pattern():
    assert pattern("", "") == ()
