import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.cli.works.certify import _parent
from zkinfer.cli.works.options import parse_uses, parse_work, with_dates, work_id


@given(st.integers(0, 2**256 - 1))
def test_id_of_a_work_is_a_word_that_every_command_takes(work):
    assert len(work_id(work)) == 66
    assert parse_work(work_id(work)) == work


@pytest.mark.parametrize("text", [hex(7), work_id(7), hex(2**252 - 1), work_id(2**256 - 1)])
def test_parent_is_named_by_its_word_whatever_its_leading_zeros(text):
    found, file = _parent(f"original={text}")
    assert (found.role, found.work, found.sha256, file) == ("original", work_id(int(text, 16)), None, None)


@pytest.mark.parametrize("text", ["original=0x", "original=0xg", f"original={hex(2**256)}"])
def test_parent_that_is_no_work_is_refused(text):
    with pytest.raises(typer.BadParameter):
        _parent(text)


@pytest.mark.parametrize(("text", "uses"), [("commercial", 1), ("commercial, derivatives", 3), ("ATTRIBUTION", 128)])
def test_uses_are_named(text, uses):
    assert parse_uses(text) == uses


@pytest.mark.parametrize("text", ["", "fun", "commercial,", "1"])
def test_unknown_use_is_refused_with_those_that_exist(text):
    with pytest.raises(typer.BadParameter, match="commercial, derivatives, training, inference, attribution"):
        parse_uses(text)


def test_times_are_dates_and_other_facts_stay():
    facts = {"since": 1796101600, "until": 2**40 - 1, "expiry": 0, "licence": 1796101600}
    dates = {"since": "2026-12-01T05:06:40Z", "until": "without end", "expiry": "not yet", "licence": 1796101600}
    assert with_dates(facts) == dates
