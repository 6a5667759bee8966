"""The verifier and the contracts agree on every bad proof, and the page states how many there are."""

import pytest
from benchmarks import bad_proofs
from benchmarks.sections import section_of
from tests.integration import bench
from tests.integration.judges import Auditor, Contracts


@pytest.fixture(scope="module")
def rows(home, digits, honest, other):
    bench.skip_without_anvil()
    for chain in bad_proofs.anvil():
        judges = Auditor(home, digits), Contracts(chain, digits)
        found = bad_proofs.tally(*judges, bench.proof_of(honest), bench.proof_of(other))
    return found


def test_honest_proofs_are_accepted_by_both(rows):
    assert (rows[0].cases, rows[0].verifier, rows[0].contracts) == (2, 0, 0)


def test_bad_proofs_are_refused_by_both(rows):
    assert [row.kind for row in rows[1:] if not row.cases == row.verifier == row.contracts] == []
    assert sum(row.cases for row in rows[1:]) > 500


def test_page_states_the_number_of_bad_proofs(rows):
    assert bad_proofs.section(rows) == section_of(bad_proofs.PAGE.read_text(), bad_proofs.TITLE)
