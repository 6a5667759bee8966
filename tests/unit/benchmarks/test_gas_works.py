"""The table of works: no transaction costs more than its limit, on the page as in the benchmark."""

import re

import pytest
from benchmarks.gas import PAGE, sections
from benchmarks.gas_works import LIMITS, table, what

from zkinfer.contracts.works import ZERO_WORD


def test_page_has_every_transaction_within_its_limit():
    found = re.findall(r"^\| (.+?) \| ([\d,]+) \| ([\d,]+) \|$", sections(PAGE.read_text())["works"], re.MULTILINE)
    rows = {title: (int(gas.replace(",", "")), int(limit.replace(",", ""))) for title, gas, limit in found}
    assert {title: limit for title, (_, limit) in rows.items()} == LIMITS
    assert all(21_000 < gas <= limit for gas, limit in rows.values())


def test_transaction_at_its_limit_is_shown():
    assert "| pay a work that was paid before | 51,000 | 51,000 |" in table({"pay a work that was paid before": 51_000})


def test_transaction_above_its_limit_ends_the_benchmark():
    with pytest.raises(SystemExit, match="withdraw 32,001"):
        table({"withdraw": 32_001, "pay a work that was paid before": 29_000})


def test_only_the_first_registration_follows_a_commitment():
    assert what(0).salt != ZERO_WORD
    assert what(1).salt == ZERO_WORD
    assert what(0).content != what(1).content
