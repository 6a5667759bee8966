"""The verifier and the contracts agree on every bad proof, and the page states how many there are."""

import pytest
from benchmarks import bad_proofs
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
    assert bad_proofs.section(rows) == bad_proofs.section_of(bad_proofs.PAGE.read_text())


def test_section_replaces_the_old_one():
    page = "# Page\n\ntext\n\n## Bad proofs\n\nold\n\n## Other\n\nmore\n"
    changed = bad_proofs.with_section(page, "## Bad proofs\n\nnew\n")
    assert bad_proofs.section_of(changed) == "## Bad proofs\n\nnew\n"
    assert "old" not in changed
    assert "## Other\n\nmore\n" in changed
    assert bad_proofs.section_of("# Page\n") == ""
