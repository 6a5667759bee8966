"""The page about a soak, from a small record."""

from collections import Counter
from types import SimpleNamespace

from benchmarks.oracle.audits import Audit
from benchmarks.oracle.page import page
from benchmarks.oracle.soak import Outcome
from tests.unit.benchmarks.oracle.honest import FIRST, QUIET, TRUTH, reading, record

PLAYER = SimpleNamespace(counts=Counter({"daemon: kill -9": 3}), quiets=[QUIET])
USER = SimpleNamespace(
    posted={("PROVEN", FIRST): b"", ("PROVEN", FIRST + 2): b""},
    transactions={("a", "PROVEN", FIRST): True, ("b", "PROVEN", FIRST): False},
)


def text(**changes):
    old = reading("a", FIRST, chain_time=FIRST * 10 + 62)
    refused = reading("a", FIRST, refusal="FeedContradicted")
    found = record(readings=[*record().readings, old, refused])
    audit = Audit(reports=9, lies=1, broken=[])
    return page(Outcome(10.0, found, TRUTH, None, PLAYER, USER, 2, audit, changes.get("broken", [])), 7, 5)


def test_figures_are_those_of_the_record():
    for name, number in (
        ("rounds on a chain", 4),
        ("rounds on chains, counted on each", 7),
        ("missing on a chain, each with a reason", 1),
        ("rounds that were proven", 4),
        ("of them by two operators, the second after its turn had come", 0),
        ("rounds that the user posted on both chains with the same bytes", 1),
        ("reports that the user sent to a chain before it had them", 1),
        ("readings of faces", 8),
        ("of them older than a heartbeat, which a consumer refuses", 1),
        ("readings that a face refused", 1),
        ("readings that a node did not answer", 2),
        ("reports that were audited from chain data and published files", 9),
        ("of them lies of the signers, which do not hold", 1),
        ("broken rules", 0),
    ):
        assert f"| {name} | {number} |" in text()


def test_command_faults_recovery_and_reasons_are_told():
    found = text()
    assert "python -m benchmarks.oracle_soak --rounds 7 --seed 5" in found
    assert "| daemon: kill -9 | 3 |" in found
    assert "median 3.0 s, longest 3.0 s, over 1 episodes" in found
    assert "| too slow | 1 |" in found


def test_broken_rules_are_counted():
    assert "| broken rules | 2 |" in text(broken=["one", "two"])
