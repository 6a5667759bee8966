"""The tests that the page about attacks names exist."""

import re
from functools import cache

import pytest
from tests.paths import ROOT

PAGE = ROOT / "docs/measurements/attacks.md"
NAME = re.compile(r"`((?:test|testFuzz|invariant)_\w+|Test[A-Z]\w+)`")
DEFINED = re.compile(r"(?:def|function) ((?:test|testFuzz|invariant)_\w+)\(|^(Test[A-Z]\w+) = ", re.MULTILINE)
NAMES = sorted(set(NAME.findall(PAGE.read_text())))


@cache
def defined():
    """The names of all tests, in Python and Solidity."""
    files = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("contracts/test/**/*.sol")]
    return {one or other for file in files for one, other in DEFINED.findall(file.read_text())}


@pytest.mark.parametrize("name", NAMES)
def test_named_test_exists(name):
    assert name in defined()


def test_page_names_tests_for_every_attack():
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 20))
    assert all(NAME.search(tests) for _, tests in rows)


def test_missing_test_is_detected():
    assert "test_that_nobody_wrote" not in defined()
    assert NAME.findall("`test_a`, `TestBs`, `tests/unit`") == ["test_a", "TestBs"]
