"""The table of feeds, and the parts of the page that are kept when another one is measured."""

from benchmarks.gas import PAGE, PARTS, sections
from benchmarks.gas_feeds import table


def test_table_says_what_a_round_costs_beside_its_proof():
    page = table({"a proven round": 414_719, "the proof alone": 305_953}, 6)
    assert "6 bytes of inputs" in page
    assert "108,766 gas more" in page
    assert "| a proven round | 414,719 |" in page


def test_sections_are_the_whole_page():
    found = sections(PAGE.read_text())
    assert list(found) == list(PARTS)
    assert "".join(found.values()) == PAGE.read_text()
    assert found["feeds"].startswith("\n## Feeds\n")
