"""Engine, verifier, second opinion and contracts on every bad proof, for both engines; the page states the numbers."""

import re

import pytest
from benchmarks import bad_proofs
from benchmarks.bad_proofs import CONTRACTS, ENGINE, OTHER_LENGTHS, SECOND
from benchmarks.gas import anvil
from benchmarks.sections import section_of
from tests.integration import bench
from tests.integration.judges import Contracts, engine_of

pytestmark = pytest.mark.slow
FEW = {SECOND: 5}  # the pairing of an EVM in Python takes most of a second
# Lower bounds on the number of cases, as some words of real proofs may be zero or not points.
LEAST = {
    "a bit flipped in every word": 80,
    "every word plus either modulus": 160,
    "every word zeroed": 70,
    "every pair of words the point at infinity": 40,
    "every point negated": 5,
    "every point off the curve": 5,
    "words swapped": 6,
    "cut or extended": 6,
    "proof and public values of two inferences": 2,
    "every public value plus one": 79,
    "every output plus or minus the modulus": 20,
    "every output negated": 8,
    "public values swapped": 3,
    "public values missing or added": 7,
}


@pytest.fixture(scope="module", params=["ezkl", "ashlar"])
def circuit(request, run_folder):
    return {"ezkl": bench.digits_circuit, "ashlar": bench.digits_under_ashlar}[request.param](run_folder)


@pytest.fixture(scope="module")
def proofs(home, circuit):
    return bad_proofs.proofs_of(home, circuit, 2)


@pytest.fixture(scope="module")
def contracts(circuit):
    bench.skip_without_anvil()
    for chain in anvil():
        yield Contracts(chain, circuit)


@pytest.fixture(scope="module")
def rows(home, circuit, proofs, contracts):
    judges = bad_proofs.judges_of(home, circuit) | {CONTRACTS: contracts}
    return bad_proofs.tally(judges, circuit, proofs, FEW)


def test_honest_proofs_are_accepted_by_all(rows):
    assert (rows[0].cases, rows[0].refused.total(), rows[0].agree) == (2, 0, 2)
    assert rows[0].asked == dict.fromkeys(bad_proofs.JUDGES, 2)


def test_bad_proofs_are_refused_by_all(rows):
    assert bad_proofs.odd(rows) == []
    for row in rows[1:]:
        assert row.cases >= LEAST[row.kind]
        assert row.agree == row.cases
        assert row.refused[SECOND] == row.asked[SECOND] == min(row.cases, FEW[SECOND])


def test_engine_alone_accepts_only_what_has_another_length(rows):
    by_engine = {row.kind: row.cases - row.refused[ENGINE] for row in rows[1:]}
    assert {kind for kind, accepted in by_engine.items() if accepted} <= {OTHER_LENGTHS}


def test_page_states_the_same_numbers(circuit, rows):
    """But for the honest proofs, and for the second opinion, which the nightly run asks about every case."""
    page = section_of(bad_proofs.PAGE.read_text(), bad_proofs.TITLE)
    for row in bad_proofs.with_total(rows)[1:]:
        row.refused[SECOND] = row.cases
        [line] = [line for line in page.splitlines() if line.startswith(f"| {row.kind} |")]
        if engine_of(circuit) == "ezkl":
            assert line.startswith(f"| {row.kind} | {row.cells()} | ")
        else:
            assert line.endswith(f" | {row.cells()} |")


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_second_opinion_refuses_every_bad_proof(home, circuit, proofs, contracts):
    judges = bad_proofs.judges_of(home, circuit) | {CONTRACTS: contracts}
    found = bad_proofs.tally(judges, circuit, proofs)
    assert bad_proofs.odd(found) == []
    assert all(row.refused[SECOND] == row.cases for row in found[1:])


def test_verdicts_that_differ_are_odd(proofs):
    """The harness finds a verifier that accepts too much, and one that refuses too much."""
    row = bad_proofs.Row("words swapped")
    told = {name: {"a": "refused", "b": "refused"} for name in bad_proofs.JUDGES}
    row.add(dict.fromkeys("ab", proofs[0]), told | {SECOND: {"a": "accepted", "b": "refused"}})
    assert (row.agree, len(row.odd)) == (1, 1)
    honest = bad_proofs.Row(bad_proofs.HONEST)
    honest.add({"a": proofs[0]}, {name: {"a": "refused"} for name in bad_proofs.JUDGES})
    assert len(honest.odd) == 1


# --- what only a chain can see


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"selector": b"\0\0\0\1"}, "SelectorUnknown"),
        ({"digest": bytes(32)}, "KeyMismatch"),
        ({"key": "0x" + "00" * 19 + "01"}, "NothingStored"),
        ({"layout": (2, 0, 0, 10)}, "(InputLength|Layout)Mismatch"),
    ],
)
def test_router_refuses_what_belongs_to_another(contracts, proofs, changes, error):
    assert contracts.refusal(proofs[0]) == ""
    assert re.search(rf": {error}\(", contracts.refusal(proofs[0], **changes))
