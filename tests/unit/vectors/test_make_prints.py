"""The vectors that forge compares with the contract follow from the Python side."""

import json

from tests.vectors import make_prints


def test_stored_prints_are_reproduced():
    assert make_prints.VECTORS.read_text() == make_prints.dump(make_prints.make())


def test_stored_prints_cover_ties_margins_and_sizes():
    cases = json.loads(make_prints.VECTORS.read_text())["cases"]
    assert sum(bool(case["refused"]) for case in cases) == 4
    assert {int(case["sure"], 16) for case in cases} >= {0, 2**256 - 1}
